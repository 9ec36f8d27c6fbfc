//! The examples, run as their first lines say.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::process::Command;

use common::daemon::{Daemon, PATIENCE, wait_for};
use common::example::example;
use common::peer::{Offered, Peer};
use picket::testing::camera::pattern::read_strip;
use serde_json::{Value, json};

/// Starts an example on free ports.
fn start(name: &str) -> Daemon {
    start_with(name, &[])
}

/// The same, with what is to stand before the settings.
fn start_with(name: &str, arguments: &[&str]) -> Daemon {
    let mut command = example(name);
    command.args(arguments);
    command.args(["http.listen=127.0.0.1:0", "webrtc.udp_port=0"]);
    Daemon::spawn(command)
}

fn plays(daemon: &Daemon) {
    let mut peer = Peer::connect(daemon);
    peer.run_until("pictures", |seen| seen.pictures >= 10);
    peer.close();
}

#[test]
fn a_camera_of_ones_own_is_watched() {
    let daemon = start("custom_camera");
    plays(&daemon);
    let mode = &daemon.get_json("/api/v1/status")["source"]["mode"];
    assert_eq!((&mode["width"], &mode["height"]), (&Value::from(640), &Value::from(360)));
}

#[test]
fn a_step_of_ones_own_takes_the_colour_away() {
    let daemon = start("grayscale");
    plays(&daemon);
    let _watching = Offered::new().send(&daemon);
    let mut response = ureq::get(&daemon.url("/snapshot.jpg")).call().expect("a snapshot");
    let jpeg = response.body_mut().read_to_vec().expect("bytes");
    let folder = tempfile::tempdir().expect("a folder");
    let (file, raw) = (folder.path().join("a.jpg"), folder.path().join("a.yuv"));
    std::fs::write(&file, jpeg).expect("written");
    let done = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-i"])
        .arg(&file)
        .args(["-pix_fmt", "yuv420p", "-f", "rawvideo"])
        .arg(&raw)
        .status()
        .expect("ffmpeg runs; scripts/install-test-tools installs it");
    assert!(done.success());
    let pixels = std::fs::read(&raw).expect("decoded");
    let (light, colour) = pixels.split_at(1280 * 720);
    assert!(light.iter().max() > Some(&200), "there is a picture");
    assert!(colour.iter().all(|sample| sample.abs_diff(128) <= 2), "and no colour in it");
}

#[test]
fn pages_and_middleware_of_ones_own_stand_beside_the_player() {
    let daemon = start("own_pages");
    let mut hello = ureq::get(&daemon.url("/hello")).call().expect("a page");
    assert_eq!(hello.headers()["x-served-by"], "own_pages");
    assert!(hello.body_mut().read_to_string().expect("text").contains("<h1>Hello</h1>"));
    let mut door = ureq::get(&daemon.url("/doors/front")).call().expect("a page");
    let text = door.body_mut().read_to_string().expect("text");
    assert_eq!(text, "the front door is closed\n");
    let player = ureq::get(&daemon.url("/")).call().expect("the player");
    assert_eq!(player.headers()["x-served-by"], "own_pages");
}

/// A client of `own_signalling`.
struct Client(BufReader<UnixStream>);

impl Client {
    fn say(&mut self, line: &Value) {
        writeln!(self.0.get_mut(), "{line}").expect("the example takes it");
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("the example answers");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    /// Hears the states of a session up to this one.
    fn hear_state(&mut self, session: &str, state: &str) {
        loop {
            let heard = self.hear();
            assert_eq!(heard["session"], session, "{heard}");
            if heard["state"] == state {
                return;
            }
        }
    }
}

#[test]
fn offers_are_answered_by_signalling_of_ones_own_and_states_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("camera.sock");
    let path = socket.to_str().expect("a plain name");
    // Whoever signs in on the page is of no concern to the program's own viewers.
    let daemon = start_with("own_signalling", &[path, "auth.password=correct horse battery"]);
    wait_for("the socket", || UnixStream::connect(&socket).is_ok());
    let connect = || {
        let stream = UnixStream::connect(&socket).expect("the example listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a valid timeout");
        Client(BufReader::new(stream))
    };

    let mut client = connect();
    client.say(&json!({ "sdp": "v=0" }));
    assert!(client.hear()["error"].as_str().is_some_and(|why| why.contains("offer")));
    client.say(&json!({ "sdp": "v=0", "camera": "attic" }));
    assert_eq!(client.hear()["error"], "there is no such camera");

    let offered = Offered::new();
    client.say(&json!({ "sdp": offered.sdp, "address": "127.0.0.1" }));
    let answer = client.hear();
    let session = answer["session"].as_str().expect("a session").to_owned();
    let mut peer = offered.accept(answer["sdp"].as_str().expect("an answer"), Some(&session));
    peer.run_until("pictures", |seen| seen.pictures >= 10);
    client.hear_state(&session, "connected");

    let mut stranger = connect();
    stranger.say(&json!({ "session": session, "close": true }));
    assert_eq!(stranger.hear()["error"], "no session of that name was opened here");
    client.say(&json!({ "session": session, "close": true }));
    client.hear_state(&session, "closed");
    peer.run_until("the goodbye", |seen| seen.closed);

    let offered = Offered::new();
    client.say(&json!({ "sdp": offered.sdp, "address": "127.0.0.1" }));
    let answer = client.hear();
    let mut peer = offered.accept(answer["sdp"].as_str().expect("an answer"), None);
    peer.run_until("pictures", |seen| seen.pictures >= 10);
    drop(client);
    peer.run_until("the goodbye, because its client is gone", |seen| seen.closed);
    drop(daemon);
}

/// Two ports that are free, one after the other, the first of them even (RFC 3550 §11).
fn pair_of_ports() -> u16 {
    loop {
        let rtp = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let port = rtp.local_addr().expect("bound").port();
        if port.is_multiple_of(2) && UdpSocket::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}

#[test]
fn ffmpeg_plays_the_camera_by_plain_rtp() {
    const SIZE: (usize, usize) = (320, 240);
    let folder = tempfile::tempdir().expect("a folder");
    let description = folder.path().join("camera.sdp");
    let to = format!("127.0.0.1:{}", pair_of_ports());
    let path = description.to_str().expect("a plain name");
    let _daemon = start_with(
        "rtp_out",
        &[&to, path, "camera.width=320", "camera.height=240", "encoder.keyframe_interval=1"],
    );
    let is_whole = |text: String| text.ends_with("\r\n");
    wait_for("the session description", || {
        std::fs::read_to_string(&description).is_ok_and(is_whole)
    });
    let raw = folder.path().join("frames.gray");
    let done = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-protocol_whitelist", "file,udp,rtp", "-i"])
        .arg(&description)
        .args(["-frames:v", "20", "-pix_fmt", "gray", "-f", "rawvideo"])
        .arg(&raw)
        .status()
        .expect("ffmpeg runs; scripts/install-test-tools installs it");
    assert!(done.success());
    let pixels = std::fs::read(&raw).expect("decoded");
    assert_eq!(pixels.len(), 20 * SIZE.0 * SIZE.1);
    let numbers: Vec<u32> = pixels
        .chunks(SIZE.0 * SIZE.1)
        .filter_map(|frame| {
            let at = |x: f64, side: usize| ((x * side as f64) as usize).min(side - 1);
            read_strip(|x, y| frame[at(y, SIZE.1) * SIZE.0 + at(x, SIZE.0)])
        })
        .map(|(_, number)| number)
        .collect();
    // One may be repeated or left out for a steady rate.
    assert!(numbers.len() >= 18, "the strip can be read: {numbers:?}");
    assert!(numbers.is_sorted(), "{numbers:?}");
}
