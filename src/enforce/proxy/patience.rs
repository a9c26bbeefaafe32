//! [`Patience`]: gives up on a peer that stalls.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// How long a peer may leave us waiting before it has to go on.
#[derive(Debug)]
pub(super) struct Patience {
    stall_max: Duration,
    /// Made at the first stall and used again.
    sleep: Option<Pin<Box<Sleep>>>,
    running: bool,
}

impl Patience {
    /// Patience for `stall_max` without any progress.
    pub(super) const fn new(stall_max: Duration) -> Self {
        Self {
            stall_max,
            sleep: None,
            running: false,
        }
    }

    /// Passes on the outcome of an attempt; where it is pending for too long and `limited`,
    /// it becomes [`io::ErrorKind::TimedOut`].
    pub(super) fn judge<T>(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
        limited: bool,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() || !limited {
            self.running = false;
            return outcome;
        }
        if self.is_exhausted(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }

    /// To be asked while waiting: whether it has been too long. Wakes the task when it is.
    pub(super) fn is_exhausted(&mut self, context: &mut Context<'_>) -> bool {
        let stall_max = self.stall_max;
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(stall_max)));
        if !self.running {
            sleep.as_mut().reset(Instant::now() + stall_max);
            self.running = true;
        }
        sleep.as_mut().poll(context).is_ready()
    }

    /// To be told of progress.
    pub(super) const fn restart(&mut self) {
        self.running = false;
    }
}
