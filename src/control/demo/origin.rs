//! The demo's web origin: what is not blocked is answered with a page that says so.

use std::convert::Infallible;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

/// Answers requests on `listener` for as long as the process lives.
pub(super) async fn serve(listener: TcpListener, tracker: TaskTracker) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        tracker.spawn(async move {
            let service = service_fn(|_: Request<Incoming>| async { Ok::<_, Infallible>(page()) });
            // Who hangs up early gets no page, and nobody else is concerned.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn page() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(PAGE.as_bytes())));
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    response
}

const PAGE: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>The real page</title>\
<p>This is the demo's web origin: nothing forbids this page, so you see it.</p></html>\n";
