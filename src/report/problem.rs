//! [`Problem`]: why a request gets no answer, as problem+json (RFC 9457) or as a page.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::count::CountError;

/// Why a request gets no answer: a status, and a sentence that says what to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) sentence: String,
}

impl Problem {
    /// 400: a parameter is wrong.
    pub(super) fn parameter(sentence: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            sentence: sentence.into(),
        }
    }

    /// 401: nobody is logged in, or with a wrong password.
    pub(super) fn login() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            sentence: "Give the name and password of a user of this report.".into(),
        }
    }

    /// 429: too many wrong passwords.
    pub(super) fn later() -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            sentence: "There were too many wrong passwords; wait five minutes.".into(),
        }
    }

    /// 404.
    pub(super) fn nothing_here() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            sentence: "There is nothing at this address, or nothing that you may see.".into(),
        }
    }

    /// 403: the request came from another site's page.
    pub(super) fn other_site() -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            sentence: "This request came from a page of another site; begin at this one.".into(),
        }
    }

    /// 421: without users the report answers under this machine's own names alone, so that no
    /// site can have a browser fetch it under a name of its own.
    pub(super) fn other_name() -> Self {
        Self {
            status: StatusCode::MISDIRECTED_REQUEST,
            sentence: "Without a users file the report answers at localhost alone.".into(),
        }
    }

    /// 503: it cannot be answered now.
    pub(super) fn busy() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            sentence: "The report cannot answer at the moment; try again in a minute.".into(),
        }
    }
}

impl From<CountError> for Problem {
    fn from(error: CountError) -> Self {
        match error {
            CountError::Rows { .. } => {
                let mut sentence = error.to_string();
                if let Some(first) = sentence.get_mut(..1) {
                    first.make_ascii_uppercase();
                }
                Self::parameter(sentence + ".")
            }
            error => {
                tracing::warn!(%error, "a question to the ledger failed");
                Self {
                    sentence: "The ledger cannot be read at the moment; hits are counted on."
                        .into(),
                    ..Self::busy()
                }
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Json(json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(),
            "detail": self.sentence,
        }));
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"cordon\", charset=\"UTF-8\""),
            );
        }
        response
    }
}
