//! A small static web server for a repository on loopback: for the demo and for tests. A
//! real repository is served by any web server.

use std::convert::Infallible;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, ETAG, HeaderValue, IF_NONE_MATCH};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::stage::STAGED;

/// Serves the files below `folder` until `token` is cancelled; connections are tracked by
/// `tracker` and end with their present answer.
///
/// # Errors
/// When the listener is not on loopback, where nobody else reads along.
pub async fn serve(
    listener: TcpListener,
    folder: PathBuf,
    tracker: &TaskTracker,
    token: CancellationToken,
) -> std::io::Result<()> {
    if !listener.local_addr()?.ip().is_loopback() {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "the repository is served on loopback only",
        ));
    }
    let folder: Arc<Path> = folder.into();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return Ok(());
        };
        let stream = tokio::select! {
            () = token.cancelled() => return Ok(()),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // Out of descriptors, most likely: it passes as connections end.
                Err(_) => {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let folder = Arc::clone(&folder);
        let token = token.clone();
        tracker.spawn(async move {
            serve_connection(stream, folder, token).await;
            drop(place);
        });
    }
}

/// Answers the requests of one connection.
async fn serve_connection(stream: TcpStream, folder: Arc<Path>, token: CancellationToken) {
    let service = service_fn(move |request| {
        let answer = answer(&folder, &request);
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // An error here is the client's: it went away or spoke no HTTP.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = token.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// The answer to one request.
fn answer(folder: &Path, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return empty(StatusCode::METHOD_NOT_ALLOWED);
    }
    let Some(path) = path_below(folder, request.uri().path()) else {
        return empty(StatusCode::NOT_FOUND);
    };
    let Ok(metadata) = std::fs::metadata(&path) else {
        return empty(StatusCode::NOT_FOUND);
    };
    if !metadata.is_file() {
        return empty(StatusCode::NOT_FOUND);
    }
    let (seconds, nanos) = (metadata.mtime(), metadata.mtime_nsec());
    let etag = format!(
        "\"{:x}-{:x}-{seconds:x}.{nanos:x}\"",
        metadata.ino(),
        metadata.len()
    );
    let known = request.headers().get(IF_NONE_MATCH);
    let is_known = known.is_some_and(|known| known.as_bytes() == etag.as_bytes());
    let mut response = if is_known {
        empty(StatusCode::NOT_MODIFIED)
    } else {
        match std::fs::read(&path) {
            Ok(bytes) => Response::new(Full::new(Bytes::from(bytes))),
            Err(_) => return empty(StatusCode::NOT_FOUND),
        }
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(ETAG, etag);
    }
    response
}

/// The file that a request's path names, when that is below the folder.
fn path_below(folder: &Path, path: &str) -> Option<PathBuf> {
    let path = path.strip_prefix('/')?;
    // What waits for signatures is for its keepers alone.
    if path.split('/').next() == Some(STAGED) {
        return None;
    }
    let is_plain = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && !segment.starts_with('.')
            && segment
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || b"-_.~".contains(&octet))
    };
    path.split('/').all(is_plain).then(|| folder.join(path))
}

/// An answer without a body.
fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

/// The most connections at a time.
const CONNECTIONS_MAX: usize = 64;
/// How long the head of a request may take.
const HEAD_MAX: Duration = Duration::from_secs(10);
/// The pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn get(address: std::net::SocketAddr, head: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("{head}\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn files_are_served_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("served")).unwrap();
        std::fs::write(folder.path().join("served/file.json"), "text").unwrap();
        std::fs::write(folder.path().join("secret"), "secret").unwrap();
        std::fs::create_dir(folder.path().join("served/staged")).unwrap();
        std::fs::write(folder.path().join("served/staged/list-a.json"), "secret").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
        let server = {
            let (tracker, token) = (tracker.clone(), token.clone());
            let served = folder.path().join("served");
            tracker
                .clone()
                .spawn(async move { serve(listener, served, &tracker, token).await })
        };
        let file = get(address, "GET /file.json HTTP/1.1").await;
        assert!(
            file.starts_with("HTTP/1.1 200") && file.ends_with("\r\n\r\ntext"),
            "{file}"
        );
        let etag = file
            .lines()
            .find_map(|line| line.strip_prefix("etag: "))
            .unwrap();
        let known = get(
            address,
            &format!("GET /file.json HTTP/1.1\r\nif-none-match: {etag}"),
        )
        .await;
        assert!(known.starts_with("HTTP/1.1 304"), "{known}");
        for path in [
            "/",
            "/none",
            "/../secret",
            "/%2e%2e/secret",
            "//secret",
            "/.hidden",
            "/staged/list-a.json",
        ] {
            let answer = get(address, &format!("GET {path} HTTP/1.1")).await;
            assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
        }
        let post = get(address, "POST /file.json HTTP/1.1").await;
        assert!(post.starts_with("HTTP/1.1 405"), "{post}");
        token.cancel();
        tracker.close();
        server.await.unwrap().unwrap();
        tracker.wait().await;
    }

    #[tokio::test]
    async fn only_loopback_is_served() {
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
        assert!(serve(listener, "/".into(), &tracker, token).await.is_err());
    }
}
