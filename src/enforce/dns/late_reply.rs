//! [`LateReply`]: an answer over UDP that had to wait for an upstream.

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::datagrams::ReturnPath;
use super::service::{Pending, Service};

/// A query over UDP that waits, and where its answer goes.
pub(super) struct LateReply {
    pub(super) pending: Pending,
    pub(super) path: ReturnPath,
    pub(super) socket: Arc<UdpSocket>,
}

impl LateReply {
    /// Waits for the upstream and sends the answer from the socket that was asked.
    pub(super) async fn send(mut self, service: Arc<Service>) {
        let Some(reply) = self.pending.finish(&service, 0).await else {
            return;
        };
        for _ in 0..SEND_TRIES {
            match self.path.send(&self.socket, &reply) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    sleep(SEND_PAUSE).await;
                }
                // One that the kernel refuses is lost, as any packet may be.
                _ => return,
            }
        }
    }
}

/// How often it is tried to be sent when the socket's buffer is full.
const SEND_TRIES: usize = 20;
/// How long to wait between those.
const SEND_PAUSE: Duration = Duration::from_millis(5);
