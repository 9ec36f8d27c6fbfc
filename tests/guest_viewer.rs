//! What a person sees of a Picket that runs on other hardware: a browser here, and the daemon in
//! the emulated machine of `scripts/test-guest --serve`, with the kernel's virtual camera and the
//! stand-in for the Pi's encoder. Without such a machine there is nothing to test, and these say so.

mod common;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use common::browser::Browser;
use common::daemon::wait_for;
use serde_json::Value;

/// The password that the guest's daemon was given.
const PASSWORD: &str = "correct horse";

struct Guest {
    url: String,
    control: PathBuf,
}

fn guest() -> Option<Guest> {
    let Ok(url) = std::env::var("PICKET_GUEST_URL") else {
        println!("skipped: only beside the guest of scripts/test-guest --serve");
        return None;
    };
    let control = std::env::var_os("PICKET_GUEST_CONTROL").expect("set beside the URL");
    Some(Guest { url, control: control.into() })
}

impl Guest {
    /// Has the guest's shell run a line.
    fn run(&self, line: &str) {
        let mut control = OpenOptions::new().write(true).open(&self.control).expect("open");
        writeln!(control, "{line}").expect("written");
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

const LIVE: &str = "document.body.dataset.state === 'live'";

fn fetched(browser: &Browser, path: &str) -> Value {
    browser.js_await(&format!("fetch('{path}').then((response) => response.json())"))
}

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

fn session(browser: &Browser) -> Value {
    fetched(browser, "/api/v1/sessions")[0]["id"].clone()
}

#[test]
fn chromium_plays_what_the_stand_in_for_the_pi_encodes_and_stays_through_every_trouble() {
    let Some(guest) = guest() else { return };
    let browser = guest.watch();
    let status = fetched(&browser, "/api/v1/status");
    assert_eq!(status["source"]["mode"]["encoder"], "v4l2-m2m", "{status}");
    assert_goes_on(&browser);
    let before = session(&browser);

    // The encoder gets stuck: it alone is made anew.
    guest.run("echo 1 > /sys/module/bcm2835_codec_stand_in/parameters/stick");
    let stuck = Instant::now();
    wait_for("another encoder", || {
        let metrics = browser.js_await("fetch('/metrics').then((response) => response.text())");
        let metrics = metrics.as_str().expect("text");
        common::daemon::metric(metrics, "picket_encoder_restarts_total") > 0.0
    });
    println!("a stuck encoder was replaced after {:?}", stuck.elapsed());
    assert_goes_on(&browser);

    // The camera is pulled out and plugged in again.
    guest.run("echo vivid.0 > /sys/bus/platform/drivers/vivid/unbind");
    browser.wait_for("the page says so", "document.body.dataset.state === 'lost'");
    guest.run("echo vivid.0 > /sys/bus/platform/drivers/vivid/bind");
    browser.wait_for("the picture", LIVE);
    assert_goes_on(&browser);
    assert_eq!(session(&browser), before, "the same session all along");

    let copied = browser.js_await("fetch('/metrics').then((response) => response.text())");
    let copied = copied.as_str().expect("text");
    println!("{} bytes copied", common::daemon::metric(copied, "picket_frame_bytes_copied_total"));
}

#[test]
fn chromium_plays_a_usb_camera_encoded_in_software() {
    let Some(guest) = guest() else { return };
    let browser = guest.watch();
    let status = fetched(&browser, "/api/v1/status");
    assert_eq!(status["source"]["mode"]["encoder"], "openh264", "{status}");
    assert_goes_on(&browser);
}
