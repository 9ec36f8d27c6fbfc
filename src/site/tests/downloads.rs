//! Downloading the data-files from a server that may be slow, wrong or hostile.

use std::cell::RefCell;
use std::fs;

use super::super::checksum::Checksum;
use super::super::testing::{Reply, Server, gzip, tar, tar_entry};
use super::*;

fn theme() -> Vec<u8> {
    gzip(&tar(&[
        ("templates/base.html", "<b>{% block content %}{% endblock %}</b>"),
        ("templates/index.html", "{% extends 'base.html' %}{% block content %}theme{% endblock %}"),
        ("templates/404.html", "theme 404"),
        ("templates/500.html", "theme 500"),
        ("templates/about.html", "theme about"),
        ("static/css/custom.css", "theme css"),
        ("static/js/custom.js", "theme js"),
        ("static/img/favicon-32x32.png", "theme icon"),
        ("static/img/logo.png", "theme logo"),
    ]))
}

fn from(server: &Server, archive: &[u8], location: &Path) -> SiteSettings {
    SiteSettings {
        download_url: Some(server.url()),
        download_sha256: Some(Checksum::of(archive).to_string()),
        ..at(location)
    }
}

/// Opens with `settings` and expects the embedded site, nothing written and one warning.
fn expect_embedded(settings: &SiteSettings, downloader: &Downloader<'_>, reason: &str) {
    let (site, report) = Site::open_with(settings, downloader).unwrap();
    let [warning] = &report.warnings[..] else {
        panic!("expected one warning, not {:?}", report.warnings);
    };
    assert!(warning.contains(reason), "{warning}");
    assert_eq!(with(&report, FileAction::Embedded).len(), DEFAULTS.len());
    assert_eq!(site.render("index.html", &()), Site::embedded().render("index.html", &()));
    for file in DEFAULTS {
        let path = site.location.as_deref().unwrap().join(file.to_string());
        assert!(!path.exists(), "{file} was written");
    }
}

#[test]
fn a_verified_archive_becomes_the_site() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(vec![Reply::ok(&theme())]);
    let settings = from(&server, &theme(), dir.path());
    let (site, report) = Site::open_with(&settings, &impatient()).unwrap();
    assert_eq!(with(&report, FileAction::Downloaded).len(), 9);
    assert_eq!(report.warnings, [""; 0]);
    assert_eq!(site.render("index.html", &()).unwrap(), "<b>theme</b>");
    assert_eq!(site.file("img/logo.png").unwrap().bytes, "theme logo");

    Site::open_with(&settings, &impatient()).unwrap();
    assert_eq!(server.served(), 1, "a complete site is not downloaded again");

    fs::remove_dir_all(dir.path().join("static/js/player")).unwrap();
    let (_, report) = Site::open_with(&settings, &impatient()).unwrap();
    assert_eq!(
        server.served(),
        1,
        "a site is complete without the parts of a player that it has not"
    );
    assert_eq!(report.warnings, [""; 0]);
}

#[test]
fn files_that_are_found_stay_and_gaps_in_the_archive_are_filled() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("templates")).unwrap();
    for mine in ["index.html", "about.html"] {
        fs::write(dir.path().join("templates").join(mine), "mine").unwrap();
    }
    let archive = tar(&[
        ("templates/index.html", "theme"),
        ("templates/about.html", "theme"),
        ("templates/404.html", "theme"),
        ("static/x.txt", "theme"),
    ]);
    let server = Server::start(vec![Reply::ok(&archive)]);
    let settings = from(&server, &archive, dir.path());
    let (site, report) = Site::open_with(&settings, &impatient()).unwrap();
    assert_eq!(with(&report, FileAction::Kept), ["templates/about.html", "templates/index.html"]);
    assert_eq!(with(&report, FileAction::Downloaded), ["static/x.txt", "templates/404.html"]);
    assert_eq!(with(&report, FileAction::Written).len(), DEFAULTS.len() - 2);
    assert_eq!(site.render("index.html", &()).unwrap(), "mine");

    let settings = SiteSettings { overwrite_default_files: true, ..settings };
    let (site, report) = Site::open_with(&settings, &impatient()).unwrap();
    assert_eq!(with(&report, FileAction::Overwritten), ["templates/index.html"]);
    assert_eq!(site.render("index.html", &()).unwrap(), "theme");
    assert_eq!(site.render("about.html", &()).unwrap(), "mine");
}

#[test]
fn a_wrong_checksum_falls_back_without_another_attempt() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(vec![Reply::ok(&theme())]);
    let settings = from(&server, b"something else", dir.path());
    let wrong = format!("SHA-256 is {}", Checksum::of(&theme()));
    expect_embedded(&settings, &impatient(), &wrong);
    assert_eq!(server.served(), 1);
}

#[test]
fn without_a_checksum_nothing_is_asked_of_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(vec![Reply::ok(&theme())]);
    for (sum, reason) in [(None, "download_sha256 is missing"), (Some("123"), "64 hexadecimal")] {
        let settings = SiteSettings {
            download_sha256: sum.map(str::to_owned),
            ..from(&server, &theme(), dir.path())
        };
        expect_embedded(&settings, &impatient(), reason);
    }
    assert_eq!(server.served(), 0);
}

#[test]
fn a_download_without_a_place_for_it_is_told() {
    let settings =
        SiteSettings { download_url: Some("http://127.0.0.1/".into()), ..SiteSettings::default() };
    let (_, report) = Site::open_with(&settings, &impatient()).unwrap();
    assert!(report.warnings[0].contains("data location"), "{:?}", report.warnings);
}

#[test]
fn a_server_that_does_not_answer_keeps_nobody_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(vec![Reply::ok(&theme())]);
    let settings = from(&server, &theme(), dir.path());
    let (site, _, download) = Site::open_without_download(&settings).unwrap();
    assert_eq!(server.served(), 0);
    let before = site.render("index.html", &()).unwrap();
    assert_eq!(before, Site::embedded().render("index.html", &()).unwrap());
    let report = download.expect("there is something to fetch").run().unwrap();
    assert!(!with(&report, FileAction::Downloaded).is_empty(), "{report:?}");
    assert_ne!(site.render("index.html", &()).unwrap(), before, "it is there without a restart");
    let (_, _, nothing) = Site::open_without_download(&settings).unwrap();
    assert!(nothing.is_none());
}

#[test]
fn failures_on_the_way_are_tried_again_after_longer_and_longer_pauses() {
    let dir = tempfile::tempdir().unwrap();
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\nshort".to_vec();
    let server = Server::start(vec![
        Reply::status("503 Service Unavailable"),
        Reply::Raw(cut),
        Reply::Raw(Vec::new()),
        Reply::ok(&theme()),
    ]);
    let pauses = RefCell::new(Vec::new());
    let downloader = Downloader { pause: &|time| pauses.borrow_mut().push(time), ..impatient() };
    let settings = from(&server, &theme(), dir.path());
    let (site, _) = Site::open_with(&settings, &downloader).unwrap();
    assert_eq!(site.render("index.html", &()).unwrap(), "<b>theme</b>");
    assert_eq!(*pauses.borrow(), [1, 2, 4].map(Duration::from_secs));
}

#[test]
fn a_server_that_goes_on_failing_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(vec![Reply::status("500 Internal Server Error")]);
    let settings = from(&server, &theme(), dir.path());
    expect_embedded(&settings, &impatient(), "status 500");
    assert_eq!(server.served(), 4);
}

#[test]
fn a_refusal_is_final() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(vec![Reply::status("404 Not Found")]);
    expect_embedded(&from(&server, &theme(), dir.path()), &impatient(), "status 404");
    assert_eq!(server.served(), 1);
}

#[test]
fn a_server_that_stalls_is_left_at_the_timeout() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\nhalf".to_vec();
    for stall in [Vec::new(), b"HTTP/1.1 200".to_vec(), half] {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(vec![Reply::Stall(stall)]);
        let downloader = Downloader { timeout: Duration::from_millis(100), ..impatient() };
        let settings = from(&server, &theme(), dir.path());
        expect_embedded(&settings, &downloader, "took longer than 100ms");
    }
}

#[test]
fn a_body_that_is_cut_is_not_taken_for_the_archive() {
    let dir = tempfile::tempdir().unwrap();
    let body = &theme()[..200];
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n".to_vec();
    let declared = Server::start(vec![Reply::Raw([&head, body].concat())]);
    expect_embedded(&from(&declared, &theme(), dir.path()), &impatient(), "transfer failed");
    let undeclared = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
    let undeclared = Server::start(vec![Reply::Raw([&undeclared, body].concat())]);
    expect_embedded(&from(&undeclared, &theme(), dir.path()), &impatient(), "SHA-256 is");
}

#[test]
fn a_body_that_is_too_large_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let huge = vec![0; (8 << 20) + 1];
    let server = Server::start(vec![Reply::ok(&huge)]);
    expect_embedded(&from(&server, &huge, dir.path()), &impatient(), "larger than 8 MiB");
    assert_eq!(server.served(), 1);
}

#[test]
fn five_redirects_are_followed_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let to_itself = || Reply::redirect("/site.tar.gz");
    let mut replies: Vec<Reply> = (0..5).map(|_| to_itself()).collect();
    replies.push(Reply::ok(&theme()));
    let server = Server::start(replies);
    let (site, _) = Site::open_with(&from(&server, &theme(), dir.path()), &impatient()).unwrap();
    assert_eq!(site.render("404.html", &()).unwrap(), "theme 404");

    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(vec![to_itself()]);
    let settings = from(&server, &theme(), dir.path());
    expect_embedded(&settings, &impatient(), "more than 5 redirects");
}

#[test]
fn a_redirect_to_another_kind_of_address_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(vec![Reply::redirect("file:///etc/passwd")]);
    expect_embedded(&from(&server, &theme(), dir.path()), &impatient(), "not downloaded");
}

#[test]
fn a_server_that_does_not_speak_tls_is_an_error_and_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(vec![Reply::ok(&theme())]);
    let mut settings = from(&server, &theme(), dir.path());
    settings.download_url = Some(server.url().replace("http:", "https:"));
    expect_embedded(&settings, &impatient(), "transfer failed");
    assert_eq!(server.served(), 4);
}

#[test]
fn an_address_that_cannot_be_used_is_told() {
    let dir = tempfile::tempdir().unwrap();
    for url in [
        "",
        "site.tar.gz",
        "/site.tar.gz",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "http://",
        "https://",
        "https:///x",
        "http://a b/",
        "http://[::1/",
    ] {
        let settings = SiteSettings {
            download_url: Some(url.to_owned()),
            download_sha256: Some(Checksum::of(b"").to_string()),
            ..at(dir.path())
        };
        expect_embedded(&settings, &impatient(), "not a usable http:// or https:// address");
    }
}

#[test]
fn a_hostile_archive_writes_nothing_anywhere() {
    let outside = tempfile::tempdir().unwrap();
    let canary = outside.path().join("canary");
    let link = tar_entry("templates/x", tar::EntryType::Symlink, b"");
    let with = |name: &str| tar(&[("templates/index.html", "evil"), (name, "evil")]);
    for (evil, reason) in [
        (with("../canary"), "unsafe name"),
        (with("templates/../../canary"), "unsafe name"),
        (with(canary.to_str().unwrap()), "unsafe name"),
        ([link, with("static/x")].concat(), "is a link or a device"),
    ] {
        let location = outside.path().join("site");
        let server = Server::start(vec![Reply::ok(&evil)]);
        let settings = from(&server, &evil, &location);
        expect_embedded(&settings, &impatient(), reason);
        assert!(!canary.exists());
    }
}

#[test]
fn a_failed_download_replaces_nothing_even_when_told_to_overwrite() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(vec![Reply::ok(&theme()), Reply::status("404 Not Found")]);
    let settings =
        SiteSettings { overwrite_default_files: true, ..from(&server, &theme(), dir.path()) };
    Site::open_with(&settings, &impatient()).unwrap();
    let (site, report) = Site::open_with(&settings, &impatient()).unwrap();
    assert_eq!(with(&report, FileAction::Kept).len(), DEFAULTS.len());
    assert_eq!(report.warnings.len(), 1);
    assert_eq!(site.render("index.html", &()).unwrap(), "<b>theme</b>");
}

#[test]
fn a_download_that_failed_is_tried_again_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(vec![Reply::status("404 Not Found"), Reply::ok(&theme())]);
    let settings = from(&server, &theme(), dir.path());
    expect_embedded(&settings, &impatient(), "status 404");
    let (site, _) = Site::open_with(&settings, &impatient()).unwrap();
    assert_eq!(site.render("index.html", &()).unwrap(), "<b>theme</b>");
}
