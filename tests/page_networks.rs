//! The page in a real browser at the end of networks as there are: closed to UDP, behind two
//! routers, too slow, or another from one moment to the next.

mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use common::alone;
use common::browser::Browser;
use common::coturn::Coturn;
use common::daemon::{Daemon, wait_for};
use common::network::{Network, TwoHomes, filter, inside, must, seen_from};
use serde_json::Value;

const PASSWORD: &str = "correct horse";
const LIVE: &str = "document.body.dataset.state === 'live'";

/// Notes every state that the page is in, from its beginning.
const NOTE_STATES: &str = "window.states = [];
    new MutationObserver(() => states.push(document.body.dataset.state))
        .observe(document.body, { attributes: true, attributeFilter: ['data-state'] });";

/// Opens the camera's page and signs in.
fn open(url: &str) -> Browser {
    let browser = Browser::start();
    browser.open(url);
    browser.fill("#password", PASSWORD);
    browser.click("button");
    browser.wait_for("the page", "document.getElementById('headline')");
    browser.js(NOTE_STATES);
    browser
}

/// A daemon in a namespace that asks for a password, at a port of the test's own.
fn daemon_in(space: &str, settings: &[&str]) -> Daemon {
    let mut command = Network::command(space);
    command.args(["--set", &format!("auth.password={PASSWORD}"), "--log", "debug"]);
    for setting in ["camera.width=640", "camera.height=360"].iter().chain(settings) {
        command.args(["--set", setting]);
    }
    Daemon::spawn(command)
}

fn was_live(browser: &Browser) -> bool {
    browser.js("return states.includes('live');") == true
}

/// Pictures that the page's session has decoded.
fn decoded(browser: &Browser) -> Value {
    browser.js("return document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames;")
}

#[test]
fn without_udp_the_page_is_never_live_and_says_what_the_owner_can_do() {
    let _alone = alone();
    let Some(network) = Network::with_viewers(1) else { return };
    filter(
        &network.camera,
        "table inet closed { chain in { type filter hook input priority 0; meta l4proto udp drop; } }",
    );
    let daemon = daemon_in(&network.camera, &["webrtc.udp_port=8189"]);
    network.at(0, || {
        let browser = open(&format!("http://{}/", seen_from(&daemon, 0)));
        browser.wait_for("the page says so", "document.body.dataset.state === 'offline'");
        assert_eq!(browser.text("#headline"), "The video does not get through");
        let detail = browser.text("#detail");
        for told in ["UDP port 8189", "webrtc.tcp", "webrtc.ice_servers"] {
            assert!(detail.contains(told), "{detail}");
        }
        // It does not give up; what is late of a session that is over does not pass for a picture.
        daemon.wait_for_log("an offer never connected");
        daemon.wait_for_log("an offer never connected");
        assert!(!was_live(&browser), "{}", browser.js("return states;"));
    });
}

#[test]
fn without_udp_the_picture_comes_by_tcp() {
    let _alone = alone();
    let Some(network) = Network::with_viewers(1) else { return };
    filter(
        &network.camera,
        "table inet closed { chain in { type filter hook input priority 0; meta l4proto udp drop; } }",
    );
    let daemon = daemon_in(&network.camera, &["webrtc.tcp=true"]);
    network.at(0, || {
        let browser = open(&format!("http://{}/", seen_from(&daemon, 0)));
        browser.wait_for("the picture", LIVE);
    });
}

#[test]
fn a_line_that_is_too_slow_is_told_and_never_passes_for_live() {
    let _alone = alone();
    let Some(network) = Network::with_viewers(1) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let clip = folder.path().join("noise.mp4");
    // Noise takes all of the bit rate it is given.
    let made = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=d=4:s=1280x720:r=25,noise=alls=60:allf=t",
        ])
        .args(["-c:v", "libx264", "-profile:v", "baseline", "-pix_fmt", "yuv420p", "-g", "50"])
        .args(["-b:v", "2M", "-maxrate", "2M", "-bufsize", "1M"])
        .arg(&clip)
        .status();
    assert!(made.is_ok_and(|s| s.success()), "ffmpeg makes a clip");
    let daemon = daemon_in(&network.camera, &[&format!("camera.source=file:{}", clip.display())]);
    let camera = &network.camera;
    must(&format!(
        "tc -n {camera} qdisc add dev line0 root tbf rate 500kbit burst 4kb latency 300ms"
    ));
    network.at(0, || {
        let browser = open(&format!("http://{}/", seen_from(&daemon, 0)));
        browser.wait_for("the page says so", "states.includes('slow')");
        // Whenever it was live, a picture had been seen.
        let honest = was_live(&browser) as u64 <= decoded(&browser).as_u64().expect("a count");
        assert!(honest, "{}", browser.js("return states;"));
        must(&format!("tc -n {camera} qdisc del dev line0 root"));
        browser.wait_for("the picture", LIVE);
    });
}

#[test]
fn a_way_that_is_lost_is_replaced_before_the_session_is() {
    let _alone = alone();
    let Some(network) = Network::with_viewers(1) else { return };
    let daemon = daemon_in(&network.camera, &[]);
    network.at(0, || {
        let browser = open(&format!("http://{}/", seen_from(&daemon, 0)));
        browser.wait_for("the picture", LIVE);
        let session = "receiver.transport.iceTransport";
        browser.js("const getStats = RTCRtpReceiver.prototype.getStats;
             RTCRtpReceiver.prototype.getStats = function () {
                 window.receiver = this;
                 return getStats.call(this);
             };");
        browser.wait_for("the counters", "window.receiver");
        let pair = browser.js_await(&format!("{session}.getSelectedCandidatePair().local.port"));
        let port = pair.as_u64().expect("a port");
        browser.js("window.first = receiver; window.before = video().totalVideoFrames;
             function video() { return document.querySelector('video').getVideoPlaybackQuality(); }");
        // As a router does that has forgotten the flow.
        filter(
            &network.camera,
            &format!(
                "table inet forgetful {{ chain in {{ type filter hook input priority 0; udp sport {port} drop; }}
                   chain out {{ type filter hook output priority 0; udp dport {port} drop; }} }}"
            ),
        );
        let lost = Instant::now();
        browser.wait_for("silence", "document.body.dataset.state === 'waiting'");
        browser.wait_for("the picture", LIVE);
        println!("picture back {:?} after the way was lost", lost.elapsed());
        assert_eq!(browser.js("return window.receiver === window.first;"), true, "one session");
    });
}

#[test]
fn two_routers_are_crossed_with_stun() {
    let _alone = alone();
    let Some(homes) = TwoHomes::new(true) else { return };
    let Some(server) = inside(&homes.internet, || Coturn::start_at(TwoHomes::SERVER)) else {
        return;
    };
    let stun = format!("[{{ urls = \"stun:{}:{}\" }}]", TwoHomes::SERVER, server.port);
    across(&homes, &stun, CONSENT + Duration::from_secs(5));
}

#[test]
fn two_routers_that_hide_each_flow_are_crossed_by_relays() {
    let _alone = alone();
    let Some(homes) = TwoHomes::new(true) else { return };
    let Some(server) = inside(&homes.internet, || Coturn::start_at(TwoHomes::SERVER)) else {
        return;
    };
    // A router that gives each flow another port cannot be met half-way.
    for router in homes.routers() {
        must(&format!("ip netns exec {router} nft flush chain ip home out"));
        must(&format!(
            "ip netns exec {router} nft add rule ip home out oifname wan masquerade random"
        ));
    }
    let turn = format!(
        "[{{ urls = \"turn:{}:{}\", username = \"camera\", credential = \"hunter2\" }}]",
        TwoHomes::SERVER,
        server.port
    );
    across(&homes, &turn, Duration::ZERO);
}

/// How long a viewer that answers no more is sent to (RFC 7675 §5.1).
const CONSENT: Duration = Duration::from_secs(30);

/// Watches from the one home what is in the other, for so long in one session.
fn across(homes: &TwoHomes, ice_servers: &str, long: Duration) {
    let listen = format!("http.listen=0.0.0.0:{}", TwoHomes::PORT);
    let servers = format!("webrtc.ice_servers={ice_servers}");
    let hosts = format!("http.allowed_hosts=[\"{}\"]", TwoHomes::CAMERA);
    let _daemon = daemon_in(&homes.camera, &[&listen, &servers, &hosts]);
    inside(&homes.viewer, || {
        let browser = open(&format!("http://{}:{}/", TwoHomes::CAMERA, TwoHomes::PORT));
        browser.wait_for("the picture", LIVE);
        let frames = || decoded(&browser).as_u64().expect("a count");
        let some = frames();
        wait_for("more pictures", || frames() > some + 30);
        browser.js(NOTE_STATES);
        let until = Instant::now() + long;
        while Instant::now() < until {
            let some = frames();
            wait_for("pictures go on", || frames() > some);
        }
        assert_eq!(browser.js("return states.includes('connecting');"), false);
    });
}
