//! The page in a real browser. Nobody clicks unless the test says so.

mod common;

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::axe::{axe, judge};
use common::browser::{Browser, site_for_a_browser_that};
use common::daemon::{Daemon, wait_for};
use picket::testing::camera::pattern::read_strip;
use serde_json::Value;

const LIVE: &str = "document.body.dataset.state === 'live'";

/// Opens the camera's page and waits for its picture.
fn watching(daemon: &Daemon) -> Browser {
    let browser = Browser::start();
    browser.open(&daemon.url("/"));
    browser.wait_for("the picture", LIVE);
    browser
}

fn state(name: &str) -> String {
    format!("document.body.dataset.state === '{name}'")
}

/// Lets the test read the counters of the receiver that the page uses.
fn listen_in(browser: &Browser) {
    browser.js("const getStats = RTCRtpReceiver.prototype.getStats;
         RTCRtpReceiver.prototype.getStats = function () {
             window.receiver = this;
             return getStats.call(this);
         };");
    browser.wait_for("the page looks at its counters", "window.receiver");
}

/// A counter of the page's receiver, by its name in W3C's WebRTC statistics.
fn counter(browser: &Browser, name: &str) -> u64 {
    let value = browser.js_await(&format!(
        "receiver.getStats().then((all) =>
            [...all.values()].find(({{ type }}) => type === 'inbound-rtp').{name})"
    ));
    value.as_u64().unwrap_or_else(|| panic!("{name} is {value}"))
}

/// Reads clock and frame number from the picture that the page shows.
fn read_picture(browser: &Browser) -> Option<(Duration, u32)> {
    let cells = browser.js("const video = document.querySelector('video');
         const canvas = document.createElement('canvas');
         [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
         const context = canvas.getContext('2d');
         context.drawImage(video, 0, 0);
         const cells = [];
         for (let row = 28; row < 30; row++) {
             for (let column = 0; column < 40; column++) {
                 const x = canvas.width * (column + 0.5) / 40, y = canvas.height * (row + 0.5) / 30;
                 cells.push(context.getImageData(x, y, 1, 1).data[1]);
             }
         }
         return cells;");
    let cells = cells.as_array()?;
    let cell = |x: f64, y: f64| {
        let (column, row) = ((x * 40.0) as usize, (y * 30.0) as usize);
        cells[(row - 28) * 40 + column].as_u64().unwrap_or(0) as u8
    };
    read_strip(cell)
}

fn first_sent(daemon: &Daemon) -> u64 {
    let sessions = daemon.get_json("/api/v1/sessions");
    sessions[0]["stats"]["framesSent"].as_u64().expect("a count")
}

#[test]
fn the_page_plays_by_itself_and_soon() {
    let daemon = Daemon::start(&["device.hostname=front-door"]);
    let browser = watching(&daemon);
    assert_eq!(browser.text("h1"), "front-door");
    assert_eq!(browser.text("#word"), "Live");
    let took = browser.js("return performance.getEntriesByName('first-picture')[0].startTime
             - performance.getEntriesByType('navigation')[0].responseStart;");
    let took = took.as_f64().expect("a time");
    println!("first picture {took:.0} ms after the page's first byte");
    // The promise is 300 ms; the rest is for machines with much else to do.
    assert!(took < 5000.0, "{took} ms");
}

#[test]
fn what_is_sent_is_decoded() {
    let daemon = Daemon::start(&[]);
    let browser = watching(&daemon);
    listen_in(&browser);
    // What is decoded while sent is asked for counts for what is sent, at both ends.
    let decoded = counter(&browser, "framesDecoded");
    let sent = first_sent(&daemon);
    // On a machine that is busy with other things, they come slowly.
    wait_for("a hundred pictures", || first_sent(&daemon) - sent >= 100);
    let sent = first_sent(&daemon) - sent;
    let decoded = counter(&browser, "framesDecoded") - decoded;
    println!("{decoded} of {sent} pictures decoded");
    assert!(decoded * 100 >= sent * 95, "{decoded} of {sent} pictures");
}

#[test]
fn the_picture_is_the_cameras_and_of_now() {
    let daemon = Daemon::start(&[]);
    let browser = watching(&daemon);
    let mut seen = Vec::new();
    wait_for("pictures with a strip that can be read", || {
        seen.extend(read_picture(&browser));
        // A busy browser shows one picture for longer.
        seen.len() >= 5 && seen.last() != seen.first()
    });
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("past 1970");
    let (taken, number) = *seen.last().expect("five");
    let (first_taken, first_number) = seen[0];
    assert!(now.abs_diff(taken) < Duration::from_secs(5), "{:?}", now.abs_diff(taken));
    assert!(first_taken < taken && first_number < number, "{seen:?}");
}

/// A page of somebody else's, in a few lines: plays by WHEP (RFC 9725) into `#whep`.
const WHEP_PLAYER: &str = "(async () => {
    const peer = new RTCPeerConnection();
    peer.addTransceiver('video', { direction: 'recvonly' });
    const video = document.body.appendChild(document.createElement('video'));
    video.id = 'whep';
    video.muted = true;
    peer.ontrack = ({ streams, receiver }) => {
        window.receiver = receiver;
        video.srcObject = streams[0];
    };
    await peer.setLocalDescription();
    const answer = await fetch('/whep', {
        method: 'POST',
        headers: { 'Content-Type': 'application/sdp' },
        body: peer.localDescription.sdp,
    });
    await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
    await video.play();
    return [answer.status, new URL(answer.headers.get('Location'), answer.url).href];
})()";

#[test]
fn a_page_of_ones_own_plays_by_whep_and_leaves() {
    let daemon = Daemon::start(&["device.hostname=whep"]);
    let browser = Browser::start();
    browser.open(&daemon.url("/nothing/here"));
    let answer = browser.js_await(WHEP_PLAYER);
    assert_eq!(answer[0], 201, "{answer}");
    wait_for("pictures", || counter(&browser, "framesDecoded") >= 30);
    assert!(read_picture(&browser).is_some());
    assert_eq!(daemon.connected(), 1);

    let location = answer[1].as_str().expect("the session's address");
    let left =
        format!("fetch('{location}', {{ method: 'DELETE' }}).then(({{ status }}) => status)");
    assert_eq!(browser.js_await(&left), 200);
    daemon.wait_for_sessions("no session", |all| all.is_empty());
}

#[test]
fn two_tabs_play() {
    let daemon = Daemon::start(&[]);
    let browser = watching(&daemon);
    browser.new_tab(&daemon.url("/"));
    browser.wait_for("the picture in the second tab", LIVE);
    browser.switch_to_tab(0);
    listen_in(&browser);
    let packets = counter(&browser, "packetsReceived");
    wait_for("the first tab goes on", || counter(&browser, "packetsReceived") > packets);
    assert_eq!(daemon.connected(), 2);
}

#[test]
fn reloading_ten_times_leaves_one_session() {
    let daemon = Daemon::start(&[]);
    let browser = watching(&daemon);
    for _ in 0..10 {
        browser.reload();
    }
    browser.wait_for("the picture", LIVE);
    daemon.wait_for_sessions("one session", |all| all.len() == 1);
}

#[test]
fn a_daemon_that_was_killed_is_back_without_a_click() {
    let daemon = Daemon::start(&[]);
    let browser = watching(&daemon);
    let listen = format!("http.listen={}", daemon.http);
    daemon.signal("-KILL");
    drop(daemon);
    browser.wait_for("the page says so", &state("offline"));
    assert_eq!(browser.text("#headline"), "The camera does not respond");
    browser.js("performance.clearMarks();");

    let daemon = Daemon::start(&[&listen]);
    let back = Instant::now();
    browser.wait_for("a new picture", "performance.getEntriesByName('first-picture').length");
    println!("picture back after {:?}", back.elapsed());
    browser.wait_for("all is well", LIVE);
    assert_eq!(daemon.connected(), 1);
    assert!(read_picture(&browser).is_some());
}

#[test]
fn a_daemon_that_was_restarted_at_once_is_noticed() {
    let daemon = Daemon::start(&[]);
    let browser = watching(&daemon);
    let listen = format!("http.listen={}", daemon.http);
    browser.js("performance.clearMarks();");
    daemon.signal("-KILL");
    drop(daemon);
    let daemon = Daemon::start(&[&listen]);
    let back = Instant::now();
    browser.wait_for("a new picture", "performance.getEntriesByName('first-picture').length");
    println!("picture back after {:?}", back.elapsed());
    assert_eq!(daemon.connected(), 1);
}

#[test]
fn an_absent_camera_is_told_in_words_and_its_return_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let clip = folder.path().join("clip.mp4");
    let daemon = Daemon::start(&[&format!("camera.source=file:{}", clip.display())]);
    let browser = Browser::start();
    browser.open(&daemon.url("/"));
    browser.wait_for("the page says so", &state("lost"));
    // The stream's own card tells the reason to those who see; these words are for those who listen.
    assert_eq!(browser.text("#word"), "No signal");
    assert_eq!(
        browser.js("return document.getElementById('headline').textContent;"),
        "The camera is not available"
    );
    let detail = browser.js("return document.getElementById('detail').textContent;");
    let detail = detail.as_str().expect("text");
    assert!(detail.ends_with("Picket keeps trying to get it back."), "{detail}");
    let size =
        browser.js("return document.querySelector('.notice').getBoundingClientRect().width;");
    assert!(size.as_f64().expect("a number") <= 1.0, "nothing is said twice");

    let media = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/media/plain.mp4");
    std::fs::copy(media, &clip).expect("a clip");
    browser.wait_for("the picture", LIVE);
}

#[test]
fn a_full_camera_is_told_in_words_and_a_free_place_taken() {
    let daemon = Daemon::start(&["stream.max_viewers=1"]);
    let browser = watching(&daemon);
    browser.new_tab(&daemon.url("/"));
    browser.wait_for("the second viewer is refused", &state("refused"));
    assert_eq!(browser.text("#headline"), "The camera is busy");
    let detail = browser.text("#detail");
    assert!(detail.contains("watching already"), "{detail}");
    assert!(detail.ends_with("Retrying automatically."), "{detail}");

    browser.switch_to_tab(0);
    browser.close_tab();
    browser.switch_to_tab(0);
    browser.wait_for("the picture", LIVE);
}

#[test]
fn the_owner_signs_in_by_the_form_and_again_after_a_restart() {
    let password = "auth.password=correct horse";
    let daemon = Daemon::start(&[password]);
    let browser = Browser::start();
    browser.open(&daemon.url("/"));
    assert_eq!(browser.text("h1"), "Sign in to watch");
    browser.fill("#password", "wrong horse");
    browser.click("button");
    assert_eq!(browser.text("#message"), "That is not the password.");
    browser.fill("#password", "correct horse");
    browser.click("button");
    browser.wait_for("the picture", LIVE);

    let listen = format!("http.listen={}", daemon.http);
    drop(daemon);
    let _daemon = Daemon::start(&[password, &listen]);
    browser.wait_for("the page asks to sign in", "location.pathname === '/login'");
}

#[test]
fn keys_open_and_close_the_statistics() {
    let daemon = Daemon::start(&[]);
    let browser = watching(&daemon);
    browser.press("i");
    browser.wait_for(
        "a measured delay",
        "/^[0-9]+ ms$/.test(document.getElementById('delay').textContent)",
    );
    assert_eq!(browser.text("#resolution"), "1280 × 720");
    let codec = browser.text("#codec");
    assert!(codec.starts_with("H.264 Constrained Baseline"), "{codec}");
    let help = browser.text("#delay-help");
    assert!(help.starts_with("Delay: "), "{help}");
    browser.press_escape();
    browser.wait_for("closed", "document.getElementById('drawer').hidden");

    browser.press("i");
    browser.click("#shortcuts");
    browser.press("i");
    let open = browser.js("return !document.getElementById('drawer').hidden;");
    assert_eq!(open, true, "keys that were turned off do nothing");
}

#[test]
fn the_controls_fade_and_return() {
    let daemon = Daemon::start(&[]);
    let browser = watching(&daemon);
    browser.wait_for("they fade", "document.body.classList.contains('idle')");
    browser.press("x");
    let idle = browser.js("return document.body.classList.contains('idle');");
    assert_eq!(idle, false);
}

#[test]
fn the_page_asks_nobody_but_the_camera() {
    let daemon = Daemon::start(&[]);
    let browser = watching(&daemon);
    let elsewhere = browser
        .js("return performance.getEntriesByType('resource').map(({ name }) => name)
             .filter((name) => new URL(name).origin !== location.origin);");
    assert_eq!(elsewhere, Value::Array(Vec::new()));
}

#[test]
fn a_narrow_window_shows_everything() {
    let daemon = Daemon::start(&["stream.max_viewers=1"]);
    let browser = Browser::with(&["--window-size=320,568"]);
    browser.open(&daemon.url("/"));
    browser.wait_for("the picture", LIVE);
    browser.press("i");
    assert_eq!(browser.sticking_out(), Value::Array(Vec::new()));
}

fn judge_every_state(axe: &str, browser: &Browser) {
    let daemon = Daemon::start(&["stream.max_viewers=1"]);
    browser.open(&daemon.url("/"));
    browser.wait_for("the picture", LIVE);
    judge(browser, axe, "live");
    browser.press("i");
    judge(browser, axe, "with statistics");
    browser.new_tab(&daemon.url("/"));
    browser.wait_for("refused", &state("refused"));
    judge(browser, axe, "refused");
    browser.close_tab();
    browser.switch_to_tab(0);
    browser.open(&daemon.url("/nothing/here"));
    judge(browser, axe, "not found");
    browser.open(&daemon.url("/"));
    browser.wait_for("the picture", LIVE);
    drop(daemon);
    browser.wait_for("offline", &state("offline"));
    judge(browser, axe, "offline");

    let daemon = Daemon::start(&["camera.source=file:/nowhere/clip.mp4"]);
    browser.open(&daemon.url("/"));
    browser.wait_for("lost", &state("lost"));
    judge(browser, axe, "lost");

    let daemon = Daemon::start(&["auth.password=correct horse"]);
    browser.open(&daemon.url("/"));
    judge(browser, axe, "sign in");
    browser.fill("#password", "wrong horse");
    browser.click("button");
    browser.wait_for("told", "document.getElementById('message')");
    judge(browser, axe, "sign in, with a wrong password");
}

#[test]
fn axe_finds_nothing_in_the_light() {
    let Some(axe) = axe() else { return };
    let browser = Browser::start();
    judge_every_state(&axe, &browser);
}

#[test]
fn axe_finds_nothing_in_the_dark() {
    let Some(axe) = axe() else { return };
    let browser = Browser::with(&["--force-dark-mode"]);
    let dark = browser.js("return matchMedia('(prefers-color-scheme: dark)').matches;");
    assert_eq!(dark, true);
    judge_every_state(&axe, &browser);
}

#[test]
fn a_player_that_does_not_start_is_told_without_a_script() {
    let folder = tempfile::tempdir().expect("a folder");
    let site = format!("site.data_location={}", folder.path().display());
    // The first start writes the data-files; this is what a proxy leaves of one it refuses.
    drop(Daemon::start(&[&site]));
    std::fs::write(folder.path().join("static/js/custom.js"), "").expect("written");
    let daemon = Daemon::start(&[&site]);
    let browser = Browser::start();
    browser.open(&daemon.url("/"));
    let told = "getComputedStyle(document.querySelector('.unstarted')).visibility === 'visible'";
    assert_eq!(browser.js(&format!("return {told};")), false, "not before it had time to");
    browser.wait_for("the page says so", told);
    let words = browser.text(".unstarted");
    assert!(words.starts_with("This page’s script did not load"), "{words}");
}

#[test]
fn a_script_of_the_owners_takes_the_place_of_the_players_and_needs_none_of_its_parts() {
    let folder = tempfile::tempdir().expect("a folder");
    let site = format!("site.data_location={}", folder.path().display());
    drop(Daemon::start(&[&site]));
    // A data folder as it was before the player had parts.
    let scripts = folder.path().join("static/js");
    std::fs::remove_dir_all(scripts.join("player")).expect("removed");
    let mine = "document.title = 'mine';";
    std::fs::write(scripts.join("custom.js"), mine).expect("written");
    let daemon = Daemon::start(&[&site]);
    let browser = Browser::start();
    browser.open(&daemon.url("/"));
    browser.wait_for("the owner's script", "document.title === 'mine'");
    assert_eq!(std::fs::read_to_string(scripts.join("custom.js")).expect("a script"), mine);
}

#[test]
fn a_browser_that_cannot_play_the_video_shows_still_pictures_and_says_why() {
    for (lacks, headline) in [
        ("delete window.RTCPeerConnection;", "This browser cannot play the video"),
        (
            "const add = RTCPeerConnection.prototype.addTransceiver;
             RTCPeerConnection.prototype.addTransceiver = function (...arguments) {
                 const transceiver = add.apply(this, arguments);
                 const { codecs } = RTCRtpReceiver.getCapabilities('video');
                 transceiver.setCodecPreferences(codecs.filter((c) => c.mimeType !== 'video/H264'));
                 return transceiver;
             };",
            "This browser cannot play H.264 video",
        ),
    ] {
        let site = site_for_a_browser_that(lacks);
        let daemon = Daemon::start(&[&format!("site.data_location={}", site.path().display())]);
        let browser = Browser::start();
        browser.open(&daemon.url("/"));
        browser
            .wait_for("a still picture", "document.getElementById('stills').naturalWidth === 1280");
        browser.wait_for("the page says so", &state("refused"));
        assert_eq!(browser.text("#headline"), headline);
        assert_eq!(browser.text("#word"), "Still pictures");
        assert_eq!(daemon.connected(), 0);
    }
}
