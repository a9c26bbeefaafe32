//! [`Server`]: the DNS surface on its bound sockets.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::service::Service;
use super::stream::{self, CONNECTIONS_MAX};
use super::udp::UdpThread;
use super::{Bound, Error, Settings};
use crate::enforce::InForce;
use crate::enforce::resolver::Resolver;

/// Answers DNS queries over UDP and TCP.
///
/// A new list needs nothing done here: each batch of packets takes the edition in force. A
/// changed configuration is taken by [`Self::replace`] while the same threads and sockets go
/// on, so that no query is lost; other addresses or another number of threads need other
/// sockets, and so a restart.
#[derive(Debug)]
pub struct Server {
    bound: Bound,
    service: Arc<Service>,
}

impl Server {
    /// A server on bound sockets, which answers nothing yet. `ready` says whether every
    /// required list is in force. Metrics go to the recorder that is installed now.
    #[must_use]
    pub fn new(
        bound: Bound,
        settings: Settings,
        in_force: Arc<InForce>,
        resolver: Arc<Resolver>,
        ready: Arc<AtomicBool>,
    ) -> Self {
        Self {
            bound,
            service: Arc::new(Service::new(settings, in_force, resolver, ready)),
        }
    }

    /// Where it answers.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.bound.addresses()
    }

    /// Takes other settings and another resolver from the next packet on. What is in flight
    /// ends under the old ones. `listen` and `threads` are those of the sockets and are not
    /// looked at; whose resolver's settings did not change hands the same one in, with what
    /// it remembers.
    pub fn replace(&self, settings: Settings, resolver: Arc<Resolver>) {
        self.service.replace(settings, resolver);
    }

    /// Answers until `stop` is cancelled. Then nothing new is taken but what waits in the
    /// sockets, and it returns when all that was taken is answered, which an upstream may
    /// delay for some seconds: the caller has the deadline. It can be called again, also
    /// after an error.
    ///
    /// # Errors
    /// [`Error::Thread`] if a thread cannot be started, [`Error::ThreadEnded`] if one ended by
    /// a defect, [`Error::Socket`] if a socket is of no use any more.
    pub async fn serve(
        &self,
        tracker: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let stop = stop.child_token();
        // However this ends, threads and tasks end with it.
        let _stop_at_end = stop.clone().drop_guard();
        let tasks = Tasks {
            tracker: tracker.clone(),
            own: TaskTracker::new(),
        };
        let (notices, mut ended) = mpsc::channel(self.notices_max());
        let started = self.start(&tasks, &stop, &notices);
        drop(notices);
        let mut result = started;
        if result.is_err() {
            stop.cancel();
        }
        // The first notice without a stop is an error; all have ended when no sender is left.
        while let Some(notice) = ended.recv().await {
            if result.is_ok() && !matches!((&notice, stop.is_cancelled()), (Ok(()), true)) {
                result = notice.and(Err(Error::ThreadEnded));
                stop.cancel();
            }
        }
        tasks.own.close();
        tasks.own.wait().await;
        result
    }

    fn notices_max(&self) -> usize {
        let each = self.bound.addresses.iter().map(|bound| bound.udp.len() + 1);
        each.sum::<usize>().max(1)
    }

    fn start(
        &self,
        tasks: &Tasks,
        stop: &CancellationToken,
        notices: &mpsc::Sender<Result<(), Error>>,
    ) -> Result<(), Error> {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        for bound in &self.bound.addresses {
            let address = bound.address;
            for socket in &bound.udp {
                let thread = UdpThread {
                    socket: Arc::clone(socket),
                    service: Arc::clone(&self.service),
                    tasks: tasks.clone(),
                    runtime: Handle::current(),
                    stop: stop.clone(),
                };
                let notice = Notice::new(notices);
                std::thread::Builder::new()
                    .name("dns-udp".to_owned())
                    .spawn(move || {
                        let ran = thread.run().map_err(Error::socket(address, "UDP"));
                        notice.end(ran);
                    })
                    .map_err(Error::Thread)?;
            }
            let listener = bound.tcp.try_clone().and_then(TcpListener::from_std);
            let listener = listener.map_err(Error::socket(address, "TCP"))?;
            let accepting = stream::accept(
                listener,
                Arc::clone(&self.service),
                Arc::clone(&places),
                tasks.clone(),
                stop.clone(),
            );
            let notice = Notice::new(notices);
            tasks.spawn(async move {
                accepting.await;
                notice.end(Ok(()));
            });
        }
        Ok(())
    }
}

/// Where tasks are spawned: on the tracker that the process waits for, and counted here, so
/// that this server knows when its own have ended.
#[derive(Clone, Debug)]
pub(super) struct Tasks {
    tracker: TaskTracker,
    own: TaskTracker,
}

impl Tasks {
    /// Spawns from within the runtime.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(self.own.track_future(task));
    }

    /// Spawns from a plain thread.
    pub(super) fn spawn_on(
        &self,
        runtime: &Handle,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tracker.spawn_on(self.own.track_future(task), runtime);
    }
}

/// Says how a thread or task ended, also when it panicked.
struct Notice {
    sender: mpsc::Sender<Result<(), Error>>,
    ended: Option<Result<(), Error>>,
}

impl Notice {
    fn new(sender: &mpsc::Sender<Result<(), Error>>) -> Self {
        Self {
            sender: sender.clone(),
            ended: None,
        }
    }

    fn end(mut self, ended: Result<(), Error>) {
        self.ended = Some(ended);
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        let ended = self.ended.take().unwrap_or(Err(Error::ThreadEnded));
        // There is room for one of each.
        let _ = self.sender.try_send(ended);
    }
}
