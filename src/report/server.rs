//! The report server: a thread and a runtime of its own, so that a slow question delays no
//! answer to a client.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::IntoResponse;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::access::Access;
use super::desk::Desk;
use super::problem::Problem;
use super::routes::{FORM_OCTETS_MAX, router};
use super::{Metrics, ReportError, SelfTests, ServerTls, Settings, Timeline, Updates, Users};
use crate::count::HitLedger;
use crate::enforce::InForce;

/// What the report reads.
#[derive(Clone, Debug)]
pub struct Sources {
    /// What is in force.
    pub in_force: Arc<InForce>,
    /// What was counted.
    pub ledger: Arc<HitLedger>,
    /// What was in force when.
    pub timeline: Arc<Timeline>,
    /// How the update rounds went.
    pub updates: Arc<Updates>,
    /// How the node's last test of itself went.
    pub self_tests: Arc<SelfTests>,
    /// What the process measures.
    pub metrics: Metrics,
    /// What time it is.
    pub clock: fn() -> Timestamp,
}

/// Sockets of the report. They outlive the server, so that it can be started anew with other
/// settings and no connection is refused meanwhile.
#[derive(Debug)]
pub struct Bound {
    listeners: Vec<StdListener>,
}

/// Binds the addresses of `listen`.
///
/// # Errors
/// [`ReportError::Bind`].
pub fn bind(listen: &[SocketAddr]) -> Result<Bound, ReportError> {
    let listeners = listen.iter().map(|address| {
        let bound = StdListener::bind(address);
        bound.map_err(|error| ReportError::Bind {
            address: *address,
            error,
        })
    });
    Ok(Bound {
        listeners: listeners.collect::<Result<_, _>>()?,
    })
}

impl From<Vec<StdListener>> for Bound {
    /// Sockets that were bound elsewhere, as by systemd.
    fn from(listeners: Vec<StdListener>) -> Self {
        Self { listeners }
    }
}

impl Bound {
    /// Where it listens; with port 0 in the settings, the ports that were given.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
            .collect()
    }
}

/// Serves the report on a thread of its own until `stop`; the thread ends when its
/// connections have ended or [`DRAIN`] has passed.
///
/// Everything that can be wrong with the settings is found before this returns: the users
/// file, the certificate and its key.
///
/// # Errors
/// [`ReportError::Users`], [`ReportError::Certificate`], [`ReportError::Start`].
pub fn serve(
    bound: &Bound,
    settings: &Settings,
    sources: Sources,
    stop: CancellationToken,
) -> Result<JoinHandle<()>, ReportError> {
    let users = match &settings.users_file {
        Some(path) => Some(Users::open(path)?),
        None => None,
    };
    let tls = settings.tls.as_ref().map(acceptor).transpose()?;
    let access = Access::new(users, tls.is_some()).map_err(ReportError::Start)?;
    let metrics = sources.metrics.clone();
    let desk = Desk::new(
        settings.node.clone(),
        settings.small_counts_below,
        sources,
        access,
    );
    let routes = router(Arc::new(desk)).layer(DefaultBodyLimit::max(FORM_OCTETS_MAX));
    let mut listeners = Vec::new();
    for listener in &bound.listeners {
        let listener = listener.try_clone().map_err(ReportError::Start)?;
        listener.set_nonblocking(true).map_err(ReportError::Start)?;
        listeners.push(listener);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(THREADS_MAX)
        .build()
        .map_err(ReportError::Start)?;
    std::thread::Builder::new()
        .name("report".into())
        .spawn(move || {
            runtime.block_on(run(listeners, tls, routes, metrics, stop));
            runtime.shutdown_timeout(DRAIN);
        })
        .map_err(ReportError::Start)
}

async fn run(
    listeners: Vec<StdListener>,
    tls: Option<TlsAcceptor>,
    routes: Router,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let tracker = TaskTracker::new();
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    for listener in listeners {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, "an address of the report cannot be served");
                continue;
            }
        };
        let connection = Connection {
            tls: tls.clone(),
            routes: routes.clone(),
            stop: stop.clone(),
        };
        tracker.spawn(accept(
            listener,
            connection,
            connections.clone(),
            tracker.clone(),
        ));
    }
    tracker.spawn({
        let stop = stop.clone();
        async move {
            while timeout(FOLD_EVERY, stop.cancelled()).await.is_err() {
                metrics.fold();
            }
        }
    });
    stop.cancelled().await;
    tracker.close();
    let _ = timeout(DRAIN, tracker.wait()).await;
}

/// What a connection needs.
#[derive(Clone)]
struct Connection {
    tls: Option<TlsAcceptor>,
    routes: Router,
    stop: CancellationToken,
}

async fn accept(
    listener: TcpListener,
    connection: Connection,
    connections: Arc<Semaphore>,
    tracker: TaskTracker,
) {
    loop {
        let accepted = tokio::select! {
            () = connection.stop.cancelled() => return,
            accepted = take(&listener, &connections) => accepted,
        };
        match accepted {
            Ok((stream, permit)) => {
                let connection = connection.clone();
                tracker.spawn(async move {
                    connection.serve(stream).await;
                    drop(permit);
                });
            }
            // Out of descriptors, most likely: not to be asked again at once.
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Takes a connection as soon as there is room for one; further ones wait in the system.
async fn take(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(connections).acquire_owned().await;
    let permit = permit.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        match self.tls.clone() {
            None => self.serve_http(stream).await,
            Some(acceptor) => {
                if let Ok(Ok(stream)) = timeout(HEAD_TIME, acceptor.accept(stream)).await {
                    self.serve_http(stream).await;
                }
            }
        }
    }

    async fn serve_http(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let routes = self.routes.layer(axum::middleware::from_fn(within_time));
        let service = TowerToHyperService::new(routes);
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_buf_size(HEAD_OCTETS_MAX)
            .max_headers(HEADERS_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            () = sleep(CONNECTION_TIME) => {
                connection.as_mut().graceful_shutdown();
                // A client that takes nothing of an answer is left after that, too.
                match timeout(REQUEST_TIME, connection).await {
                    Ok(served) => served,
                    Err(_) => return,
                }
            }
        };
        if let Err(error) = served {
            tracing::debug!(%error, "a connection to the report ended");
        }
    }
}

async fn within_time(
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> axum::response::Response {
    match timeout(REQUEST_TIME, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::busy().into_response(),
    }
}

/// Whether the files that `settings` name can be used, before anything is started with them.
///
/// # Errors
/// [`ReportError::Users`] and [`ReportError::Certificate`], each once.
pub fn check(settings: &Settings) -> Vec<ReportError> {
    let users = settings.users_file.as_ref().filter(|path| path.exists());
    let users = users.map(|path| Users::open(path).map(|_| ()));
    let tls = settings.tls.as_ref().map(|tls| acceptor(tls).map(|_| ()));
    let results = [users, tls].into_iter().flatten();
    results.filter_map(Result::err).collect()
}

fn acceptor(tls: &ServerTls) -> Result<TlsAcceptor, ReportError> {
    let failed = |path: &std::path::Path, reason: String| ReportError::Certificate {
        path: path.to_owned(),
        reason,
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect)
        .map_err(|error| failed(&tls.certificate, pem_reason(&error)))?;
    if chain.is_empty() {
        return Err(failed(&tls.certificate, "it holds no certificate".into()));
    }
    let key = PrivateKeyDer::from_pem_file(&tls.key)
        .map_err(|error| failed(&tls.key, pem_reason(&error)))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_no_client_auth())
        .and_then(|builder| builder.with_single_cert(chain, key))
        .map_err(|error| failed(&tls.key, format!("certificate and key do not fit: {error}")))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn pem_reason(error: &rustls::pki_types::pem::Error) -> String {
    match error {
        rustls::pki_types::pem::Error::Io(error) if error.kind() == io::ErrorKind::NotFound => {
            "there is no such file".into()
        }
        error => error.to_string(),
    }
}

/// Open connections at a time; further ones wait.
const CONNECTIONS_MAX: usize = 256;
/// The largest head of a request, in bytes.
const HEAD_OCTETS_MAX: usize = 16 * 1024;
/// The most header fields of a request.
const HEADERS_MAX: usize = 64;
/// A head, or a TLS handshake, is to arrive within this.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// An answer is to be ready within this.
const REQUEST_TIME: Duration = Duration::from_secs(30);
/// A connection is closed after this, idle or not.
const CONNECTION_TIME: Duration = Duration::from_secs(120);
/// How long open connections are waited for at the end.
pub const DRAIN: Duration = Duration::from_secs(3);
/// How long nothing is accepted after a failure.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often the samples of histograms are folded together.
const FOLD_EVERY: Duration = Duration::from_secs(5);
/// Threads for files and hashes: what the semaphores before them let through.
const THREADS_MAX: usize = 8;
