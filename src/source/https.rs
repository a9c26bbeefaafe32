//! A mirror over https, or http on loopback: conditional GET, no redirect, limits on size,
//! time and speed; long files are resumed.

use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{
    DATE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED, RANGE, USER_AGENT,
};
use hyper::{Request, Response, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use tokio::time::{Instant, timeout, timeout_at};

use super::pace::{Pace, SPEED_MIN};
use super::partial::Partial;
use super::tls::client_config;
use super::{Fetched, Mirror, Settings, SourceError, Validator};

/// The client for all mirrors of a repository that are reached over HTTP.
#[derive(Debug)]
pub(super) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    timeout: Duration,
    /// When the next fetch ends at the latest, whatever else its time would be.
    until: Option<Instant>,
    /// The beginning of one long file whose transfer broke off.
    partial: Option<Partial>,
    /// By what the mirror knows the file again that was fetched last.
    validator: Option<Validator>,
    /// What time it was at the mirror that answered last.
    date: Option<Timestamp>,
    /// How often a transfer was taken up again.
    retries: u64,
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
            until: None,
            partial: None,
            validator: None,
            date: None,
            retries: 0,
        })
    }

    /// Fetches one file, as [`Source::fetch`](super::Source::fetch) has it. A long file whose
    /// transfer breaks off is resumed where it stopped, now or at the next fetch; what came
    /// in parts is judged as a whole by whoever asked.
    pub(super) async fn fetch(
        &mut self,
        base: &str,
        path: &str,
        octets_max: u64,
        validator: Option<&Validator>,
    ) -> Result<Fetched, SourceError> {
        let address = format!("{base}{path}");
        let begin = Instant::now();
        let deadline = begin + self.timeout;
        let deadline = self.until.map_or(deadline, |until| deadline.min(until));
        let mut tries = 0;
        loop {
            let mut partial = self
                .partial
                .take_if(|partial| partial.address == address)
                .unwrap_or_else(|| Partial::of(&address));
            let before = partial.bytes.len();
            let exchange = self.exchange(&mut partial, octets_max, validator);
            let error = match timeout_at(deadline, exchange).await {
                Ok(Ok(Some(answer))) => return Ok(answer),
                Ok(Ok(None)) => return Ok(Fetched::File(partial.bytes, self.validator.take())),
                Ok(Err(error)) => error,
                Err(_) => SourceError::TimedOut {
                    address: address.clone(),
                    seconds: deadline.saturating_duration_since(begin).as_secs(),
                },
            };
            let has_grown = partial.bytes.len() > before;
            let is_refused_part = before > 0 && partial.bytes.is_empty();
            let can_go_on = has_grown && partial.can_be_resumed(octets_max);
            if partial.can_be_resumed(octets_max) {
                self.partial = Some(partial);
            }
            let broke_off = matches!(error, SourceError::Unreachable { .. });
            if tries == RETRIES_MAX || !broke_off || !(can_go_on || is_refused_part) {
                return Err(error);
            }
            tries += 1;
            self.retries = self.retries.saturating_add(1);
        }
    }

    /// Bounds the next fetches, so that what came of a long file until then is kept.
    pub(super) const fn bound(&mut self, until: Instant) {
        self.until = Some(until);
    }

    /// How often a transfer was taken up again since the last call.
    pub(super) fn take_retries(&mut self) -> u64 {
        std::mem::take(&mut self.retries)
    }

    /// What time it was at the mirror that answered last, by its own word, since the last
    /// call.
    pub(super) fn take_date(&mut self) -> Option<Timestamp> {
        self.date.take()
    }

    /// One request and its answer; the file itself is put into `partial`.
    async fn exchange(
        &mut self,
        partial: &mut Partial,
        octets_max: u64,
        validator: Option<&Validator>,
    ) -> Result<Option<Fetched>, SourceError> {
        let address = partial.address.clone();
        let address = address.as_str();
        let mut request = Request::get(address)
            .body(Empty::new())
            .map_err(|error| unreachable(address, &error))?;
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static("cordon"));
        set_condition(headers, validator);
        partial
            .ask(headers)
            .map_err(|error| unreachable(address, &error))?;
        let conditional =
            headers.contains_key(IF_NONE_MATCH) || headers.contains_key(IF_MODIFIED_SINCE);
        let in_part = headers.contains_key(RANGE);
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| unreachable(address, &error))?;
        if let Some(date) = date_of(answer.headers()) {
            self.date = Some(date);
        }
        let status = answer.status();
        match status {
            StatusCode::OK => {
                self.validator = validator_of(answer.headers());
                partial.restart(answer.headers());
                read_body(partial, answer, octets_max).await?;
                Ok(None)
            }
            StatusCode::PARTIAL_CONTENT if in_part && partial.goes_on(answer.headers()) => {
                self.validator = None;
                read_body(partial, answer, octets_max).await?;
                Ok(None)
            }
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if in_part => {
                partial.bytes.clear();
                Err(SourceError::Unreachable {
                    address: address.to_owned(),
                    reason: "the mirror does not send the part that is missing".to_owned(),
                })
            }
            StatusCode::NOT_MODIFIED if conditional => Ok(Some(Fetched::Unchanged)),
            // Object stores say 403 for what is not there; 404 and 410 say it themselves.
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE => {
                Ok(Some(Fetched::Absent))
            }
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

/// Reads a body to the end of `partial`, which must not be longer than `octets_max` then, nor
/// come slower than [`SPEED_MIN`].
async fn read_body(
    partial: &mut Partial,
    answer: Response<Incoming>,
    octets_max: u64,
) -> Result<(), SourceError> {
    let address = partial.address.clone();
    let too_long = || SourceError::TooLong {
        address: address.clone(),
        octets_max,
    };
    let mut body = answer.into_body();
    let before = partial.bytes.len() as u64;
    if body.size_hint().lower().saturating_add(before) > octets_max {
        return Err(too_long());
    }
    let mut pace = Pace::from(Instant::now());
    loop {
        let frame = timeout(PACE_TURN, body.frame()).await;
        let now = Instant::now();
        if let Ok(frame) = frame {
            let Some(frame) = frame else {
                return Ok(());
            };
            let frame = frame.map_err(|error| unreachable(&address, &error))?;
            if let Some(data) = frame.data_ref() {
                let octets = data.len() as u64;
                if (partial.bytes.len() as u64).saturating_add(octets) > octets_max {
                    return Err(too_long());
                }
                pace.note(now, octets);
                partial.bytes.extend_from_slice(data);
            }
        }
        if pace.is_too_slow(now) {
            return Err(SourceError::TooSlow {
                address,
                speed_min: SPEED_MIN,
            });
        }
    }
}

/// What time it is at the mirror, by its own word: a hint and no more.
fn date_of(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text)
        .ok()
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
/// How often one fetch takes up a transfer again that broke off.
const RETRIES_MAX: u32 = 3;
/// How often the pace is looked at while nothing comes.
const PACE_TURN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_a_mirror_is_read() {
        let date = |text| {
            date_of(&HeaderMap::from_iter([(
                DATE,
                HeaderValue::from_static(text),
            )]))
        };
        let expected = "2026-11-24T06:00:05Z".parse().ok();
        assert_eq!(date("Tue, 24 Nov 2026 06:00:05 GMT"), expected);
        assert_eq!(date("yesterday"), None);
    }
}
