//! Viewers who cannot reach the camera directly: STUN and TURN, through the whole daemon.

mod common;

use common::coturn::Coturn;
use common::daemon::{Daemon, wait_for};
use common::peer::{Offered, post_offer};

fn setting(coturn: &Coturn) -> String {
    format!(
        "webrtc.ice_servers=[{{ urls = [\"turn:127.0.0.1:{port}\", \"stun:127.0.0.1:{port}\"], \
         username = \"camera\", credential = \"hunter2\" }}]",
        port = coturn.port
    )
}

/// The lines of a description that `keep` says yes to.
fn filtered(sdp: &str, keep: impl Fn(&str) -> bool) -> String {
    sdp.lines().filter(|l| keep(l)).fold(String::new(), |all, line| all + line + "\r\n")
}

#[test]
fn a_viewer_who_knows_only_the_relay_sees_the_picture() {
    let Some(coturn) = Coturn::start() else {
        return;
    };
    let daemon = Daemon::start(&[&setting(&coturn)]);
    // The camera learns of a place where nobody is, so that it cannot find the viewer by itself;
    // but the relay lets packets from that address in.
    let nowhere = "a=candidate:1 1 udp 2113937151 127.0.0.1 9 typ host\r\n";
    let mut answered = None;
    // An answer waits for half a second for the servers, and is then given with what there is.
    wait_for("an answer with a relay", || {
        let offered = Offered::new();
        let offer = filtered(&offered.sdp, |line| !line.starts_with("a=candidate")) + nowhere;
        let answer = post_offer(&daemon, &offer);
        let has_relay = answer["sdp"].as_str().expect("an answer").contains("typ relay");
        if has_relay {
            answered = Some((offered, answer));
        } else {
            let session = answer["session"].as_str().expect("a name");
            let left = ureq::delete(&daemon.url(&format!("/api/v1/sessions/{session}"))).call();
            left.expect("its place is free again");
        }
        has_relay
    });
    let (offered, answer) = answered.expect("waited for");
    let sdp = answer["sdp"].as_str().expect("an answer");
    let sdp = filtered(sdp, |line| !line.starts_with("a=candidate") || line.contains("typ relay"));
    let mut peer = offered.accept(&sdp, answer["session"].as_str());
    peer.run_until("pictures", |seen| seen.pictures >= 30 && seen.key_frames >= 1);

    let report = &daemon.get_json("/api/v1/sessions")[0];
    let local = report["transport"]["local"].as_str().expect("a pair in use");
    let relay = sdp.lines().find(|l| l.contains("typ relay")).expect("kept");
    let port = local.rsplit(':').next().expect("a port");
    assert!(relay.contains(&format!(" 127.0.0.1 {port} ")), "{local} is not of {relay}");
}

#[test]
fn viewers_are_told_of_the_servers() {
    let Some(coturn) = Coturn::start() else {
        return;
    };
    let daemon = Daemon::start(&[&setting(&coturn)]);
    let response = ureq::post(&daemon.url("/whep"))
        .content_type("application/sdp")
        .send(&Offered::new().sdp)
        .expect("accepted");
    let links: Vec<&str> =
        response.headers().get_all("link").iter().filter_map(|l| l.to_str().ok()).collect();
    let turn = format!("<turn:127.0.0.1:{}>; rel=\"ice-server\"", coturn.port);
    assert!(links.iter().any(|l| l.contains(&turn) && l.contains("hunter2")), "{links:?}");
}
