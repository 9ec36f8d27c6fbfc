//! What goes on after its request is somebody's: it ends with the credential it was had by, and is
//! nobody else's to change.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use common::client::{Reply, ask, resolve};
use common::daemon::Daemon;
use common::house::{House, Plan};
use common::peer::{Offered, Peer};
use picket::config::{Auth as Setting, Credentials, Password, Secret};

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

fn house() -> House {
    House::build(Plan { auth: setting(Some(PASSWORD), &[ONE, OTHER]), ..Plan::default() })
}

/// The header by which somebody is known.
type Known = (&'static str, String);

fn token(token: &str) -> Known {
    ("Authorization", format!("Bearer {token}"))
}

fn owner(house: &House) -> Known {
    let body = format!("{{\"password\": \"{PASSWORD}\"}}");
    let reply = ask(house.address, "POST", "/login", &[JSON], &body);
    assert_eq!(reply.status, 204, "{reply:?}");
    ("Cookie", reply.header("set-cookie").split(';').next().expect("a cookie").to_owned())
}

fn by(known: &Known) -> (&'static str, &str) {
    (known.0, &known.1)
}

/// Watches, and gives where the session is.
fn watch(house: &House, known: &Known) -> (Peer, String) {
    let offered = Offered::new();
    let reply = ask(house.address, "POST", "/whep", &[SDP, by(known)], &offered.sdp);
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
    let house = house();
    let (mut one, url) = watch(&house, &token(ONE));
    let (mut other, _) = watch(&house, &token(OTHER));
    house.auth.apply(&setting(Some(PASSWORD), &[OTHER]));
    ends(&mut one);
    goes_on(&mut other);
    let seen = ask(house.address, "GET", &url, &[by(&owner(&house))], "");
    assert_eq!(seen.status, 404);
    assert!(seen.detail().contains("may no longer watch"), "{}", seen.detail());
}

#[test]
fn another_password_ends_what_the_owner_watches() {
    let house = house();
    let (mut owners, _) = watch(&house, &owner(&house));
    let (mut tokens, _) = watch(&house, &token(ONE));
    house.auth.apply(&setting(Some("battery staple"), &[ONE]));
    ends(&mut owners);
    goes_on(&mut tokens);
}

#[test]
fn signing_out_ends_what_that_browser_watches() {
    let house = house();
    let (one, other) = (owner(&house), owner(&house));
    let (mut first, _) = watch(&house, &one);
    let (mut second, _) = watch(&house, &other);
    assert_eq!(ask(house.address, "POST", "/logout", &[by(&one)], "").status, 303);
    ends(&mut first);
    goes_on(&mut second);
    let reply = ask(house.address, "POST", "/logout/everywhere", &[by(&other)], "");
    assert_eq!(reply.status, 303);
    ends(&mut second);
}

#[test]
fn where_sign_in_is_locked_nobody_goes_on_watching() {
    let house = house();
    let (mut owners, _) = watch(&house, &owner(&house));
    let (mut tokens, _) = watch(&house, &token(ONE));
    house.auth.apply(&Setting::Locked { why: "a mistake".into() });
    ends(&mut owners);
    ends(&mut tokens);
}

#[test]
fn the_first_password_ends_what_was_open_to_all_on_this_machine() {
    let house = House::new();
    let (mut peer, _) = watch(&house, &("X-Nothing", "shown".into()));
    house.auth.apply(&setting(Some(PASSWORD), &[]));
    ends(&mut peer);
}

#[test]
fn a_session_is_its_holders_and_the_owners() {
    let house = house();
    let (mut peer, url) = watch(&house, &token(ONE));
    let nothing = format!("/whep/{}", "0".repeat(32));
    let send = |url: &str, known: &Known, method: &str| -> Reply {
        let restart = "a=ice-ufrag:newufrag\r\na=ice-pwd:new0password0new0password\r\n";
        let headers = [FRAGMENT, ("If-Match", "*"), by(known)];
        ask(house.address, method, url, &headers, if method == "PATCH" { restart } else { "" })
    };
    let change = |known: &Known, method: &str| send(&url, known, method);
    for method in ["GET", "PATCH", "DELETE"] {
        let reply = change(&token(OTHER), method);
        let unknown = send(&nothing, &token(OTHER), method);
        assert_eq!((reply.status, reply.detail()), (404, unknown.detail()), "{method}");
    }
    goes_on(&mut peer);
    assert_eq!(change(&token(ONE), "GET").status, 204);
    assert_eq!(change(&owner(&house), "GET").status, 204);
    assert_eq!(change(&owner(&house), "DELETE").status, 200);
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
}
