//! What a person sees of a Picket that runs on other hardware: a browser here, and the daemon in
//! the emulated machine of `scripts/test-guest`, with the kernel's virtual camera or libcamera's,
//! and the stand-in for the Pi's encoder. Each test wants a machine of its own, set up as
//! `tests/guest/all` does. Without one there is nothing to test, and these say so.

mod common;

use std::cell::Cell;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::browser::Browser;
use common::daemon::{metric, patience, wait_for};
use serde_json::Value;

/// The password that the guest's daemon was given.
const PASSWORD: &str = "correct horse";

struct Guest {
    url: String,
    control: PathBuf,
    /// What the guest sees as /share, where its commands run.
    share: PathBuf,
    /// Lines it was given to run.
    lines: Cell<u32>,
}

fn guest() -> Option<Guest> {
    let Ok(url) = std::env::var("PICKET_GUEST_URL") else {
        println!("skipped: only beside the guest of scripts/test-guest --serve");
        return None;
    };
    let folder = |name| PathBuf::from(std::env::var_os(name).expect("set beside the URL"));
    let control = folder("PICKET_GUEST_CONTROL");
    Some(Guest { url, control, share: folder("PICKET_GUEST_SHARE"), lines: Cell::new(0) })
}

impl Guest {
    /// Has the guest's shell run a line, and waits until that is done: what is looked at next is
    /// what came of it.
    fn run(&self, line: &str) {
        self.lines.set(self.lines.get() + 1);
        let done = format!("line-{}", self.lines.get());
        let mut control = OpenOptions::new().write(true).open(&self.control).expect("open");
        // The guest runs one line after the other.
        write!(control, ". /share/lib.sh; {line}\ntouch /share/{done}\n").expect("written");
        wait_for(line, || self.share.join(&done).exists());
    }

    /// Presses one of the buttons with which the virtual camera can be made to fail.
    fn vivid(&self, button: &str) {
        self.run(&press(button));
    }

    /// The same again and again, until [`Guest::release`].
    fn hold(&self, button: &str) {
        let press = press(button);
        self.run(&format!(
            "touch /tmp/{button}; while [ -e /tmp/{button} ]; do {press}; sleep 0.05; done &"
        ));
    }

    fn release(&self, button: &str) {
        self.run(&format!("rm /tmp/{button}"));
    }

    /// Signs in, and waits for the picture.
    fn watch(&self) -> Browser {
        let browser = Browser::start();
        browser.open(&self.url);
        browser.fill("#password", PASSWORD);
        browser.click("button");
        browser.wait_for("the picture", LIVE);
        browser
    }
}

fn press(button: &str) -> String {
    format!("v4l2-ctl -d $(video_node vivid) --set-ctrl={button}=1 2>/dev/null")
}

const LIVE: &str = "document.body.dataset.state === 'live'";

fn fetched(browser: &Browser, path: &str) -> Value {
    browser.js_await(&format!("fetch('{path}').then((response) => response.json())"))
}

/// What the camera is doing.
fn source(browser: &Browser) -> Value {
    fetched(browser, "/api/v1/status")["source"].clone()
}

/// Waits until there is no picture for this reason.
fn wait_for_reason(browser: &Browser, reason: &str) {
    let until = Instant::now() + patience();
    loop {
        let status = fetched(browser, "/api/v1/status");
        if status["source"]["reason"].as_str().is_some_and(|why| why.contains(reason)) {
            return;
        }
        assert!(Instant::now() < until, "gave up waiting for {reason:?}: {status}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn figure(browser: &Browser, name: &str) -> f64 {
    let metrics = browser.js_await("fetch('/metrics').then((response) => response.text())");
    metric(metrics.as_str().expect("text"), name)
}

const COPIED: &str = "picket_frame_bytes_copied_total";
const LOSSES: &str = "picket_camera_losses_total";

/// Pictures decoded so far.
fn decoded(browser: &Browser) -> u64 {
    browser
        .js("return document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames;")
        .as_u64()
        .expect("a count")
}

fn assert_goes_on(browser: &Browser) {
    let before = decoded(browser);
    wait_for("more pictures", || decoded(browser) > before + 30);
}

/// The session that pictures come through. Beside it there may be one that the page has given up.
fn session(browser: &Browser) -> Value {
    let all = fetched(browser, "/api/v1/sessions");
    let connected = |s: &&Value| s["connectionState"] == "connected";
    all.as_array().and_then(|all| all.iter().find(connected)).expect("a session")["id"].clone()
}

#[test]
fn chromium_plays_what_the_stand_in_for_the_pi_encodes_and_stays_through_every_trouble() {
    let Some(guest) = guest() else { return };
    let browser = guest.watch();
    let seen = source(&browser);
    assert_eq!(seen["mode"]["encoder"], "v4l2-m2m", "{seen}");
    assert_goes_on(&browser);
    assert!(figure(&browser, COPIED) == 0.0, "no byte of picture is copied");
    let before = session(&browser);

    // The encoder gets stuck: it alone is restarted.
    guest.run("echo 1 > /sys/module/bcm2835_codec_stand_in/parameters/stick");
    let stuck = Instant::now();
    wait_for("another encoder", || figure(&browser, "picket_encoder_restarts_total") > 0.0);
    println!("a stuck encoder was replaced after {:?}", stuck.elapsed());
    assert_goes_on(&browser);
    assert!(figure(&browser, LOSSES) == 0.0, "the camera had no part in it");

    // The camera is pulled out and plugged in again.
    guest.run("echo vivid.0 > /sys/bus/platform/drivers/vivid/unbind");
    browser.wait_for("the page says so", "document.body.dataset.state === 'lost'");
    guest.run("echo vivid.0 > /sys/bus/platform/drivers/vivid/bind");
    browser.wait_for("the picture", LIVE);
    assert_goes_on(&browser);
    assert_eq!(session(&browser), before, "the same session all along");
}

#[test]
fn chromium_plays_a_usb_camera_encoded_in_software_and_stays_through_its_errors() {
    let Some(guest) = guest() else { return };
    let browser = guest.watch();
    let seen = source(&browser);
    assert_eq!(seen["mode"]["encoder"], "openh264", "{seen}");
    assert_goes_on(&browser);
    let before = session(&browser);

    // A damaged picture costs that picture.
    guest.vivid("inject_v4l2_buf_flag_error");
    assert_goes_on(&browser);
    assert!(figure(&browser, LOSSES) == 0.0, "one damaged picture is no loss");

    // The pictures end with an error, and the camera can be had again only after a while.
    for (button, reason) in [
        ("inject_vidioc_reqbufs_error", "cannot make buffers for the pictures of /dev/video"),
        ("inject_vidioc_qbuf_error", "cannot queue the buffers of /dev/video"),
        ("inject_vidioc_streamon_error", "cannot start the pictures of /dev/video"),
    ] {
        guest.hold(button);
        guest.vivid("inject_fatal_streaming_error");
        wait_for_reason(&browser, reason);
        browser.wait_for("the page says so", "document.body.dataset.state === 'lost'");
        guest.release(button);
        browser.wait_for("the picture", LIVE);
        assert_goes_on(&browser);
    }

    // Unplugged, and plugged in again once nobody has it open any more.
    let losses = figure(&browser, LOSSES);
    guest.vivid("disconnect");
    wait_for("the camera is missed", || figure(&browser, LOSSES) > losses);
    browser.wait_for("the picture", LIVE);
    assert_goes_on(&browser);
    assert_eq!(session(&browser), before, "the same session all along");
}

#[test]
fn chromium_plays_a_libcamera_camera_encoded_in_software_and_uncopied_by_the_stand_in_for_the_pi() {
    let Some(guest) = guest() else { return };
    let browser = guest.watch();
    let seen = source(&browser);
    assert_eq!(seen["mode"]["name"], "libcamera", "{seen}");
    assert_eq!(seen["mode"]["encoder"], "openh264", "{seen}");
    assert_goes_on(&browser);
    let pictures = figure(&browser, "picket_frames_encoded_total");
    println!("openh264: {} bytes copied a picture", figure(&browser, COPIED) / pictures);

    // Who comes when nobody watches has the camera started, and the best encoder that is there.
    browser.open(&format!("{}/healthz", guest.url));
    wait_for("the camera to rest", || source(&browser)["state"] == "idle");
    guest.run("load 'bcm2835-codec-stand-in contiguous=N key_budget=200000'; touch loaded");
    wait_for("the encoder to be loaded", || guest.share.join("loaded").exists());
    let copied = figure(&browser, COPIED);
    browser.open(&guest.url);
    browser.wait_for("the picture", LIVE);
    let seen = source(&browser);
    assert_eq!(seen["mode"]["name"], "libcamera", "{seen}");
    assert_eq!(seen["mode"]["encoder"], "v4l2-m2m", "{seen}");
    assert_goes_on(&browser);
    assert!(figure(&browser, COPIED) == copied, "no byte of picture is copied");
}
