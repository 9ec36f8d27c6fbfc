//! What went wrong, and what is said about it: `application/problem+json` (RFC 9457).

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Why a request was not done.
#[derive(Debug, Clone)]
pub(in crate::http) struct Problem {
    pub(in crate::http) status: StatusCode,
    pub(super) detail: Cow<'static, str>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) remedy: Remedy,
    /// What only whoever looks after the program should see.
    pub(super) trace: Option<String>,
}

/// What a person at a browser can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Remedy {
    /// Read about it.
    Read,
    /// Sign in.
    SignIn,
    /// Set the first password.
    SetUp,
}

/// A time to wait in words, rounded up: "12 seconds".
pub(in crate::http) fn duration_text(wait: Duration) -> String {
    match (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1) {
        1 => "1 second".to_owned(),
        seconds @ 2..=119 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds.div_ceil(60)),
    }
}

/// A problem as it is sent. Its type is `about:blank`, which RFC 9457 §4.2.1 allows to
/// leave out, because the status says what kind it is.
#[derive(Serialize)]
struct ProblemJson<'a> {
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<&'a str>,
}

impl Problem {
    pub(in crate::http) fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            detail: detail.into(),
            headers: Vec::new(),
            remedy: Remedy::Read,
            trace: None,
        }
    }

    pub(in crate::http) fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(in crate::http) fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub(in crate::http) fn internal(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    pub(in crate::http) fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    pub(in crate::http) fn remedy(mut self, remedy: Remedy) -> Self {
        self.remedy = remedy;
        self
    }

    pub(in crate::http) fn trace(mut self, trace: String) -> Self {
        self.trace = Some(trace);
        self
    }

    /// Says when to try again, rounded up to whole seconds.
    pub(in crate::http) fn retry_after(mut self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.headers.push((RETRY_AFTER, seconds.max(1).into()));
        self
    }

    /// Ends the connection with the answer, because what follows on it cannot be trusted to be
    /// the next request.
    pub(in crate::http) fn close_connection(self) -> Self {
        self.with_header(CONNECTION, "close")
    }

    pub(super) fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }

    pub(super) fn as_json(&self) -> Response {
        let json = ProblemJson {
            title: self.title(),
            status: self.status.as_u16(),
            detail: &self.detail,
            trace: self.trace.as_deref(),
        };
        let mime = HeaderValue::from_static("application/problem+json");
        let json = serde_json::to_string(&json).unwrap_or_default();
        ([(CONTENT_TYPE, mime)], json).into_response()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl IntoResponse for Problem {
    /// An answer for [`present`](super::present) to finish.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_wait_is_said_in_words() {
        let words = |millis| duration_text(Duration::from_millis(millis));
        assert_eq!([words(0), words(900), words(1001)], ["1 second", "1 second", "2 seconds"]);
        assert_eq!([words(119_000), words(121_000)], ["119 seconds", "3 minutes"]);
    }
}
