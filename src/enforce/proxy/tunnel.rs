//! [`Tunnel`]: carries octets both ways once CONNECT was granted.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::Limits;
use super::metered::Metered;

/// A tunnel that was granted: the client's side, which becomes free when the answer is
/// sent, and the origin's.
#[derive(Debug)]
pub(super) struct Tunnel {
    /// The client's connection, when the answer is sent.
    pub(super) client: OnUpgrade,
    /// The origin's connection.
    pub(super) origin: TcpStream,
}

impl Tunnel {
    /// Carries octets until both sides have ended, one fails, nothing moves for
    /// [`Limits::tunnel_idle_max`], or the proxy stops: a tunnel has no end of its own to
    /// wait for. The end of one side is passed on, and the other may go on.
    pub(super) async fn run(self, limits: &Limits, token: &CancellationToken) {
        let Ok(client) = self.client.await else {
            return;
        };
        let mut client = TokioIo::new(client);
        let mut origin = Metered::new(self.origin);
        let activity = origin.activity();
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut client, &mut origin) => {}
            () = activity.idle(limits.tunnel_idle_max) => {}
            () = token.cancelled() => {}
        }
    }
}
