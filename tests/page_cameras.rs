//! The page of several cameras in a real browser: all of them in a grid, and one alone.

mod common;

use common::axe::{axe, judge};
use common::browser::{Browser, site_for_a_browser_that};
use common::daemon::Daemon;

/// A test picture, and a clip that is not there.
const CAMERAS: &str = "[device]\nhostname = \"house\"\n\n[camera]\nsource = \"pattern\"\nwidth = 640\n\
                       height = 360\n\n[[cameras]]\nname = \"garden\"\nsource = \"pattern\"\n\
                       width = 320\nheight = 240\n";

fn start(config: &str) -> (Daemon, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.toml");
    std::fs::write(&path, config).expect("written");
    (Daemon::spawn(Daemon::command_with(&path, &[])), folder)
}

/// What a tile's own page says of itself.
fn tile(n: usize, expression: &str) -> String {
    format!(
        "(() => {{ const document = frames[{n}]?.document; return document && ({expression}); }})()"
    )
}

const PLAYS: &str = "document.body?.dataset.state === 'live'";

#[test]
fn all_cameras_play_in_a_grid_and_one_alone_behind_its_tile() {
    let (daemon, _folder) = start(CAMERAS);
    let browser = Browser::start();
    browser.open(&daemon.url("/"));
    for (n, width) in [(0, 640), (1, 320)] {
        browser.wait_for("a tile plays", &tile(n, PLAYS));
        let video = format!("document.querySelector('video').videoWidth === {width}");
        browser.wait_for("each its own camera", &tile(n, &video));
    }
    if let Some(axe) = axe() {
        judge(&browser, &axe, "the grid");
    }
    assert_eq!(browser.sticking_out(), serde_json::json!([]));
    browser.click(".tile a[href$='camera=garden']");
    browser.wait_for("the garden alone", PLAYS);
    assert_eq!(browser.text("h1"), "garden");
    let width = browser.js("return document.querySelector('video').videoWidth;");
    assert_eq!(width, 320);
    browser.click("#all-cameras");
    browser.wait_for("the grid again", &tile(1, PLAYS));
}

#[test]
fn a_camera_that_is_lost_darkens_its_own_tile_alone() {
    let lost = CAMERAS.replace(
        "source = \"pattern\"\nwidth = 320\nheight = 240",
        "source = \"file:/nowhere/a.mp4\"",
    );
    let (daemon, _folder) = start(&lost);
    let browser = Browser::start();
    browser.open(&daemon.url("/"));
    browser.wait_for("the first plays", &tile(0, PLAYS));
    browser.wait_for("the other says why", &tile(1, "document.body?.dataset.state === 'lost'"));
    browser.wait_for("and the first plays on", &tile(0, PLAYS));
}

/// A browser keeps no more than six connections to one server.
#[test]
fn a_grid_of_many_leads_on_where_no_video_gets_through() {
    let more = (0..8).map(|n| {
        format!("\n[[cameras]]\nname = \"c{n}\"\nsource = \"pattern\"\nwidth = 160\nheight = 120\n")
    });
    let site = site_for_a_browser_that("delete window.RTCPeerConnection;");
    let location = format!("[site]\ndata_location = \"{}\"\n\n", site.path().display());
    let (daemon, _folder) = start(&more.fold(location + CAMERAS, |all, one| all + &one));
    let browser = Browser::start();
    browser.open(&daemon.url("/"));
    // As they are after scrolling past all of them.
    browser.js("for (const tile of document.querySelectorAll('iframe')) tile.loading = 'eager';");
    for n in 0..10 {
        let still = "document.getElementById('stills')?.naturalWidth > 0";
        browser.wait_for("a still picture in each", &tile(n, still));
    }
    browser.click(".tile a[href$='camera=c7']");
    browser.wait_for("the last one alone", "document.querySelector('h1')?.textContent === 'c7'");
}

#[test]
fn one_camera_is_a_page_of_its_own_as_ever() {
    let daemon = Daemon::start(&["device.hostname=porch"]);
    let browser = Browser::start();
    browser.open(&daemon.url("/"));
    browser.wait_for("the picture", PLAYS);
    assert_eq!(browser.text("h1"), "porch");
    assert_eq!(
        browser.js("return document.getElementById('all-cameras');"),
        serde_json::Value::Null
    );
}
