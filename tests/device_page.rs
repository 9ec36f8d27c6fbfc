//! The device's page in a real browser. The steward is a stand-in.

mod common;

use common::axe::{axe, judge};
use common::browser::Browser;
use common::daemon::{Daemon, wait_for};
use common::steward::{StandIn, own_network, seen};
use common::web::{Page, Web};
use picket::testing::appliance::{
    JoinRequest, StewardRequest, UpdateOutcome, UpdateStatus, WifiStatus,
};
use serde_json::{Value, json};

/// Opens the page and waits until it knows how the device is.
fn opened(daemon: &Daemon) -> Browser {
    let browser = Browser::start();
    open(&browser, daemon);
    browser
}

fn open(browser: &Browser, daemon: &Daemon) {
    browser.open(&daemon.url("/device"));
    browser.wait_for("it knows", "document.getElementById('camera').textContent !== '…'");
}

fn shows(browser: &Browser, id: &str, text: &str) {
    let text = serde_json::to_string(text).expect("written");
    browser.wait_for(
        &format!("#{id} says {text}"),
        &format!("document.getElementById('{id}').innerText.includes({text})"),
    );
}

/// Waits for the networks, and chooses the one of that number.
fn choose(browser: &Browser, number: usize) {
    let choice = format!("#networks .choice:nth-child({})", number + 1);
    browser.wait_for("networks", &format!("document.querySelector('{choice}')"));
    browser.click(&choice);
}

/// Gives the page a file.
fn give(browser: &Browser, bytes: usize) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".raucb").tempfile().expect("a file");
    file.as_file().set_len(bytes as u64).expect("a size");
    browser.fill("#bundle", file.path().to_str().expect("text"));
    file
}

/// The device restarts: the daemon ends, and comes back at the same address.
fn restarted(daemon: Daemon, steward: &StandIn, settings: &[&str]) -> Daemon {
    let listen = format!("http.listen={}", daemon.http);
    drop(daemon);
    steward.daemon(&[&[listen.as_str()], settings].concat())
}

#[test]
fn the_page_tells_how_the_device_is() {
    let steward = StandIn::new();
    {
        let status = &mut steward.state().status;
        status.notes.insert("data".into(), "What the device kept is <i>lost</i>.".into());
        status.problems = vec!["config.toml:3:1: unknown key `<x>`".into()];
    }
    let daemon = steward.daemon(&["device.hostname=porch"]);
    let browser = opened(&daemon);
    assert_eq!(browser.text("#release"), "Picket 0.2.0");
    assert_eq!(
        browser.text("#addresses"),
        "http://porch.local/\nhttp://192.168.1.7/ over Wi-Fi\nhttp://[fd00::7]/ over Wi-Fi"
    );
    assert_eq!(browser.text("#camera"), "imx708, works.");
    assert_eq!(browser.text("#wifi"), "Connected to “home”.");
    assert_eq!(browser.text("#system"), "Picket 0.2.0, system A, for picket-rpi64");
    assert_eq!(browser.text("#notes"), "What the device kept is <i>lost</i>.");
    assert_eq!(browser.text("#problem-list"), "config.toml:3:1: unknown key `<x>`");

    steward.state().status.camera.fault = Some("the cable is loose".into());
    shows(&browser, "camera", "The cable is loose.");

    // Another device has its name.
    steward.state().status.found_as = Some("porch-2".into());
    shows(&browser, "addresses", "http://porch-2.local/");
}

#[test]
fn the_owner_gets_from_the_picture_to_the_device_and_back() {
    let steward = StandIn::new();
    let daemon = steward.daemon(&["auth.password=correct horse", "device.hostname=porch"]);
    let browser = Browser::start();
    browser.open(&daemon.url("/device"));
    browser.fill("#password", "correct horse");
    browser.click("button");
    shows(&browser, "wifi", "Connected to “home”.");
    browser.click(".brand a");
    browser.click("#device");
    shows(&browser, "wifi", "Connected to “home”.");
}

#[test]
fn names_from_the_air_are_text_and_nothing_else() {
    let evil = [
        "<img src=x onerror=\"window.hacked=1\">",
        "\"><script>window.hacked=1</script>",
        "\u{202e}evil\u{7}\u{200b}",
        "</bdi></label><b>bold",
        "  ",
    ];
    let steward = StandIn::new();
    steward.state().networks = evil.iter().map(|ssid| seen(ssid, -50, true)).collect();
    steward.state().status.wifi =
        WifiStatus::NotFound { ssid: evil[0].into(), in_reach: vec![evil[1].into()] };
    let daemon = steward.daemon(&[]);
    let browser = opened(&daemon);
    assert_eq!(browser.text("#wifi"), format!("“{}” is out of range.", evil[0]));
    for (number, ssid) in evil.iter().enumerate() {
        choose(&browser, number);
        browser.click("#join .button");
        wait_for(
            "the steward is asked",
            || matches!(steward.asked().last(), Some(StewardRequest::Join(join)) if join.ssid == *ssid),
        );
        shows(&browser, "join-outcome", "now.");
    }
    let shown = browser.js("return [...document.querySelectorAll('#networks bdi')].map(
         ({ textContent }) => textContent);");
    assert_eq!(shown[0], evil[0]);
    assert_eq!(shown[2], "\u{fffd}evil\u{fffd}\u{fffd}");
    let hacked = browser.js("return [window.hacked ?? 0, document.querySelectorAll(
         'main img, main script, #networks b, #wifi b, #join-outcome b').length];");
    assert_eq!(hacked, json!([0, 0]));
}

#[test]
fn a_network_is_joined_with_its_password() {
    let steward = StandIn::new();
    steward.state().networks = vec![seen("home", -40, false), seen("café", -75, true)];
    let daemon = steward.daemon(&[]);
    let browser = opened(&daemon);
    choose(&browser, 0);
    browser.click("#join .button");
    shows(&browser, "join-outcome", "Type the network’s password.");
    browser.fill("#wifi-password", "correct horse");
    browser.js("document.getElementById('country').value = 'DE';");
    browser.click("#join .button");
    shows(&browser, "join-outcome", "The device is connected to “home” now.");
    let join = JoinRequest {
        ssid: "home".into(),
        password: Some("correct horse".into()),
        hidden: false,
        country: Some("DE".into()),
    };
    assert_eq!(steward.asked().last(), Some(&StewardRequest::Join(join)));

    steward.state().no_network = Some("the password of “secret” is wrong".into());
    browser.click("#other");
    browser.fill("#ssid", "secret");
    browser.click("#hidden");
    browser.fill("#wifi-password", "wrong horse");
    browser.click("#join .button");
    shows(&browser, "join-outcome", "The password of “secret” is wrong.");
    let asked = steward.asked();
    let Some(StewardRequest::Join(join)) = asked.last() else { panic!("{asked:?}") };
    assert!(join.hidden && join.ssid == "secret", "{join:?}");
}

#[test]
fn who_is_in_the_devices_own_network_is_told_before_it_goes_and_after_it_is_back() {
    let steward = StandIn::new();
    steward.state().status.wifi = own_network();
    steward.state().networks = vec![seen("home", -40, false)];
    let daemon = steward.daemon(&[]);
    let browser = opened(&daemon);
    assert!(browser.text("#own-network").contains("Picket-1A2B"));
    assert!(browser.text("#own-network").contains("abcd-efgh-jkmn-pqrs"));
    steward.state().no_network = Some("“home” is not in reach, or does not answer".into());
    choose(&browser, 0);
    let leaving = browser.text("#leaving");
    assert!(leaving.contains("this page loses the connection"), "{leaving}");
    assert!(leaving.contains("http://porch.local/device"), "{leaving}");
    browser.fill("#wifi-password", "correct horse");
    browser.click("#join .button");
    shows(&browser, "join-outcome", "is not in reach");
    // The telephone comes back, and opens the page again.
    open(&browser, &daemon);
    shows(&browser, "join-outcome", "“home” is not in reach, or does not answer.");
}

#[test]
fn an_update_is_followed_from_the_file_to_its_end() {
    let steward = StandIn::new();
    let daemon = steward.daemon(&[]);
    let browser = opened(&daemon);
    steward.state().hold = true;
    let _file = give(&browser, 3 << 20);
    shows(&browser, "step", "Writing it beside the running system…");
    let percent = browser.js("return document.getElementById('bar').value;");
    assert_eq!(percent, 50);
    steward.release();
    shows(&browser, "banner", "The device is restarting with it");
    {
        let status = &mut steward.state().status;
        status.version = "0.3.0".into();
        let outcome = UpdateOutcome::Trying;
        status.update = UpdateStatus { version: Some("0.3.0".into()), outcome };
    }
    let _daemon = restarted(daemon, &steward, &[]);
    shows(&browser, "update-state", "Picket 0.3.0 is running on trial.");
    assert_eq!(browser.text("#release"), "Picket 0.3.0");
    steward.state().status.update.outcome = UpdateOutcome::Kept;
    shows(&browser, "update-state", "Picket 0.3.0 is installed and works.");
    let banner = browser.js("return document.getElementById('banner').hidden;");
    assert_eq!(banner, true);
}

#[test]
fn an_update_that_was_undone_says_why_after_signing_in_again() {
    let steward = StandIn::new();
    let password = "auth.password=correct horse";
    let daemon = steward.daemon(&[password]);
    let browser = Browser::start();
    let sign_in = || {
        browser.fill("#password", "correct horse");
        browser.click("button");
        shows(&browser, "wifi", "Connected to “home”.");
    };
    browser.open(&daemon.url("/device"));
    sign_in();
    let _file = give(&browser, 1 << 20);
    wait_for("it is installed", || steward.state().installed == 1);
    let why = "no picture within 3 minutes".into();
    let outcome = UpdateOutcome::FellBack { why };
    steward.state().status.update = UpdateStatus { version: Some("0.3.0".into()), outcome };
    let _daemon = restarted(daemon, &steward, &[password]);
    browser.wait_for("it asks who one is", "document.getElementById('password')");
    sign_in();
    let state = "Picket 0.3.0 did not work here and was undone: No picture within 3 minutes. \
                 This device runs Picket 0.2.0 as before.";
    shows(&browser, "update-state", state);
}

#[test]
fn an_update_that_is_refused_says_why() {
    let steward = StandIn::new();
    let daemon = steward.daemon(&[]);
    let browser = opened(&daemon);
    let why = "the update is older than what runs: 0.1.0, and this is 0.2.0";
    steward.state().no_update = Some((1 << 20, why.into()));
    let _file = give(&browser, 4 << 20);
    shows(&browser, "update-state", "The update is older than what runs");
    let _empty = give(&browser, 0);
    shows(&browser, "update-state", "This file is empty.");
    let _large = give(&browser, (200 << 20) + 1);
    shows(&browser, "update-state", "An update has at most 200 MB");
    assert_eq!(steward.asked().len(), 2, "{:?}", steward.asked());
}

/// A device for which there is a newer version, found by a page that offers it.
fn offered(steward: &StandIn) -> (Daemon, Browser) {
    let web = Web::start();
    let url = web.url("/bundle.raucb");
    let announcement = json!({ "version": "0.3.0", "url": url, "size": 6 });
    web.serve("/picket", Page::Bytes(announcement.to_string().into_bytes()));
    web.serve("/bundle.raucb", Page::Bytes(b"bundle".to_vec()));
    let daemon = steward.daemon(&[&format!("update.url={}", web.url("/picket"))]);
    let browser = opened(&daemon);
    browser.click("#look");
    shows(&browser, "offer-text", "Picket 0.3.0 is available");
    (daemon, browser)
}

#[test]
fn a_newer_version_is_installed_by_a_button() {
    let steward = StandIn::new();
    let (_daemon, browser) = offered(&steward);
    assert_eq!(browser.text("#install"), "Install 0.3.0");
    browser.click("#install");
    wait_for("it is installed", || steward.state().installed == 1);
    shows(&browser, "banner", "The device is restarting with it");
}

#[test]
fn what_was_asked_before_an_update_began_is_not_taken_for_its_end() {
    let steward = StandIn::new();
    let (_daemon, browser) = offered(&steward);
    steward.state().hold = true;
    // What the page asks is answered now, and reaches it when the test says so.
    browser.js("const ask = fetch;
         const gate = new Promise((resolve) => (window.open_gate = resolve));
         window.answered = {};
         window.fetch = async (path, options) => {
             const answer = await ask(path, options);
             const { pathname } = new URL(path, location);
             window.answered[pathname] = true;
             if (pathname === '/api/v1/update') await gate;
             return answer;
         };");
    browser.wait_for("a look before", "window.answered['/api/v1/update']");
    browser.click("#install");
    browser.wait_for("it has begun", "window.answered['/api/v1/update/install']");
    browser.js("open_gate();");
    shows(&browser, "step", "Writing it beside the running system…");
    assert_eq!(browser.text("#banner"), "");
    steward.release();
    shows(&browser, "banner", "The device is restarting with it");
}

#[test]
fn a_restart_is_waited_for() {
    let steward = StandIn::new();
    let daemon = steward.daemon(&[]);
    let browser = opened(&daemon);
    browser.click("#restart");
    shows(&browser, "banner", "The device is restarting.");
    assert_eq!(steward.asked().last(), Some(&StewardRequest::Restart));
    let _daemon = restarted(daemon, &steward, &[]);
    browser.wait_for("it is back", "document.getElementById('banner').hidden");
    browser.wait_for("all is as before", "!document.getElementById('restart').disabled");
}

#[test]
fn everything_is_forgotten_only_when_the_name_is_typed() {
    let steward = StandIn::new();
    let daemon = steward.daemon(&["device.hostname=porch"]);
    let browser = opened(&daemon);
    browser.fill("#confirm", "picket");
    browser.click("#reset .button");
    shows(&browser, "reset-outcome", "Type porch to confirm.");
    assert!(!steward.asked().contains(&StewardRequest::Reset));
    browser.js("document.getElementById('confirm').value = '';");
    browser.fill("#confirm", "porch");
    browser.click("#reset .button");
    shows(&browser, "banner", "The device is erasing everything and restarting.");
    assert_eq!(steward.asked().last(), Some(&StewardRequest::Reset));
}

#[test]
fn the_log_is_shown_as_it_is() {
    let steward = StandIn::new();
    let daemon = steward.daemon(&[]);
    let browser = opened(&daemon);
    steward.state().log = vec!["one".into(), "<b>two</b>".into()];
    browser.click("#refresh");
    shows(&browser, "log", "one\n<b>two</b>");
    steward.state().log.push("three".into());
    browser.click("#refresh");
    shows(&browser, "log", "three");
}

#[test]
fn a_device_that_is_away_is_told() {
    let steward = StandIn::new();
    let daemon = steward.daemon(&[]);
    let browser = opened(&daemon);
    let listen = format!("http.listen={}", daemon.http);
    drop(daemon);
    shows(&browser, "banner", "The device does not respond.");
    let _daemon = steward.daemon(&[&listen]);
    browser.wait_for("it is back", "document.getElementById('banner').hidden");
}

/// Everything there is to see, in its states.
fn look_at_all(browser: &Browser, look: &dyn Fn(&Browser, &str)) {
    let steward = StandIn::new();
    let daemon = steward.daemon(&["device.hostname=porch"]);
    {
        let mut state = steward.state();
        state.networks = vec![
            seen("home", -40, false),
            seen("a name of thirty-two letters long", -60, false),
            seen("café", -80, true),
        ];
        state.log =
            (0..40).map(|i| format!("[2026-03-01T12:00:{i:02}Z INFO picket] line")).collect();
        state.status.notes.insert("x".into(), "The clock stands at the day of the build.".into());
        state.status.problems = vec!["config.toml:3:1: unknown key `x`".into()];
    }
    open(browser, &daemon);
    choose(browser, 0);
    browser.click("#refresh");
    shows(browser, "log", "line");
    look(browser, "well");
    steward.state().status.wifi = own_network();
    steward.state().status.update = UpdateStatus {
        version: Some("0.3.0".into()),
        outcome: UpdateOutcome::FellBack { why: "no picture within 3 minutes".into() },
    };
    open(browser, &daemon);
    browser.click("#other");
    shows(browser, "update-state", "was undone");
    look(browser, "own network, update undone");
    steward.state().hold = true;
    let _file = give(browser, 1 << 20);
    shows(browser, "step", "Writing");
    look(browser, "installing");
    steward.release();
    shows(browser, "banner", "is restarting with it");
    look(browser, "restarting");
}

#[test]
fn axe_finds_nothing() {
    let Some(axe) = axe() else { return };
    for arguments in [&[][..], &["--force-dark-mode"]] {
        let browser = Browser::with(arguments);
        look_at_all(&browser, &|browser, what| judge(browser, &axe, what));
    }
}

#[test]
fn a_narrow_window_shows_everything() {
    let browser = Browser::with(&["--window-size=320,568"]);
    look_at_all(&browser, &|browser, what| {
        assert_eq!(browser.sticking_out(), Value::Array(Vec::new()), "{what}");
    });
}

/// Pictures of the page for a person to look at.
#[test]
#[ignore = "for a person: PICKET_PICTURES=FOLDER"]
fn pictures_of_the_page() {
    let folder = std::env::var_os("PICKET_PICTURES").expect("PICKET_PICTURES names a folder");
    for (name, arguments) in [
        ("light", &["--window-size=1000,2400"][..]),
        ("dark", &["--window-size=1000,2400", "--force-dark-mode"]),
        ("phone", &["--window-size=390,2900"]),
    ] {
        let browser = Browser::with(arguments);
        look_at_all(&browser, &|browser, what| {
            let file = format!("{name}-{}.png", what.replace([' ', ','], "-"));
            let path = std::path::Path::new(&folder).join(file);
            std::fs::write(path, browser.picture()).expect("written");
        });
    }
}
