//! The appliance, from the card's image to the picture: booted in an emulated machine with its own
//! kernel, root and partitions, and treated as its owner would, kindly and not.
//!
//! `scripts/test-image` makes or finds the image and runs these; without one they say so.

mod common;

use std::time::{Duration, Instant};

use common::browser::Browser;
use common::device::system::System;
use common::device::writes::Log;
use common::device::{Card, Device, Options, PATIENCE, STEWARD};
use common::tls;
use serde_json::Value;

/// A password, and what lets a test ask the API.
const AUTH: &str =
    "[auth]\npassword = 'correct horse'\ntokens = ['0123456789abcdef0123456789abcdef']\n";
const TOKEN: &str = "Bearer 0123456789abcdef0123456789abcdef";

/// Asks for a page as the owner.
fn ask(device: &Device, path: &str) -> Option<String> {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(5))).build().into();
    let request = agent.get(device.url(path)).header("authorization", TOKEN);
    request.call().ok()?.body_mut().read_to_string().ok()
}

fn ask_json(device: &Device, path: &str) -> Value {
    let text = ask(device, path).unwrap_or_else(|| panic!("{path}\n{}", device.console()));
    serde_json::from_str(&text).expect("JSON")
}

/// What the device tells its owner, once it is what it has to say.
#[track_caller]
fn status(device: &mut Device, card: &Card, text: &str) -> String {
    device.wait_for(text, |_| card.status().contains(text));
    card.status()
}

#[test]
fn straight_from_the_image_it_is_found_asks_for_a_password_and_grows_its_data() {
    let Some(card) = Card::new() else { return };
    let roots: Vec<_> = [2, 3, 5, 6].map(|n| (n, card.digest(n))).into();
    let mut device = Device::start(&card);
    device.wait_for_pages();
    let page = device.browse("/").expect("a page");
    assert!(page.contains("password"), "whoever comes first is asked to set one: {page}");
    let said = status(&mut device, &card, "http://10.0.2.15/ (by cable)");
    assert!(said.contains("Watch at http://picket.local/"), "{said}");
    assert!(said.contains("no password is set"), "{said}");
    assert!(said.contains("everything in it is used"), "{said}");

    let data = card.partition(7);
    assert_eq!(data.start + data.size, 1 << 30, "it takes the rest of the card");
    assert!(device.console().contains("first start"), "{}", device.console());
    device.pull_plug();
    for (number, before) in roots {
        assert_eq!(card.digest(number), before, "partition {number} was written to");
    }

    let mut device = Device::start(&card);
    device.wait_for_pages();
    assert!(!device.console().contains("first start"), "it was there before");
    assert!(!card.status().contains("lost"), "{}", card.status());
}

#[test]
fn the_same_parts_make_the_same_card() {
    let Some(card) = Card::new() else { return };
    let image = std::fs::read(std::env::var_os("PICKET_IMAGE").expect("set")).expect("an image");
    // Taken from the image, they have other dates and another order on this disk.
    let again = System::of(&card).card("qemu");
    assert!(again == image, "the bytes differ");
}

#[test]
fn what_config_toml_says_is_done_and_kept_apart() {
    let text = format!(
        "{AUTH}# Mine.\n[device]\nhostname = 'porch' # by the door\n[wifi]\nssid = 'home'\npassword = 'radio secret'\n"
    );
    let Some(card) = Card::with_config(&text) else { return };
    let mut device = Device::start(&card);
    device.wait_for_pages();
    status(&mut device, &card, "Watch at http://porch.local/");

    // The password is not in the file any more, and everything else is.
    let config = String::from_utf8(card.read("config.toml").expect("there")).expect("text");
    assert!(!config.contains("correct horse") && config.contains("$argon2id$"), "{config}");
    for kept in ["# Mine.", "hostname = 'porch' # by the door", "radio secret"] {
        assert!(config.contains(kept), "{kept}: {config}");
    }
    assert_eq!(device.get("/api/v1/status"), None, "only for who has signed in");
    assert!(ask(&device, "/api/v1/status").is_some());

    device.wait_for_shell();
    assert_eq!(device.shell("hostname"), "porch\n");
    // Nor can it be read off the card itself.
    assert!(!card.whole(1).windows(13).any(|window| window == b"correct horse"));
    // The daemon is a user without rights, who cannot see the radio's password.
    const DAEMON: &str = "grep -l '^Uid:.500' /proc/[0-9]*/status | cut -d/ -f3";
    let daemon = device.shell(DAEMON);
    let daemon = daemon.trim();
    let proc = device.shell(&format!("cat /proc/{daemon}/status"));
    assert!(proc.contains("Uid:\t500\t500\t500\t500"), "{proc}");
    assert!(proc.contains("CapEff:\t0000000000000000"), "{proc}");
    let seen = device.shell("cat /run/picket/config.toml");
    assert!(seen.contains("porch") && !seen.contains("radio secret"), "{seen}");
    // Nothing can be written but what is for that; nothing there can be run.
    let mounts = device.shell("cat /proc/mounts");
    for (place, options) in [(" / ", "ro,"), (" /boot ", "ro,"), (" /data ", "noexec")] {
        let line = mounts.lines().find(|line| line.contains(place)).expect("mounted");
        assert!(line.contains(options), "{line}");
    }
    let listening = device.shell("netstat -ltn; ps");
    assert!(!listening.contains("getty") && !listening.contains("login"), "{listening}");
    // Time does not begin in 1970.
    let release = device.shell("cat /usr/lib/picket/release; date +BUILT=%s");
    let number = |name: &str| -> u64 {
        let line = release.lines().find_map(|l| l.strip_prefix(name)).expect("there");
        line.parse().expect("a number")
    };
    assert!(number("BUILT=") >= number("BUILD_EPOCH="), "{release}");

    // A daemon that dies is back by itself.
    device.shell(&format!("kill -9 {daemon}"));
    device.wait_for("another daemon", |device| {
        let now = device.try_shell(DAEMON).unwrap_or_default();
        !now.trim().is_empty() && now.trim() != daemon
    });
    device.wait_for_pages();
    assert!(device.console().contains("the daemon ended"), "{}", device.console());

    // So is a steward, which takes up everything where the one before it left it.
    device.shell("echo kept > /data/note");
    let _ = device.try_shell(&format!("kill -9 $({STEWARD})"));
    device.wait_for_line("of the steward before this one", 2);
    device.wait_for_pages();
    device.wait_for_shell();
    assert_eq!(device.shell("cat /data/note"), "kept\n");
    assert_eq!(device.shell(&format!("{DAEMON} | wc -l")), "1\n");
    assert!(!device.console().contains("busy"), "{}", device.console());

    // What is kept is there after a restart, and after it was switched off.
    device.shell("reboot");
    device.wait_for("the restart", |device| device.firmware().contains("the device restarts"));
    device.wait_for_shell();
    assert_eq!(device.shell("cat /data/note"), "kept\n");
    device.power_off();
    let mut device = Device::start(&card);
    device.wait_for_shell();
    assert_eq!(device.shell("cat /data/note"), "kept\n");
}

#[test]
fn the_secure_page_is_there_from_the_start_and_its_keys_are_on_no_other_partition() {
    let Some(card) = Card::with_config("") else { return };
    let mut device = Device::start(&card);
    device.wait_for_pages();
    let root = tls::root_at(device.http);
    let said = status(&mut device, &card, "Secure page: https://picket.local/");
    assert!(said.contains(&tls::fingerprint(&root)), "{said}");
    // Its address comes after its name.
    device.wait_for("a certificate for the address", |device| {
        tls::connect(device.https, "10.0.2.15", &root).is_ok()
    });
    let mut page = tls::connect(device.https, "picket.local", &root).expect("TLS");
    let asked = tls::get(&mut page, "picket.local", "/secure");
    assert!(asked.status == 200 && asked.body.contains("You are on the secure page"), "{asked:?}");

    device.wait_for_shell();
    let keys = device.shell("find /boot /data /etc /run /tmp /usr -name '*.key.pem'");
    assert_eq!(keys.lines().count(), 2, "{keys}");
    for key in keys.lines() {
        assert!(key.starts_with("/data/"), "{key}");
        assert_eq!(device.shell(&format!("stat -c '%a %u' {key}")), "600 500\n", "{key}");
        let text = device.shell(&format!("cat {key}"));
        let line = text.lines().nth(1).expect("a key in PEM").as_bytes();
        for partition in [1, 2, 3] {
            let found = card.whole(partition).windows(line.len()).any(|window| window == line);
            assert!(!found, "{key} is on partition {partition}");
        }
    }
    device.power_off();

    // Who has trusted it once need not do so again.
    let mut device = Device::start(&card);
    device.wait_for_pages();
    device.wait_for("the same authority", |device| {
        tls::connect(device.https, "picket.local", &root).is_ok()
    });
}

#[test]
fn a_static_address_is_taken() {
    let text = "[network]\naddress = '10.0.2.77/24'\ngateway = '10.0.2.2'\ndns = ['10.0.2.3']\n";
    let Some(card) = Card::with_config(text) else { return };
    let mut device = Device::start(&card);
    let said = status(&mut device, &card, "http://10.0.2.77/ (by cable)");
    assert!(!said.contains("10.0.2.15"), "{said}");
}

#[test]
fn a_file_that_is_wrong_is_told_with_its_line_and_the_device_comes_up() {
    let Some(card) = Card::new() else { return };
    let settings = card.settings();
    let utf16: Vec<u8> = "\u{feff}[device]\r\nhostname = 'wide'\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let bom = format!("\u{feff}[device]\r\nhostname = 'marked'\r\n{settings}");
    let hostile = "[device]\nhostname = \"$(reboot)\\n`reboot`\"\n[wifi]\nssid = \"a\\nnetwork={\\nssid=\\\"x\\\"\\n$(reboot)\"\npassword = \"`reboot`;$(reboot)\\\"\"\n";
    /// What it is, the file if there is one, and what the card must say of it.
    type Case = (&'static str, Option<Vec<u8>>, &'static [&'static str]);
    let cases: [Case; 7] = [
        ("missing", None, &["Watch at http://picket.local/", "no password is set"]),
        ("empty", Some(Vec::new()), &["Watch at http://picket.local/"]),
        (
            "truncated",
            Some(b"[device]\nhostname = \"por".to_vec()),
            &["config.toml:2:", "Watch at http://picket.local/"],
        ),
        (
            "with a BOM",
            Some(bom.into_bytes()),
            &["Watch at http://marked.local/", "everything in it is used"],
        ),
        ("UTF-16", Some(utf16), &["Watch at http://wide.local/"]),
        (
            "of wrong types",
            Some(b"[device]\nhostname = 7\n[camera]\nfps = 'fast'\n[nowhere]\nx = 1\n".to_vec()),
            &[
                "config.toml:2:",
                "config.toml:4:",
                "config.toml:5:2: unknown section",
                "Watch at http://picket.local/",
            ],
        ),
        (
            "hostile",
            Some(hostile.as_bytes().to_vec()),
            &["config.toml:2:", "Watch at http://picket.local/"],
        ),
    ];
    for (what, config, expected) in cases {
        println!("config.toml {what}");
        match config {
            Some(bytes) => card.write("config.toml", &bytes),
            None if card.read("config.toml").is_some() => card.remove("config.toml"),
            None => {}
        }
        if card.read("picket-status.txt").is_some() {
            card.remove("picket-status.txt");
        }
        let mut device = Device::start(&card);
        device.wait_for_pages();
        let said = status(&mut device, &card, "by cable");
        for expected in expected {
            assert!(said.contains(expected), "{what}: {expected}: {said}");
        }
        assert!(!device.firmware().contains("restarts"), "{what}: {}", device.console());
        device.pull_plug();
    }
}

#[test]
fn data_that_is_damaged_is_mended_or_made_anew() {
    let Some(card) = Card::with_config("") else { return };
    let mut device = Device::start(&card);
    device.wait_for_shell();
    device.shell("echo kept > /data/note; sync");
    device.pull_plug();

    // The first block of it is gone: there are copies.
    card.damage(7, 0, &[0x5a; 4096]);
    let mut device = Device::start(&card);
    device.wait_for_shell();
    assert_eq!(device.shell("cat /data/note"), "kept\n");
    status(&mut device, &card, "was damaged and has been repaired");
    device.pull_plug();

    // All of it is gone.
    card.damage(7, 0, &vec![0xa5; card.whole(7).len()]);
    let mut device = Device::start(&card);
    status(&mut device, &card, "What the device kept was damaged beyond repair");
    device.wait_for_shell();
    device.shell("echo again > /data/note; sync");
    device.pull_plug();
    let mut device = Device::start(&card);
    device.wait_for_shell();
    assert_eq!(device.shell("cat /data/note"), "again\n");
}

#[test]
fn a_reset_forgets_everything_once_and_one_by_the_page_puts_config_toml_back() {
    let Some(card) = Card::with_config("") else { return };
    let shipped = Card::new().expect("another").read("config.toml").expect("there");
    let mut device = Device::start(&card);
    device.wait_for_shell();
    device.shell("echo kept > /data/note; sync");
    device.pull_plug();

    // By a line in the file, of which all but that line stays.
    let before = String::from_utf8(card.read("config.toml").expect("there")).expect("text");
    let text =
        format!("{before}[auth]\npassword = 'correct horse'\n[device]\nfactory_reset = true\n");
    card.write("config.toml", text.as_bytes());
    let mut device = Device::start(&card);
    device.wait_for_shell();
    status(&mut device, &card, "Everything was forgotten, as config.toml said.");
    assert!(device.try_shell("cat /data/note").is_err(), "it is forgotten");
    let after = String::from_utf8(card.read("config.toml").expect("there")).expect("text");
    assert!(after.starts_with(&before) && !after.contains("factory_reset = true"), "{after}");

    // By the page.
    device.shell("echo kept > /data/note; sync");
    device.wait_for_pages();
    let owner = device.sign_in("correct horse");
    let agent: ureq::Agent = ureq::Agent::new_with_defaults();
    let reset = agent.post(device.url("/api/v1/device/reset")).header("cookie", &owner);
    let reset = reset.header("content-type", "application/json");
    reset.send(r#"{"confirm": "picket"}"#).expect("done");
    device.wait_for("the restart", |device| device.firmware().contains("the device restarts"));
    device.wait_for_line("the device's first start", 2);
    device.wait_for_pages();
    assert_eq!(card.read("config.toml").expect("there"), shipped);
}

#[test]
fn a_device_that_hangs_is_restarted_by_the_watchdog() {
    let Some(card) = Card::with_config("[watchdog]\nenabled = true\n") else { return };
    let mut device = Device::start(&card);
    device.wait_for_shell();
    // Nobody is left who could feed it, and nothing else notices.
    device.shell(&format!("kill -STOP $({STEWARD})"));
    device.wait_for("the restart", |device| device.firmware().contains("the device restarts"));
    device.wait_for_pages();
}

#[test]
fn a_viewer_sees_the_picture_in_little_memory_and_nothing_is_written_for_it() {
    let text = format!("{AUTH}[camera]\nwidth = 640\nheight = 360\nfps = 15\n");
    let Some(card) = Card::with_config(&text) else { return };
    let log = tempfile::NamedTempFile::new().expect("a file");
    let options =
        Options { log_writes: Some(log.path().to_owned()), once: true, ..Options::default() };
    let mut device = Device::start_with(&card, &options);
    device.wait_for_pages();

    let browser = Browser::start();
    browser.open(&device.url("/"));
    browser.fill("#password", "correct horse");
    browser.click("button");
    let live = "document.body.dataset.state === 'live'";
    browser.wait_for("the picture", live);
    let decoded = || {
        let count =
            "return document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames;";
        browser.js(count).as_u64().expect("a count")
    };
    let before = decoded();
    device.wait_for("a hundred pictures", |_| decoded() > before + 100);

    device.wait_for_shell();
    let memory = device.shell("cat /proc/meminfo");
    let kilobytes = |name: &str| -> u64 {
        let line = memory.lines().find_map(|l| l.strip_prefix(name)).expect("there");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    };
    let used = kilobytes("MemTotal:") - kilobytes("MemAvailable:");
    println!("memory in use with a viewer: {} MiB", used / 1024);
    assert!(used <= 64 * 1024, "{used} kB are in use\n{memory}");

    // Everything that the start had to write is written; from here on it only streams.
    status(&mut device, &card, "by cable");
    device.shell("sync");
    let already = Log::read(log.path()).entries.len();
    let minutes = 2;
    let until = Instant::now() + Duration::from_secs(60 * minutes);
    while Instant::now() < until {
        let before = decoded();
        device.wait_for("more pictures", |_| decoded() > before + 20);
    }
    device.shell("sync");
    let entries = Log::read(log.path()).entries.split_off(already);
    let written = |partition: u32| -> u64 {
        let partition = card.partition(partition);
        entries.iter().filter(|e| partition.contains(e.start)).map(|e| e.length).sum()
    };
    for fixed in [2, 3, 5, 6] {
        assert_eq!(written(fixed), 0, "partition {fixed}");
    }
    println!(
        "written in {minutes} minutes: {} bytes to the boot partition, {} to data",
        written(1),
        written(7)
    );
    let day = (written(1) + written(7)) * 24 * 60 / minutes;
    assert!(day <= 1 << 20, "{day} bytes a day");
}

#[test]
fn the_daemon_answers_and_has_a_picture_soon_after_the_kernel_is_up() {
    let text = format!("{AUTH}[stream]\nkeep_warm = true\n");
    let Some(card) = Card::with_config(&text) else { return };
    // The first start makes the data partition; those that follow are what one waits for.
    let mut device = Device::start(&card);
    device.wait_for_pages();
    device.pull_plug();
    let mut device = Device::start(&card);
    device.wait_for_pages();
    let answered = Instant::now();
    device.wait_for("a picture", |device| {
        let metrics = ask(device, "/metrics").unwrap_or_default();
        // It is not there before the camera is.
        metrics.lines().any(|line| {
            let count = line.strip_prefix("picket_frames_encoded_total{camera=\"main\"} ");
            count.and_then(|n| n.trim().parse::<f64>().ok()).is_some_and(|n| n > 0.0)
        })
    });
    let pictured = Instant::now();
    device.wait_for_shell();
    // The device's own clock since its start, at a moment of this one's.
    let asked = Instant::now();
    let uptime = device.shell("cat /proc/uptime");
    let moment = asked + asked.elapsed() / 2;
    let uptime: f64 = uptime.split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
    let at = |instant: Instant| uptime - moment.duration_since(instant).as_secs_f64();
    let kernel = device.shell("dmesg");
    let kernel = kernel.lines().find(|l| l.contains("as init process")).expect("said");
    let kernel =
        kernel.split_once('[').and_then(|(_, rest)| rest.split_once(']')).expect("a time").0;
    let kernel: f64 = kernel.trim().parse().expect("a number");
    let (answered, pictured) = (at(answered), at(pictured));
    println!(
        "kernel {kernel:.2} s; from init to pages {:.2} s ({:.1} ×), to the first picture {:.2} s ({:.1} ×)",
        answered - kernel,
        (answered - kernel) / kernel,
        pictured - kernel,
        (pictured - kernel) / kernel
    );
    assert!(Duration::from_secs_f64(pictured) < PATIENCE);
    assert_eq!(ask_json(&device, "/api/v1/status")["source"]["state"], "live");
}
