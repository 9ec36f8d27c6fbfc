//! What HTTPS adds to the first page: a browser that has never been there opens it by HTTP and by
//! HTTPS.
//!
//! In turns, and each time with a new profile, so that no connection, session or certificate is known
//! from before. The browser's own figures are taken (W3C "Navigation Timing"), which begin before it
//! looks for the server. Run by `scripts/bench`.

#[path = "../tests/common/mod.rs"]
mod common;

use common::browser::Browser;
use common::daemon::Daemon;
use common::tls::{https_address, root_of};

/// How often each way is taken.
const ROUNDS: usize = 15;

/// What is looked at, and where it stands in the page.
const STAGES: [(&str, &str); 3] = [
    ("the page is there", "page.responseEnd"),
    ("all it needs is loaded", "page.loadEventEnd"),
    ("the first picture stands", "performance.getEntriesByName('first-picture')[0].startTime"),
];

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let location = format!("site.data_location={}", folder.path().display());
    // A small picture: its encoder shall not be in the figures.
    let picture =
        ["camera.width=320", "camera.height=180", "camera.fps=10", "stream.keep_warm=true"];
    let daemon = Daemon::start(&[&["http.tls=auto", &location], &picture[..]].concat());
    let root = root_of(&daemon);
    let urls = [
        format!("http://localhost:{}/", daemon.http.port()),
        format!("https://localhost:{}/", https_address(&daemon).port()),
    ];
    let mut taken = [[const { Vec::new() }; STAGES.len()], [const { Vec::new() }; STAGES.len()]];
    for _ in 0..ROUNDS {
        for (url, taken) in urls.iter().zip(&mut taken) {
            let browser = Browser::trusting(&root);
            browser.open(url);
            browser.wait_for("the picture", "document.body.dataset.state === 'live'");
            for ((_, stage), taken) in STAGES.iter().zip(taken) {
                let page = "const [page] = performance.getEntriesByType('navigation');";
                let time = browser.js(&format!("{page} return {stage};"));
                taken.push(time.as_f64().expect("a time"));
            }
        }
    }
    let [plain, secure] = taken.map(|stages| stages.map(median));
    println!("| since it was asked for, median of {ROUNDS} | HTTP | HTTPS | more |");
    println!("|---|---|---|---|");
    for (((stage, _), plain), secure) in STAGES.iter().zip(plain).zip(secure) {
        println!("| {stage} | {plain:.0} ms | {secure:.0} ms | {:.0} ms |", secure - plain);
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
