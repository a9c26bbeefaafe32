//! The addresses of the report server, and what each gives to whom.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Form, Router};
use serde::{Deserialize, Serialize};

use super::access::{Viewer, same_site};
use super::api::{Format, Inquiry, Parameters};
use super::dashboard::{self, Window};
use super::desk::Desk;
use super::json::{self, Asked};
use super::problem::Problem;
use super::{csv, password};
use crate::count::{By, Per, Question};

/// All addresses.
pub(super) fn router(desk: Arc<Desk>) -> Router {
    let pages = Router::new()
        .route("/", get(overview))
        .route("/lists/{name}", get(list))
        .route("/timeline", get(timeline))
        .layer(from_fn_with_state(desk.clone(), page_viewer));
    let api = Router::new()
        .route("/api/v1/summary", get(api_summary))
        .route("/api/v1/hits", get(api_hits))
        .route("/api/v1/lists", get(api_lists))
        .route("/api/v1/timeline", get(api_timeline))
        .route("/api/v1/openapi.json", get(openapi))
        .layer(from_fn_with_state(desk.clone(), api_viewer));
    Router::new()
        .merge(pages)
        .merge(api)
        .route("/login", get(login_form).post(login))
        .route("/logout", post(logout))
        .route("/style.css", get(style))
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(desk.clone(), for_people))
        .layer(from_fn(guard_headers))
        .with_state(desk)
}

/// The parameters of a request, or why they are none.
type Pairs = Result<Query<Vec<(String, String)>>, QueryRejection>;

fn pairs(query: Pairs) -> Result<Vec<(String, String)>, Problem> {
    match query {
        Ok(Query(pairs)) if pairs.len() <= PARAMETERS_MAX => Ok(pairs),
        Ok(_) | Err(_) => Err(Problem::parameter("The parameters are not well formed.")),
    }
}

// --- who is asking -----------------------------------------------------------------------

async fn page_viewer(State(desk): State<Arc<Desk>>, mut request: Request, next: Next) -> Response {
    match desk.access.by_session(request.headers(), desk.now()) {
        Ok(Some(viewer)) => {
            request.extensions_mut().insert(viewer);
            next.run(request).await
        }
        Ok(None) => Redirect::to("/login").into_response(),
        Err(problem) => problem.into_response(),
    }
}

async fn api_viewer(State(desk): State<Arc<Desk>>, mut request: Request, next: Next) -> Response {
    let viewer = desk
        .access
        .by_password_or_session(request.headers(), desk.now())
        .await;
    match viewer {
        Ok(viewer) => {
            request.extensions_mut().insert(viewer);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

// --- pages -------------------------------------------------------------------------------

async fn overview(
    State(desk): State<Arc<Desk>>,
    Extension(viewer): Extension<Viewer>,
    query: Pairs,
) -> Result<Html<String>, Problem> {
    let pairs = pairs(query)?;
    let refresh = pairs
        .iter()
        .find(|(name, _)| name == "refresh")
        .and_then(|(_, seconds)| seconds.parse().ok())
        .filter(|seconds| (REFRESH_SECONDS_MIN..=REFRESH_SECONDS_MAX).contains(seconds));
    desk.overview(&viewer, refresh).await.map(Html)
}

async fn list(
    State(desk): State<Arc<Desk>>,
    Extension(viewer): Extension<Viewer>,
    Path(name): Path<String>,
) -> Result<Html<String>, Problem> {
    desk.list(&viewer, &name).await.map(Html)
}

async fn timeline(
    State(desk): State<Arc<Desk>>,
    Extension(viewer): Extension<Viewer>,
) -> Result<Html<String>, Problem> {
    desk.timeline(&viewer).await.map(Html)
}

async fn login_form(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    match desk.access.by_session(&headers, desk.now()) {
        Ok(Some(_)) => Redirect::to("/").into_response(),
        Ok(None) => Html(dashboard::login(&desk.node, None)).into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// What the form sends.
#[derive(Deserialize)]
struct Login {
    name: String,
    password: String,
}

async fn login(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    form: Result<Form<Login>, axum::extract::rejection::FormRejection>,
) -> Response {
    if let Err(problem) = same_site(&headers) {
        return problem.into_response();
    }
    let Ok(Form(login)) = form else {
        return Problem::parameter("The form is not well formed.").into_response();
    };
    let name = login.name.trim().to_owned();
    let begun = desk
        .access
        .begin_session(&name, &login.password, desk.now())
        .await;
    match begun {
        Ok(cookie) => see_overview(&cookie),
        Err(problem) => {
            let sentence = match problem.status {
                StatusCode::UNAUTHORIZED => "That name and password do not belong together.",
                _ => &problem.sentence,
            };
            let page = dashboard::login(&desk.node, Some(sentence));
            // Without the challenge of Basic: a browser would show its own form over ours.
            (problem.status, Html(page)).into_response()
        }
    }
}

async fn logout(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    match same_site(&headers) {
        Ok(()) => see_overview(&desk.access.end_session(&headers)),
        Err(problem) => problem.into_response(),
    }
}

fn see_overview(cookie: &str) -> Response {
    let mut response = Redirect::to("/").into_response();
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

async fn style() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "max-age=300"),
    ];
    (headers, dashboard::STYLE)
}

// --- API ---------------------------------------------------------------------------------

async fn api_hits(
    State(desk): State<Arc<Desk>>,
    Extension(viewer): Extension<Viewer>,
    headers: HeaderMap,
    query: Pairs,
) -> Result<Response, Problem> {
    let inquiry = Inquiry::new(&pairs(query)?, desk.now())?;
    let asked = asked(&inquiry.question, desk.below);
    let figures = desk.export(&viewer, inquiry.question).await?;
    Ok(match wanted(inquiry.format, &headers) {
        Format::Json => json(&json::Hits::new(asked, &figures)),
        Format::Csv => as_csv("hits", csv::hits(&figures, desk.below)),
    })
}

async fn api_summary(
    State(desk): State<Arc<Desk>>,
    Extension(viewer): Extension<Viewer>,
    headers: HeaderMap,
    query: Pairs,
) -> Result<Response, Problem> {
    let pairs = pairs(query)?;
    let format = Parameters::new(&pairs, &["format"])?.format()?;
    let window = Window::hours(desk.now());
    let question = Question {
        from: window.from,
        to: window.to,
        by: By::List,
        per: Per::Whole,
        lists: None,
        top: None,
    };
    let asked = asked(&question, desk.below);
    let figures = desk.export(&viewer, question).await?;
    Ok(match wanted(format, &headers) {
        Format::Json => json(&json::Overview::new(
            &desk.summary(&viewer),
            asked,
            &figures,
        )),
        Format::Csv => as_csv("summary", csv::hits(&figures, desk.below)),
    })
}

async fn api_lists(
    State(desk): State<Arc<Desk>>,
    Extension(viewer): Extension<Viewer>,
    headers: HeaderMap,
    query: Pairs,
) -> Result<Response, Problem> {
    let pairs = pairs(query)?;
    let format = Parameters::new(&pairs, &["format"])?.format()?;
    let summary = desk.summary(&viewer);
    Ok(match wanted(format, &headers) {
        Format::Json => json(&json::Lists::new(&summary)),
        Format::Csv => as_csv("lists", csv::lists(&summary)),
    })
}

async fn api_timeline(
    State(desk): State<Arc<Desk>>,
    Extension(viewer): Extension<Viewer>,
    headers: HeaderMap,
    query: Pairs,
) -> Result<Response, Problem> {
    let pairs = pairs(query)?;
    let format = Parameters::new(&pairs, &["format"])?.format()?;
    let periods = desk.periods(&viewer).await?;
    Ok(match wanted(format, &headers) {
        Format::Json => json(&json::TimelineOf::new(&periods)),
        Format::Csv => as_csv("timeline", csv::timeline(&periods)),
    })
}

async fn openapi() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (headers, include_str!("openapi.json"))
}

fn asked(question: &Question, below: u64) -> Asked {
    Asked {
        from: question.from.start(),
        to: question.to.start(),
        by: question.by,
        per: question.per,
        below,
    }
}

/// The format that was asked for: by the parameter, else by what the client accepts.
fn wanted(format: Option<Format>, headers: &HeaderMap) -> Format {
    format.unwrap_or_else(|| {
        let accepted = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|range| range.split(';').next())
            .map(|range| range.trim().to_ascii_lowercase());
        let known = accepted.filter_map(|range| match range.as_str() {
            "text/csv" => Some(Format::Csv),
            "application/json" | "*/*" => Some(Format::Json),
            _ => None,
        });
        known.into_iter().next().unwrap_or(Format::Json)
    })
}

fn json(body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(_) => Problem::busy().into_response(),
    }
}

fn as_csv(name: &str, body: String) -> Response {
    let disposition = format!("attachment; filename=\"{name}.csv\"");
    let headers = [
        (
            header::CONTENT_TYPE,
            "text/csv; charset=utf-8; header=present".to_owned(),
        ),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    (headers, body).into_response()
}

// --- machines ----------------------------------------------------------------------------

async fn metrics(State(desk): State<Arc<Desk>>) -> Result<Response, Problem> {
    let text = desk.metrics().await?;
    let headers = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    Ok((headers, text).into_response())
}

async fn livez() -> &'static str {
    "alive\n"
}

async fn readyz(State(desk): State<Arc<Desk>>) -> (StatusCode, String) {
    let waiting = desk.waiting();
    if waiting.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        let lines = waiting.iter().map(|why| format!("not ready: {why}\n"));
        (StatusCode::SERVICE_UNAVAILABLE, lines.collect())
    }
}

async fn nothing_here() -> Problem {
    Problem::nothing_here()
}

async fn wrong_method() -> Problem {
    Problem {
        status: StatusCode::METHOD_NOT_ALLOWED,
        sentence: "This address does not take that method.".into(),
    }
}

// --- around all of them ------------------------------------------------------------------

/// Shows a problem as a page to who asks for pages.
async fn for_people(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response {
    let wants_page = request.method() == Method::GET
        && !request.uri().path().starts_with("/api/")
        && request
            .headers()
            .get(header::ACCEPT)
            .is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    let response = next.run(request).await;
    let is_problem = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value == "application/problem+json");
    if !wants_page || !is_problem {
        return response;
    }
    let status = response.status();
    let body: Result<Bytes, _> =
        axum::body::to_bytes(response.into_body(), PROBLEM_OCTETS_MAX).await;
    let sentence = body
        .ok()
        .and_then(|body| serde_json::from_slice::<serde_json::Value>(&body).ok())
        .and_then(|body| Some(body.get("detail")?.as_str()?.to_owned()))
        .unwrap_or_default();
    let title = status.canonical_reason().unwrap_or("There is no such page");
    let page = dashboard::problem(&desk.node, title, &sentence);
    (status, Html(page)).into_response()
}

/// What every answer says to browsers: nothing runs, nothing is loaded from elsewhere, nothing
/// is kept.
async fn guard_headers(request: Request, next: Next) -> Result<Response, Infallible> {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in GUARDS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    Ok(response)
}

const GUARDS: [(header::HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; \
         frame-ancestors 'none'; base-uri 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // Not `no-referrer`: browsers would hide the origin of our own forms, too.
    (header::REFERRER_POLICY, "same-origin"),
    (
        header::HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];
/// The most parameters of a request.
const PARAMETERS_MAX: usize = 16;
/// A page may ask for itself again at most this often, in seconds.
const REFRESH_SECONDS_MIN: u32 = 10;
/// And at least this often.
const REFRESH_SECONDS_MAX: u32 = 3600;
/// No problem of ours is longer.
const PROBLEM_OCTETS_MAX: usize = 64 * 1024;
/// The largest form; name and password are short.
pub(super) const FORM_OCTETS_MAX: usize = 4 * password::PASSWORD_OCTETS_MAX;
