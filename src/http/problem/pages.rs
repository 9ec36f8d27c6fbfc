//! What a client is shown of a problem: a page where a browser asked for one, JSON otherwise.

use std::any::Any;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use serde_json::json;

use super::details::{Problem, Remedy};
use crate::http::builtin::Exposure;
use crate::http::forwarded::ProxyInfo;
use crate::http::path::NOTHING_HERE;
use crate::http::peer::{LocalPort, Peer, Scheme};
use crate::http::state::HttpState;
use crate::http::{auth, builtin, secure};
use crate::site::{ErrorPage, root_path};

/// The request that could not be done.
struct FailedRequest {
    method: Method,
    path: String,
    /// Path and query, without a token.
    target: String,
    /// Our own address and port, where the client has reached us by them.
    reached: Option<SocketAddr>,
    /// Whether that was by HTTPS.
    secure: bool,
    /// What could be read of a password that is typed in answer.
    exposure: Exposure,
}

impl FailedRequest {
    fn of(request: &Request, state: &HttpState) -> Self {
        let (uri, extensions) = (request.uri(), request.extensions());
        let peer = extensions.get::<Peer>().copied();
        let proxy = extensions.get::<ProxyInfo>();
        let exposure = peer
            .zip(proxy)
            .map_or(Exposure::None, |(peer, proxy)| secure::exposure(state, peer, proxy));
        let pairs = uri.query().unwrap_or_default().split('&');
        let pairs: Vec<&str> =
            pairs.filter(|pair| !pair.is_empty() && !pair.starts_with("token=")).collect();
        let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
        let local = peer.and_then(|peer| peer.local);
        let port = extensions.get::<LocalPort>().map(|LocalPort(port)| *port);
        Self {
            method: request.method().clone(),
            path: uri.path().to_owned(),
            target: format!("{}{query}", uri.path()),
            reached: local.zip(port).map(SocketAddr::from),
            secure: peer.is_some_and(|peer| peer.scheme == Scheme::Https),
            exposure,
        }
    }
}

impl Problem {
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
            415 => "That is the wrong type",
            421 => "The camera has a different name",
            422 => "The camera cannot do that",
            429 => "Too many attempts",
            503 => "Not right now",
            500.. => "Something went wrong in the camera",
            _ => "That did not work",
        }
    }

    /// What a person can do next: what a button says, and where it leads.
    fn next_step(&self, failed: &FailedRequest, root: &str, hostname: &str) -> (String, String) {
        match self.status.as_u16() {
            // Any other page of this name is refused alike.
            421 => {
                let (scheme, usual) = if failed.secure { ("https", 443) } else { ("http", 80) };
                let place = match failed.reached {
                    Some(SocketAddr::V4(v4)) if v4.port() == usual => v4.ip().to_string(),
                    Some(SocketAddr::V6(v6)) if v6.port() == usual => format!("[{}]", v6.ip()),
                    Some(address) => address.to_string(),
                    None => format!("{hostname}.local"),
                };
                (format!("Open {place}"), format!("{scheme}://{place}/"))
            }
            408 | 409 | 429 | 500.. if failed.method == Method::GET => {
                ("Try again".to_owned(), format!("{root}{}", failed.target))
            }
            _ => ("Watch live".to_owned(), format!("{root}/")),
        }
    }

    fn as_page(&self, state: &HttpState, failed: &FailedRequest) -> Html<String> {
        let trace = self.trace.as_deref();
        // Whoever merely came here has done nothing wrong; whoever sent a form is told what was wrong.
        let (message, next) = match failed.method {
            Method::POST => (&*self.detail, "/"),
            _ => ("", &*failed.target),
        };
        let path = &failed.path;
        let root = &root_path(path);
        match (self.remedy, self.status) {
            (Remedy::SignIn, _) => builtin::sign_in_page(root, message, next, failed.exposure),
            (Remedy::SetUp, _) => builtin::first_password_page(root, message, failed.exposure),
            (Remedy::Read, StatusCode::NOT_FOUND) => {
                // The page says by itself that there is nothing.
                let detail = (self.detail != NOTHING_HERE).then_some(&*self.detail);
                let hostname = &state.settings.hostname;
                let values = json!({
                    "path": path, "detail": detail, "root_path": root, "hostname": hostname
                });
                Html(state.pages.error_page(ErrorPage::NotFound, &values))
            }
            (Remedy::Read, StatusCode::INTERNAL_SERVER_ERROR) => {
                let values = json!({ "detail": trace, "root_path": root, "hostname": state.settings.hostname });
                Html(state.pages.error_page(ErrorPage::ServerError, &values))
            }
            (Remedy::Read, _) => {
                let (button, way) = self.next_step(failed, root, &state.settings.hostname);
                builtin::message_page(root, self.headline(), &self.detail, trace, (&button, &way))
            }
        }
    }
}

/// Shows problems in the form the client understands, panics of handlers among them.
pub(in crate::http) async fn present(
    State(state): State<HttpState>,
    request: Request,
    next: Next,
) -> Response {
    let page = wants_page(request.headers());
    let failed = FailedRequest::of(&request, &state);
    let local = auth::is_local(&request);
    let mut response = match catch_panic(next.run(request)).await {
        Ok(response) => response,
        Err(panic) => panic_problem(panic.as_ref()).into_response(),
    };
    let Some(mut problem) = response.extensions_mut().remove::<Problem>() else {
        return response;
    };
    // It may say what is not for everybody.
    let debugging = log::log_enabled!(log::Level::Debug);
    if !(debugging && local) {
        problem.trace = None;
    }
    let mut shown = if page {
        let (state, problem) = (state.clone(), problem.clone());
        // The site's own templates may be on the disk.
        match tokio::task::spawn_blocking(move || problem.as_page(&state, &failed)).await {
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
async fn catch_panic<F: Future>(future: F) -> Result<F::Output, Box<dyn Any + Send>> {
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

fn panic_problem(panic: &(dyn Any + Send)) -> Problem {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    log::error!("a request handler panicked: {text}");
    Problem::internal("the camera failed to do this; its log says why").trace(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(method: Method) -> FailedRequest {
        let reached = Some(SocketAddr::from(([192, 0, 2, 1], 8000)));
        FailedRequest {
            method,
            path: "/x".into(),
            target: "/x?a=b".into(),
            reached,
            secure: false,
            exposure: Exposure::None,
        }
    }

    #[test]
    fn a_person_is_told_in_words_and_not_in_those_of_http() {
        for code in 400..600 {
            let problem = Problem::new(StatusCode::from_u16(code).unwrap(), "detail");
            let (told, http) = (problem.headline(), problem.title());
            assert!(told.contains(' ') && told != http, "{code}: {told}");
            for method in [Method::GET, Method::POST] {
                let (button, way) = problem.next_step(&failed(method), ".", "garden");
                assert!(button.contains(' ') && !way.is_empty(), "{code}");
            }
        }
    }

    #[test]
    fn the_button_leads_to_where_it_can_go_on() {
        let way = |code, method| {
            let problem = Problem::new(StatusCode::from_u16(code).unwrap(), "detail");
            problem.next_step(&failed(method), ".", "garden").1
        };
        assert_eq!(way(421, Method::GET), "http://192.0.2.1:8000/");
        assert_eq!(way(503, Method::GET), "./x?a=b");
        // A form is not sent again by a link.
        assert_eq!(way(503, Method::POST), "./");
        assert_eq!(way(403, Method::GET), "./");
    }
}
