//! Who gets in, and from where: sign-in, tokens, and requests that other web sites send.

mod common;

use std::sync::atomic::Ordering;

use common::client::{Reply, ask, get};
use common::test_server::{TestServer, TestServerOptions};
use picket::config::{Auth as Setting, Credentials, Password, PasswordHash, Secret};
use picket::http::axum::Router;
use picket::http::axum::body::{Body, to_bytes};
use picket::http::axum::http::{Request, StatusCode};
use picket::http::axum::routing::get as get_route;
use picket::http::{Access, ExtraRoutes, listing};
use picket::testing::http::HttpSettings;

const PASSWORD: &str = "correct horse";
const TOKEN: &str = "zQ7-token-0123456789";
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("Content-Type", "application/json");
const BROWSER: (&str, &str) = ("Accept", "text/html");

fn password(password: &str) -> Setting {
    Setting::Set(Credentials {
        password: Some(Password::Plain(Secret::new(password))),
        tokens: vec![Secret::new(TOKEN)],
    })
}

fn server(auth: Setting) -> TestServer {
    TestServer::build(TestServerOptions { auth, ..TestServerOptions::default() })
}

fn sign_in(server: &TestServer, password: &str) -> Reply {
    let body = format!("{{\"password\": \"{password}\"}}");
    ask(server.address, "POST", "/login", &[JSON], &body)
}

/// Signs in, and gives the cookie as it is sent back.
fn cookie(server: &TestServer) -> String {
    let reply = sign_in(server, PASSWORD);
    assert_eq!(reply.status, 204, "{reply:?}");
    let set = reply.header("set-cookie").split(';').next();
    set.expect("a cookie").to_owned()
}

/// Each route, as it would be asked for.
fn routes() -> Vec<(String, String, String)> {
    let listing = listing();
    let routes = listing.lines().map(|line| {
        let mut words = line.split(' ').map(str::to_owned);
        let mut word = || words.next().expect("three words");
        (word(), word(), word())
    });
    routes
        .map(|(method, path, access)| {
            let path = path.replace("{*path}", "js/custom.js");
            let id = "0123456789abcdef0123456789abcdef";
            (method, path.replace("{name}", id).replace("{id}", id), access)
        })
        .collect()
}

fn from(
    server: &TestServer,
    source: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> StatusCode {
    let mut request = Request::builder().method(method).uri(path).header("host", "porch");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).expect("a request");
    server.ask_from(source, request).status()
}

#[test]
fn no_route_serves_a_stranger() {
    let foreign = cookie(&server(password(PASSWORD)));
    let set = server(password(PASSWORD));
    let expired = cookie(&set);
    set.ahead.fetch_add(31 * 24 * 3600, Ordering::SeqCst);
    let unset = server(Setting::Unset);
    let locked = server(Setting::Locked { why: "a key is misspelled".into() });
    let wrong = [
        vec![],
        vec![("cookie", foreign.as_str())],
        vec![("cookie", expired.as_str())],
        vec![("cookie", "picket=")],
        vec![("authorization", "Bearer zQ7-token-0123456780")],
        vec![("x-forwarded-for", "127.0.0.1"), ("forwarded", "for=127.0.0.1")],
    ];
    for (method, path, access) in routes() {
        for headers in &wrong {
            let statuses = [
                from(&set, "192.0.2.7", &method, &path, headers),
                from(&set, "127.0.0.1", &method, &path, headers),
                from(&unset, "192.0.2.7", &method, &path, headers),
                from(&unset, "2001:db8::7", &method, &path, headers),
                from(&locked, "192.0.2.7", &method, &path, headers),
                from(&locked, "127.0.0.1", &method, &path, headers),
            ];
            for status in statuses {
                let refused = status == 401 || status == 403;
                assert_eq!(refused, access != "open", "{method} {path} {headers:?} {status}");
            }
        }
    }
    // What is not there, and what is not possible, is not told apart either.
    for (method, path) in [("GET", "/none"), ("PUT", "/offer"), ("TRACE", "/"), ("GET", "/static/")]
    {
        assert_eq!(from(&set, "192.0.2.7", method, path, &[]), 401, "{method} {path}");
    }
}

#[test]
fn the_list_of_what_is_open_is_short() {
    let mut open: Vec<String> = routes()
        .into_iter()
        .filter(|(method, _, access)| access == "open" && method != "OPTIONS")
        .map(|(method, path, _)| format!("{method} {path}"))
        .collect();
    open.sort();
    let expected = [
        "GET /healthz",
        "GET /login",
        "GET /login.css",
        "GET /secure",
        "GET /secure/root.crt",
        "POST /login",
        "POST /setup",
    ];
    assert_eq!(open, expected);
    assert_eq!(get(server(password(PASSWORD)).address, "/healthz").body, "ok\n");
}

#[test]
fn a_token_lets_one_watch_and_nothing_else() {
    let server = server(password(PASSWORD));
    let bearer = format!("bearer {TOKEN}");
    for (method, path, access) in routes() {
        let status = from(&server, "192.0.2.7", &method, &path, &[("authorization", &bearer)]);
        match access.as_str() {
            "owner" => assert_eq!(status, 403, "{method} {path}"),
            _ => assert!(status != 401 && status != 403, "{method} {path} {status}"),
        }
    }
}

#[test]
fn the_owner_signs_in_does_everything_and_signs_out() {
    let server = server(password(PASSWORD));
    let reply = sign_in(&server, PASSWORD);
    assert_eq!(reply.status, 204);
    let set = reply.header("set-cookie");
    for attribute in ["; HttpOnly", "; SameSite=Strict", "; Path=/", "; Max-Age="] {
        assert!(set.contains(attribute), "{set}");
    }
    assert!(!set.contains("Secure"), "over plain HTTP a browser would drop it: {set}");
    let cookie = format!("other=1; {}", set.split(';').next().expect("a cookie"));
    let sessions =
        || ask(server.address, "GET", "/api/v1/sessions", &[("Cookie", &cookie)], "").status;
    assert_eq!(sessions(), 200);
    let out = ask(server.address, "POST", "/logout", &[("Cookie", &cookie)], "");
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(sessions(), 401);
}

#[test]
fn a_browser_signs_in_by_form_and_goes_on_where_it_was_going() {
    let server = server(password(PASSWORD));
    let page = ask(server.address, "GET", "/about", &[BROWSER], "");
    assert_eq!(page.status, 401);
    assert!(page.body.contains("name=\"next\" value=\"&#x2f;about\""), "{}", page.body);
    assert!(page.all("www-authenticate").len() <= 1);
    let wrong =
        ask(server.address, "POST", "/login", &[FORM, BROWSER], "password=wrong&next=/about");
    assert_eq!(wrong.status, 401);
    assert!(wrong.body.to_lowercase().contains("that is not the password"), "{}", wrong.body);
    for (next, location) in [("%2Fabout", "./about"), ("%2F%2Fevil.example", "./"), ("", "./")] {
        let body = format!("password=correct+horse&next={next}");
        let right = ask(server.address, "POST", "/login", &[FORM, BROWSER], &body);
        assert_eq!((right.status, right.header("location")), (303, location));
        let name = format!("picket-{}=", server.address.port());
        assert!(right.header("set-cookie").starts_with(&name));
    }
}

#[test]
fn a_hash_works_as_well_as_the_password() {
    let hash = PasswordHash::of(PASSWORD).expect("hashed");
    let server = server(Setting::Set(Credentials {
        password: Some(Password::Hash(hash)),
        tokens: Vec::new(),
    }));
    assert_eq!(sign_in(&server, "correct horsf").status, 401);
    assert_eq!(sign_in(&server, PASSWORD).status, 204);
}

#[test]
fn an_entry_that_is_none_is_refused() {
    let server = server(password(PASSWORD));
    for (kind, body, status) in [
        (JSON, "{}", 400),
        (JSON, "", 400),
        (FORM, "passwort=x", 400),
        (("Content-Type", "text/plain"), PASSWORD, 415),
    ] {
        assert_eq!(ask(server.address, "POST", "/login", &[kind], body).status, status, "{body}");
    }
}

#[test]
fn the_first_password_is_set_from_near_and_is_none_that_everybody_tries() {
    let server = server(Setting::Unset);
    let ask_from =
        |source: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
            let mut request =
                Request::builder().method(method).uri(path).header("host", "192.0.2.1");
            for (name, value) in headers.iter().chain([&FORM, &BROWSER]) {
                request = request.header(*name, *value);
            }
            let request = request.body(Body::from(body.to_owned())).expect("a request");
            let (head, body) = server.ask_from(source, request).into_parts();
            let body = server.runtime.block_on(to_bytes(body, usize::MAX)).expect("a body");
            (head.status, String::from_utf8_lossy(&body).into_owned())
        };
    let good = "password=correct+horse";
    for (source, headers) in [
        ("203.0.113.9", &[][..]),
        ("2001:db8:77::9", &[]),
        // A proxy that nobody trusts speaks for who knows whom.
        ("192.168.1.7", &[("x-forwarded-for", "192.168.1.9")]),
        ("127.0.0.1", &[("x-forwarded-for", "203.0.113.9")]),
    ] {
        for (method, path, body) in
            [("GET", "/", ""), ("GET", "/login", ""), ("POST", "/setup", good)]
        {
            let (status, page) = ask_from(source, method, path, headers, body);
            let told = if path == "/login" { 200 } else { 403 };
            assert_eq!(status, told, "{source} {method} {path}");
            assert!(page.contains("own network:") && !page.contains("<form"), "{page}");
        }
    }
    for weak in ["password", "P4ssw0rd!", "12345678", "porch2026", "aaaaaaaa"] {
        let (status, page) =
            ask_from("192.168.1.7", "POST", "/setup", &[], &format!("password={weak}"));
        assert_eq!(status, 400, "{weak}");
        assert!(page.contains("attackers try first") && page.contains("<form"), "{page}");
    }
    assert!(server.store.0.lock().unwrap().is_empty());
    assert_eq!(ask_from("fe80::7", "POST", "/setup", &[], good).0, 303);
}

#[test]
fn cookies_that_others_have_set_on_this_host_keep_nobody_out() {
    let server = server(password(PASSWORD));
    let good = cookie(&server);
    let others = "picket=x; picket-1=y; ".repeat(40);
    for before in [others.as_str(), "broken; ", "picket=; ", "\"quoted\"=1; "] {
        let status = ask(server.address, "GET", "/", &[("Cookie", &format!("{before}{good}"))], "");
        assert_eq!(status.status, 200, "{before}");
    }
}

#[test]
fn another_password_signs_everybody_out_and_another_token_does_not() {
    let server = server(password(PASSWORD));
    let cookie = cookie(&server);
    let status = || ask(server.address, "GET", "/", &[("Cookie", &cookie)], "").status;
    let Setting::Set(mut credentials) = password(PASSWORD) else { unreachable!() };
    credentials.tokens.clear();
    server.auth.apply(&Setting::Set(credentials));
    assert_eq!(status(), 200);
    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(ask(server.address, "GET", "/", &[("Authorization", &bearer)], "").status, 401);
    server.auth.apply(&password("another password"));
    assert_eq!(status(), 401);
    server.auth.apply(&password(PASSWORD));
    assert_eq!(status(), 401);
}

#[test]
fn without_a_password_this_machine_may_watch_and_others_may_set_one() {
    let server = server(Setting::Unset);
    assert_eq!(get(server.address, "/api/v1/sessions").status, 200);
    let ask_from = |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        let mut request = Request::builder().method(method).uri(path).header("host", "192.0.2.1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).expect("a request");
        let reply = server.ask_from("192.168.1.7", request);
        let (head, body) = reply.into_parts();
        let body = server.runtime.block_on(to_bytes(body, usize::MAX)).expect("a body");
        (head, String::from_utf8_lossy(&body).into_owned())
    };
    let (head, page) = ask_from("GET", "/", &[BROWSER], "");
    assert_eq!(head.status, 403);
    assert!(page.contains("action=\"./setup\"") && !page.contains("<video"));
    let (head, page) = ask_from("POST", "/setup", &[FORM, BROWSER], "password=short");
    assert_eq!(head.status, 400);
    assert!(page.contains("action=\"./setup\"") && page.contains("8 to 256"));
    assert!(server.store.0.lock().unwrap().is_empty());

    let (head, _) = ask_from("POST", "/setup", &[FORM, BROWSER], "password=correct+horse");
    assert_eq!(head.status, 303);
    let kept = server.store.0.lock().unwrap().clone();
    assert!(kept.len() == 1 && kept[0].starts_with("$argon2id$"), "{kept:?}");
    let cookie = head.headers["set-cookie"].to_str().expect("text").split(';').next();
    let (head, _) = ask_from("GET", "/", &[("cookie", cookie.expect("a cookie"))], "");
    assert_eq!(head.status, 200);

    let (head, _) = ask_from("POST", "/setup", &[FORM], "password=battery+staple");
    assert_eq!(head.status, 403);
    assert_eq!(server.store.0.lock().unwrap().len(), 1);
    assert_eq!(get(server.address, "/").status, 401);
    assert_eq!(sign_in(&server, PASSWORD).status, 204);
}

#[test]
fn two_cameras_on_one_host_do_not_sign_each_other_out() {
    let (one, other) = (server(password(PASSWORD)), server(password(PASSWORD)));
    let jar = format!("{}; {}", cookie(&one), cookie(&other));
    let status =
        |server: &TestServer| ask(server.address, "GET", "/", &[("Cookie", &jar)], "").status;
    assert_eq!((status(&one), status(&other)), (200, 200));
    let name = |cookie: &str| cookie.split('=').next().expect("a name").to_owned();
    let names: Vec<String> = jar.split("; ").map(name).collect();
    assert_ne!(names[0], names[1]);
    let out = ask(one.address, "POST", "/logout", &[("Cookie", &jar)], "");
    assert!(out.all("set-cookie").iter().all(|gone| name(gone) == names[0]), "{out:?}");
    assert_eq!((status(&one), status(&other)), (401, 200));
    // Behind a proxy it is the proxy's port that a browser tells hosts apart by.
    let body = format!("{{\"password\": \"{PASSWORD}\"}}");
    let behind = [JSON, ("Host", "porch"), ("Origin", "https://porch:8443")];
    let reply = ask(other.address, "POST", "/login", &behind, &body);
    assert!(reply.header("set-cookie").starts_with("picket-8443="), "{reply:?}");
}

#[test]
fn a_token_is_taken_as_the_password_of_http_basic() {
    let server = server(password(PASSWORD));
    let basic = |pair: &str| {
        use base64ct::{Base64, Encoding};
        format!("Basic {}", Base64::encode_string(pair.as_bytes()))
    };
    let status = |path: &str, pair: &str| {
        ask(server.address, "GET", path, &[("Authorization", &basic(pair))], "").status
    };
    for user in ["", "anybody", "ü"] {
        assert_eq!(status("/api/v1/status", &format!("{user}:{TOKEN}")), 200, "{user}");
    }
    for pair in ["", TOKEN, &format!("{TOKEN}:"), "user:", &format!("user:{PASSWORD}")] {
        assert_eq!(status("/api/v1/status", pair), 401, "{pair}");
    }
    assert_eq!(status("/api/v1/sessions", &format!("user:{TOKEN}")), 403);
    // Programs are told that it is possible; a browser would open a window that asks.
    let told = |headers: &[(&str, &str)]| {
        let reply = ask(server.address, "GET", "/snapshot.jpg", headers, "");
        assert_eq!(reply.status, 401);
        reply.all("www-authenticate").iter().any(|challenge| challenge.starts_with("Basic "))
    };
    assert!(told(&[]) && told(&[("User-Agent", "Lavf/61")]));
    assert!(!told(&[("User-Agent", "Mozilla/5.0 (X11)"), ("Accept", "*/*")]));
    assert!(!told(&[("Sec-Fetch-Site", "same-origin")]) && !told(&[BROWSER]));
}

#[test]
fn a_token_in_the_url_is_taken_for_pictures_where_that_is_allowed() {
    let with = |token_in_url| {
        let settings = HttpSettings { token_in_url, ..HttpSettings::default() };
        // An application of the owner's, where an address of ours is the end of one of its own.
        let pictures = Router::new().route("/stream.mjpg", get_route(async || "secret"));
        let extras = vec![ExtraRoutes::new(Access::Viewer).mount("/doors", pictures)];
        TestServer::build(TestServerOptions {
            settings,
            auth: password(PASSWORD),
            extras,
            ..TestServerOptions::default()
        })
    };
    let (allowed, plain) = (with(true), with(false));
    let url = format!("/snapshot.jpg?x=1&token={TOKEN}");
    // There is none to be had in this server.
    assert_eq!(get(allowed.address, &url).status, 404);
    assert_eq!(get(plain.address, &url).status, 401);
    for wrong in ["?token=", "?token=zQ7-token-0123456780", "?tokens=x", ""] {
        assert_eq!(get(allowed.address, &format!("/snapshot.jpg{wrong}")).status, 401, "{wrong}");
    }
    for picture in ["/stream.mjpg?fps=1", "/?action=stream", "/webcam/?action=snapshot"] {
        let url = format!("{picture}&token={TOKEN}");
        assert_ne!(get(allowed.address, &url).status, 401, "{url}");
        assert_eq!(get(plain.address, &url).status, 401, "{url}");
    }
    for path in [
        "/?action=none",
        "/?a=b",
        "/doors/stream.mjpg?a=b",
        "/api/v1/status?a=b",
        "/whep?a=b",
        "/metrics?a=b",
    ] {
        let url = format!("{path}&token={TOKEN}");
        assert_eq!(get(allowed.address, &url).status, 401, "{url}");
    }
}

#[test]
fn who_comes_by_a_proxy_is_not_this_machine() {
    let settings = HttpSettings {
        hostname: "porch".into(),
        trusted_proxies: vec!["127.0.0.1".parse().expect("an address")],
        ..HttpSettings::default()
    };
    let trusting =
        TestServer::build(TestServerOptions { settings, ..TestServerOptions::default() });
    let plain = server(Setting::Unset);
    for (server, trusted) in [(&plain, false), (&trusting, true)] {
        assert_eq!(from(server, "127.0.0.1", "GET", "/", &[]), 200, "{trusted}");
        for headers in [
            vec![("x-forwarded-for", "127.0.0.1")],
            vec![("x-forwarded-for", "192.0.2.7, 127.0.0.1")],
            vec![("forwarded", "for=127.0.0.1")],
            vec![("x-forwarded-proto", "https")],
            vec![("x-real-ip", "127.0.0.1")],
            vec![("via", "1.1 proxy")],
            // A proxy that says nothing but puts its own name for ours.
            vec![("origin", "https://new.example"), ("sec-fetch-site", "same-origin")],
        ] {
            let status = from(server, "127.0.0.1", "GET", "/", &headers);
            assert_eq!(status, 403, "{trusted} {headers:?}");
        }
    }
    let body = "password=correct+horse";
    let unknown = [FORM, ("Origin", "https://new.example"), ("Sec-Fetch-Site", "same-origin")];
    let reply = ask(plain.address, "POST", "/setup", &unknown, body);
    assert_eq!(reply.status, 421);
    assert!(reply.detail().contains("http.allowed_hosts"), "{}", reply.detail());
    assert!(plain.store.0.lock().unwrap().is_empty());
}

#[test]
fn a_cookie_of_a_page_that_came_by_https_is_secure() {
    let settings = HttpSettings {
        hostname: "porch".into(),
        trusted_proxies: vec!["127.0.0.1".parse().expect("an address")],
        ..HttpSettings::default()
    };
    let trusting = TestServer::build(TestServerOptions {
        settings,
        auth: password(PASSWORD),
        ..TestServerOptions::default()
    });
    let plain = server(password(PASSWORD));
    let secure = |server: &TestServer, headers: &[(&str, &str)]| {
        let body = format!("{{\"password\": \"{PASSWORD}\"}}");
        let headers = [&[JSON, ("Host", "porch")], headers].concat();
        let reply = ask(server.address, "POST", "/login", &headers, &body);
        assert_eq!(reply.status, 204, "{headers:?} {reply:?}");
        reply.header("set-cookie").contains("; Secure")
    };
    let told = [("X-Forwarded-Proto", "https")];
    assert!(secure(&trusting, &told) && !secure(&plain, &told));
    let standard = [("Forwarded", "for=192.0.2.7;proto=https")];
    assert!(secure(&trusting, &standard) && !secure(&plain, &standard));
    assert!(secure(&plain, &[("Origin", "https://porch")]));
    assert!(!secure(&plain, &[("Origin", "http://porch:80")]));
    assert!(!secure(&trusting, &[("X-Forwarded-Proto", "http")]));
}

#[test]
fn while_locked_nobody_gets_in_and_no_secret_gets_out() {
    let server = server(Setting::Locked { why: "line 3 of a file with canary-4711".into() });
    for (method, path) in [("GET", "/"), ("POST", "/login"), ("POST", "/setup")] {
        let reply = ask(server.address, method, path, &[JSON], "{\"password\": \"12345678\"}");
        assert_eq!(reply.status, 403, "{method} {path}");
        assert!(!reply.body.contains("canary"), "{}", reply.body);
    }
}

#[test]
fn the_page_to_sign_in_asks_for_what_there_is() {
    let page = |setting| get(server(setting).address, "/login").body;
    assert!(page(password(PASSWORD)).contains("Sign in to watch"));
    assert!(page(Setting::Unset).contains("action=\"./setup\""));
    let locked = page(Setting::Locked { why: "canary-4711".into() });
    assert!(locked.contains("Nobody can sign in") && !locked.contains("canary"), "{locked}");
    assert!(!locked.contains("<form"), "{locked}");
}

#[test]
fn a_name_that_is_not_the_cameras_leads_nowhere() {
    let server = server(Setting::Unset);
    for (_, path, _) in routes() {
        let reply = ask(server.address, "GET", &path, &[("Host", "rebound.evil.example")], "");
        assert_eq!(reply.status, 421, "{path}");
        let absolute = format!("http://rebound.evil.example{path}");
        let reply = ask(server.address, "GET", &absolute, &[("Host", "localhost")], "");
        assert!(matches!(reply.status, 400 | 421), "{path} {}", reply.status);
    }
}

#[test]
fn pages_of_other_sites_can_neither_read_nor_change_anything() {
    let server = TestServer::build(TestServerOptions {
        settings: HttpSettings {
            hostname: "porch".into(),
            cors: vec!["https://wall.example".into()],
            ..HttpSettings::default()
        },
        ..TestServerOptions::default()
    });
    let evil = [
        vec![("Origin", "https://evil.example")],
        vec![("Origin", "null")],
        vec![("Origin", "http://localhost:1")],
        vec![
            ("Sec-Fetch-Site", "cross-site"),
            ("Sec-Fetch-Mode", "no-cors"),
            ("Sec-Fetch-Dest", "image"),
        ],
        vec![
            ("Sec-Fetch-Site", "same-site"),
            ("Sec-Fetch-Mode", "cors"),
            ("Sec-Fetch-Dest", "empty"),
        ],
    ];
    for (method, path, _) in routes() {
        for headers in &evil {
            let reply = ask(server.address, &method, &path, headers, "");
            assert_eq!(reply.status, 403, "{method} {path} {headers:?}");
            assert!(reply.all("access-control-allow-origin").is_empty());
        }
    }
    for kind in ["text/plain", "multipart/form-data", "application/x-www-form-urlencoded"] {
        let headers = [("Origin", "https://evil.example"), ("Content-Type", kind)];
        for path in ["/close_connection", "/login", "/setup", "/offer"] {
            assert_eq!(
                ask(server.address, "POST", path, &headers, "1").status,
                403,
                "{path} {kind}"
            );
        }
    }
    assert!(server.store.0.lock().unwrap().is_empty());
    assert_eq!(server.restarts.load(Ordering::SeqCst), 0);
}

#[test]
fn a_listed_origin_may_ask_first_and_then_ask() {
    let server = TestServer::build(TestServerOptions {
        settings: HttpSettings {
            cors: vec!["https://wall.example".into()],
            ..HttpSettings::default()
        },
        auth: password(PASSWORD),
        ..TestServerOptions::default()
    });
    let first = |origin: &str| {
        let headers = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "authorization,content-type"),
        ];
        ask(server.address, "OPTIONS", "/whep", &headers, "")
    };
    let reply = first("https://wall.example");
    assert_eq!(reply.status, 204);
    assert_eq!(reply.header("access-control-allow-origin"), "https://wall.example");
    assert!(reply.header("access-control-allow-headers").contains("Authorization"));
    assert!(reply.all("access-control-allow-credentials").is_empty());
    assert_eq!(reply.header("vary"), "Origin");
    assert_eq!(first("https://evil.example").status, 403);
    let headers = [
        ("Origin", "https://wall.example"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Authorization", &*format!("Bearer {TOKEN}")),
    ];
    let reply = ask(server.address, "GET", "/api/v1/status", &headers, "");
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("access-control-allow-origin"), "https://wall.example");
    assert!(reply.header("access-control-expose-headers").contains("Location"));
}
