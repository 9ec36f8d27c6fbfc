//! What goes on after its request is somebody's: it ends with the credential it was had by, and is
//! nobody else's to change.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use common::client::{Reply, ask, resolve};
use common::daemon::Daemon;
use common::peer::{Offered, Peer};
use common::test_server::{TestServer, TestServerOptions};
use picket::config::{Auth as Setting, Credentials, Password, Secret};
use picket::testing::webrtc::{Caller, Holder, SignallingPath};

const PASSWORD: &str = "correct horse";
const JSON: (&str, &str) = ("Content-Type", "application/json");
const SDP: (&str, &str) = ("Content-Type", "application/sdp");
const FRAGMENT: (&str, &str) = ("Content-Type", "application/trickle-ice-sdpfrag");

/// Tokens of two who watch.
const ONE: &str = "zQ7-token-0123456789";
const OTHER: &str = "Kd4-token-9876543210";

fn setting(password: Option<&str>, tokens: &[&str]) -> Setting {
    Setting::Set(Credentials {
        password: password.map(|password| Password::Plain(Secret::new(password))),
        tokens: tokens.iter().map(|token| Secret::new(*token)).collect(),
    })
}

fn server() -> TestServer {
    TestServer::build(TestServerOptions {
        auth: setting(Some(PASSWORD), &[ONE, OTHER]),
        ..TestServerOptions::default()
    })
}

/// The header by which somebody is known.
type Known = (&'static str, String);

fn token(token: &str) -> Known {
    ("Authorization", format!("Bearer {token}"))
}

fn owner(server: &TestServer) -> Known {
    let body = format!("{{\"password\": \"{PASSWORD}\"}}");
    let reply = ask(server.address, "POST", "/login", &[JSON], &body);
    assert_eq!(reply.status, 204, "{reply:?}");
    ("Cookie", reply.header("set-cookie").split(';').next().expect("a cookie").to_owned())
}

fn by(known: &Known) -> (&'static str, &str) {
    (known.0, &known.1)
}

/// Watches, and gives where the session is.
fn watch(server: &TestServer, known: &Known) -> (Peer, String) {
    let offered = Offered::new();
    let reply = ask(server.address, "POST", "/whep", &[SDP, by(known)], &offered.sdp);
    assert_eq!(reply.status, 201, "{reply:?}");
    let mut peer = offered.accept(&reply.body, None);
    peer.run_until("a picture", |seen| seen.pictures > 0);
    (peer, resolve("/whep", reply.header("location")))
}

fn goes_on(peer: &mut Peer) {
    let so_far = peer.seen.pictures;
    peer.run_until("more pictures", |seen| seen.pictures > so_far + 10);
    assert!(!peer.seen.closed);
}

fn ends(peer: &mut Peer) {
    peer.run_until("the end", |seen| seen.closed);
}

#[test]
fn a_token_that_is_withdrawn_ends_what_was_opened_with_it_and_nothing_else() {
    let server = server();
    let (mut one, url) = watch(&server, &token(ONE));
    let (mut other, _) = watch(&server, &token(OTHER));
    server.auth.apply(&setting(Some(PASSWORD), &[OTHER]));
    ends(&mut one);
    goes_on(&mut other);
    let seen = ask(server.address, "GET", &url, &[by(&owner(&server))], "");
    assert_eq!(seen.status, 404);
    assert!(seen.detail().contains("may no longer watch"), "{}", seen.detail());
}

#[test]
fn another_password_ends_what_the_owner_watches() {
    let server = server();
    let (mut owners, _) = watch(&server, &owner(&server));
    let (mut tokens, _) = watch(&server, &token(ONE));
    server.auth.apply(&setting(Some("battery staple"), &[ONE]));
    ends(&mut owners);
    goes_on(&mut tokens);
}

#[test]
fn signing_out_ends_what_that_browser_watches() {
    let server = server();
    let (one, other) = (owner(&server), owner(&server));
    let (mut first, _) = watch(&server, &one);
    let (mut second, _) = watch(&server, &other);
    assert_eq!(ask(server.address, "POST", "/logout", &[by(&one)], "").status, 303);
    ends(&mut first);
    goes_on(&mut second);
    let reply = ask(server.address, "POST", "/logout/everywhere", &[by(&other)], "");
    assert_eq!(reply.status, 303);
    ends(&mut second);
}

#[test]
fn where_sign_in_is_locked_nobody_goes_on_watching() {
    let server = server();
    let (mut owners, _) = watch(&server, &owner(&server));
    let (mut tokens, _) = watch(&server, &token(ONE));
    server.auth.apply(&Setting::Locked { why: "a mistake".into() });
    ends(&mut owners);
    ends(&mut tokens);
}

#[test]
fn what_the_program_itself_answers_goes_on_whatever_becomes_of_sign_in() {
    let server = server();
    let viewer = std::net::Ipv4Addr::LOCALHOST.into();
    let program =
        Caller { holder: Holder::program(), path: SignallingPath { viewer, camera: None } };
    let offered = Offered::new();
    let asked = server.webrtc.offer("main".into(), offered.sdp.clone(), program);
    let answer = server.runtime.block_on(asked).expect("an answer");
    let mut peer = offered.accept(&answer.sdp, Some(&answer.id));
    goes_on(&mut peer);
    let (mut other, _) = watch(&server, &token(ONE));
    server.auth.apply(&Setting::Locked { why: "a mistake".into() });
    ends(&mut other);
    goes_on(&mut peer);
    // Nobody who watches may end it, and the owner may.
    let closed = |holder| server.webrtc.close(answer.id.clone(), holder);
    assert!(!server.runtime.block_on(closed(Holder::viewer([0; 16]))));
    assert!(server.runtime.block_on(closed(Holder::owner([1; 16]))));
    ends(&mut peer);
}

#[test]
fn the_first_password_ends_what_was_open_to_all_on_this_machine() {
    let server = TestServer::new();
    let (mut peer, _) = watch(&server, &("X-Nothing", "shown".into()));
    server.auth.apply(&setting(Some(PASSWORD), &[]));
    ends(&mut peer);
}

#[test]
fn a_session_is_its_holders_and_the_owners() {
    let server = server();
    let (mut peer, url) = watch(&server, &token(ONE));
    let nothing = format!("/whep/{}", "0".repeat(32));
    let send = |url: &str, known: &Known, method: &str| -> Reply {
        let restart = "a=ice-ufrag:newufrag\r\na=ice-pwd:new0password0new0password\r\n";
        let headers = [FRAGMENT, ("If-Match", "*"), by(known)];
        ask(server.address, method, url, &headers, if method == "PATCH" { restart } else { "" })
    };
    let change = |known: &Known, method: &str| send(&url, known, method);
    for method in ["GET", "PATCH", "DELETE"] {
        let reply = change(&token(OTHER), method);
        let unknown = send(&nothing, &token(OTHER), method);
        assert_eq!((reply.status, reply.detail()), (404, unknown.detail()), "{method}");
    }
    goes_on(&mut peer);
    assert_eq!(change(&token(ONE), "GET").status, 204);
    assert_eq!(change(&owner(&server), "GET").status, 204);
    assert_eq!(change(&owner(&server), "DELETE").status, 200);
    ends(&mut peer);
}

#[test]
fn a_row_of_pictures_ends_with_the_token_that_it_was_had_by() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config.toml");
    let write = |tokens: &str| {
        let auth = format!("[auth]\npassword = \"{PASSWORD}\"\ntokens = [{tokens}]\n");
        std::fs::write(&config, format!("{auth}[webrtc]\nudp_port = 0\n")).expect("written");
    };
    write(&format!("\"{ONE}\""));
    let daemon = Daemon::spawn(Daemon::command_with(&config, &[]));
    let mut stream = TcpStream::connect(daemon.http).expect("connects");
    write!(
        stream,
        "GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ONE}\r\n\r\n"
    )
    .expect("sent");
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).expect("an answer");
    assert!(line.contains("200"), "{line}");
    daemon.wait_for_log("by MJPEG");
    write("");
    // Who reads to the end finds one.
    std::thread::spawn(move || drop(reader.read_to_end(&mut Vec::new())));
    daemon.wait_for_log("left MJPEG");
}

#[test]
fn a_configuration_that_is_cut_short_opens_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config.toml");
    let auth = format!("[auth]\npassword = \"{PASSWORD}\"\ntokens = [\"{ONE}\"]\n");
    std::fs::write(&config, format!("[webrtc]\nudp_port = 0\n{auth}")).expect("written");
    let daemon = Daemon::spawn(Daemon::command_with(&config, &[]));
    let status = |known: &Known| ask(daemon.http, "GET", "/", &[by(known)], "").status;
    let nothing: Known = ("X-Nothing", "shown".into());
    assert_eq!((status(&nothing), status(&token(ONE))), (401, 200));
    for rest in ["", "[webrtc]\nudp_port = 0\n"] {
        std::fs::write(&config, rest).expect("written");
        let line = daemon.wait_for_log("sets no password and no token any more");
        assert!(line.contains("ERROR"), "{line}");
        assert_eq!((status(&nothing), status(&token(ONE))), (401, 200));
        std::fs::write(&config, format!("[webrtc]\nudp_port = 0\n{auth}")).expect("written");
        daemon.wait_for_log("nothing has changed");
    }
    // Nor does it lock anybody out, or say that it did.
    std::fs::write(&config, format!("[webrtc]\nudp_port = 0\n{auth}[[cameras]\n"))
        .expect("written");
    let line = daemon.wait_for_log("nothing from line");
    assert!(line.ends_with("the configuration in force stays until this is fixed"), "{line}");
    assert_eq!((status(&nothing), status(&token(ONE))), (401, 200));
}
