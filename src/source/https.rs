//! A mirror over https, or http on loopback: conditional GET, no redirect, limits on size,
//! time and speed.

use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{
    ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
    USER_AGENT,
};
use hyper::{Request, Response, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::{Instant, timeout, timeout_at};

use super::tls::client_config;
use super::{Fetched, Mirror, Settings, SourceError, Validator};

/// The client for all mirrors of a repository that are reached over HTTP.
#[derive(Debug)]
pub(super) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    timeout: Duration,
}

impl Http {
    /// A client by the settings.
    pub(super) fn new(settings: &Settings) -> Result<Self, SourceError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_MAX.min(settings.timeout)));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(client_config(settings)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            timeout: settings.timeout,
        })
    }

    /// Fetches one file, as [`Source::fetch`](super::Source::fetch) has it.
    pub(super) async fn fetch(
        &self,
        base: &str,
        path: &str,
        octets_max: u64,
        validator: Option<&Validator>,
    ) -> Result<Fetched, SourceError> {
        let address = format!("{base}{path}");
        let exchange = self.exchange(&address, octets_max, validator);
        match timeout(self.timeout, exchange).await {
            Ok(fetched) => fetched,
            Err(_) => Err(SourceError::TimedOut {
                address: address.clone(),
                seconds: self.timeout.as_secs(),
            }),
        }
    }

    /// One request and its answer.
    async fn exchange(
        &self,
        address: &str,
        octets_max: u64,
        validator: Option<&Validator>,
    ) -> Result<Fetched, SourceError> {
        let mut request = Request::get(address)
            .body(Empty::new())
            .map_err(|error| unreachable(address, &error))?;
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static("cordon"));
        set_condition(headers, validator);
        let conditional =
            headers.contains_key(IF_NONE_MATCH) || headers.contains_key(IF_MODIFIED_SINCE);
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| unreachable(address, &error))?;
        let status = answer.status();
        match status {
            StatusCode::OK => {
                let validator = validator_of(answer.headers());
                let bytes = read_body(address, answer, octets_max).await?;
                Ok(Fetched::File(bytes, validator))
            }
            StatusCode::NOT_MODIFIED if conditional => Ok(Fetched::Unchanged),
            // Object stores say 403 for what is not there; 404 and 410 say it themselves.
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE => Ok(Fetched::Absent),
            _ if status.is_redirection() && status != StatusCode::NOT_MODIFIED => {
                Err(SourceError::Redirected {
                    address: address.to_owned(),
                    status: status.as_u16(),
                })
            }
            _ => Err(SourceError::Status {
                address: address.to_owned(),
                status: status.as_u16(),
            }),
        }
    }
}

/// Whether a mirror is reached over HTTP.
pub(super) const fn is_http(mirror: &Mirror) -> bool {
    matches!(mirror, Mirror::Http(_))
}

/// Reads a body that must not be longer than `octets_max`, nor slower than [`SPEED_MIN`].
async fn read_body(
    address: &str,
    answer: Response<Incoming>,
    octets_max: u64,
) -> Result<Vec<u8>, SourceError> {
    let too_long = || SourceError::TooLong {
        address: address.to_owned(),
        octets_max,
    };
    let too_slow = || SourceError::TooSlow {
        address: address.to_owned(),
        speed_min: SPEED_MIN,
    };
    let mut body = answer.into_body();
    if body.size_hint().lower() > octets_max {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    let mut window_end = Instant::now() + SPEED_WINDOW;
    let mut in_window: u64 = 0;
    loop {
        let Ok(frame) = timeout_at(window_end, body.frame()).await else {
            if in_window < SPEED_MIN.saturating_mul(SPEED_WINDOW.as_secs()) {
                return Err(too_slow());
            }
            window_end += SPEED_WINDOW;
            in_window = 0;
            continue;
        };
        let Some(frame) = frame else {
            return Ok(bytes);
        };
        let frame = frame.map_err(|error| unreachable(address, &error))?;
        if let Some(data) = frame.data_ref() {
            let octets = data.len() as u64;
            if (bytes.len() as u64).saturating_add(octets) > octets_max {
                return Err(too_long());
            }
            in_window = in_window.saturating_add(octets);
            bytes.extend_from_slice(data);
        }
    }
}

/// Asks for the file only if it is another than the validator came with.
fn set_condition(headers: &mut HeaderMap, validator: Option<&Validator>) {
    let Some(Validator::Http { etag, modified }) = validator else {
        return;
    };
    let mut set = |name: HeaderName, value: &Option<String>| {
        if let Some(value) = value
            .as_deref()
            .and_then(|value| HeaderValue::from_str(value).ok())
        {
            headers.insert(name, value);
        }
    };
    set(IF_NONE_MATCH, etag);
    // RFC 9110 section 13.1.3: the date does not count beside an entity tag.
    if etag.is_none() {
        set(IF_MODIFIED_SINCE, modified);
    }
}

/// By what the mirror knows this version again.
fn validator_of(headers: &HeaderMap) -> Option<Validator> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::to_owned);
    let (etag, modified) = (text(ETAG), text(LAST_MODIFIED));
    (etag.is_some() || modified.is_some()).then_some(Validator::Http { etag, modified })
}

/// The error for a mirror that could not be reached or broke off, with its causes.
fn unreachable(address: &str, error: &dyn std::error::Error) -> SourceError {
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        reason = format!("{reason}: {error}");
        cause = error.source();
    }
    SourceError::Unreachable {
        address: address.to_owned(),
        reason,
    }
}

/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// The lowest speed over any `SPEED_WINDOW`, in octets a second.
pub const SPEED_MIN: u64 = 4000;
/// Over how long the speed is measured.
const SPEED_WINDOW: Duration = Duration::from_secs(30);
