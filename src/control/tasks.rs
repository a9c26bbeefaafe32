//! [`Tasks`]: the only place that spawns; restarts what panicked, waits, gives up at the
//! deadline.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::control::clock;

/// The long-lived tasks of the daemon.
#[derive(Clone, Debug)]
pub(super) struct Tasks {
    runtime: Handle,
    /// Everything that is to be waited for; servers put their connections here.
    pub tracker: TaskTracker,
    /// Cancelled when the daemon drains.
    pub token: CancellationToken,
    gave_up: mpsc::Sender<&'static str>,
}

impl Tasks {
    /// Tasks on `runtime`; the receiver hears the name of a task that panicked too often.
    #[must_use]
    pub(super) fn new(runtime: Handle) -> (Self, mpsc::Receiver<&'static str>) {
        let (gave_up, hears) = mpsc::channel(1);
        let tasks = Self {
            runtime,
            tracker: TaskTracker::new(),
            token: CancellationToken::new(),
            gave_up,
        };
        (tasks, hears)
    }

    /// Runs a task until it ends by itself. When it panics it is made anew; the third panic
    /// within a minute is given up, which ends the daemon: a service that silently lacks a
    /// part is worse than one that systemd restarts.
    pub(super) fn supervise<F>(
        &self,
        name: &'static str,
        mut make: impl FnMut() -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let tasks = self.clone();
        self.tracker.spawn_on(
            async move {
                let mut panics = Vec::new();
                loop {
                    let task = tasks.runtime.spawn(AssertUnwindSafe(make()).0);
                    match task.await {
                        Ok(()) => return,
                        Err(error) if error.is_cancelled() => return,
                        Err(_) => {}
                    }
                    let now = clock::instant();
                    panics.retain(|before| now.duration_since(*before) < PANICS_WITHIN);
                    panics.push(now);
                    tracing::error!(
                        task = name,
                        times = panics.len(),
                        "a task panicked; it is started anew"
                    );
                    if panics.len() >= PANICS_MAX {
                        let _ = tasks.gave_up.try_send(name);
                        return;
                    }
                }
            },
            &self.runtime,
        );
    }

    /// Ends everything and waits until it has ended, but no longer than `deadline`; says
    /// whether all of it ended by then.
    pub(super) async fn drain(&self, deadline: Duration) -> bool {
        self.token.cancel();
        self.tracker.close();
        tokio::time::timeout(deadline, self.tracker.wait())
            .await
            .is_ok()
    }
}

/// So many panics of one task within [`PANICS_WITHIN`] end the daemon.
const PANICS_MAX: usize = 3;

const PANICS_WITHIN: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_started_anew_until_the_third_time() {
        let (tasks, mut gave_up) = Tasks::new(Handle::current());
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = runs.clone();
        tasks.supervise("test", move || {
            let run = counted.fetch_add(1, Ordering::SeqCst);
            async move { assert!(run > 9, "this one panics") }
        });
        assert_eq!(gave_up.recv().await, Some("test"));
        assert_eq!(runs.load(Ordering::SeqCst), 3);
        assert!(tasks.drain(Duration::from_secs(5)).await);
    }

    #[tokio::test]
    async fn draining_gives_up_at_the_deadline() {
        let (tasks, _gave_up) = Tasks::new(Handle::current());
        tasks.supervise("stuck", std::future::pending);
        assert!(!tasks.drain(Duration::from_millis(50)).await);
    }
}
