//! The camera in other sites' pages: the player in a frame, its pictures in a plain `<img>`, by the
//! judgement of a real browser.

mod common;

use common::browser::Browser;
use common::client::ask;
use common::daemon::{Daemon, metric};
use common::web::{Page, Web};

/// Names of two sites, as a network has them. What is not this machine's own name is not trusted
/// by browsers without HTTPS, and gets no `Sec-Fetch-` headers.
const CAMERA: &str = "cam.test";
const NAMES: &str = "--host-resolver-rules=MAP *.test 127.0.0.1";

/// A camera that `page` may show.
fn camera(page: Option<&str>) -> Daemon {
    let listed =
        format!("http.frame_ancestors=[{}]", page.map(|p| format!("{p:?}")).unwrap_or_default());
    Daemon::start(&[
        &listed,
        &format!("http.allowed_hosts=[{CAMERA:?}]"),
        "camera.width=320",
        "camera.height=240",
    ])
}

/// Whether this is so of all four images `i` of a page.
fn all_four(expression: &str) -> String {
    format!("[...document.images].filter((i) => {expression}).length === 4")
}

/// The addresses of one page, under a host name.
fn at(web: &Web, host: &str) -> String {
    web.url("").replace("127.0.0.1", host)
}

#[test]
fn the_player_plays_in_the_frame_of_a_listed_page_and_of_no_other() {
    let browser = Browser::with(&[NAMES]);
    for (camera_name, page_name) in [("127.0.0.1", "localhost"), (CAMERA, "wall.test")] {
        let (listed, other) = (Web::start(), Web::start());
        let camera = camera(Some(&at(&listed, page_name)));
        let url = camera.url("/").replace("127.0.0.1", camera_name);
        let html = format!(
            "<!DOCTYPE html><iframe src='{url}' width=800 height=600 onload='document.title = \"done\"'></iframe>"
        );
        for web in [&listed, &other] {
            web.serve("/", Page::Bytes(html.clone().into_bytes()));
        }
        browser.open(&(at(&other, page_name) + "/"));
        browser.wait_for("the frame's end", "document.title === 'done'");
        browser.enter_frame(0);
        assert_eq!(browser.js("return document.querySelector('video') === null"), true);

        browser.open(&(at(&listed, page_name) + "/"));
        browser.enter_frame(0);
        browser.wait_for("the picture", "document.querySelector('video').currentTime > 0");
        browser.open("about:blank");
    }
}

#[test]
fn pictures_are_shown_in_the_images_of_a_listed_page_and_of_no_other() {
    let browser = Browser::with(&[NAMES]);
    for (camera_name, page_name) in [("127.0.0.1", "localhost"), (CAMERA, "wall.test")] {
        let (listed, other) = (Web::start(), Web::start());
        let camera = camera(Some(&at(&listed, page_name)));
        let images: String =
            ["/snapshot.jpg", "/stream.mjpg", "/?action=stream", "/webcam/?action=snapshot"]
                .iter()
                .map(|path| camera.url(path).replace("127.0.0.1", camera_name))
                .map(|url| format!("<img src='{url}' onerror='this.alt = \"none\"'>"))
                .collect();
        let images = format!("<!DOCTYPE html>{images}");
        for web in [&listed, &other] {
            web.serve("/", Page::Bytes(images.clone().into_bytes()));
        }
        browser.open(&(at(&other, page_name) + "/"));
        browser.wait_for("refusals", &all_four("i.alt === 'none'"));

        browser.open(&(at(&listed, page_name) + "/"));
        browser.wait_for("pictures", &all_four("i.naturalWidth === 320"));
        assert_eq!(metric(&camera.metrics(), "picket_mjpeg_viewers"), 2.0);
        browser.open("about:blank");
    }
}

#[test]
fn unless_a_page_is_listed_no_page_shows_the_camera() {
    let (browser, web, camera) = (Browser::with(&[NAMES]), Web::start(), camera(None));
    for (camera_name, page_name) in [("127.0.0.1", "localhost"), (CAMERA, "wall.test")] {
        let url = camera.url("").replace("127.0.0.1", camera_name);
        let html = format!(
            "<!DOCTYPE html><img src='{url}/stream.mjpg' onerror='this.alt = \"none\"'>
            <iframe src='{url}/' onload='document.title = \"done\"'></iframe>"
        );
        web.serve("/", Page::Bytes(html.into_bytes()));
        browser.open(&(at(&web, page_name) + "/"));
        browser.wait_for("the image's end", "document.images[0].alt === 'none'");
        browser.wait_for("the frame's end", "document.title === 'done'");
        browser.enter_frame(0);
        assert_eq!(browser.js("return document.querySelector('video') === null"), true);
    }
}

#[test]
fn old_browsers_are_told_the_same_as_far_as_they_know_a_word_for_it() {
    let told = |setting: &str| {
        let daemon = Daemon::start(&[setting]);
        let reply = ask(daemon.http, "GET", "/healthz", &[], "");
        let policy = reply.header("content-security-policy").to_owned();
        let ancestors = policy.rsplit_once("frame-ancestors ").expect("a policy").1.to_owned();
        (ancestors, reply.header("x-frame-options").to_owned())
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(told("http.frame_ancestors=[]"), pair("'none'", "DENY"));
    assert_eq!(told("http.frame_ancestors=[\"'self'\"]"), pair("'self'", "SAMEORIGIN"));
    let two = told("http.frame_ancestors=[\"'self'\", \"https://*.home.example:*\"]");
    assert_eq!(two, pair("'self' https://*.home.example:*", ""));
}
