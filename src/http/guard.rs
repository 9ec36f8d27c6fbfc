//! Turns away what another web site sent.
//!
//! A camera stands inside the home network and is reached by browsers that also visit the rest
//! of the world. Three questions keep the world out, whoever is signed in: is the request
//! addressed to this device by a name of its own (else a site has pointed its own name at us:
//! DNS rebinding); does the page that makes it come from here or from a listed origin (else it
//! is forged: CSRF); and, where a browser tells (`Sec-Fetch-Site`), was it made from here even
//! though it names no origin, as for an image.
//!
//! A proxy in front changes what we see of a page of ours: it ends HTTPS, it has a port of its
//! own, and it may put another name in `Host`. Browsers tell `Sec-Fetch-Site` of what is encrypted
//! or on this machine, and no page can forge it, so that it settles the matter. Where it is not
//! told, the origin must be what the request is addressed to, or a name that
//! `http.allowed_hosts` lists; then a port tells nothing only if the request cannot have come
//! straight: pages of other programs on this machine have the same name, and SameSite cookies.

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HOST,
    ORIGIN, VARY,
};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Method, StatusCode, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::forwarded::{Malformed, Passage};
use super::names::is_ours;
use super::problem::Problem;
use super::serve::{OwnPort, Scheme};
use super::{HttpState, Peer, Settings, embed};

/// Where a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    /// No browser, or a browser's address line.
    Unnamed,
    /// A page of ours.
    Here(Page),
    /// A page of a listed origin.
    Listed(HeaderValue),
}

/// What is known of a page of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Page {
    /// Whether it came by HTTPS, as the browser sees it.
    secure: bool,
    /// The port in its address, where it names one.
    port: Option<u16>,
    named: Named,
}

/// Under which name a page of ours was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    /// The one that the request is addressed to.
    AsAddressed,
    /// Another of ours: a proxy has changed it.
    Otherwise,
    /// One that is not known to be ours; that the page is, the browser says.
    Unknown,
}

/// How whoever asks has come to us, which a proxy may hide.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Approach {
    /// By HTTPS, at least for the first part of the way.
    pub(super) secure: bool,
    /// The port in our address as they see it, or the one that we listen on where it names none.
    pub(super) port: Option<u16>,
    /// Whether a proxy has put another name in place of ours.
    pub(super) renamed: bool,
    /// Whether the name under which we were asked for is one of ours.
    pub(super) known: bool,
}

impl Approach {
    fn of(request: &Request, source: &Source) -> Self {
        let extensions = request.extensions();
        let https = extensions.get::<Peer>().is_some_and(|peer| peer.scheme == Scheme::Https);
        let page = match source {
            Source::Here(page) => Some(page),
            Source::Unnamed | Source::Listed(_) => None,
        };
        let told = extensions.get::<Passage>().and_then(|p| p.host.as_ref()?.as_ref().ok());
        let host = || told.cloned().or_else(|| host(request).ok().flatten());
        Self {
            secure: https || page.is_some_and(|page| page.secure),
            port: page
                .and_then(|page| page.port)
                .or_else(|| host()?.port_u16())
                .or_else(|| own_port(request)),
            renamed: page.is_some_and(|page| page.named != Named::AsAddressed),
            known: page.is_none_or(|page| page.named != Named::Unknown),
        }
    }
}

pub(super) async fn guard(
    State(state): State<HttpState>,
    mut request: Request,
    next: Next,
) -> Response {
    let source = match judge(&state.settings, &request) {
        Ok(source) => source,
        Err(problem) => return problem.into_response(),
    };
    let approach = Approach::of(&request, &source);
    request.extensions_mut().insert(approach);
    let asks_first = request.method() == Method::OPTIONS
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match &source {
        // A preflight carries no credentials, and asks for none.
        Source::Here(_) | Source::Listed(_) if asks_first => preflight(),
        _ => next.run(request).await,
    };
    if let Source::Listed(origin) = source {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.append(VARY, HeaderValue::from_static("Origin"));
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(
                "Accept-Patch, Accept-Post, ETag, Link, Location, Retry-After",
            ),
        );
    }
    response
}

fn preflight() -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, If-Match"),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn judge(settings: &Settings, request: &Request) -> Result<Source, Problem> {
    let host = host(request)?;
    let told = request.extensions().get::<Passage>().and_then(|p| p.host.clone());
    let told = told.transpose().map_err(|Malformed| misdirected())?;
    let names: Vec<Authority> = host.into_iter().chain(told).collect();
    if names.iter().any(|name| !is_ours(settings, name.host())) {
        return Err(misdirected());
    }
    let source = source(settings, request, &names)?;
    if source == Source::Unnamed && !told_from_here(request) && !embed::lets(settings, request) {
        return Err(foreign());
    }
    Ok(source)
}

fn misdirected() -> Problem {
    let detail = "this camera does not go by that name; add it to http.allowed_hosts";
    Problem::new(StatusCode::MISDIRECTED_REQUEST, detail)
}

fn foreign() -> Problem {
    let detail = "requests made by other web sites are refused; list theirs in http.cors if it \
                  is to be trusted, or in http.allowed_hosts if it is a proxy's name for this \
                  camera";
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

/// Where a request comes from that is addressed to `names`: in `Host`, and to the proxy.
fn source(settings: &Settings, request: &Request, names: &[Authority]) -> Result<Source, Problem> {
    let mut lines = request.headers().get_all(ORIGIN).iter();
    let origin = match (lines.next(), lines.next()) {
        (None, _) => return Ok(Source::Unnamed),
        (Some(origin), None) => origin,
        _ => return Err(foreign()),
    };
    let text = origin.to_str().map_err(|_| foreign())?;
    if settings.cors.iter().any(|listed| listed.eq_ignore_ascii_case(text)) {
        return Ok(Source::Listed(origin.clone()));
    }
    let origin = Origin::parse(text);
    match told(request, "sec-fetch-site") {
        Some(b"same-origin") => {
            // A page whose policy keeps its origin to itself says "null".
            let named = origin.as_ref().map_or(Named::Unknown, |o| o.named(settings, names));
            let (secure, port) =
                origin.map_or((false, None), |o| (o.secure, o.authority.port_u16()));
            Ok(Source::Here(Page { secure, port, named }))
        }
        None | Some(b"none") => {
            let page = origin.and_then(|o| o.is_of(settings, names, own_port(request)));
            page.map(Source::Here).ok_or_else(foreign)
        }
        Some(_) => Err(foreign()),
    }
}

/// The port that the request came to.
fn own_port(request: &Request) -> Option<u16> {
    request.extensions().get::<OwnPort>().map(|port| port.0)
}

/// A web origin (RFC 6454 §7).
struct Origin {
    secure: bool,
    authority: Authority,
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let (secure, authority) = match text.strip_prefix("https://") {
            Some(authority) => (true, authority),
            None => (false, text.strip_prefix("http://")?),
        };
        let authority: Authority = authority.parse().ok()?;
        (!authority.as_str().contains('@')).then_some(Self { secure, authority })
    }

    fn port_of(&self, authority: &Authority) -> u16 {
        authority.port_u16().unwrap_or(if self.secure { 443 } else { 80 })
    }

    fn named(&self, settings: &Settings, names: &[Authority]) -> Named {
        let own = self.authority.host();
        if names.iter().any(|name| name.host().eq_ignore_ascii_case(own)) {
            Named::AsAddressed
        } else if is_ours(settings, own) {
            Named::Otherwise
        } else {
            Named::Unknown
        }
    }

    /// Whether it is ours for a browser that does not say so itself.
    fn is_of(&self, settings: &Settings, names: &[Authority], port: Option<u16>) -> Option<Page> {
        let own = self.authority.host();
        let same = |name: &Authority| name.host().eq_ignore_ascii_case(own);
        let exact =
            |name: &Authority| same(name) && self.port_of(name) == self.port_of(&self.authority);
        let listed = settings.allowed_hosts.iter().any(|name| own.eq_ignore_ascii_case(name));
        // Another program on this machine has pages of the same name, which can send requests here
        // with the owner's cookie. Pages of another name cannot, nor those of HTTPS to what is not.
        let proxied = names.len() > 1 || names.iter().all(|name| !straight(name, port));
        let same = names.iter().any(same);
        let ours = names.iter().any(exact)
            || (same && proxied)
            || (listed && (self.secure || proxied || !same));
        let named = self.named(settings, names);
        ours.then_some(Page { secure: self.secure, port: self.authority.port_u16(), named })
    }
}

/// Whether a request to this name may have come straight to the port that we listen on.
fn straight(name: &Authority, port: Option<u16>) -> bool {
    port.is_none_or(|port| name.port_u16().unwrap_or(80) == port)
}

/// Whether the browser, if it tells, made the request from a page of ours, or because the user
/// went there: following a link from elsewhere is no danger, embedding us elsewhere is
/// (W3C Fetch Metadata Request Headers).
fn told_from_here(request: &Request) -> bool {
    let told = |name| told(request, name);
    match told("sec-fetch-site") {
        None | Some(b"same-origin" | b"none") => true,
        Some(_) => {
            told("sec-fetch-mode") == Some(b"navigate")
                && told("sec-fetch-dest") == Some(b"document")
                && matches!(*request.method(), Method::GET | Method::HEAD)
        }
    }
}

fn told<'a>(request: &'a Request, name: &str) -> Option<&'a [u8]> {
    request.headers().get(name).map(HeaderValue::as_bytes)
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
        ask_at(None, method, headers)
    }

    /// The same of a server that listens on that port.
    fn ask_at(
        port: Option<u16>,
        method: &str,
        headers: &[(&str, &str)],
    ) -> Result<Source, StatusCode> {
        let mut request = Request::builder().method(method).uri("/offer");
        if let Some(port) = port {
            request = request.extension(OwnPort(port));
        }
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
        for (origin, secure) in [("http://porch:8000", false), ("https://PORCH:8000", true)] {
            let page = Page { secure, port: Some(8000), named: Named::AsAddressed };
            assert_eq!(from(origin), Ok(Source::Here(page)));
        }
        assert!(matches!(from("https://wall.example.org"), Ok(Source::Listed(_))));
        for origin in [
            "null",
            "",
            "http://porch",
            "https://porch",
            "https://porch:8001",
            "http://evil.example",
            "http://192.0.2.99",
            "http://localhost:8000",
            "http://u@porch:8000",
            "ftp://porch:8000",
            "http://porch:8000.evil.example",
            "https://wall.example.org.evil.example",
        ] {
            assert_eq!(from(origin), Err(StatusCode::FORBIDDEN), "{origin}");
        }
    }

    #[test]
    fn a_page_behind_a_proxy_is_ours_under_a_name_that_is_allowed() {
        let ours = |host, origin| {
            ask_at(Some(8000), "POST", &[("host", host), ("origin", origin)]).is_ok()
        };
        for (host, origin) in [
            // HTTPS ends at the proxy, which passes the name on, with a port or without.
            ("cam.example.org", "https://cam.example.org"),
            ("cam.example.org", "https://cam.example.org:8443"),
            ("cam.example.org:8443", "https://cam.example.org:8443"),
            ("cam.example.org:8000", "https://cam.example.org"),
            ("192.0.2.1", "https://192.0.2.1"),
            ("porch.local", "https://porch.local"),
            // The proxy puts its own name for us.
            ("127.0.0.1:8000", "https://cam.example.org"),
            ("127.0.0.1:8000", "http://cam.example.org:8080"),
            // No HTTPS, and a port of its own.
            ("cam.example.org", "http://cam.example.org:8080"),
        ] {
            assert!(ours(host, origin), "{host} {origin}");
        }
        for (host, origin) in [
            // Another program's page on this machine.
            ("cam.example.org:8000", "http://cam.example.org"),
            ("cam.example.org:8000", "http://cam.example.org:8080"),
            ("porch:8000", "http://porch:8080"),
            ("127.0.0.1:8000", "http://127.0.0.1:8080"),
            ("127.0.0.1:8000", "http://localhost:8080"),
            // Names that are somebody else's.
            ("127.0.0.1:8000", "https://evil.example"),
            ("127.0.0.1:8000", "https://192.0.2.99"),
            ("cam.example.org", "https://evil.example"),
            ("cam.example.org", "https://cam.example.org.evil.example"),
            ("cam.example.org", "https://cam.example.org@evil.example"),
            ("cam.example.org", "null"),
            // What the browser asked for is not ours.
            ("evil.example", "http://evil.example"),
            ("evil.example", "https://cam.example.org"),
        ] {
            assert!(!ours(host, origin), "{host} {origin}");
        }
        // On port 80 itself, a name without a port is no sign of a proxy.
        let headers = [("host", "cam.example.org"), ("origin", "http://cam.example.org:8080")];
        assert_eq!(ask_at(Some(80), "POST", &headers), Err(StatusCode::FORBIDDEN));
    }

    #[test]
    fn a_browser_that_says_where_a_page_is_from_is_believed() {
        let from = |host, origin, site| {
            let headers = [("host", host), ("origin", origin), ("sec-fetch-site", site)];
            ask_at(Some(8000), "POST", &headers)
        };
        let named = |host, origin| match from(host, origin, "same-origin") {
            Ok(Source::Here(page)) => page.named,
            other => panic!("{host} {origin} {other:?}"),
        };
        assert_eq!(named("porch:8000", "http://porch:9000"), Named::AsAddressed);
        assert_eq!(named("127.0.0.1:8000", "https://porch.local"), Named::Otherwise);
        assert_eq!(named("127.0.0.1:8000", "https://new.example"), Named::Unknown);
        assert_eq!(named("127.0.0.1:8000", "null"), Named::Unknown);
        // Nothing of ours answers to a name that is not ours.
        let rebound = from("evil.example", "http://evil.example", "same-origin");
        assert_eq!(rebound, Err(StatusCode::MISDIRECTED_REQUEST));
        for site in ["same-site", "cross-site", "", "Same-Origin", "same-origin, none"] {
            for origin in ["http://porch:8000", "https://cam.example.org", "null"] {
                let refused = Err(StatusCode::FORBIDDEN);
                assert_eq!(from("porch:8000", origin, site), refused, "{site} {origin}");
            }
        }
    }

    #[test]
    fn a_name_that_a_trusted_proxy_was_asked_for_must_be_ours_too() {
        let ask = |told: Result<&str, Malformed>, origin: &str| {
            let host = Some(told.map(|host| host.parse().unwrap()));
            let passage = Passage { proxied: true, host, ..Passage::default() };
            let request = Request::post("/offer")
                .header("host", "127.0.0.1:8000")
                .header("origin", origin)
                .extension(passage)
                .extension(OwnPort(8000));
            judge(&settings(), &request.body(Body::empty()).unwrap()).map_err(|p| p.status)
        };
        for origin in ["https://porch.local", "http://porch.local", "http://porch.local:8080"] {
            assert!(matches!(ask(Ok("porch.local"), origin), Ok(Source::Here(_))), "{origin}");
        }
        let misdirected = Err(StatusCode::MISDIRECTED_REQUEST);
        assert_eq!(ask(Ok("evil.example"), "https://evil.example"), misdirected);
        assert_eq!(ask(Err(Malformed), "https://porch.local"), misdirected);
        let refused = Err(StatusCode::FORBIDDEN);
        assert_eq!(ask(Ok("porch.local"), "https://evil.example"), refused);
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
