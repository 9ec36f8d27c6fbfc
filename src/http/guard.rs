//! Turns away what another web site sent.
//!
//! A camera stands inside the home network and is reached by browsers that also visit the rest
//! of the world. Three questions keep the world out, whoever is signed in: is the request
//! addressed to this device by a name of its own (else a site has pointed its own name at us:
//! DNS rebinding); does the page that makes it come from here or from a listed origin (else it
//! is forged: CSRF); and, where a browser tells (`Sec-Fetch-Site`), was it made from here even
//! though it names no origin, as for an image.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HOST,
    ORIGIN, VARY,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use super::{HttpState, Settings, embed};

/// Where a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    /// No browser, or a browser's address line.
    Unnamed,
    /// A page of ours.
    Here,
    /// A page of a listed origin.
    Listed(HeaderValue),
}

pub(super) async fn guard(
    State(state): State<HttpState>,
    request: Request,
    next: Next,
) -> Response {
    let source = match judge(&state.settings, &request) {
        Ok(source) => source,
        Err(problem) => return problem.into_response(),
    };
    let asks_first = request.method() == Method::OPTIONS
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match &source {
        // A preflight carries no credentials, and asks for none.
        Source::Here | Source::Listed(_) if asks_first => preflight(),
        _ => next.run(request).await,
    };
    if let Source::Listed(origin) = source {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.append(VARY, HeaderValue::from_static("Origin"));
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("Accept-Patch, ETag, Link, Location, Retry-After"),
        );
    }
    response
}

fn preflight() -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, PATCH, DELETE"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, If-Match"),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn judge(settings: &Settings, request: &Request) -> Result<Source, Problem> {
    let host = host(request)?;
    if let Some(host) = &host
        && !is_ours(settings, host.host())
    {
        let detail = "this camera does not go by that name; add it to http.allowed_hosts";
        return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail));
    }
    let source = source(settings, request.headers(), host.as_ref())?;
    if source == Source::Unnamed && !told_from_here(request) && !embed::lets(settings, request) {
        return Err(foreign());
    }
    Ok(source)
}

fn foreign() -> Problem {
    let detail = "requests made by other web sites are refused; list theirs in http.cors if it \
                  is to be trusted";
    Problem::new(StatusCode::FORBIDDEN, detail)
}

/// The name the request is addressed to (RFC 9112 §3.2): one `Host`, and the same in the target
/// where that holds one. Only HTTP/1.0, which no browser speaks, may come without.
fn host(request: &Request) -> Result<Option<Authority>, Problem> {
    let malformed = || Problem::bad_request("expected one Host header with a name").closing();
    let mut lines = request.headers().get_all(HOST).iter();
    let host = match (lines.next(), lines.next()) {
        (None, _) if request.version() == Version::HTTP_10 => return Ok(None),
        (Some(host), None) => host,
        _ => return Err(malformed()),
    };
    let host: Authority = host.to_str().ok().and_then(|h| h.parse().ok()).ok_or_else(malformed)?;
    if host.as_str().contains('@') {
        return Err(malformed());
    }
    match request.uri().authority() {
        Some(target) if target != &host => Err(malformed()),
        _ => Ok(Some(host)),
    }
}

/// Whether the device goes by this name. An address is always ours: no site can make a browser
/// believe that a page of its own came from a bare address.
fn is_ours(settings: &Settings, host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<IpAddr>().is_ok() {
        return true;
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let same = |name: &str| !name.is_empty() && host.eq_ignore_ascii_case(name);
    let hostname = &settings.hostname;
    let local = host
        .len()
        .checked_sub(".local".len())
        .and_then(|at| host.split_at_checked(at))
        .filter(|(_, end)| end.eq_ignore_ascii_case(".local"));
    let other = settings.other_name.as_ref().and_then(|name| name.borrow().clone());
    let own = [Some(hostname), other.as_ref()];
    let mut own = own.into_iter().flatten().filter(|own| !own.is_empty());
    same("localhost")
        || same(hostname)
        || local.is_some_and(|(name, _)| own.any(|own| name.eq_ignore_ascii_case(own)))
        || settings.allowed_hosts.iter().any(|name| same(name))
}

fn source(
    settings: &Settings,
    headers: &HeaderMap,
    host: Option<&Authority>,
) -> Result<Source, Problem> {
    let mut lines = headers.get_all(ORIGIN).iter();
    let origin = match (lines.next(), lines.next()) {
        (None, _) => return Ok(Source::Unnamed),
        (Some(origin), None) => origin,
        _ => return Err(foreign()),
    };
    let text = origin.to_str().map_err(|_| foreign())?;
    if settings.cors.iter().any(|listed| listed.eq_ignore_ascii_case(text)) {
        return Ok(Source::Listed(origin.clone()));
    }
    let ours = text
        .strip_prefix("http://")
        .and_then(|rest| rest.parse::<Authority>().ok())
        .zip(host)
        .is_some_and(|(theirs, host)| {
            let port = |a: &Authority| a.port_u16().unwrap_or(80);
            theirs.host().eq_ignore_ascii_case(host.host()) && port(&theirs) == port(host)
        });
    if ours { Ok(Source::Here) } else { Err(foreign()) }
}

/// Whether the browser, if it tells, made the request from a page of ours, or because the user
/// went there: following a link from elsewhere is no danger, embedding us elsewhere is
/// (W3C Fetch Metadata Request Headers).
fn told_from_here(request: &Request) -> bool {
    let told = |name: &str| request.headers().get(name).map(HeaderValue::as_bytes);
    match told("sec-fetch-site") {
        None | Some(b"same-origin" | b"none") => true,
        Some(_) => {
            told("sec-fetch-mode") == Some(b"navigate")
                && told("sec-fetch-dest") == Some(b"document")
                && matches!(*request.method(), Method::GET | Method::HEAD)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use tokio::sync::watch;

    fn settings() -> Settings {
        Settings {
            hostname: "porch".into(),
            allowed_hosts: vec!["cam.example.org".into()],
            cors: vec!["https://wall.example.org".into()],
            ..Settings::default()
        }
    }

    fn ask(method: &str, headers: &[(&str, &str)]) -> Result<Source, StatusCode> {
        let mut request = Request::builder().method(method).uri("/offer");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        judge(&settings(), &request).map_err(|p| p.status)
    }

    #[test]
    fn a_name_that_is_not_ours_is_misdirected() {
        for host in [
            "192.0.2.1",
            "192.0.2.1:8000",
            "[2001:db8::1]:8000",
            "localhost:8000",
            "porch",
            "PORCH.local:80",
            "porch.local.",
            "cam.example.org",
        ] {
            assert_eq!(ask("GET", &[("host", host)]), Ok(Source::Unnamed), "{host}");
        }
        for host in ["evil.example", "porch.evil.example", ".local", "local", "xporch.local"] {
            let status = StatusCode::MISDIRECTED_REQUEST;
            assert_eq!(ask("GET", &[("host", host)]), Err(status), "{host}");
        }
    }

    #[test]
    fn the_name_that_was_taken_for_want_of_the_own_one_is_ours_as_long_as_it_is() {
        let (names, other_name) = watch::channel(None);
        let settings = Settings { other_name: Some(other_name), ..settings() };
        let ours = |host| is_ours(&settings, host);
        assert!(!ours("porch-2.local"));
        names.send_replace(Some("porch-2".to_owned()));
        assert!(ours("porch-2.local") && ours("PORCH-2.local.") && ours("porch.local"));
        assert!(!ours("porch-2") && !ours("porch-3.local") && !ours("porch-2.example"));
        names.send_replace(Some("porch-3".to_owned()));
        assert!(ours("porch-3.local") && !ours("porch-2.local"));
    }

    #[test]
    fn a_request_names_one_host() {
        for hosts in [&[][..], &["porch", "porch"], &["a@porch"], &["po rch"], &[""]] {
            let headers: Vec<_> = hosts.iter().map(|h| ("host", *h)).collect();
            assert_eq!(ask("GET", &headers), Err(StatusCode::BAD_REQUEST), "{hosts:?}");
        }
    }

    #[test]
    fn only_pages_from_here_and_from_listed_origins_may_ask() {
        let from = |origin| ask("POST", &[("host", "porch:8000"), ("origin", origin)]);
        assert_eq!(from("http://porch:8000"), Ok(Source::Here));
        assert!(matches!(from("https://wall.example.org"), Ok(Source::Listed(_))));
        for origin in [
            "null",
            "",
            "http://porch",
            "https://porch:8000",
            "http://evil.example",
            "http://porch:8000.evil.example",
            "https://wall.example.org.evil.example",
        ] {
            assert_eq!(from(origin), Err(StatusCode::FORBIDDEN), "{origin}");
        }
    }

    #[test]
    fn other_sites_may_link_here_but_not_embed() {
        let from = |method, site, mode, dest| {
            ask(
                method,
                &[
                    ("host", "porch"),
                    ("sec-fetch-site", site),
                    ("sec-fetch-mode", mode),
                    ("sec-fetch-dest", dest),
                ],
            )
        };
        assert!(from("GET", "none", "navigate", "document").is_ok());
        assert!(from("GET", "same-origin", "no-cors", "image").is_ok());
        assert!(from("GET", "cross-site", "navigate", "document").is_ok());
        for (method, site, mode, dest) in [
            ("GET", "cross-site", "no-cors", "image"),
            ("GET", "same-site", "no-cors", "image"),
            ("GET", "cross-site", "navigate", "iframe"),
            ("POST", "cross-site", "navigate", "document"),
        ] {
            let refused = Err(StatusCode::FORBIDDEN);
            assert_eq!(from(method, site, mode, dest), refused, "{site} {dest}");
        }
    }
}
