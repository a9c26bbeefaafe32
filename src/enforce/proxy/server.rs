//! [`Bound`]: the sockets of the HTTP surface; accepts connections and runs them.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::handler::{Connection, Handler, Role};
use super::head::HeadGate;
use super::outcome::Outcome;
use super::proxy::Shared;
use super::{Error, Settings};

/// The sockets of the HTTP surface, listening.
#[derive(Debug)]
pub struct Bound {
    http: Vec<StdListener>,
    forward: Vec<StdListener>,
}

impl Bound {
    /// Listens on every address of `settings`, or on none.
    ///
    /// # Errors
    /// [`Error::Bind`] of the first address that cannot be had.
    pub fn bind(settings: &Settings) -> Result<Self, Error> {
        let listen = |addresses: &[SocketAddr]| -> Result<Vec<_>, Error> {
            let listeners = addresses.iter().map(|address| {
                listen(*address).map_err(|source| Error::Bind {
                    address: *address,
                    source,
                })
            });
            listeners.collect()
        };
        Ok(Self {
            http: listen(&settings.http)?,
            forward: listen(&settings.forward)?,
        })
    }

    /// Sockets that listen already, as systemd hands them over: of the stop page and of the
    /// forward proxy.
    #[must_use]
    pub const fn from_listeners(http: Vec<StdListener>, forward: Vec<StdListener>) -> Self {
        Self { http, forward }
    }

    /// The same sockets once more, so that serving can begin anew after a failure.
    ///
    /// # Errors
    /// What the system says, mostly that there are too many open files.
    pub fn try_clone(&self) -> io::Result<Self> {
        let clone = |listeners: &[StdListener]| {
            let clones = listeners.iter().map(StdListener::try_clone);
            clones.collect::<io::Result<Vec<_>>>()
        };
        Ok(Self {
            http: clone(&self.http)?,
            forward: clone(&self.forward)?,
        })
    }

    /// Where the stop page is served.
    #[must_use]
    pub fn http(&self) -> Vec<SocketAddr> {
        addresses(&self.http)
    }

    /// Where the forward proxy is served.
    #[must_use]
    pub fn forward(&self) -> Vec<SocketAddr> {
        addresses(&self.forward)
    }

    /// Serves until `token` is cancelled and every connection has ended.
    pub(super) async fn serve(
        self,
        shared: &Arc<Shared>,
        tracker: &TaskTracker,
        token: CancellationToken,
    ) -> io::Result<()> {
        let own: Arc<[SocketAddr]> = self.http().into_iter().chain(self.forward()).collect();
        let mut acceptors = Vec::new();
        let mut rooms = Vec::new();
        for (role, listeners) in [(Role::StopPage, self.http), (Role::Forward, self.forward)] {
            let limit = shared.limits.connections_max;
            let room = Arc::new(Semaphore::new(usize::try_from(limit).unwrap_or(usize::MAX)));
            for listener in listeners {
                listener.set_nonblocking(true)?;
                acceptors.push(Acceptor {
                    listener: TcpListener::from_std(listener)?,
                    role,
                    shared: Arc::clone(shared),
                    own: Arc::clone(&own),
                    room: Arc::clone(&room),
                    tracker: tracker.clone(),
                    token: token.clone(),
                });
            }
            rooms.push((room, limit));
        }
        for acceptor in acceptors {
            tracker.spawn(acceptor.run());
        }
        token.cancelled().await;
        // Every connection holds a place in its room; when all are free, none is left.
        for (room, limit) in rooms {
            let _ = room.acquire_many(limit).await;
        }
        Ok(())
    }
}

/// Accepts the connections of one socket.
struct Acceptor {
    listener: TcpListener,
    role: Role,
    shared: Arc<Shared>,
    own: Arc<[SocketAddr]>,
    /// One place a connection.
    room: Arc<Semaphore>,
    tracker: TaskTracker,
    token: CancellationToken,
}

impl Acceptor {
    async fn run(self) {
        let mut pause = ACCEPT_PAUSE_MIN;
        loop {
            let accepted = tokio::select! {
                () = self.token.cancelled() => return,
                accepted = self.accept() => accepted,
            };
            match accepted {
                Ok((stream, client, place)) => {
                    pause = ACCEPT_PAUSE_MIN;
                    self.tracker.spawn(self.connection(stream, client, place));
                }
                // The client was gone before it was accepted.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                // Out of descriptors or memory: trying at once would only burn time.
                Err(error) => {
                    tracing::warn!(%error, "connections cannot be accepted for the moment");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(ACCEPT_PAUSE_MAX);
                }
            }
        }
    }

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let place = Arc::clone(&self.room).acquire_owned().await;
        let place = place.map_err(io::Error::other)?;
        let (stream, client) = self.listener.accept().await?;
        Ok((stream, client, place))
    }

    /// Runs one connection to its end, and the tunnel that may come of it.
    fn connection(
        &self,
        stream: TcpStream,
        client: SocketAddr,
        place: OwnedSemaphorePermit,
    ) -> impl Future<Output = ()> + Send + 'static {
        // Small answers are not to wait for an acknowledgement; without it they are slower.
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&self.shared);
        let token = self.token.clone();
        let (gate, state) = HeadGate::new(stream, shared.limits.stall_max);
        let handler = Handler::new(Connection {
            role: self.role,
            client: client.ip(),
            shared: Arc::clone(&shared),
            gate: Arc::clone(&state),
            own: Arc::clone(&self.own),
            tracker: self.tracker.clone(),
            tunnel: Mutex::new(None),
        });
        async move {
            let limits = &shared.limits;
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits.head_time_max)
                .max_buf_size(limits.head_octets_max)
                .serve_connection(TokioIo::new(gate), handler.clone())
                .with_upgrades();
            tokio::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = token.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.as_mut().await
                }
            };
            let is_malformed = ended.is_err_and(|error| {
                error.is_parse() || (error.is_timeout() && state.is_within_head())
            });
            if is_malformed {
                shared.outcomes.count(Outcome::Malformed);
            }
            if let Some(tunnel) = handler.take_tunnel() {
                tunnel.run(limits, &token).await;
            }
            drop(place);
        }
    }
}

/// Listens on one address. An IPv6 socket takes IPv6 alone, so that both families can have
/// the same port.
fn listen(address: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restart is not to wait for connections of the process before.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn addresses(listeners: &[StdListener]) -> Vec<SocketAddr> {
    let addresses = listeners.iter().map(StdListener::local_addr);
    addresses.filter_map(Result::ok).collect()
}

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// The pause after a failure to accept; it doubles up to [`ACCEPT_PAUSE_MAX`].
const ACCEPT_PAUSE_MIN: Duration = Duration::from_millis(20);

/// The longest pause after a failure to accept.
const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);
