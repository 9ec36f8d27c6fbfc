//! How long it takes from the camera's glass to the browser's, and where the time goes.
//!
//! A real browser plays the test picture, whose strip says when each picture was taken. The page
//! reads it back from what it shows and compares it with the moment of showing; both clocks are
//! this machine's. The daemon's own stages come from its `/metrics`, the browser's from its
//! statistics (W3C "Identifiers for WebRTC's Statistics API"). Run by `scripts/bench`.

#[path = "../tests/common/mod.rs"]
mod common;

use common::browser::Browser;
use common::daemon::{Daemon, metric, wait_for};
use serde_json::Value;

/// Pictures measured.
const PICTURES: u64 = 450;

/// On each picture: reads the strip's 48-bit clock in milliseconds (see `camera::pattern`) and
/// keeps how long ago that was when the picture was handed to the screen.
const METER: &str = "
    const video = document.querySelector('video');
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    const context = canvas.getContext('2d', { willReadFrequently: true });
    const top = canvas.height * 28 / 30, height = canvas.height / 15;
    window.delays = [];
    const bit = (pixels, n) => {
        const x = Math.floor(canvas.width * (n % 40 + 0.5) / 40);
        const y = Math.floor(height * (Math.floor(n / 40) + 0.5) / 2);
        return pixels[4 * (y * canvas.width + x) + 1] > 127 ? 1 : 0;
    };
    video.requestVideoFrameCallback(function each(_, { presentationTime }) {
        video.requestVideoFrameCallback(each);
        context.drawImage(video, 0, top, canvas.width, height, 0, 0, canvas.width, height);
        const { data } = context.getImageData(0, 0, canvas.width, height);
        let taken = 0, mark = 0;
        for (let n = 0; n < 8; n++) mark = 2 * mark + bit(data, n);
        for (let n = 8; n < 56; n++) taken = 2 * taken + bit(data, n);
        if (mark === 0xa5) delays.push(performance.timeOrigin + presentationTime - taken);
    });";

/// Watches the receiver that the page uses.
const LISTEN: &str = "
    const getStats = RTCRtpReceiver.prototype.getStats;
    RTCRtpReceiver.prototype.getStats = function () {
        window.receiver = this;
        return getStats.call(this);
    };";

const COUNTERS: &str = "receiver.getStats().then((all) =>
    [...all.values()].find(({ type }) => type === 'inbound-rtp'))";

fn main() {
    let daemon = Daemon::start(&[]);
    let browser = Browser::start();
    browser.open(&daemon.url("/"));
    browser.wait_for("the picture", "document.body.dataset.state === 'live'");
    let first = browser.js("return performance.getEntriesByName('first-picture')[0].startTime
             - performance.getEntriesByType('navigation')[0].responseStart;");
    browser.js(LISTEN);
    browser.wait_for("the page looks at its counters", "window.receiver");

    let (stages, counters) = (daemon.metrics(), browser.js_await(COUNTERS));
    browser.js(METER);
    wait_for("pictures", || browser.js("return delays.length;").as_u64() >= Some(PICTURES));
    let (stages_then, counters_then) = (daemon.metrics(), browser.js_await(COUNTERS));
    let mut delays: Vec<f64> = browser
        .js("return delays;")
        .as_array()
        .map_or_else(Vec::new, |all| all.iter().filter_map(Value::as_f64).collect());
    delays.sort_by(f64::total_cmp);
    let quantile = |q: usize| delays[(delays.len() - 1) * q / 100];

    println!("| stage, mean of {} pictures | ms |\n|---|---|", delays.len());
    for (stage, what) in [
        ("capture_delay", "drawn, and picked up by the pipeline"),
        ("transform", "transformed"),
        ("encode", "encoded by OpenH264"),
        ("hub_delay", "from drawn to coded, these three together"),
        ("send_delay", "cut, encrypted, handed to the kernel"),
    ] {
        let total = |m: &str, end: &str| metric(m, &format!("picket_{stage}_seconds_{end}"));
        let growth = |end| total(&stages_then, end) - total(&stages, end);
        println!("| {what} | {:.2} |", 1000.0 * growth("sum") / growth("count"));
    }
    let growth = |name: &str| {
        let of = |c: &Value| c[name].as_f64().unwrap_or(f64::NAN);
        of(&counters_then) - of(&counters)
    };
    let pictures = growth("framesDecoded");
    println!(
        "| waited in the browser's jitter buffer | {:.2} |",
        1000.0 * growth("jitterBufferDelay") / growth("jitterBufferEmittedCount")
    );
    println!("| decoded by the browser | {:.2} |", 1000.0 * growth("totalDecodeTime") / pictures);
    println!("| **glass to glass, p50** | **{:.1}** |", quantile(50));
    println!("| glass to glass, p95 | {:.1} |", quantile(95));
    println!("\nfirst picture {:.0} ms after the page's first byte", first.as_f64().unwrap_or(0.0));
}
