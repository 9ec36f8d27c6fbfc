//! The web server as its clients see it: signalling, the API, pages, and what is added to it.

mod common;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::client::{Reply, ask, get};
use common::daemon::wait_for;
use common::peer::Offered;
use common::test_server::{Source, TestServer, TestServerOptions};
use picket::http::axum::body::{Body, Bytes};
use picket::http::axum::http::HeaderValue;
use picket::http::axum::http::header::SERVER;
use picket::http::axum::response::Response;
use picket::http::axum::routing::{get as serve, post as take};
use picket::http::axum::{Router, middleware};
use picket::http::{Access, ExtraRoutes, RouteError, listing};
use picket::testing::http::{HttpSettings, Sharing, Snapshotter};
use picket::testing::site::{Mount, Site};
use picket::testing::stills::{NoPicture, Still, Wish};
use serde_json::{Value, json};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const BROWSER: (&str, &str) = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");

fn offer(to: SocketAddr, method: &str, body: &Value) -> Reply {
    ask(to, method, "/offer", &[JSON], &body.to_string())
}

#[test]
fn an_offer_is_answered_by_post_and_by_get_with_a_body() {
    let server = TestServer::new();
    for method in ["POST", "GET"] {
        let offered = Offered::new();
        let body = json!({ "sdp": offered.sdp, "type": "offer", "more": 1 });
        let reply = offer(server.address, method, &body);
        assert_eq!(reply.status, 200, "{reply:?}");
        let answer = reply.json();
        assert_eq!(answer["type"], "answer");
        assert_eq!(
            answer["resource"],
            format!("whep/{}", answer["session"].as_str().expect("a name"))
        );
        let mut peer = offered.accept(answer["sdp"].as_str().expect("an answer"), None);
        peer.run_until("a picture", |seen| seen.pictures > 0);
    }
}

#[test]
fn a_bad_offer_is_a_400_that_says_what_and_where() {
    let server = TestServer::new();
    let good = Offered::new().sdp;
    for (body, says) in [
        (String::new(), "expected JSON such as {\"sdp\""),
        ("{".into(), "line 1 column 1"),
        ("[]".into(), "expected JSON such as"),
        (json!({ "type": "offer" }).to_string(), "missing field `sdp`"),
        (json!({ "sdp": 5, "type": "offer" }).to_string(), "expected a string"),
        (json!({ "sdp": good, "type": "answer" }).to_string(), "expected \"type\": \"offer\""),
        (json!({ "sdp": "v=0\nx", "type": "offer" }).to_string(), "line 2"),
        (format!("{{\"x\":{}", "[".repeat(60_000)), "EOF while parsing a list"),
        (good.clone(), "expected JSON such as"),
    ] {
        let reply = ask(server.address, "POST", "/offer", &[JSON], &body);
        assert_eq!(reply.status, 400, "{body}");
        assert!(reply.detail().contains(says), "{}", reply.detail());
    }
    let body = json!({ "sdp": good, "type": "offer" }).to_string();
    for kind in ["text/plain", "multipart/form-data", "application/x-www-form-urlencoded"] {
        let reply = ask(server.address, "POST", "/offer", &[("Content-Type", kind)], &body);
        assert_eq!(reply.status, 415, "{kind}");
    }
    assert_eq!(get(server.address, "/offer").status, 400);
    assert_eq!(offer(server.address, "HEAD", &json!({ "sdp": good, "type": "offer" })).status, 400);
    assert_eq!(server.webrtc.totals().offers_accepted, 0);
}

#[test]
fn a_body_past_64_kib_is_too_large() {
    let server = TestServer::new();
    let body = format!("\"{}\"", "x".repeat(64 * 1024));
    for path in ["/offer", "/close_connection"] {
        assert_eq!(ask(server.address, "POST", path, &[JSON], &body).status, 413, "{path}");
    }
    let sdp = ("Content-Type", "application/sdp");
    assert_eq!(ask(server.address, "POST", "/whep", &[sdp], &body).status, 413);
    let chunked = format!(
        "POST /offer HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let reply = Reply::parse(&common::client::raw(server.address, chunked.as_bytes()));
    assert_eq!(reply.status, 413);
}

#[test]
fn without_a_source_or_room_an_offer_is_told_when_to_come_back() {
    let ended = TestServer::build(TestServerOptions {
        source: Source::Ended,
        ..TestServerOptions::default()
    });
    let full =
        TestServer::build(TestServerOptions { max_viewers: 0, ..TestServerOptions::default() });
    for (server, status) in [(ended, 409), (full, 503)] {
        let body = json!({ "sdp": Offered::new().sdp, "type": "offer" });
        let reply = offer(server.address, "POST", &body);
        assert_eq!(reply.status, status);
        assert!(reply.header("retry-after").parse::<u32>().expect("seconds") > 0);
    }
}

fn connected(server: &TestServer) -> usize {
    server.webrtc.totals().connected
}

#[test]
fn close_connection_ends_the_session_where_there_is_one_viewer_at_a_time() {
    let server = TestServer::build(TestServerOptions {
        settings: HttpSettings { sharing: Sharing::Single, ..HttpSettings::default() },
        ..TestServerOptions::default()
    });
    let offered = Offered::new();
    let body = json!({ "sdp": offered.sdp, "type": "offer" });
    let answer = offer(server.address, "POST", &body).json();
    let mut peer = offered.accept(answer["sdp"].as_str().expect("an answer"), None);
    peer.run_until("a picture", |seen| seen.pictures > 0);
    let close = |body: &str| ask(server.address, "POST", "/close_connection", &[JSON], body);
    for (i, zero) in ["0", "0.0", "false"].into_iter().enumerate() {
        assert_eq!(close(zero).body, "OK");
        assert_eq!(server.restarts.load(Ordering::SeqCst), i + 1);
        // The first picture may be here before those who count have heard of it.
        wait_for("the viewer is counted", || connected(&server) == 1);
    }
    assert_eq!(close("\"1\"").body, "OK");
    peer.run_until("goodbye", |seen| seen.closed);
    wait_for("nobody to be left", || connected(&server) == 0);
    assert_eq!(server.restarts.load(Ordering::SeqCst), 4);
    assert_eq!(close("").status, 400);
}

#[test]
fn close_connection_is_disabled_while_the_stream_is_shared() {
    let server = TestServer::new();
    let reply = ask(server.address, "POST", "/close_connection", &[JSON], "1");
    assert_eq!((reply.status, reply.body.as_str()), (200, "DISABLED"));
    assert_eq!(server.restarts.load(Ordering::SeqCst), 0);
}

#[test]
fn sessions_are_listed_paused_resumed_and_ended() {
    let server = TestServer::new();
    assert_eq!(get(server.address, "/api/v1/sessions").json(), json!([]));
    let offered = Offered::new();
    let body = json!({ "sdp": offered.sdp, "type": "offer" });
    let answer = offer(server.address, "POST", &body).json();
    let mut peer = offered.accept(answer["sdp"].as_str().expect("an answer"), None);
    peer.run_until("a picture", |seen| seen.pictures > 0);
    let id = answer["session"].as_str().expect("a name");
    // The first picture may be here before those who tell have heard of it.
    wait_for("the session is listed", || {
        let list = get(server.address, "/api/v1/sessions").json();
        list[0]["id"] == id && list[0]["connectionState"] == "connected"
    });

    let url = format!("/api/v1/sessions/{id}");
    let patch = |body: &str| ask(server.address, "PATCH", &url, &[JSON], body);
    let sender = |json: &Value| json["transceivers"][0]["sender"]["encodings"][0]["active"].clone();
    assert_eq!(sender(&get(server.address, &url).json()), true);
    assert_eq!(sender(&patch(r#"{"active": false}"#).json()), false);
    assert_eq!(sender(&patch("{}").json()), false);
    let merge = [("Content-Type", "application/merge-patch+json")];
    let resumed = ask(server.address, "PATCH", &url, &merge, r#"{"active": true}"#);
    assert_eq!(sender(&resumed.json()), true);
    let seen = peer.seen.pictures;
    peer.run_until("more pictures", |now| now.pictures > seen);
    let inactive = patch(r#"{"direction": "inactive"}"#).json();
    assert_eq!(inactive["transceivers"][0]["direction"], "inactive");

    for (body, says) in [
        (r#"{"activ": false}"#, "activ: "),
        (r#"{"active": 1}"#, "active: expected true or false"),
        (r#"{"direction": "sendrecv"}"#, "sendrecv is not possible"),
        (r#"{"direction": "recvonly"}"#, "recvonly is not possible"),
        (r#"{"direction": "up"}"#, "direction: expected sendonly or inactive"),
        ("[]", "expected JSON such as"),
    ] {
        let reply = patch(body);
        assert_eq!(reply.status, 400, "{body}");
        assert!(reply.detail().contains(says), "{}", reply.detail());
    }
    let delete = || ask(server.address, "DELETE", &url, &[], "").status;
    assert_eq!(delete(), 204);
    peer.run_until("goodbye", |seen| seen.closed);
    wait_for("the session to end", || delete() == 404);
    for path in ["x", "../status", &"g".repeat(32), &"A".repeat(32), &"0".repeat(33)] {
        assert_eq!(get(server.address, &format!("/api/v1/sessions/{path}")).status, 404, "{path}");
    }
}

#[test]
fn the_status_says_what_the_camera_does() {
    let server = TestServer::new();
    let status = get(server.address, "/api/v1/status").json();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["source"]["state"], "idle");
    assert_eq!(status["viewers"]["connected"], 0);
    let offered = Offered::new();
    let body = json!({ "sdp": offered.sdp, "type": "offer" });
    let answer = offer(server.address, "POST", &body).json();
    let mut peer = offered.accept(answer["sdp"].as_str().expect("an answer"), None);
    peer.run_until("a picture", |seen| seen.pictures > 0);
    // The first picture may be here before those who count have heard of it.
    wait_for("the viewer is counted", || {
        get(server.address, "/api/v1/status").json()["viewers"]["connected"] == 1
    });
    let status = get(server.address, "/api/v1/status").json();
    assert_eq!(status["source"]["state"], "live");
    assert_eq!(status["source"]["mode"]["encoder"], "openh264");
    assert_eq!(status["totals"]["offersAccepted"], 1);
    let clock = get(server.address, "/api/v1/clock").json();
    assert!(clock["now"].as_u64().expect("a time") > 1_500_000_000_000);
}

struct Fake(Result<Bytes, NoPicture>);

impl Snapshotter for Fake {
    fn still(
        &self,
        _: Wish,
    ) -> Pin<Box<dyn Future<Output = Result<Still, NoPicture>> + Send + '_>> {
        let still = self.0.clone().map(|jpeg| Still { jpeg, number: 1 });
        Box::pin(std::future::ready(still))
    }
}

#[test]
fn a_snapshot_is_a_picture_that_nobody_keeps() {
    let with = |still: Option<Fake>| {
        let server = TestServer::build(TestServerOptions {
            snapshots: still.map(|s| Arc::new(s) as Arc<dyn Snapshotter>),
            ..TestServerOptions::default()
        });
        get(server.address, "/snapshot.jpg")
    };
    let reply = with(Some(Fake(Ok(Bytes::from_static(b"jpeg")))));
    assert_eq!((reply.status, reply.body.as_str()), (200, "jpeg"));
    assert_eq!(reply.header("content-type"), "image/jpeg");
    assert_eq!(reply.header("cache-control"), "no-store");
    let reply = with(Some(Fake(Err(NoPicture("the camera is unplugged".into())))));
    assert_eq!((reply.status, reply.header("retry-after")), (503, "3"));
    assert!(reply.detail().contains("unplugged"));
    assert_eq!(with(None).status, 404);
}

#[test]
fn metrics_are_in_the_openmetrics_format() {
    let reply = get(TestServer::new().address, "/metrics");
    assert!(reply.header("content-type").starts_with("application/openmetrics-text"));
    assert!(reply.body.contains("\npicket_viewers{camera=\"main\"} 0"), "{}", reply.body);
    assert!(reply.body.contains("\npicket_offers_accepted_total{camera=\"main\"} 0\n"));
    assert!(reply.body.contains("\npicket_uptime_seconds "), "{}", reply.body);
    assert!(reply.body.ends_with("# EOF\n"));
}

#[test]
fn the_player_and_its_files_are_served() {
    let server = TestServer::new();
    let index = get(server.address, "/");
    assert_eq!(index.status, 200);
    assert!(index.header("content-type").starts_with("text/html"));
    assert!(index.body.contains("porch") && index.body.contains("/static/js/custom.js"));
    let file = get(server.address, "/static/js/custom.js");
    assert_eq!(file.status, 200);
    assert!(file.header("content-type").contains("javascript"));
    let etag = file.header("etag");
    for tags in [etag.to_owned(), format!("\"x\", W/{etag}"), "*".into()] {
        let headers = [("If-None-Match", tags.as_str())];
        let again = ask(server.address, "GET", "/static/js/custom.js", &headers, "");
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{tags}");
        assert_eq!(again.header("etag"), etag);
    }
    let head = ask(server.address, "HEAD", "/static/js/custom.js", &[], "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), file.body.len().to_string());
    for path in
        ["/static/none", "/static/../Cargo.toml", "/static/%2e%2e/Cargo.toml", "/static/%ff"]
    {
        assert_eq!(get(server.address, path).status, 404, "{path}");
    }
}

#[test]
fn the_owners_own_pages_and_folders_are_served() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("day.txt"), "sunny").expect("written");
    let mut site = Site::embedded();
    site.add_mount(Mount::new("/days", folder.path()).expect("a mount")).expect("added");
    site.add_page("/about", "index.html").expect("added");
    let server = TestServer::build(TestServerOptions { site, ..TestServerOptions::default() });
    assert_eq!(get(server.address, "/days/day.txt").body, "sunny");
    assert_eq!(get(server.address, "/days/night.txt").status, 404);
    assert!(get(server.address, "/about").body.contains("porch"));

    let mut site = Site::embedded();
    site.add_page("/metrics", "index.html").expect("the site knows no routes");
    let refused = TestServer::try_build(TestServerOptions { site, ..TestServerOptions::default() });
    assert!(matches!(refused, Err(RouteError::Shadows { .. })));
}

#[test]
fn browsers_get_pages_and_programs_get_problems() {
    let server = TestServer::new();
    let page = ask(server.address, "GET", "/no/%3Csuch%3E", &[BROWSER], "");
    assert_eq!(page.status, 404);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.body.contains("There is nothing here"), "{}", page.body);
    let problem = get(server.address, "/no/such");
    assert_eq!(
        (problem.status, problem.detail().as_str()),
        (404, "there is nothing at this address")
    );
    let page = ask(server.address, "PUT", "/offer", &[BROWSER], "");
    assert_eq!(page.status, 405);
    assert!(page.body.contains("<h1>That is not possible here</h1>"));
    assert_eq!(page.header("allow"), "GET,HEAD,POST");
}

#[test]
fn every_answer_tells_browsers_how_far_to_trust_it() {
    let server = TestServer::new();
    for (method, path, headers) in [
        ("GET", "/", &[][..]),
        ("GET", "/static/js/custom.js", &[]),
        ("GET", "/api/v1/status", &[]),
        ("GET", "/none", &[BROWSER]),
        ("GET", "/", &[("Host", "evil.example")]),
        ("POST", "/offer", &[("Origin", "null")]),
        ("DELETE", "/offer", &[]),
        ("OPTIONS", "/whep", &[]),
        ("GET", "/login", &[]),
    ] {
        let reply = ask(server.address, method, path, headers, "");
        let policy = reply.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{method} {path}");
        assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"));
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("referrer-policy"), "same-origin");
        assert_eq!(reply.all("cache-control").len(), 1, "{method} {path}");
    }
    assert_eq!(get(server.address, "/api/v1/sessions").header("cache-control"), "no-store");
}

#[test]
fn routes_mounts_and_middleware_can_be_added() {
    async fn stamp(mut response: Response) -> Response {
        response.headers_mut().insert(SERVER, HeaderValue::from_static("mine"));
        response
    }
    let mounted = Router::new().route("/door", serve(|| async { "door" }));
    let server = TestServer::build(TestServerOptions {
        extras: vec![
            ExtraRoutes::new(Access::Viewer)
                .route("/hello/{name}", take(|| async { "hello" }))
                .mount("/garden/", mounted),
        ],
        layers: vec![Box::new(|router| router.layer(middleware::map_response(stamp)))],
        ..TestServerOptions::default()
    });
    assert_eq!(ask(server.address, "POST", "/hello/you", &[], "").body, "hello");
    assert_eq!(get(server.address, "/garden/door").body, "door");
    assert_eq!(get(server.address, "/").header("server"), "mine");
    assert_eq!(get(server.address, "/garden/none").status, 404);
    let page: Response<Body> = server.ask_from(
        "192.0.2.7",
        picket::http::axum::http::Request::post("/hello/you")
            .header("host", "porch")
            .body(Body::empty())
            .expect("a request"),
    );
    assert_eq!(page.status(), 403);
}

#[test]
fn a_route_that_would_hide_another_is_refused() {
    let with = |extra: ExtraRoutes| {
        TestServer::try_build(TestServerOptions {
            extras: vec![extra],
            ..TestServerOptions::default()
        })
    };
    let hello = || serve(|| async { "hello" });
    let routes = || ExtraRoutes::new(Access::Open);
    assert!(matches!(with(routes().route("/offer", hello())), Err(RouteError::Shadows { .. })));
    let mounted = Router::new().route("/x", hello());
    assert!(matches!(with(routes().mount("/whep", mounted)), Err(RouteError::Shadows { .. })));
    let twice = routes().route("/{a}", hello()).route("/{b}", hello());
    assert_eq!(with(twice).err(), Some(RouteError::Duplicate("/{b}".into())));
}

#[test]
fn a_handler_that_panics_fails_alone() {
    async fn broken() -> &'static str {
        panic!("secret of the server")
    }
    let server = TestServer::build(TestServerOptions {
        extras: vec![ExtraRoutes::new(Access::Viewer).route("/broken", serve(broken))],
        ..TestServerOptions::default()
    });
    let reply = get(server.address, "/broken");
    assert_eq!(reply.status, 500);
    // Logging is off in this test, so that the words stay inside.
    assert!(!reply.body.contains("secret of the server"));
    assert!(reply.detail().contains("log"));
    let page = ask(server.address, "GET", "/broken", &[BROWSER], "");
    assert!(page.body.contains("This page could not be shown"), "{}", page.body);
    assert_eq!(get(server.address, "/").status, 200);
}

#[test]
fn the_listing_has_a_line_for_each_route() {
    let listing = listing();
    assert!(listing.lines().all(|l| l.split(' ').count() == 3), "{listing}");
    assert!(listing.contains("POST /whep viewer\n"));
    assert!(listing.contains("DELETE /api/v1/sessions/{id} owner\n"));
}
