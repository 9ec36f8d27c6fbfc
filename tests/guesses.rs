//! How often a password may be tried, and by whom first.

mod common;

use std::sync::atomic::Ordering;

use common::client::ask;
use common::house::{House, Plan};
use picket::config::{Auth, Credentials, Password, Secret};
use picket::http::axum::body::Body;
use picket::http::axum::http::{Request, Response};

const PASSWORD: &str = "correct horse";

fn house() -> House {
    let password = Some(Password::Plain(Secret::new(PASSWORD)));
    House::build(Plan {
        auth: Auth::Set(Credentials { password, tokens: Vec::new() }),
        ..Plan::default()
    })
}

/// Tries a password from an address, as a browser with this cookie.
fn attempt(house: &House, source: &str, cookie: &str, password: &str) -> Response<Body> {
    let request = Request::post("/login")
        .header("host", "porch")
        .header("cookie", cookie)
        .header("content-type", "application/json")
        .body(Body::from(format!("{{\"password\": \"{password}\"}}")));
    house.ask_from(source, request.expect("a request"))
}

#[test]
fn guessing_is_limited_and_does_not_lock_the_owner_out() {
    let house = house();
    let attempt = |source: &str, password: &str| attempt(&house, source, "", password);
    for i in 0..10 {
        assert_eq!(attempt("192.0.2.66", "guess").status(), 401, "{i}");
        house.ahead.fetch_add(2, Ordering::SeqCst);
    }
    let refused = attempt("192.0.2.66", PASSWORD);
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "40");
    // The same address written as IPv6 is the same address.
    assert_eq!(attempt("::ffff:192.0.2.66", PASSWORD).status(), 429);
    assert_eq!(attempt("192.0.2.7", PASSWORD).status(), 204);
    house.ahead.fetch_add(60, Ordering::SeqCst);
    assert_eq!(attempt("192.0.2.66", PASSWORD).status(), 204);
}

#[test]
fn a_browser_that_has_signed_in_before_gets_in_however_many_guess() {
    let house = house();
    let attempt =
        |source: &str, cookie: &str, password: &str| attempt(&house, source, cookie, password);
    let first = attempt("192.0.2.7", "", PASSWORD);
    let given: Vec<&str> =
        first.headers().get_all("set-cookie").iter().map(|v| v.to_str().expect("text")).collect();
    let browser = given.iter().find(|cookie| cookie.starts_with("picket-browser"));
    let browser = browser.expect("a cookie that says so").split(';').next().expect("a pair");
    assert_eq!(
        ask(house.address, "GET", "/", &[("Cookie", browser)], "").status,
        401,
        "it is no session"
    );
    // All tries that there are at once are used up, from the owner's own network too.
    house.ahead.fetch_add(2, Ordering::SeqCst);
    for n in 0..10 {
        assert_eq!(attempt(&format!("2001:db8::{n}"), "", "guess").status(), 401, "{n}");
    }
    assert_eq!(attempt("2001:db8::77", "", PASSWORD).status(), 429, "one network is one source");
    house.ahead.fetch_add(2, Ordering::SeqCst);
    assert_eq!(attempt("2001:db8::77", browser, PASSWORD).status(), 204);
}

#[test]
fn another_password_is_no_friend_of_who_knew_the_former() {
    let house = house();
    let first = attempt(&house, "192.0.2.7", "", PASSWORD);
    let given: Vec<&str> =
        first.headers().get_all("set-cookie").iter().map(|v| v.to_str().expect("text")).collect();
    let browser = given.iter().find(|cookie| cookie.starts_with("picket-browser"));
    let browser = browser.expect("a cookie").split(';').next().expect("a pair");
    house.auth.apply(&Auth::Set(Credentials {
        password: Some(Password::Plain(Secret::new("battery staple"))),
        tokens: Vec::new(),
    }));
    house.ahead.fetch_add(2, Ordering::SeqCst);
    // It counts as any other now: by its network.
    for n in 0..10 {
        assert_eq!(attempt(&house, "192.0.2.8", browser, "guess").status(), 401, "{n}");
        house.ahead.fetch_add(2, Ordering::SeqCst);
    }
    assert_eq!(attempt(&house, "192.0.2.8", "", "guess").status(), 429);
}

#[test]
fn signing_in_again_leaves_no_session_that_signing_out_does_not_end() {
    let house = house();
    let session = |reply: &Response<Body>| {
        let set = reply.headers()["set-cookie"].to_str().expect("text");
        set.split(';').next().expect("a pair").to_owned()
    };
    let first = session(&attempt(&house, "192.0.2.7", "", PASSWORD));
    let second = session(&attempt(&house, "192.0.2.7", &first, PASSWORD));
    let status = |cookie: &str| ask(house.address, "GET", "/", &[("Cookie", cookie)], "").status;
    assert_eq!((status(&first), status(&second)), (401, 200));
}
