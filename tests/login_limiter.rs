//! How often a password may be tried, and by whom first.

mod common;

use std::sync::atomic::Ordering;

use common::client::ask;
use common::test_server::{TestServer, TestServerOptions};
use picket::config::{Auth, Credentials, Password, Secret};
use picket::http::axum::body::Body;
use picket::http::axum::http::{Request, Response};

const PASSWORD: &str = "correct horse";

fn server() -> TestServer {
    let password = Some(Password::Plain(Secret::new(PASSWORD)));
    TestServer::build(TestServerOptions {
        auth: Auth::Set(Credentials { password, tokens: Vec::new() }),
        ..TestServerOptions::default()
    })
}

/// Tries a password from an address, as a browser with this cookie.
fn attempt(server: &TestServer, source: &str, cookie: &str, password: &str) -> Response<Body> {
    let request = Request::post("/login")
        .header("host", "porch")
        .header("cookie", cookie)
        .header("content-type", "application/json")
        .body(Body::from(format!("{{\"password\": \"{password}\"}}")));
    server.ask_from(source, request.expect("a request"))
}

/// A cookie that came with a reply, as it is sent back.
fn cookie(reply: &Response<Body>, name: &str) -> String {
    let given = reply.headers().get_all("set-cookie").iter().map(|v| v.to_str().expect("text"));
    let mut pairs = given.filter_map(|cookie| cookie.split(';').next());
    let ours = |pair: &&str| {
        let name_and_port = pair.split('=').next().unwrap_or_default();
        name_and_port.trim_end_matches(|c: char| c == '-' || c.is_ascii_digit()) == name
    };
    pairs.find(ours).expect("a cookie of that name").to_owned()
}

#[test]
fn guessing_is_limited_and_does_not_lock_the_owner_out() {
    let server = server();
    let attempt = |source: &str, password: &str| attempt(&server, source, "", password);
    for i in 0..10 {
        assert_eq!(attempt("192.0.2.66", "guess").status(), 401, "{i}");
        server.ahead.fetch_add(2, Ordering::SeqCst);
    }
    let refused = attempt("192.0.2.66", PASSWORD);
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "40");
    // The same address written as IPv6 is the same address.
    assert_eq!(attempt("::ffff:192.0.2.66", PASSWORD).status(), 429);
    assert_eq!(attempt("192.0.2.7", PASSWORD).status(), 204);
    server.ahead.fetch_add(60, Ordering::SeqCst);
    assert_eq!(attempt("192.0.2.66", PASSWORD).status(), 204);
}

#[test]
fn a_browser_that_has_signed_in_before_gets_in_however_many_guess() {
    let server = server();
    let attempt =
        |source: &str, cookie: &str, password: &str| attempt(&server, source, cookie, password);
    let first = attempt("192.0.2.7", "", PASSWORD);
    let browser = &cookie(&first, "picket-browser");
    assert_eq!(
        ask(server.address, "GET", "/", &[("Cookie", browser)], "").status,
        401,
        "it is no session"
    );
    // All tries that there are at once are used up, from the owner's own network too.
    server.ahead.fetch_add(2, Ordering::SeqCst);
    for n in 0..10 {
        assert_eq!(attempt(&format!("2001:db8::{n}"), "", "guess").status(), 401, "{n}");
    }
    assert_eq!(attempt("2001:db8::77", "", PASSWORD).status(), 429, "one network is one source");
    server.ahead.fetch_add(2, Ordering::SeqCst);
    assert_eq!(attempt("2001:db8::77", browser, PASSWORD).status(), 204);
}

#[test]
fn another_password_is_no_friend_of_who_knew_the_former() {
    let server = server();
    let first = attempt(&server, "192.0.2.7", "", PASSWORD);
    let browser = &cookie(&first, "picket-browser");
    server.auth.apply(&Auth::Set(Credentials {
        password: Some(Password::Plain(Secret::new("battery staple"))),
        tokens: Vec::new(),
    }));
    server.ahead.fetch_add(2, Ordering::SeqCst);
    // It counts as any other now: by its network.
    for n in 0..10 {
        assert_eq!(attempt(&server, "192.0.2.8", browser, "guess").status(), 401, "{n}");
        server.ahead.fetch_add(2, Ordering::SeqCst);
    }
    assert_eq!(attempt(&server, "192.0.2.8", "", "guess").status(), 429);
}

#[test]
fn signing_in_again_leaves_no_session_that_signing_out_does_not_end() {
    let server = server();
    let first = cookie(&attempt(&server, "192.0.2.7", "", PASSWORD), "picket");
    let second = cookie(&attempt(&server, "192.0.2.7", &first, PASSWORD), "picket");
    let status = |cookie: &str| ask(server.address, "GET", "/", &[("Cookie", cookie)], "").status;
    assert_eq!((status(&first), status(&second)), (401, 200));
}
