//! What the owner of a device does on it, by its API. The steward is a stand-in.

mod common;

use std::io::Write;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use common::client::{Reply, ask, connect, get, read_to_end};
use common::daemon::{Daemon, wait_for};
use common::steward::{StandIn, own_network, seen, sum};
use common::test_server::{TestServer, TestServerOptions};
use common::web::{Page, Web};
use picket::config::Update;
use picket::http::axum::body::{Body, to_bytes};
use picket::http::axum::http;
use picket::http::listing;
use picket::testing::appliance::{
    Device, JoinRequest, StewardClient, StewardRequest, UpdateOutcome, UpdateStatus,
};
use picket::testing::http::ServerLimits;
use serde_json::{Value, json};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const UPDATE: &str = "/api/v1/update";
const NETWORK: &str = "/api/v1/device/network";

fn put(to: SocketAddr, path: &str, body: &str) -> Reply {
    ask(to, "PUT", path, &[JSON], body)
}

fn post(to: SocketAddr, path: &str, body: &str) -> Reply {
    ask(to, "POST", path, &[JSON], body)
}

/// Begins an upload: its head, and nothing yet of its body.
fn begin(to: SocketAddr, length: u64) -> std::net::TcpStream {
    let mut stream = connect(to);
    let head = format!(
        "POST {UPDATE} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("sent");
    stream
}

/// Uploads all of it. An answer may come before the end.
fn upload(to: SocketAddr, bundle: &[u8]) -> Reply {
    let mut stream = begin(to, bundle.len() as u64);
    let _ = stream.write_all(bundle);
    Reply::parse(&read_to_end(&mut stream))
}

fn report(daemon: &Daemon) -> Value {
    daemon.get_json(UPDATE)
}

/// The routes of the device, each as it would be asked for.
fn routes() -> Vec<(String, String)> {
    let listing = listing();
    let rows = listing.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let ours = rows.filter(|row| {
        ["/device", "/api/v1/device", UPDATE].iter().any(|prefix| row[1].starts_with(prefix))
    });
    ours.map(|row| {
        assert_eq!(row[2], "owner", "{row:?}");
        (row[0].to_owned(), row[1].to_owned())
    })
    .collect()
}

#[test]
fn only_the_owner_gets_at_the_device_and_only_from_here() {
    let steward = StandIn::new();
    let token = "zQ7-token-0123456789";
    let tokens = format!("auth.tokens=[\"{token}\"]");
    let daemon = steward.daemon(&["auth.password=correct horse", &tokens]);
    let signed = post(daemon.http, "/login", r#"{"password": "correct horse"}"#);
    let cookie = signed.header("set-cookie").split(';').next().unwrap().to_owned();
    let bearer = format!("Bearer {token}");
    assert_eq!(routes().len(), 13);
    for (method, path) in routes() {
        let status =
            |headers: &[(&str, &str)]| ask(daemon.http, &method, &path, headers, "").status;
        assert_eq!(status(&[]), 401, "{method} {path}");
        assert_eq!(status(&[("Authorization", &bearer)]), 403, "{method} {path}");
        let owner = ("Cookie", cookie.as_str());
        for foreign in [
            &[("Origin", "http://evil.example")][..],
            &[("Origin", "null")],
            &[("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors")],
            &[("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Mode", "cors")],
        ] {
            let status = status(&[&[owner], foreign].concat());
            assert_eq!(status, 403, "{method} {path} {foreign:?}");
        }
    }
    assert_eq!(steward.asked(), []);
    let own = ask(daemon.http, "GET", "/device", &[("Cookie", &cookie)], "");
    assert_eq!(own.status, 200);
}

#[test]
fn a_picket_that_is_not_the_image_says_so() {
    let daemon = Daemon::start(&[]);
    for (method, path) in routes() {
        let reply = ask(daemon.http, &method, &path, &[JSON], "");
        assert_eq!(reply.status, 404, "{method} {path}");
        assert!(reply.detail().contains("not a Picket image"), "{method} {path}");
    }
    assert!(!get(daemon.http, "/").body.contains("/device"));
}

fn server_of(steward: &StandIn, limits: ServerLimits) -> TestServer {
    let device = Device::new(StewardClient::at(steward.socket()), Update::default());
    TestServer::build(TestServerOptions {
        device: Some(device),
        limits,
        ..TestServerOptions::default()
    })
}

#[test]
fn a_stranger_sets_the_password_first() {
    let steward = StandIn::new();
    let server = server_of(&steward, ServerLimits::default());
    let request = http::Request::builder().uri("/device").header("host", "porch");
    let request = request.header("accept", "text/html").body(Body::empty()).unwrap();
    let page = server.ask_from("192.168.4.10", request);
    let page = server.runtime.block_on(to_bytes(page.into_body(), 1 << 20)).unwrap();
    assert!(String::from_utf8_lossy(&page).contains("Set a password"));
    assert_eq!(steward.asked(), []);
}

#[test]
fn the_page_of_the_player_leads_its_owner_to_the_device() {
    let steward = StandIn::new();
    let tokens = r#"auth.tokens=["zQ7-token-0123456789"]"#;
    let daemon = steward.daemon(&[]);
    assert!(get(daemon.http, "/").body.contains("href=\"./device\""));
    let daemon = steward.daemon(&["auth.password=correct horse", tokens]);
    let bearer = [("Authorization", "Bearer zQ7-token-0123456789")];
    let viewer = ask(daemon.http, "GET", "/", &bearer, "");
    assert_eq!(viewer.status, 200);
    assert!(!viewer.body.contains("/device"), "{}", viewer.body);
}

#[test]
fn how_the_device_is_is_told_in_whole() {
    let steward = StandIn::new();
    let daemon = steward.daemon(&[]);
    steward.state().status.wifi = own_network();
    steward.state().status.found_as = Some("porch-2".into());
    let told = get(daemon.http, "/api/v1/device");
    assert_eq!(told.header("cache-control"), "no-store");
    let told = told.json();
    assert_eq!(told["hostname"], "porch");
    assert_eq!(told["foundAs"], "porch-2");
    assert_eq!(told["slot"], "A");
    assert_eq!(told["wifi"]["state"], "access-point");
    assert_eq!(told["wifi"]["key"], "abcd-efgh-jkmn-pqrs");
    assert_eq!(told["links"][0]["addresses"], json!(["192.168.1.7", "fd00::7"]));
    assert!(told["uptime"].as_f64().unwrap() > 0.0);
    assert_eq!(told["choice"], Value::Null);
    steward.state().log = vec!["one".into(), "<b>two</b>".into()];
    let log = daemon.get_json("/api/v1/device/log");
    assert_eq!(log, json!({ "lines": ["one", "<b>two</b>"] }));
}

#[test]
fn a_network_is_joined_as_it_was_chosen() {
    let steward = StandIn::new();
    let daemon = steward.daemon(&[]);
    steward.state().networks = vec![seen("home", -40, false), seen("\u{202e}$(x)\"", -80, true)];
    let networks = daemon.get_json("/api/v1/device/networks");
    assert_eq!(networks["networks"][1]["ssid"], "\u{202e}$(x)\"");
    let body = json!({
        "ssid": "\u{202e}$(x)\"", "password": "`reboot`;\n", "hidden": true, "country": "DE"
    });
    assert_eq!(put(daemon.http, NETWORK, &body.to_string()).status, 204);
    let join = JoinRequest {
        ssid: "\u{202e}$(x)\"".into(),
        password: Some("`reboot`;\n".into()),
        hidden: true,
        country: Some("DE".into()),
    };
    assert_eq!(steward.asked(), [StewardRequest::Networks, StewardRequest::Join(join)]);
    let choice = &daemon.get_json("/api/v1/device")["choice"];
    assert_eq!(choice["state"], "joined");
}

#[test]
fn a_network_that_is_not_joined_says_why_also_later() {
    let steward = StandIn::new();
    let daemon = steward.daemon(&[]);
    let why = "the password of “home” is wrong";
    steward.state().no_network = Some(why.into());
    let reply = put(daemon.http, NETWORK, r#"{"ssid": "home", "password": "12345678"}"#);
    assert_eq!((reply.status, reply.detail().as_str()), (422, why));
    let choice = &daemon.get_json("/api/v1/device")["choice"];
    assert_eq!(*choice, json!({ "ssid": "home", "state": "refused", "why": why }));
    for nonsense in ["", "[]", "{}", r#"{"ssid": 1}"#, r#"{"ssid": "a", "passwort": "b"}"#] {
        assert_eq!(put(daemon.http, NETWORK, nonsense).status, 400, "{nonsense}");
    }
    let plain = ask(daemon.http, "PUT", NETWORK, &[], r#"{"ssid": "a"}"#);
    assert_eq!(plain.status, 415);
    assert_eq!(steward.asked().len(), 1);
}

#[test]
fn a_steward_that_is_away_is_told() {
    let steward = StandIn::new();
    let daemon = steward.daemon(&[]);
    drop(steward);
    let reply = get(daemon.http, "/api/v1/device");
    assert_eq!(reply.status, 503);
    assert!(reply.detail().contains("steward does not respond"), "{}", reply.detail());
    assert_eq!(upload(daemon.http, b"bundle").status, 503);
}

#[test]
fn a_device_is_restarted_and_reset_only_when_that_is_meant() {
    let steward = StandIn::new();
    let daemon = steward.daemon(&[]);
    let reset = |body: &str| post(daemon.http, "/api/v1/device/reset", body).status;
    assert_eq!(reset(""), 400);
    assert_eq!(reset("{}"), 400);
    assert_eq!(reset(r#"{"confirm": true}"#), 400);
    assert_eq!(reset(r#"{"confirm": "picket"}"#), 422);
    assert_eq!(steward.asked(), []);
    assert_eq!(reset(r#"{"confirm": "porch"}"#), 202);
    assert_eq!(post(daemon.http, "/api/v1/device/restart", "").status, 202);
    assert_eq!(get(daemon.http, "/api/v1/device/restart").status, 405);
    assert_eq!(steward.asked(), [StewardRequest::Reset, StewardRequest::Restart]);
}

#[test]
fn an_upload_reaches_the_steward_whole_and_is_never_held() {
    let steward = StandIn::new();
    let daemon = steward.daemon(&[]);
    let bundle: Vec<u8> = (0..64_u32 << 20).map(|i| (i % 251) as u8).collect();
    // A device shows itself a picture when it starts, which takes memory of its own.
    let works = |r: &StewardRequest| matches!(r, StewardRequest::Report(report) if report.picture);
    wait_for("a first picture", || steward.state().asked.iter().any(works));
    let before = daemon.proc_status("VmHWM");
    let reply = upload(daemon.http, &bundle);
    assert_eq!((reply.status, reply.json()), (200, json!({ "installed": true })));
    let grown = daemon.proc_status("VmHWM").saturating_sub(before);
    println!("64 MB passed through {grown} kB more memory");
    assert!(grown < 16 * 1024, "{grown} kB");
    let state = steward.state();
    assert_eq!(state.bundles, [(bundle.len() as u64, sum(&bundle), true)]);
    assert_eq!(state.installed, 1);
}

#[test]
fn what_cannot_be_an_update_is_refused_before_it_is_sent() {
    let steward = StandIn::new();
    let daemon = steward.daemon(&[]);
    let mut large = begin(daemon.http, (200 << 20) + 1);
    let large = Reply::parse(&read_to_end(&mut large));
    assert_eq!((large.status, large.detail().as_str()), (413, "an update has at most 200 MB"));
    assert_eq!(upload(daemon.http, b"").status, 400);
    let mut chunked = connect(daemon.http);
    let head = format!(
        "POST {UPDATE} HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        daemon.http
    );
    chunked.write_all(head.as_bytes()).unwrap();
    assert_eq!(Reply::parse(&read_to_end(&mut chunked)).status, 411);
    steward.state().status.update.outcome = UpdateOutcome::Trying;
    let mut early = begin(daemon.http, 1000);
    let early = Reply::parse(&read_to_end(&mut early));
    assert_eq!((early.status, early.header("retry-after")), (409, "180"));
    assert_eq!(steward.asked(), []);
}

#[test]
fn one_update_at_a_time_and_its_progress_for_all() {
    let steward = StandIn::new();
    let daemon = steward.daemon(&[]);
    steward.state().hold = true;
    let mut first = begin(daemon.http, 6);
    wait_for("the first is under way", || report(&daemon)["installing"]["step"] == "receiving");
    assert_eq!(upload(daemon.http, b"second").status, 409);
    first.write_all(b"bundle").unwrap();
    wait_for("it is written", || report(&daemon)["installing"]["percent"] == 50);
    assert_eq!(upload(daemon.http, b"second").status, 409);
    steward.release();
    assert_eq!(Reply::parse(&read_to_end(&mut first)).status, 200);
    assert_eq!(report(&daemon)["installing"], Value::Null);
    assert_eq!(report(&daemon)["refused"], Value::Null);
}

#[test]
fn who_leaves_after_sending_everything_does_not_undo_it() {
    let steward = StandIn::new();
    let daemon = steward.daemon(&[]);
    steward.state().hold = true;
    let mut stream = begin(daemon.http, 6);
    stream.write_all(b"bundle").unwrap();
    wait_for("it is written", || report(&daemon)["installing"]["percent"] == 50);
    stream.shutdown(Shutdown::Both).unwrap();
    drop(stream);
    assert_eq!(report(&daemon)["installing"]["step"], "writing");
    steward.release();
    wait_for("it is installed", || steward.state().installed == 1);
    wait_for("nothing is under way", || report(&daemon)["installing"] == Value::Null);
}

#[test]
fn an_upload_that_breaks_off_leaves_everything_as_it_was() {
    let steward = StandIn::new();
    let daemon = steward.daemon(&[]);
    let mut stream = begin(daemon.http, 1_000_000);
    stream.write_all(&[7; 1000]).unwrap();
    wait_for("it has begun", || !steward.asked().is_empty());
    drop(stream);
    wait_for("the steward hears", || steward.state().bundles == [(1000, sum(&[7; 1000]), false)]);
    wait_for("nothing is under way", || report(&daemon)["installing"] == Value::Null);
    assert_eq!(report(&daemon)["refused"], "the update was not received completely");
    assert_eq!(steward.state().installed, 0);
    assert_eq!(upload(daemon.http, b"bundle").status, 200);
}

#[test]
fn an_upload_that_stalls_is_ended_and_one_that_is_only_slow_is_not() {
    let steward = StandIn::new();
    let impatient =
        ServerLimits { body_timeout: Duration::from_millis(100), ..ServerLimits::default() };
    let server = server_of(&steward, impatient);
    let mut stalled = begin(server.address, 1000);
    stalled.write_all(&[7; 100]).unwrap();
    let reply = Reply::parse(&read_to_end(&mut stalled));
    assert_eq!((reply.status, reply.header("connection")), (408, "close"));
    wait_for("the steward hears", || steward.state().bundles.len() == 1);

    // Longer in all than any one part may take.
    let stall = Duration::from_secs(3);
    let server =
        server_of(&steward, ServerLimits { body_timeout: stall, ..ServerLimits::default() });
    let mut slow = begin(server.address, 1 << 20);
    let began = std::time::Instant::now();
    for part in [7_u8; 1 << 20].chunks((1 << 20) / 32) {
        std::thread::sleep(stall / 30);
        slow.write_all(part).unwrap();
    }
    assert!(began.elapsed() > stall);
    assert_eq!(Reply::parse(&read_to_end(&mut slow)).status, 200);
}

#[test]
fn a_refusal_is_heard_by_who_is_still_sending() {
    let steward = StandIn::new();
    let daemon = steward.daemon(&[]);
    let why = "the update is for another board: picket-qemu, and this is picket-rpi64";
    for after in [0, 1 << 20, 8 << 20] {
        steward.state().no_update = Some((after, why.into()));
        let reply = upload(daemon.http, &vec![7; 8 << 20]);
        assert_eq!((reply.status, reply.detail().as_str()), (422, why), "{after}");
        assert_eq!(report(&daemon)["refused"], why);
    }
}

#[test]
fn what_became_of_the_last_update_is_told() {
    let steward = StandIn::new();
    let daemon = steward.daemon(&[]);
    let why = "no picture within 3 minutes";
    steward.state().status.update = UpdateStatus {
        version: Some("0.3.0".into()),
        outcome: UpdateOutcome::FellBack { why: why.into() },
    };
    let told = report(&daemon);
    assert_eq!(told["version"], "0.3.0");
    assert_eq!(told["outcome"], json!({ "state": "fell-back", "why": why }));
    assert_eq!(told["news"]["asks"], false);
    assert_eq!(post(daemon.http, "/api/v1/update/look", "").status, 409);
}

/// A device whose updates are announced at a server of the test.
fn announced(steward: &StandIn, announcement: &Page, bundle: &[u8]) -> (Web, Daemon) {
    let web = Web::start();
    web.serve("/bundle.raucb", Page::Bytes(bundle.to_vec()));
    web.serve("/picket", announcement.with("HERE", &web.url("")));
    let daemon = steward.daemon(&[&format!("update.url={}", web.url("/picket"))]);
    (web, daemon)
}

fn announcement(version: &str, size: usize) -> Page {
    let text = json!({ "version": version, "url": "HERE/bundle.raucb", "size": size });
    Page::Bytes(text.to_string().into_bytes())
}

#[test]
fn a_newer_version_is_offered_and_installed_when_its_owner_says_so() {
    let steward = StandIn::new();
    let bundle = vec![9; 300_000];
    let (_web, daemon) = announced(&steward, &announcement("0.3.0", bundle.len()), &bundle);
    let told = post(daemon.http, "/api/v1/update/look", "").json();
    assert_eq!(told["news"]["offer"], json!({ "version": "0.3.0", "size": 300_000 }));
    assert_eq!(told["news"]["problem"], Value::Null);
    let install = |version: &str| {
        post(daemon.http, "/api/v1/update/install", &format!("{{\"version\": \"{version}\"}}"))
    };
    assert_eq!(install("0.4.0").status, 409);
    assert_eq!(steward.asked(), []);
    assert_eq!(install("0.3.0").status, 202);
    wait_for("it is installed", || steward.state().installed == 1);
    assert_eq!(steward.state().bundles, [(300_000, sum(&bundle), true)]);
}

#[test]
fn what_is_not_newer_is_not_offered() {
    let steward = StandIn::new();
    let (web, daemon) = announced(&steward, &announcement("0.2.0", 6), b"bundle");
    let told = post(daemon.http, "/api/v1/update/look", "").json();
    assert_eq!(told["news"]["offer"], Value::Null);
    assert_eq!(told["news"]["problem"], Value::Null);
    web.serve("/picket", announcement("0.1.9", 6).with("HERE", &web.url("")));
    let told = post(daemon.http, "/api/v1/update/look", "").json();
    assert_eq!((&told["news"]["offer"], &told["news"]["problem"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_server_that_lies_or_fails_is_told_and_nothing_is_installed() {
    let steward = StandIn::new();
    let (web, daemon) = announced(&steward, &announcement("0.3.0", 6), b"bundle");
    let look = || post(daemon.http, "/api/v1/update/look", "");
    for (page, said) in [
        (Page::Bytes(b"<html>".to_vec()), "not a manifest"),
        (Page::Bytes(vec![b' '; 1 << 20]), "could not be asked"),
        (Page::Status(404), "status 404"),
        (Page::Bytes(br#"{"version": "9", "url": "http://a/", "size": 1}"#.to_vec()), "version"),
        (announcement("0.3.0", 300 << 20), "size"),
    ] {
        web.serve("/picket", page);
        let reply = look();
        assert_eq!(reply.status, 502);
        assert!(reply.detail().contains(said), "{said}: {}", reply.detail());
        assert_eq!(report(&daemon)["news"]["problem"], reply.detail().as_str());
        assert!(!reply.detail().contains("/picket"), "its address may hold a password");
    }
    for (length, said) in [(7, "size that was announced"), (5, "size that was announced")] {
        web.serve("/picket", announcement("0.3.0", length).with("HERE", &web.url("")));
        assert_eq!(look().status, 200);
        let body = r#"{"version": "0.3.0"}"#;
        assert_eq!(post(daemon.http, "/api/v1/update/install", body).status, 202);
        wait_for("it came to nothing", || {
            let told = report(&daemon);
            told["installing"] == Value::Null
                && told["refused"].as_str().is_some_and(|why| why.contains(said))
        });
    }
    assert_eq!(steward.state().installed, 0);
}
