//! Which requests pass.

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use tokio::sync::watch;

use super::check::check_request;
use super::origin::{HostMatch, OwnPage, RequestOrigin};
use crate::http::forwarded::{MalformedHost, ProxyInfo};
use crate::http::own_names::is_own_name;
use crate::http::peer::LocalPort;
use crate::http::settings::HttpSettings;

fn settings() -> HttpSettings {
    HttpSettings {
        hostname: "porch".into(),
        allowed_hosts: vec!["cam.example.org".into()],
        cors: vec!["https://wall.example.org".into()],
        ..HttpSettings::default()
    }
}

fn ask(method: &str, headers: &[(&str, &str)]) -> Result<RequestOrigin, StatusCode> {
    ask_at(None, method, headers)
}

/// The same of a server that listens on that port.
fn ask_at(
    port: Option<u16>,
    method: &str,
    headers: &[(&str, &str)],
) -> Result<RequestOrigin, StatusCode> {
    let mut request = Request::builder().method(method).uri("/offer");
    if let Some(port) = port {
        request = request.extension(LocalPort(port));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    check_request(&settings(), &request).map_err(|p| p.status)
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
        assert_eq!(ask("GET", &[("host", host)]), Ok(RequestOrigin::None), "{host}");
    }
    for host in ["evil.example", "porch.evil.example", ".local", "local", "xporch.local"] {
        let status = StatusCode::MISDIRECTED_REQUEST;
        assert_eq!(ask("GET", &[("host", host)]), Err(status), "{host}");
    }
}

#[test]
fn the_name_that_was_taken_for_want_of_the_own_one_is_ours_as_long_as_it_is() {
    let (names, other_name) = watch::channel(None);
    let settings = HttpSettings { other_name: Some(other_name), ..settings() };
    let ours = |host| is_own_name(&settings, host);
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
        let page = OwnPage { secure, port: Some(8000), named: HostMatch::AsAddressed };
        assert_eq!(from(origin), Ok(RequestOrigin::SameOrigin(page)));
    }
    assert!(matches!(from("https://wall.example.org"), Ok(RequestOrigin::Allowed(_))));
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
    let ours =
        |host, origin| ask_at(Some(8000), "POST", &[("host", host), ("origin", origin)]).is_ok();
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
        Ok(RequestOrigin::SameOrigin(page)) => page.named,
        other => panic!("{host} {origin} {other:?}"),
    };
    assert_eq!(named("porch:8000", "http://porch:9000"), HostMatch::AsAddressed);
    assert_eq!(named("127.0.0.1:8000", "https://porch.local"), HostMatch::OtherName);
    assert_eq!(named("127.0.0.1:8000", "https://new.example"), HostMatch::Unknown);
    assert_eq!(named("127.0.0.1:8000", "null"), HostMatch::Unknown);
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
    let ask = |told: Result<&str, MalformedHost>, origin: &str| {
        let host = Some(told.map(|host| host.parse().unwrap()));
        let proxy = ProxyInfo { proxied: true, host, ..ProxyInfo::default() };
        let request = Request::post("/offer")
            .header("host", "127.0.0.1:8000")
            .header("origin", origin)
            .extension(proxy)
            .extension(LocalPort(8000));
        check_request(&settings(), &request.body(Body::empty()).unwrap()).map_err(|p| p.status)
    };
    for origin in ["https://porch.local", "http://porch.local", "http://porch.local:8080"] {
        assert!(
            matches!(ask(Ok("porch.local"), origin), Ok(RequestOrigin::SameOrigin(_))),
            "{origin}"
        );
    }
    let misdirected = Err(StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(ask(Ok("evil.example"), "https://evil.example"), misdirected);
    assert_eq!(ask(Err(MalformedHost), "https://porch.local"), misdirected);
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
