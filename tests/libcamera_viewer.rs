//! `camera.source = "libcamera"`: the daemon with libcamera's virtual cameras, and a viewer. To be
//! run by `scripts/test-libcamera`.
#![cfg(feature = "libcamera")]

mod common;

use std::sync::{Mutex, MutexGuard, PoisonError};

use common::daemon::Daemon;
use common::peer::Peer;
use serde_json::json;

/// A camera can be had by one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_viewer_sees_the_camera() {
    let _turn = alone();
    for (source, name, size) in [
        ("libcamera", "libcamera", (640, 360)),
        ("libcamera:1", "libcamera:1", (800, 600)),
        ("auto", "libcamera", (640, 360)),
    ] {
        let source = format!("camera.source={source}");
        let mut daemon = Daemon::start(&[&source, "camera.width=640", "camera.height=360"]);
        let mut peer = Peer::connect(&daemon);
        peer.run_until("pictures", |seen| seen.key_frames > 0 && seen.pictures >= 30);
        let mode = &daemon.get_json("/api/v1/status")["source"]["mode"];
        assert_eq!(mode["name"], name);
        assert_eq!((&mode["width"], &mode["height"]), (&json!(size.0), &json!(size.1)));
        peer.close();
        daemon.wait_for_log("camera off");
        daemon.signal("-TERM");
        assert!(daemon.wait().success());
    }
}

/// The Pi's pipelines look for the file in the environment when libcamera starts. Virtual cameras do
/// not use it; the preloaded library tells what they would have found.
#[test]
fn a_tuning_file_is_in_place_when_libcamera_starts() {
    let _turn = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tuning.json");
    let settings = ["camera.source=auto".into(), format!("camera.tuning_file={}", file.display())];
    let settings = settings.each_ref().map(String::as_str);

    std::fs::write(&file, "{ \"version\": 2.0, \"algorithms\": [] }").expect("written");
    let daemon = Daemon::start(&settings);
    daemon.wait_for_log(&format!("libcamera begins with the tuning file {}", file.display()));
    drop(daemon);

    std::fs::write(&file, "{ \"version\": 2.0, ").expect("written");
    let daemon = Daemon::start(&settings);
    let told = daemon.wait_for_log("camera.tuning_file");
    assert!(told.contains("no tuning file") && told.contains("not used"), "{told}");
    let mut peer = Peer::connect(&daemon);
    peer.run_until("pictures without it", |seen| seen.pictures >= 5);
}
