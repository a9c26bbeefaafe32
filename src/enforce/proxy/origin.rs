//! [`Origin`]: the web server behind the proxy: resolved, checked, connected to, asked.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::Limits;
use super::metered::Metered;
use super::origin_guard::OriginGuard;
use super::patience::Patience;
use super::stop_page::Notice;
use crate::enforce::resolver::{LookupError, Resolver};
use crate::policy::Host;

/// The web server behind the proxy, connected.
#[derive(Debug)]
pub(super) struct Origin {
    stream: TcpStream,
}

/// Why an origin gives no answer.
#[derive(Debug, Error)]
pub(super) enum OriginError {
    /// No address of the host may be connected to.
    #[error("the host has no address that may be connected to")]
    AddressRefused,
    /// The port may not be connected to.
    #[error("the port may not be connected to")]
    PortRefused,
    /// The host has no address.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// No address accepts the connection.
    #[error("the origin cannot be connected to: {0}")]
    Connect(#[from] io::Error),
    /// What the origin says is no HTTP, or it hangs up.
    #[error("the origin's answer cannot be read: {0}")]
    Answer(#[from] hyper::Error),
    /// It wants another protocol, which nobody asked for.
    #[error("the origin switches to another protocol, unasked")]
    Switched,
    /// It takes too long.
    #[error("the origin does not answer in time")]
    Timeout,
}

impl OriginError {
    /// What the client is told.
    pub(super) const fn notice(&self) -> Notice {
        match self {
            Self::AddressRefused => Notice::AddressRefused,
            Self::PortRefused => Notice::PortRefused,
            Self::Lookup(_) | Self::Connect(_) | Self::Answer(_) | Self::Switched => {
                Notice::Unreachable
            }
            Self::Timeout => Notice::Timeout,
        }
    }

    /// Whether the proxy refused, rather than the origin failed.
    pub(super) const fn is_refusal(&self) -> bool {
        matches!(self, Self::AddressRefused | Self::PortRefused)
    }
}

impl Origin {
    /// Resolves the host and connects to the first of its addresses that is allowed and
    /// accepts, within [`Limits::origin_time_max`].
    ///
    /// # Errors
    /// The [`OriginError`]s before there is a connection.
    pub(super) async fn connect(
        host: &Host,
        port: u16,
        guard: OriginGuard<'_>,
        resolver: &Arc<Resolver>,
        limits: &Limits,
    ) -> Result<Self, OriginError> {
        if !guard.admits_port(port) {
            return Err(OriginError::PortRefused);
        }
        let connected = async {
            let addresses = match (host, host.as_name()) {
                (Host::Address(address), _) => vec![*address],
                (Host::Name(_), Some(name)) => resolver.addresses(&name).await?,
                (Host::Name(_), None) => return Err(LookupError::NotFound.into()),
            };
            let addresses = addresses
                .into_iter()
                .map(|address| SocketAddr::new(address, port))
                .filter(|address| guard.admits(*address));
            connect_first(addresses.take(ADDRESSES_TRIED_MAX), guard, limits).await
        };
        timeout(limits.origin_time_max, connected)
            .await
            .unwrap_or(Err(OriginError::Timeout))
    }

    /// The connection itself, for a tunnel.
    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Sends a request in origin-form and returns the head of the answer; both bodies are
    /// passed on as they come.
    ///
    /// # Errors
    /// [`OriginError::Answer`], [`OriginError::Switched`], [`OriginError::Timeout`].
    pub(super) async fn ask(
        self,
        request: Request<Incoming>,
        limits: &Limits,
        tracker: &TaskTracker,
    ) -> Result<Response<OriginBody>, OriginError> {
        let stream = Metered::new(self.stream);
        let activity = stream.activity();
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(ANSWER_BUFFER_OCTETS)
            .handshake(TokioIo::new(stream))
            .await?;
        // It ends with the answer's body, or when the client gives up and drops it. What it
        // fails with is seen where the body is read.
        tracker.spawn(async move {
            let _ = connection.await;
        });
        let answer = tokio::select! {
            answer = sender.send_request(request) => answer?,
            () = activity.idle(limits.origin_idle_max) => return Err(OriginError::Timeout),
        };
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(OriginError::Switched);
        }
        Ok(answer.map(|body| OriginBody {
            body,
            patience: Patience::new(limits.origin_idle_max),
        }))
    }
}

/// Tries addresses one after the other.
async fn connect_first(
    addresses: impl Iterator<Item = SocketAddr>,
    guard: OriginGuard<'_>,
    limits: &Limits,
) -> Result<Origin, OriginError> {
    let mut failure = OriginError::AddressRefused;
    for address in addresses {
        match timeout(limits.connect_time_max, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                if guard.is_loop(stream.local_addr()?, stream.peer_addr()?) {
                    return Err(OriginError::AddressRefused);
                }
                stream.set_nodelay(true)?;
                return Ok(Origin { stream });
            }
            Ok(Err(error)) => failure = error.into(),
            Err(_) => failure = OriginError::Timeout,
        }
    }
    Err(failure)
}

/// The body of an origin's answer, passed on as it comes. One that stalls for
/// [`Limits::origin_idle_max`] fails, which ends the client's connection too: what was sent
/// cannot be taken for the whole.
#[derive(Debug)]
pub(super) struct OriginBody {
    body: Incoming,
    patience: Patience,
}

impl Body for OriginBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => {
                self.patience.restart();
                Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)))
            }
            Poll::Pending if self.patience.is_exhausted(context) => {
                Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How many addresses of a host are tried.
const ADDRESSES_TRIED_MAX: usize = 6;

/// The longest head of an origin's answer, in octets; a longer one is 502.
const ANSWER_BUFFER_OCTETS: usize = 64 * 1024;
