//! [`Handler`]: one client's requests: judged, answered, passed on.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{ACCEPT_LANGUAGE, CONNECTION, EXPECT, HOST, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::uri::{Authority, PathAndQuery};
use hyper::service::Service;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::head::{Following, Framing, GateState};
use super::origin::{Origin, OriginBody, OriginError};
use super::origin_guard::OriginGuard;
use super::outcome::Outcome;
use super::proxy::{Current, Shared};
use super::stop_page::{Notice, Page};
use super::target::{Form, RequestTarget, TargetHead};
use super::tunnel::Tunnel;
use crate::policy::{Decision, Surface};

/// Handles the requests of one connection, each judged anew.
#[derive(Clone, Debug)]
pub(super) struct Handler {
    connection: Arc<Connection>,
}

/// What is known of one connection.
#[derive(Debug)]
pub(super) struct Connection {
    /// Which of its two addresses the client came to.
    pub(super) role: Role,
    /// Who asks: to be held against `proxy.forward.clients`, and forgotten with the
    /// connection.
    pub(super) client: IpAddr,
    /// What all connections share.
    pub(super) shared: Arc<Shared>,
    /// The gate that its requests come through.
    pub(super) gate: Arc<GateState>,
    /// Where this proxy listens.
    pub(super) own: Arc<[SocketAddr]>,
    /// Where connections to origins are driven.
    pub(super) tracker: TaskTracker,
    /// The tunnel that its last request opened.
    pub(super) tunnel: Mutex<Option<Tunnel>>,
}

/// The two things that this surface is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    /// `proxy.http`: where DNS sends those who ask for a blocked name.
    StopPage,
    /// `proxy.forward`: the explicit proxy.
    Forward,
}

/// What a request gets.
#[derive(Debug)]
enum Verdict {
    /// This answer.
    Answer(Outcome, Response<Bytes>),
    /// What it asks for.
    Pass(RequestTarget),
}

/// The body of an answer: a page of ours, or what the origin says.
type AnswerBody = Either<Full<Bytes>, OriginBody>;

impl Handler {
    /// A handler for one connection.
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection: Arc::new(connection),
        }
    }

    /// The tunnel that the last request opened.
    pub(super) fn take_tunnel(&self) -> Option<Tunnel> {
        let tunnel = self.connection.tunnel.lock();
        tunnel.unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Service<Request<Incoming>> for Handler {
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let connection = Arc::clone(&self.connection);
        let following = following(&request);
        let framing = connection.gate.claim(following);
        let (head, body) = request.into_parts();
        let verdict = connection.judge(&head, framing);
        Box::pin(async move {
            let mut answer = match verdict {
                Verdict::Answer(outcome, answer) => {
                    let answer = connection.own_answer(outcome, answer);
                    // Who waits for 100 (Continue) has not sent its body, and need not.
                    if !head.headers.contains_key(EXPECT) {
                        discard(body).await;
                    }
                    answer
                }
                Verdict::Pass(target) => connection.pass(target, head, body).await,
            };
            // After such a request no other is read: where it ends is not ours to say.
            if following == Following::Anything && !connection.has_tunnel() {
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(CONNECTION, close);
            }
            Ok(answer)
        })
    }
}

impl Connection {
    /// What the request gets. It is counted here, before any answer leaves.
    fn judge(&self, head: &Parts, framing: Framing) -> Verdict {
        let current = self.shared.current();
        let refused = |notice| self.notice(&current, head, Outcome::Refused, notice);
        let malformed = |notice| {
            let Verdict::Answer(outcome, mut answer) =
                self.notice(&current, head, Outcome::Malformed, notice)
            else {
                return refused(notice);
            };
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(CONNECTION, close);
            Verdict::Answer(outcome, answer)
        };

        if self.role == Role::Forward && !current.serves(self.client) {
            return refused(Notice::ClientRefused);
        }
        let target = match RequestTarget::read(&target_head(head, framing)) {
            Ok(target) => target,
            Err(error) => return malformed(Notice::Malformed(error)),
        };
        match (self.role, &target) {
            (Role::StopPage, RequestTarget::Tunnel { .. }) => return malformed(Notice::NotAProxy),
            (
                Role::Forward,
                RequestTarget::Resource {
                    form: Form::Origin | Form::Asterisk,
                    ..
                },
            ) => return malformed(Notice::NotAnOrigin),
            _ => {}
        }

        let edition = self.shared.in_force.load();
        let blocklist = &edition.blocklist;
        let decision = match &target {
            RequestTarget::Resource { url, .. } => blocklist.decide_url(url, Some(self.client)),
            // No list has entries for the hosts of tunnels that are addresses, and a URL is
            // never widened to its host.
            RequestTarget::Tunnel { host, .. } => {
                host.as_name().map_or_else(Decision::default, |name| {
                    blocklist.decide_name(&name, Some(self.client))
                })
            }
        };
        edition.count(&decision, Surface::Http);
        if !decision.passes() {
            let rule = decision.act.and_then(|(rule, _)| blocklist.rule(rule));
            let Some(rule) = rule else {
                return self.notice(&current, head, Outcome::Blocked, Notice::Blocked);
            };
            let now = self.shared.now();
            let page = current.stop_page.blocked(&rule, languages(head), now);
            return Verdict::Answer(Outcome::Blocked, response(page));
        }
        match (self.role, &target) {
            (Role::StopPage, _) => {
                self.notice(&current, head, Outcome::Misdirected, Notice::NotBlocked)
            }
            (
                _,
                RequestTarget::Resource {
                    form: Form::AbsoluteTls,
                    ..
                },
            ) => malformed(Notice::TlsInTheClear),
            // Plain HTTP inside a tunnel would go around every URL entry.
            (_, RequestTarget::Tunnel { port: 80, .. }) => refused(Notice::PortRefused),
            _ if head.method == Method::TRACE => refused(Notice::MethodRefused),
            _ if self.shared.hop.is_loop(&head.headers) => refused(Notice::Loop),
            _ => Verdict::Pass(target),
        }
    }

    fn notice(&self, current: &Current, head: &Parts, outcome: Outcome, notice: Notice) -> Verdict {
        let page = current.stop_page.notice(notice, languages(head));
        Verdict::Answer(outcome, response(page))
    }

    fn own_answer(&self, outcome: Outcome, answer: Response<Bytes>) -> Response<AnswerBody> {
        self.shared.outcomes.count(outcome);
        answer.map(|page| Either::Left(Full::new(page)))
    }

    /// Gets what nothing forbids.
    async fn pass(
        &self,
        target: RequestTarget,
        head: Parts,
        body: Incoming,
    ) -> Response<AnswerBody> {
        let languages = head.headers.get(ACCEPT_LANGUAGE).cloned();
        match self.reach(target, head, body).await {
            Ok(answer) => {
                self.shared.outcomes.count(Outcome::Passed);
                answer
            }
            Err(error) => {
                tracing::debug!(%error, "an origin could not be had");
                let outcome = if error.is_refusal() {
                    Outcome::Refused
                } else {
                    Outcome::OriginError
                };
                let languages = languages.as_ref().and_then(|field| field.to_str().ok());
                let current = self.shared.current();
                let page = current.stop_page.notice(error.notice(), languages);
                self.own_answer(outcome, response(page))
            }
        }
    }

    async fn reach(
        &self,
        target: RequestTarget,
        mut head: Parts,
        body: Incoming,
    ) -> Result<Response<AnswerBody>, OriginError> {
        // The settings of the moment hold for the whole request.
        let current = self.shared.current_full();
        let limits = &self.shared.limits;
        let guard = OriginGuard {
            origins: &current.settings.origins,
            own: &self.own,
        };
        let (host, port) = (target.host(), target.port());
        let origin = Origin::connect(host, port, guard, &current.resolver, limits).await?;
        let RequestTarget::Resource { url, .. } = target else {
            let mut request = Request::from_parts(head, body);
            let tunnel = Tunnel {
                client: hyper::upgrade::on(&mut request),
                origin: origin.into_stream(),
            };
            let mut slot = self.tunnel.lock().unwrap_or_else(PoisonError::into_inner);
            *slot = Some(tunnel);
            return Ok(Response::new(Either::Left(Full::default())));
        };
        self.shared.hop.request(&mut head.headers, url.authority());
        head.uri = origin_form(&head.uri);
        head.version = Version::HTTP_11;
        head.extensions.clear();
        let request = Request::from_parts(head, body);
        let mut answer = origin.ask(request, limits, &self.tracker).await?;
        self.shared.hop.response(answer.headers_mut());
        *answer.version_mut() = Version::HTTP_11;
        Ok(answer.map(Either::Right))
    }

    fn has_tunnel(&self) -> bool {
        let tunnel = self.tunnel.lock().unwrap_or_else(PoisonError::into_inner);
        tunnel.is_some()
    }
}

/// Takes in a body that nobody wants, within limits: a connection that is closed with
/// octets unread is reset, and the answer may be lost on the way.
async fn discard(mut body: Incoming) {
    let taken = async {
        let mut left = DISCARD_OCTETS_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let octets = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(octets) else {
                return;
            };
            left = rest;
        }
    };
    // What is too much or too slow is answered all the same, and the connection closed.
    let _ = timeout(DISCARD_TIME_MAX, taken).await;
}

/// What the parser will read behind this head.
fn following(request: &Request<Incoming>) -> Following {
    if *request.method() == Method::CONNECT {
        return Following::Anything;
    }
    request
        .body()
        .size_hint()
        .exact()
        .map_or(Following::Anything, Following::Body)
}

/// The parts of a head that say what is asked for.
pub(super) fn target_head(head: &Parts, framing: Framing) -> TargetHead<'_> {
    let mut hosts = head.headers.get_all(HOST).iter().map(HeaderValue::as_bytes);
    TargetHead {
        method: head.method.as_str(),
        is_http_1_1: head.version == Version::HTTP_11,
        scheme: head.uri.scheme_str(),
        authority: head.uri.authority().map(Authority::as_str),
        path_and_query: head.uri.path_and_query().map(PathAndQuery::as_str),
        hosts: [hosts.next(), hosts.next()],
        framing,
    }
}

/// A page of ours as an answer.
fn response(page: Page) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(page.body));
    if let Ok(status) = StatusCode::from_u16(page.status) {
        *answer.status_mut() = status;
    }
    for (name, value) in page.fields {
        if let Ok(value) = HeaderValue::try_from(value.as_ref()) {
            answer
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
    }
    answer
}

fn languages(head: &Parts) -> Option<&str> {
    head.headers.get(ACCEPT_LANGUAGE)?.to_str().ok()
}

/// The target as an origin is asked for it (RFC 9112 section 3.2.1), in the client's own
/// spelling: what was judged is its canonical one, what is asked for stays as it was.
fn origin_form(target: &Uri) -> Uri {
    let path_and_query = target.path_and_query().map_or("/", |path| path.as_str());
    let text = if path_and_query.starts_with('/') {
        path_and_query.to_owned()
    } else {
        format!("/{path_and_query}")
    };
    Uri::try_from(text).unwrap_or_default()
}

/// How much of an unwanted body is taken in, in octets.
const DISCARD_OCTETS_MAX: usize = 1024 * 1024;

/// For how long an unwanted body is taken in.
const DISCARD_TIME_MAX: Duration = Duration::from_secs(2);
