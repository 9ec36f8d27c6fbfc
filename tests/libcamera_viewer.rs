//! `camera.source = "libcamera"`: the daemon with libcamera's virtual cameras, and a viewer. To be
//! run by `scripts/test-libcamera`.
#![cfg(feature = "libcamera")]

mod common;

use common::daemon::Daemon;
use common::peer::Peer;
use serde_json::json;

#[test]
fn a_viewer_sees_the_camera() {
    for (source, name, size) in [
        ("libcamera", "libcamera", (640, 360)),
        ("libcamera:1", "libcamera:1", (800, 600)),
        ("auto", "libcamera", (640, 360)),
    ] {
        let source = format!("camera.source={source}");
        let mut daemon = Daemon::start(&[&source, "camera.width=640", "camera.height=360"]);
        let mut peer = Peer::connect(&daemon);
        peer.run_until("pictures", |seen| seen.key_pictures > 0 && seen.pictures >= 30);
        let mode = &daemon.get_json("/api/v1/status")["source"]["mode"];
        assert_eq!(mode["name"], name);
        assert_eq!((&mode["width"], &mode["height"]), (&json!(size.0), &json!(size.1)));
        peer.close();
        daemon.wait_for_log("camera off");
        daemon.signal("-TERM");
        assert!(daemon.wait().success());
    }
}
