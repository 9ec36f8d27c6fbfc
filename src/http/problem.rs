//! What is said when something went wrong: `application/problem+json` (RFC 9457), or a page where
//! a browser asked for one.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use super::serve::OwnPort;
use super::{HttpState, Peer, auth, builtin};
use crate::site::{ErrorPage, root_path};

/// Why a request was not done.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    detail: Cow<'static, str>,
    headers: Vec<(HeaderName, HeaderValue)>,
    remedy: Remedy,
    /// What only who looks after the program should see.
    trace: Option<String>,
}

/// What a person at a browser can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Read about it.
    Read,
    /// Sign in.
    SignIn,
    /// Set the first password.
    SetUp,
}

/// What was asked for.
struct Asked {
    method: Method,
    path: String,
    /// Path and query, without a token.
    target: String,
    /// Our own address and port, where the client has reached us by them.
    reached: Option<SocketAddr>,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let (uri, extensions) = (request.uri(), request.extensions());
        let pairs = uri.query().unwrap_or_default().split('&');
        let pairs: Vec<&str> =
            pairs.filter(|pair| !pair.is_empty() && !pair.starts_with("token=")).collect();
        let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
        let local = extensions.get::<Peer>().and_then(|peer| peer.local);
        let port = extensions.get::<OwnPort>().map(|OwnPort(port)| *port);
        Self {
            method: request.method().clone(),
            path: uri.path().to_owned(),
            target: format!("{}{query}", uri.path()),
            reached: local.zip(port).map(SocketAddr::from),
        }
    }
}

/// A time to wait in words, rounded up: "12 seconds".
pub(super) fn in_words(wait: Duration) -> String {
    match (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1) {
        1 => "1 second".to_owned(),
        seconds @ 2..=119 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds.div_ceil(60)),
    }
}

/// How a problem looks on the wire. Its type is `about:blank`, which RFC 9457 §4.2.1 lets one
/// leave out, because the status says what kind it is.
#[derive(Serialize)]
struct Wire<'a> {
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<&'a str>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            detail: detail.into(),
            headers: Vec::new(),
            remedy: Remedy::Read,
            trace: None,
        }
    }

    pub(super) fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub(super) fn internal(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    pub(super) fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    pub(super) fn remedy(mut self, remedy: Remedy) -> Self {
        self.remedy = remedy;
        self
    }

    pub(super) fn trace(mut self, trace: String) -> Self {
        self.trace = Some(trace);
        self
    }

    /// Says when to try again, rounded up to whole seconds.
    pub(super) fn retry_after(mut self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.headers.push((RETRY_AFTER, seconds.max(1).into()));
        self
    }

    /// Ends the connection with the answer, because what follows on it cannot be trusted to be
    /// the next request.
    pub(super) fn closing(self) -> Self {
        self.with(CONNECTION, "close")
    }

    fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }

    fn as_json(&self) -> Response {
        let wire = Wire {
            title: self.title(),
            status: self.status.as_u16(),
            detail: &self.detail,
            trace: self.trace.as_deref(),
        };
        let mime = HeaderValue::from_static("application/problem+json");
        let json = serde_json::to_string(&wire).unwrap_or_default();
        ([(CONTENT_TYPE, mime)], json).into_response()
    }

    /// What a person is told first: what the status means to them, not what HTTP calls it.
    fn headline(&self) -> &'static str {
        match self.status.as_u16() {
            400 => "The camera did not understand that",
            403 => "You may not do that",
            404 => "There is nothing here",
            405 => "That is not possible here",
            408 | 504 => "That took too long",
            409 => "That is not possible now",
            411 | 412 | 428 => "Something is missing",
            413 | 431 => "That is too large",
            415 => "That is of the wrong kind",
            421 => "The camera does not go by this name",
            422 => "The camera cannot do that",
            429 => "Too many attempts",
            503 => "Not right now",
            500.. => "Something went wrong in the camera",
            _ => "That did not work",
        }
    }

    /// The way on, for a person: what a button says, and where it leads.
    fn way_on(&self, asked: &Asked, root: &str, hostname: &str) -> (String, String) {
        match self.status.as_u16() {
            // Any other page of this name is refused alike.
            421 => {
                let place = match asked.reached {
                    Some(address) if address.port() == 80 => address.ip().to_string(),
                    Some(address) => address.to_string(),
                    None => format!("{hostname}.local"),
                };
                (format!("Open {place}"), format!("http://{place}/"))
            }
            408 | 409 | 429 | 500.. if asked.method == Method::GET => {
                ("Try again".to_owned(), format!("{root}{}", asked.target))
            }
            _ => ("Watch the camera".to_owned(), format!("{root}/")),
        }
    }

    fn as_page(&self, state: &HttpState, asked: &Asked) -> Html<String> {
        let trace = self.trace.as_deref();
        // Who merely came here has done nothing wrong; who sent a form is told what was.
        let (message, next) = match asked.method {
            Method::POST => (&*self.detail, "/"),
            _ => ("", &*asked.target),
        };
        let path = &asked.path;
        let root = &root_path(path);
        match (self.remedy, self.status) {
            (Remedy::SignIn, _) => builtin::sign_in(root, message, next),
            (Remedy::SetUp, _) => builtin::set_up(root, message),
            (Remedy::Read, StatusCode::NOT_FOUND) => {
                let values =
                    json!({ "path": path, "root_path": root, "hostname": state.settings.hostname });
                Html(state.pages.error_page(ErrorPage::NotFound, &values))
            }
            (Remedy::Read, StatusCode::INTERNAL_SERVER_ERROR) => {
                let values = json!({ "detail": trace, "root_path": root, "hostname": state.settings.hostname });
                Html(state.pages.error_page(ErrorPage::ServerError, &values))
            }
            (Remedy::Read, _) => {
                let (button, way) = self.way_on(asked, root, &state.settings.hostname);
                builtin::notice(root, self.headline(), &self.detail, trace, (&button, &way))
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl IntoResponse for Problem {
    /// An answer for [`present`] to finish.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Shows problems in the form the client understands, crashes of handlers among them.
pub(super) async fn present(
    State(state): State<HttpState>,
    request: Request,
    next: Next,
) -> Response {
    let page = wants_page(request.headers());
    let asked = Asked::of(&request);
    let local = auth::is_local(&request);
    let mut response = match caught(next.run(request)).await {
        Ok(response) => response,
        Err(panic) => crashed(panic.as_ref()).into_response(),
    };
    let Some(mut problem) = response.extensions_mut().remove::<Problem>() else {
        return response;
    };
    // Its words may tell what is not everybody's business.
    let debugging = log::log_enabled!(log::Level::Debug);
    if !(debugging && local) {
        problem.trace = None;
    }
    let mut shown = if page {
        let (state, problem) = (state.clone(), problem.clone());
        // The site's own templates may be on the disk.
        match tokio::task::spawn_blocking(move || problem.as_page(&state, &asked)).await {
            Ok(page) => page.into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    } else {
        problem.as_json()
    };
    *shown.status_mut() = problem.status;
    // What middleware has added stays, as does `Allow`.
    for (name, value) in response.headers() {
        if name != CONTENT_TYPE && name.as_str() != "content-length" {
            shown.headers_mut().append(name, value.clone());
        }
    }
    // A field may have several lines.
    for (name, value) in problem.headers {
        shown.headers_mut().append(name, value);
    }
    shown
}

/// Browsers name HTML when a person goes to a page, and nothing else does.
fn wants_page(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(ACCEPT).iter().filter_map(|v| v.to_str().ok());
    accepted.any(|v| v.contains("text/html"))
}

/// Runs `future`; a panic in it is an error of this one request.
async fn caught<F: Future>(future: F) -> Result<F::Output, Box<dyn Any + Send>> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        // The future is not polled again after a panic, so that nobody sees it half done.
        let poll = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        match poll {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await
}

fn crashed(panic: &(dyn Any + Send)) -> Problem {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    log::error!("a request crashed: {text}");
    Problem::internal("the camera failed to do this; its log says why").trace(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method) -> Asked {
        let reached = Some(SocketAddr::from(([192, 0, 2, 1], 8000)));
        Asked { method, path: "/x".into(), target: "/x?a=b".into(), reached }
    }

    #[test]
    fn a_person_is_told_in_words_and_not_in_those_of_http() {
        for code in 400..600 {
            let problem = Problem::new(StatusCode::from_u16(code).unwrap(), "detail");
            let (told, http) = (problem.headline(), problem.title());
            assert!(told.contains(' ') && told != http, "{code}: {told}");
            for method in [Method::GET, Method::POST] {
                let (button, way) = problem.way_on(&asked(method), ".", "garden");
                assert!(button.contains(' ') && !way.is_empty(), "{code}");
            }
        }
    }

    #[test]
    fn the_button_leads_to_where_it_can_go_on() {
        let way = |code, method| {
            let problem = Problem::new(StatusCode::from_u16(code).unwrap(), "detail");
            problem.way_on(&asked(method), ".", "garden").1
        };
        assert_eq!(way(421, Method::GET), "http://192.0.2.1:8000/");
        assert_eq!(way(503, Method::GET), "./x?a=b");
        // A form is not sent again by a link.
        assert_eq!(way(503, Method::POST), "./");
        assert_eq!(way(403, Method::GET), "./");
    }

    #[test]
    fn a_time_to_wait_is_said_in_words() {
        let words = |millis| in_words(Duration::from_millis(millis));
        assert_eq!([words(0), words(900), words(1001)], ["1 second", "1 second", "2 seconds"]);
        assert_eq!([words(119_000), words(121_000)], ["119 seconds", "3 minutes"]);
    }
}
