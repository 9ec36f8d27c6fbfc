//! Several cameras in one daemon: each under its name, and none at another's expense.

mod common;

use std::collections::BTreeSet;
use std::path::PathBuf;

use common::client::{Reply, ask, get};
use common::daemon::{Daemon, wait_for};
use common::peer::{Offered, Peer};
use serde_json::Value;

/// A configuration file in a folder of its own.
struct File {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

fn file(text: &str) -> File {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.toml");
    std::fs::write(&path, text).expect("written");
    File { path, _folder: folder }
}

/// Two test pictures of different sizes.
const TWO: &str = "[camera]\nsource = \"pattern\"\nwidth = 640\nheight = 360\n\n\
                   [[cameras]]\nname = \"garden\"\nsource = \"pattern\"\nwidth = 320\n\
                   height = 240\nbitrate = \"300k\"\n";

fn start(text: &str, settings: &[&str]) -> Daemon {
    let file = file(text);
    Daemon::spawn(Daemon::command_with(&file.path, settings))
}

/// Width and height of a JPEG, by its frame header (T.81 §B.2.2).
fn jpeg_size(jpeg: &[u8]) -> (u16, u16) {
    let at = jpeg.windows(2).position(|w| w == [0xff, 0xc0]).expect("a baseline frame");
    let side = |at: usize| u16::from_be_bytes([jpeg[at], jpeg[at + 1]]);
    (side(at + 7), side(at + 5))
}

fn snapshot(daemon: &Daemon, path: &str) -> (u16, u16) {
    let mut response = ureq::get(&daemon.url(path)).call().expect("a picture");
    jpeg_size(&response.body_mut().read_to_vec().expect("all of it"))
}

/// The status of a camera.
fn status(daemon: &Daemon, camera: &str) -> Value {
    let status = daemon.get_json("/api/v1/status");
    let cameras = status["cameras"].as_array().expect("a list").clone();
    cameras.into_iter().find(|c| c["name"] == camera).unwrap_or_else(|| panic!("{status}"))
}

fn watch(daemon: &Daemon, camera: &str) -> Peer {
    let mut peer = Offered::new().send_to(camera, daemon);
    peer.run_until("pictures", |seen| seen.pictures >= 5 && seen.key_frames >= 1);
    peer
}

#[test]
fn each_camera_is_seen_under_its_name_everywhere() {
    let daemon = start(TWO, &[]);
    let (_main, _garden) = (watch(&daemon, "main"), watch(&daemon, "garden"));
    for (name, size) in [("main", (640, 360)), ("garden", (320, 240))] {
        assert_eq!(snapshot(&daemon, &format!("/snapshot/{name}.jpg")), size);
        assert_eq!(snapshot(&daemon, &format!("/snapshot.jpg?camera={name}")), size);
        let status = status(&daemon, name);
        let mode = &status["source"]["mode"];
        assert_eq!(
            (mode["width"].as_u64(), mode["height"].as_u64()),
            (Some(size.0.into()), Some(size.1.into()))
        );
        assert_eq!(status["viewers"]["connected"], 1);
    }
    assert_eq!(snapshot(&daemon, "/snapshot.jpg"), (640, 360), "the main one without a name");
    let whole = daemon.get_json("/api/v1/status");
    assert_eq!(whole["source"]["mode"]["width"], 640, "what there was before there were several");
    let sessions = daemon.get_json("/api/v1/sessions");
    let watched: BTreeSet<&str> =
        sessions.as_array().unwrap().iter().filter_map(|s| s["camera"].as_str()).collect();
    assert_eq!(watched, BTreeSet::from(["garden", "main"]));
    let metrics = daemon.metrics();
    for camera in ["main", "garden"] {
        assert!(metrics.contains(&format!("picket_viewers{{camera=\"{camera}\"}} 1")), "{metrics}");
        assert!(metrics.contains(&format!("picket_frames_encoded_total{{camera=\"{camera}\"}} ")));
    }
}

#[test]
fn one_port_serves_all_cameras() {
    let daemon = start(TWO, &[]);
    let ports: BTreeSet<String> = ["main", "garden"]
        .map(|camera| {
            let peer = watch(&daemon, camera);
            let line = peer.answer.lines().find(|l| l.contains(" typ host")).expect("a candidate");
            line.split(' ').nth(5).expect("a port").to_owned()
        })
        .into();
    assert_eq!(ports.len(), 1);
}

#[test]
fn a_camera_that_is_lost_touches_no_other() {
    let two = "[stream]\ninfinite_frames = false\n\n[camera]\nsource = \"pattern\"\nwidth = 320\n\
               height = 240\n\n[[cameras]]\nname = \"shed\"\nsource = \"file:/nowhere/a.mp4\"\n";
    let daemon = start(two, &[]);
    let mut main = watch(&daemon, "main");
    let offer = Offered::new();
    let headers = [("content-type", "application/sdp")];
    let told = |reply: &Reply| reply.detail();
    // Its first viewer starts it, and finds out.
    wait_for("the shed to be lost", || {
        let reply = ask(daemon.http, "POST", "/whep/shed", &headers, &offer.sdp);
        reply.status == 409 && told(&reply).contains("there is no file")
    });
    let seen = main.seen.pictures;
    main.run_until("the picture goes on", |s| s.pictures > seen + 30);
    assert!(!main.seen.closed);
    assert_eq!(status(&daemon, "main")["source"]["state"], "live");
    assert_eq!(get(daemon.http, "/snapshot/main.jpg").status, 200);
}

#[test]
fn a_name_that_no_camera_has_is_told_with_those_there_are() {
    let daemon = start(TWO, &[]);
    for path in [
        "/snapshot/attic.jpg",
        "/snapshot.jpg?camera=attic",
        "/stream/attic.mjpg",
        "/stream.mjpg?camera=attic",
        "/api/v1/controls?camera=attic",
        "/?action=snapshot&camera=attic",
        "/whep/attic",
        "/whep?camera=attic",
    ] {
        let reply = get(daemon.http, path);
        assert_eq!(reply.status, 404, "{path}");
        assert!(reply.detail().contains("main, garden"), "{path}: {}", reply.detail());
    }
    let offer = Offered::new();
    let headers = [("content-type", "application/sdp")];
    let reply = ask(daemon.http, "POST", "/whep/attic", &headers, &offer.sdp);
    assert_eq!(reply.status, 404);
    assert!(reply.detail().contains("main, garden"));
    for path in ["/snapshot/main", "/snapshot/main.png", "/stream/main.jpg"] {
        assert_eq!(get(daemon.http, path).status, 404, "{path}");
    }
}

#[test]
fn the_log_says_of_which_camera_it_speaks() {
    let daemon = start(TWO, &[]);
    let _garden = watch(&daemon, "garden");
    let lines = daemon.log_until("camera on: pattern");
    assert!(lines.last().is_some_and(|line| line.contains("garden: camera on")), "{lines:?}");
    daemon.wait_for_log("garden: encoding in software");
    let daemon = start("[camera]\nsource = \"pattern\"\n", &[]);
    let _main = watch(&daemon, "main");
    let line = daemon.wait_for_log("camera on: pattern");
    assert!(!line.contains("main"), "there is only one: {line}");
}

#[test]
fn one_viewer_at_a_time_is_one_of_each_camera() {
    let daemon = start(TWO, &["stream.live_broadcast=false"]);
    let (_main, _garden) = (watch(&daemon, "main"), watch(&daemon, "garden"));
    let offer = Offered::new();
    let headers = [("content-type", "application/sdp")];
    for camera in ["main", "garden"] {
        let path = format!("/whep/{camera}");
        let reply = ask(daemon.http, "POST", &path, &headers, &offer.sdp);
        assert_eq!(reply.status, 503, "{camera}");
    }
    let json = [("content-type", "application/json")];
    let closed = ask(daemon.http, "POST", "/close_connection?camera=garden", &json, "1");
    assert_eq!((closed.status, closed.body.as_str()), (200, "OK"));
    wait_for("the garden's place to be free", || {
        status(&daemon, "garden")["viewers"]["connected"] == 0
    });
    assert_eq!(status(&daemon, "main")["viewers"]["connected"], 1, "whose session it was not");
}

#[test]
fn a_camera_s_settings_follow_its_file_while_the_others_stay() {
    let file = file(TWO);
    let daemon = Daemon::spawn(Daemon::command_with(&file.path, &[]));
    let _garden = watch(&daemon, "garden");
    let faster = TWO.replace("300k", "400k");
    std::fs::write(&file.path, faster).expect("written");
    daemon.wait_for_log("cameras.garden.bitrate has changed");
    let whole = daemon.get_json("/api/v1/status");
    assert_eq!(whole["cameras"][1]["name"], "garden");
}

#[test]
fn without_further_cameras_everything_is_as_it_was() {
    let daemon = Daemon::start(&["camera.width=320", "camera.height=240"]);
    let _peer = Peer::connect(&daemon);
    let whole = daemon.get_json("/api/v1/status");
    assert_eq!(whole["cameras"].as_array().map(Vec::len), Some(1));
    assert_eq!(whole["cameras"][0]["name"], "main");
    assert_eq!(get(daemon.http, "/whep/0").status, 204);
    assert_eq!(get(daemon.http, "/whep/main").status, 204);
}

#[test]
fn what_cameras_take_from_each_other_is_told_wherever_it_is_set() {
    let two = TWO.replace("source = \"pattern\"", "source = \"v4l2:/dev/video9\"");
    let twice = "`cameras.garden.source` is the device of the camera `main` as well";
    let by_auto = "`cameras.garden.source` may be taken by the camera `main`, whose source is";
    for (text, settings, told) in [
        (&*two, &[][..], twice),
        (
            TWO,
            &[
                "camera.source=v4l2:/dev/video9",
                "cameras=[{name=\"garden\",source=\"v4l2:/dev/video9\"}]",
            ],
            "is the device of the camera `main` as well",
        ),
        (&*two, &["camera.source=auto"], by_auto),
        (
            &*(TWO.to_owned() + "tuning_file = \"a.json\"\n"),
            &[],
            "`cameras.garden.tuning_file` is left out: `camera.tuning_file` is that of all",
        ),
    ] {
        let daemon = start(text, settings);
        daemon.wait_for_log(told);
    }
}

#[test]
fn a_page_that_is_older_than_further_cameras_is_told() {
    let site = tempfile::tempdir().expect("a folder");
    let templates = site.path().join("templates");
    std::fs::create_dir(&templates).expect("a folder");
    std::fs::write(templates.join("index.html"), "<video></video>").expect("a page");
    let location = format!("site.data_location={}", site.path().display());
    start(TWO, &[&location]).wait_for_log("shows the main camera whichever is asked for");
}
