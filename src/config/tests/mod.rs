//! What this room promises, shown through its public face.

mod cameras;
mod locks;
mod mutations;
mod sets;

use std::net::SocketAddr;
use std::time::Duration;

use super::fuzzing::HASH;
use super::*;
use crate::transform::{Corner, Rotation};

/// A file that uses every section, with secrets that are easy to recognise.
const SAMPLE: &str = r#"# Picket
[auth]
password = "zQ7-password"
tokens = ["zQ7-token-0123456789"]

[device]
hostname = "garden"
timezone = "Europe/Berlin"

[wifi]
country = "DE"
ssid = "my network"
password = "zQ7-wifi-key"
hidden = true

[network]
address = "192.168.1.20/24"
gateway = "192.168.1.1"
dns = ["192.168.1.1", "fd00::1"]

[camera]
source = "rtsp://cam:zQ7-source@10.0.0.9/live"
width = 1280
height = 720
fps = 29.97
rotation = 180
hflip = true
frame_size_reduction = 20
stabilize = true
colorspace = "gray"
time_delay = 1.5
overlay = { text = "Garden", time = true, position = "bottom-right" }

[camera.stabilizer]
smoothing_radius = 30
border_type = "reflect_101"

[camera.controls]
brightness = 0.1
exposure = 10000
gain = "auto"
awb = "daylight"
roi = [0.25, 0.25, 0.5, 0.5]

[encoder]
backend = "openh264"
bitrate = "2500k"
keyframe_interval = 5

[[cameras]]
name = "garden"
source = "rtsp://cam:zQ7-second@10.0.0.8/live"
fps = 12.5
overlay = { text = "Garden" }
bitrate = "1M"
[cameras.controls]
gain = 2

[[cameras]]
name = "door"
source = "libcamera:1"

[stream]
max_viewers = 20

[webrtc]
udp_port = 9000
announce = ["203.0.113.5"]
ice_servers = [
  { urls = "stun:stun.example.org:3478" },
  { urls = ["turn:turn.example.org"], username = "cam", credential = "zQ7-credential" },
]

[http]
listen = "0.0.0.0:8080"
tls = { cert = "cert.pem", key = "key.pem" }
allowed_hosts = ["cam.example"]
cors = ["https://cams.example"]
mounts = { "/clips" = "/data/clips" }
pages = { "/garden" = "garden.html" }

[site]
data_location = "/data/site"
download_url = "https://files.example/site.tgz?key=zQ7-download"
download_sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

[led]
pin = 17

[log]
level = "debug"
"#;

/// Whether a value's type takes what it is to take, and nothing of the rest.
pub(super) fn accepts<T: std::str::FromStr>(good: &[&str], bad: &[&str]) {
    for text in good {
        assert!(text.parse::<T>().is_ok(), "{text} should be accepted");
    }
    for text in bad {
        assert!(text.parse::<T>().is_err(), "{text} should be refused");
    }
}

fn load(text: &str) -> Loaded {
    Config::load(text.as_bytes(), "config.toml")
}

fn told(text: &str) -> Vec<String> {
    load(text).problems.iter().map(ToString::to_string).collect()
}

fn is_locked(config: &Config) -> bool {
    matches!(config.auth, Auth::Locked { .. })
}

/// What `SAMPLE` says about sign-in.
fn sample_auth() -> Auth {
    Auth::Set(Credentials {
        password: Some(Password::Plain(Secret::new("zQ7-password"))),
        tokens: vec![Secret::new("zQ7-token-0123456789")],
    })
}

#[test]
fn an_empty_file_is_the_test_pattern_on_this_machine_only() {
    let loaded = load("");
    assert_eq!(loaded.config, Config::default());
    assert_eq!(loaded.problems, []);
    assert_eq!(loaded.config.camera.source, Source::Auto);
    assert_eq!(loaded.config.http.listen, SocketAddr::from(([127, 0, 0, 1], 8000)));
}

#[test]
fn a_full_file_is_read_in_full() {
    let loaded = load(SAMPLE);
    assert_eq!(loaded.problems, []);
    let config = loaded.config;
    assert_eq!(config.auth, sample_auth());
    assert_eq!(config.camera.rotation, Rotation::Clockwise180);
    assert_eq!(config.camera.time_delay, Duration::from_millis(1500));
    assert_eq!(config.camera.overlay.position, Corner::BottomRight);
    let exposure = Auto::Fixed(Duration::from_millis(10));
    assert_eq!(config.camera.controls.exposure, Some(exposure));
    assert_eq!(config.camera.controls.gain, Some(Auto::Auto));
    assert_eq!(config.encoder.bitrate.bps(), 2_500_000);
    let names: Vec<&str> = config.all_cameras().map(|camera| camera.name.as_str()).collect();
    assert_eq!(names, ["main", "garden", "door"]);
    assert_eq!(config.cameras[0].camera.controls.gain, Some(Auto::Fixed(2.0)));
    assert!(config.webrtc.ice_servers[1].urls[0].is_turn());
    assert_eq!(config.http.mounts.len(), 1);
    assert!(config.site.download().is_some());
}

#[test]
fn a_region_and_gains_have_their_number_of_numbers_each_in_range() {
    for (key, good, bad) in [
        ("awb_gains", "[0, 32.0]", ["[1]", "[1, 2, 3]", "[1, 33]", "[-1, 1]"]),
        ("af_window", "[0, 0.5, 1, 0.5]", ["[0, 0, 1]", "[0, 0.6, 1, 0.5]", "[0, 0, 0, 1]", "1"]),
    ] {
        let text = |value| format!("[camera.controls]\n{key} = {value}\n");
        assert_eq!(told(&text(good)), Vec::<String>::new());
        for value in bad {
            assert!(told(&text(value))[0].contains(&format!("{key}` expects `[")), "{value}");
        }
    }
}

#[test]
fn a_file_saved_on_windows_is_the_same_file() {
    let expected = load(SAMPLE);
    let crlf = SAMPLE.replace('\n', "\r\n");
    let utf16: Vec<u8> =
        std::iter::once(0xFEFF).chain(crlf.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let unmarked: Vec<u8> = SAMPLE.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let bom = format!("\u{FEFF}{crlf}");
    for bytes in [crlf.as_bytes(), bom.as_bytes(), &utf16, &unmarked] {
        assert_eq!(Config::load(bytes, "config.toml"), expected);
    }
}

#[test]
fn problems_are_told_with_their_line_and_column() {
    let text = "\u{FEFF}[encoder]\r\nbitrat = 1\r\nbackend = \"fast\"\r\n";
    assert_eq!(
        told(text),
        [
            "config.toml:2:1: unknown key `bitrat` in [encoder]: did you mean `bitrate`?",
            "config.toml:3:11: `encoder.backend` expects \"auto\", \"v4l2-m2m\" or \"openh264\", \
             found the string \"fast\"; the default is used, \"auto\"",
        ]
    );
}

#[test]
fn every_key_refuses_a_value_of_the_wrong_type_and_keeps_its_default() {
    for key in keys() {
        let wrong = ["1979-05-27", "[[]]", "\"\\u0007\"", "{ x = 1 }", "-99999999", "nan"];
        let mut refused = 0;
        for wrong in wrong {
            let (section, name) = key.split();
            let loaded = load(&format!("[{section}]\n{name} = {wrong}\n"));
            let Some(problem) = loaded.problems.first() else {
                continue;
            };
            refused += 1;
            assert!(loaded.any_refused(), "{} = {wrong}", key.name);
            let told = problem.to_string();
            assert!(told.starts_with("config.toml:2:"), "{told}");
            assert!(told.contains("expects") || told.contains("takes only"), "{told}");
            if key.guard {
                assert!(is_locked(&loaded.config), "{told}");
            } else {
                // Of a list, what can be used is kept, were it nothing.
                let mut allowed = Config::default();
                if key.name == "network.ntp" {
                    allowed.network.ntp = loaded.config.network.ntp.clone();
                }
                assert!(loaded.config.changes(&allowed).is_empty(), "{told}");
            }
        }
        // A table from paths takes the empty, a list of lists no list at all; no key takes more
        // than that.
        assert!(refused >= wrong.len() - 1, "{}", key.name);
    }
}

#[test]
fn a_bad_entry_of_a_list_is_left_out_and_the_others_stay() {
    let loaded = load(
        "[http]\ncors = [\"*\", \"https://cams.example\", \"null\"]\n\
         allowed_hosts = [\"*\", \"cam.example\"]\nmounts = { \"../x\" = \"/\", \"/a\" = \"/b\" }\n\
         [webrtc]\nannounce = [\"here\", \"203.0.113.5\"]\n\
         ice_servers = [{ urls = \"turn:a.example\" }, { urls = \"stun:b.example\" }]",
    );
    assert_eq!(loaded.problems.len(), 6);
    let Config { http, webrtc, .. } = loaded.config;
    assert_eq!((http.cors.len(), http.allowed_hosts.len(), http.mounts.len()), (1, 1, 1));
    assert_eq!((webrtc.announce.len(), webrtc.ice_servers.len()), (1, 1));
}

#[test]
fn a_syntax_error_keeps_what_stands_above_it_and_locks() {
    let text =
        "[device]\nhostname = \"garden\"\n[camera]\nwidth = 640\nsource = file:x\nheight=1\n";
    let loaded = load(text);
    assert_eq!(loaded.completeness, Completeness::Partial);
    assert_eq!(loaded.config.device.hostname.as_str(), "garden");
    assert_eq!((loaded.config.camera.width, loaded.config.camera.height), (Some(640), None));
    assert!(is_locked(&loaded.config));
    assert_eq!(loaded.problems.len(), 1);
    let told = loaded.problems[0].to_string();
    assert!(told.starts_with("config.toml:5:10: "), "{told}");
    assert!(told.contains("nothing from line 5 on is used"), "{told}");
}

#[test]
fn the_last_good_configuration_outlives_a_file_that_cannot_be_read() {
    let good = load(SAMPLE).config;
    let cut = load("[device]\nhostname = \"gar").or_last_good(Some(good.clone()));
    assert_eq!(cut.config, good);
    assert!(cut.any_refused());
    let whole = load("[encoder]\nbitrate = 1").or_last_good(Some(good));
    assert_eq!(whole.config, Config::default());
}

#[test]
fn other_defaults_hold_where_the_file_says_nothing_usable() {
    let mut defaults = Config::default();
    defaults.apply_set("http.listen=0.0.0.0:80").unwrap();
    let load = |text: &str| Config::load_over(defaults.clone(), text.as_bytes(), "f");
    assert_eq!(load("").config, defaults);
    assert_eq!(load("[http]\nlisten = \"127.0.0.1:1\"").config.http.listen.port(), 1);
    let wrong = load("[http]\nlisten = 1");
    assert_eq!(wrong.config.http.listen.port(), 80);
    assert!(wrong.problems[0].message.ends_with("the default is used, \"0.0.0.0:80\""));
}

#[test]
fn wireless_networks_are_tried_in_the_order_of_the_file() {
    let file = "[wifi]\nssid = \"home\"\npassword = \"correct horse\"\n\
                networks = [{ ssid = \"open\" }, { ssid = \"shed\", password = \"short\" }]";
    let loaded = load(file);
    let names: Vec<String> = loaded.config.wifi.all().map(|n| n.ssid.to_string()).collect();
    // One whose password cannot be used is not joined without it.
    assert_eq!(names, ["home", "open"]);
    assert_eq!(loaded.problems.len(), 1);
    assert!(!loaded.problems[0].to_string().contains("short"), "{}", loaded.problems[0]);
}

#[test]
fn a_wireless_password_is_one_that_a_radio_can_use() {
    for (password, good) in [
        ("8 chars!", true),
        (&"f".repeat(64), true),
        (&"g".repeat(64), false),
        ("7 chars", false),
        ("line\\nbreak", false),
        ("gr\u{fc}ner baum", false),
    ] {
        let file = format!("[wifi]\nssid = \"a\"\npassword = \"{password}\"");
        assert_eq!(load(&file).config.wifi.password.is_some(), good, "{password}");
    }
}

#[test]
fn bytes_that_are_no_text_are_told_and_lock() {
    let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    for (loaded, place) in [
        (Config::load(b"[log]\nlevel = \"\xFF\"", "f"), "f:2:10: "),
        (Config::load(b"[log]\nlevel = \"warn\"\n\0\0\0\0", "f"), "f:3:1: "),
        (Config::load(&[0; 512], "f"), "f:1:1: "),
        (Config::load(&vec![b'#'; 10 << 20], "f"), "f:1:1: "),
        (Loaded::unreadable(Config::default(), "f", &denied), "f:1:1: "),
    ] {
        let told = loaded.problems[0].to_string();
        assert!(told.starts_with(place), "{told}");
        assert!(is_locked(&loaded.config) && loaded.any_refused(), "{told}");
    }
    let kept = Config::load(b"[log]\nlevel = \"warn\"\n\0\0\0\0", "f").config;
    assert_eq!(kept.log.level, log::LevelFilter::Warn);
}

#[test]
fn a_file_of_nonsense_is_told_in_a_hundred_lines() {
    let text: String = (0..50_000).map(|n| format!("key{n} = {n}\n")).collect();
    let loaded = load(&text);
    assert!((100..=101).contains(&loaded.problems.len()));
    assert!(is_locked(&loaded.config));
}

#[test]
fn deep_nesting_ends_in_a_problem_and_not_in_an_overflow() {
    for (open, close) in [("[", ""), ("[", "]"), ("{a=", ""), ("{a=", "}"), ("[{a=", "}]")] {
        for depth in [100, 50_000] {
            let text = format!("x = {}{}", open.repeat(depth), close.repeat(depth));
            assert!(load(&text).any_refused(), "{open} {depth}");
        }
    }
    assert!(load(&"[".repeat(1 << 20)).any_refused());
    assert!(load(&format!("[{}a]", "a.".repeat(100_000))).any_refused());
    assert!(load(&format!("{}a = 1", "a.".repeat(100_000))).any_refused());
}

#[test]
fn no_truncation_weakens_sign_in() {
    for bytes in [SAMPLE.as_bytes().to_vec(), {
        std::iter::once(0xFEFF).chain(SAMPLE.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    }] {
        for end in 0..bytes.len() {
            let loaded = fuzzing::load(&bytes[..end]);
            let text = String::from_utf8_lossy(&bytes[..end]).replace('\0', "");
            match &loaded.config.auth {
                Auth::Locked { .. } => {}
                // Cut before, or between, the two keys.
                Auth::Unset => assert!(!text.contains("pass"), "{text}"),
                auth @ Auth::Set(_) if text.contains("token") => assert_eq!(*auth, sample_auth()),
                Auth::Set(credentials) => {
                    assert_eq!(credentials.tokens, []);
                    assert!(credentials.password.is_some());
                }
            }
        }
    }
}

#[test]
fn nothing_that_is_printed_holds_a_secret() {
    let config = load(SAMPLE).config;
    let json = serde_json::to_string(&config).unwrap();
    for shown in [json, format!("{config:?}"), format!("{config:#?}")] {
        assert!(!shown.contains("zQ7"), "{shown}");
    }
    // Each secret once where it does not belong, and once in a broken line.
    for (number, line) in SAMPLE.lines().enumerate().filter(|(_, line)| line.contains("zQ7")) {
        for wrong in [
            line.replacen('"', "[\"", 1),
            line.replace('"', ""),
            line.replacen("= \"", "= [\"\", \"", 1) + "]",
            line.replacen("rtsp:", "rstp:", 1),
            line.replacen("://", ":/", 1),
            format!("{line} {line}"),
            format!("{line}\n{line}"),
            line.replacen(" =", "x =", 1),
        ] {
            let text: String = SAMPLE
                .lines()
                .enumerate()
                .flat_map(|(n, l)| [if n == number { &wrong } else { l }, "\n"])
                .collect();
            for told in told(&text) {
                assert!(!told.contains("zQ7"), "{told}");
            }
        }
    }
}
