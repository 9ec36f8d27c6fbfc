//! The examples, run as their first lines say.

mod common;

use std::process::Command;

use common::daemon::Daemon;
use common::example::example;
use common::peer::{Offered, Peer};
use serde_json::Value;

/// Starts an example on free ports.
fn start(name: &str) -> Daemon {
    let mut command = example(name);
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
