//! [`UdpThread`]: one thread and socket; answers what policy and cache know by itself.

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Transport;
use super::datagrams::{Datagrams, ReturnPath};
use super::late_reply::LateReply;
use super::server::Tasks;
use super::service::{Pending, Service, Turn};

/// Receives packets in batches, writes policy answers and remembered ones over them, and
/// sends them in one call. What needs an upstream goes to the runtime.
pub(super) struct UdpThread {
    pub(super) socket: Arc<UdpSocket>,
    pub(super) service: Arc<Service>,
    pub(super) tasks: Tasks,
    pub(super) runtime: Handle,
    pub(super) stop: CancellationToken,
}

impl UdpThread {
    /// Runs until it is told to stop; then what waits in the socket is still answered.
    ///
    /// # Errors
    /// What the system says again and again.
    pub(super) fn run(self) -> io::Result<()> {
        let mut datagrams = Datagrams::new();
        let mut failures = 0;
        loop {
            let stopping = self.stop.is_cancelled();
            match datagrams.receive(&self.socket, !stopping) {
                Ok(packets) => {
                    failures = 0;
                    self.answer(&mut datagrams, packets);
                }
                Err(error) if is_pause(&error) => {
                    if stopping {
                        return Ok(());
                    }
                }
                Err(error) => {
                    failures += 1;
                    if failures >= FAILURES_MAX {
                        return Err(error);
                    }
                    std::thread::sleep(FAILURE_PAUSE);
                }
            }
        }
    }

    fn answer(&self, datagrams: &mut Datagrams, packets: usize) {
        let now = Instant::now().into_std();
        let batch = self.service.batch(Transport::Udp, packets, now);
        for index in 0..packets {
            let Some(datagram) = datagrams.datagram(index) else {
                continue;
            };
            match batch.take(datagram.buffer, datagram.len, datagram.peer.ip()) {
                Turn::Reply(len) => datagrams.reply(index, len),
                Turn::Silence => {}
                Turn::Later(pending) => {
                    if let Some(path) = datagrams.return_path(index) {
                        self.wait(pending, path);
                    }
                }
            }
        }
        datagrams.flush(&self.socket);
    }

    /// Lets the runtime wait for an upstream, and answer from the same socket.
    fn wait(&self, pending: Pending, path: ReturnPath) {
        let late = LateReply {
            pending,
            path,
            socket: Arc::clone(&self.socket),
        };
        let service = Arc::clone(&self.service);
        self.tasks.spawn_on(&self.runtime, late.send(service));
    }
}

/// Whether nothing is wrong: no packet came in time, or a signal did.
fn is_pause(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

/// How long a thread waits for a packet before it looks whether it is to stop.
pub(super) const WAIT_MAX: Duration = Duration::from_millis(100);
/// How long to wait after the system refused to give a packet, as when it has no memory.
const FAILURE_PAUSE: Duration = Duration::from_millis(10);
/// So many refusals in a row end the thread.
const FAILURES_MAX: usize = 500;
