//! What this room promises, shown through its public face.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;

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
    assert_eq!(config.camera.rotation, Rotation::Half);
    assert_eq!(config.camera.time_delay, Duration::from_millis(1500));
    assert_eq!(config.camera.overlay.position, Corner::BottomRight);
    let exposure = Auto::Fixed(Duration::from_millis(10));
    assert_eq!(config.camera.controls.exposure, Some(exposure));
    assert_eq!(config.camera.controls.gain, Some(Auto::Auto));
    assert_eq!(config.encoder.bitrate.bps(), 2_500_000);
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
            assert!(told.contains("expects") || told.contains("knows only"), "{told}");
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
fn a_mistake_in_auth_locks_instead_of_opening() {
    for text in [
        "auth = \"hunter2hunter2\"",
        "[[auth]]\npassword = \"hunter2hunter2\"",
        "[auth]\npassword = \"short\"",
        "[auth]\npassword = 12345678",
        "[auth]\npassword = \"\"",
        "[auth]\npassword = hunter2hunter2",
        "[auth]\npassword_hash = \"hunter2hunter2\"",
        "[auth]\npasswd = \"hunter2hunter2\"",
        "[auth]\nx = 1",
        "[auth]\ntokens = [\"short\"]",
        "[auth]\npassword = \"hunter2hunter2\"\ntokens = \"abcdefghijklmnop\"",
        "[Auth]\npassword = \"hunter2hunter2\"",
        "[atuh]\npassword = \"hunter2hunter2\"",
        "[secure]\nmy_password = \"hunter2hunter2\"",
        "[http]\npassword = \"hunter2hunter2\"",
        "password = \"hunter2hunter2\"",
        "\"auth.password\" = \"hunter2hunter2\"",
        "[http]\ntls = true",
        "[http]\ntls = { cert = \"a.pem\" }",
        "[http.tls]\ncert = \"a.pem\"\nkye = \"b.pem\"",
        "[http]\ntsl = { cert = \"a.pem\", key = \"b.pem\" }",
        "[[http]]\ntls = { cert = \"a.pem\", key = \"b.pem\" }",
        "[htpp.tls]\ncert = \"a.pem\"\nkey = \"b.pem\"",
    ] {
        let loaded = load(text);
        assert!(is_locked(&loaded.config), "{text}: {:?}", loaded.config.auth);
        assert!(loaded.any_refused(), "{text}");
        for problem in loaded.problems {
            assert!(!problem.to_string().contains("hunter2"), "{problem}");
        }
    }
}

#[test]
fn giving_both_a_password_and_a_hash_locks() {
    let hash =
        "'$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$ZmPrMAJzsQlyBVFBUWOZZ5T0KAJAtvPtD8C2LVg2STU'";
    let loaded = load(&format!("[auth]\npassword = \"hunter2hunter2\"\npassword_hash = {hash}\n"));
    assert!(is_locked(&loaded.config));
    assert!(loaded.problems[0].to_string().starts_with("config.toml:3:1: "));
    assert!(matches!(
        load(&format!("[auth]\npassword_hash = {hash}")).config.auth,
        Auth::Set(Credentials { password: Some(Password::Hash(_)), .. })
    ));
}

#[test]
fn mistakes_elsewhere_leave_sign_in_as_it_was() {
    let text = "[auth]\npassword = \"hunter2hunter2\"\n[http]\nlisten = \"0.0.0.0\"\nlisen = 1\n\
                [wifi]\npasword = \"hunter2hunter2\"\n[encoder]\nbitrate = true\n[campera]\nx = 1";
    let loaded = load(text);
    assert_eq!(loaded.problems.len(), 5);
    assert!(matches!(loaded.config.auth, Auth::Set(_)));
    assert!(loaded.config.http.listen.ip().is_loopback());
    assert_eq!(load("[auth]\n# nothing yet\n").config.auth, Auth::Unset);
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
    assert_eq!(loaded.extent, Extent::Cut);
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

/// Numbers that look random and are the same each time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % sides.max(1) as u64) as usize
    }

    /// One to four small changes: bytes replaced, inserted and removed, pieces doubled and moved.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        const SPICE: &[u8] = b"[]{}=\"'\\#,.\n\r\t\0\xFF\xEF 0a-";
        for _ in 0..=self.roll(4) {
            if bytes.is_empty() {
                return;
            }
            let at = self.roll(bytes.len());
            let piece = at..(at + self.roll(40)).min(bytes.len());
            match self.roll(6) {
                0 => bytes[at] = SPICE[self.roll(SPICE.len())],
                1 => bytes.insert(at, SPICE[self.roll(SPICE.len())]),
                2 => bytes[at] ^= 1 << self.roll(8),
                3 => drop(bytes.drain(piece)),
                4 => {
                    let piece = bytes[piece].to_vec();
                    let to = self.roll(bytes.len());
                    bytes.splice(to..to, piece);
                }
                _ => bytes.truncate(at.max(1)),
            }
        }
    }
}

#[test]
fn a_network_that_is_joined_has_no_other_lost_whatever_the_file_looks_like() {
    let own = "[wifi]\nssid = 'home' # mine\npassword = \"zQ7-wifi-key\"\n";
    let list = "networks = [ # more\n  { ssid = \"shed\" },\n  { ssid = 7, hidden = true },\n]\n";
    let tables = "\n[[wifi.networks]]\nssid = \"shed\"\n\n[camera]\nfps = 25\n\n\
                  [[wifi.networks]]\nssid = \"barn\"\npassword = \"zQ7-wifi-key\"\n";
    let inline = "wifi = { ssid = \"home\", networks = [{ ssid = \"shed\" }] }\n";
    let dotted = "wifi.ssid = 5\nwifi.networks = [{ ssid = \"shed\" }]\n";
    let whole = [own.to_owned() + list, own.to_owned() + tables, tables.to_owned() + own];
    let files = whole.iter().map(String::as_str).chain([own, list, tables, inline, dotted]);
    let mut dice = Dice(2);
    let mut used = 0;
    for file in files {
        used += usize::from(!fuzzing::load(file.as_bytes()).any_refused());
        for _ in 0..1_000 {
            let mut bytes = file.as_bytes().to_vec();
            dice.mutate(&mut bytes);
            used += usize::from(!fuzzing::load(&bytes).any_refused());
        }
    }
    assert!(used > 500, "{used}");
}

#[test]
fn ten_thousand_mutations_break_no_promise() {
    let mut dice = Dice(1);
    for _ in 0..10_000 {
        let mut bytes = SAMPLE.as_bytes().to_vec();
        dice.mutate(&mut bytes);
        let loaded = fuzzing::load(&bytes);
        if loaded.config.auth == Auth::Unset {
            // Only when both of its lines are gone, or have become remarks.
            let text = String::from_utf8_lossy(&bytes);
            let mut lines = text.lines();
            let says = |l: &str| l.starts_with("password = \"zQ7-p") || l.starts_with("tokens");
            assert!(!lines.any(says), "{text}");
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

#[test]
fn set_takes_toml_or_a_plain_string() {
    let mut config = Config::default();
    for set in [
        "camera.source=file:clip.mp4",
        "device.hostname = 1234",
        "auth.password=12345678",
        "encoder.bitrate=3M",
        "http.listen=\"0.0.0.0:80\"",
        "http.cors=[\"https://a.example\"]",
        "camera.overlay.text=a = b",
    ] {
        assert_eq!(config.apply_set(set), Ok(()), "{set}");
    }
    assert_eq!(config.camera.source.to_string(), "file:clip.mp4");
    assert_eq!(config.device.hostname.as_str(), "1234");
    assert_eq!(config.camera.overlay.text.as_deref(), Some("a = b"));
    assert!(matches!(config.auth, Auth::Set(_)));
}

/// What `--set`s make of the defaults, and what is told of them.
fn set(sets: &[&str]) -> (Config, Vec<String>) {
    let mut config = Config::default();
    let problems = config.apply_sets(sets, &mut Places::default());
    (config, problems.iter().map(ToString::to_string).collect())
}

#[test]
fn set_takes_whatever_stands_in_a_line_of_the_file() {
    let lines = r#"
camera.source = "file:clip.mp4"
camera.width = 1_280
camera.fps = 2.5e1
camera.hflip = true
camera.overlay = { text = "Garden = 1", time = true }
camera.controls.roi = [0.25, 0.25, 0.5, 0.5]
camera.controls.gain = 'auto'
http.cors = ["https://a.example", "https://b.example"]
http.mounts = { "/a" = "/b", "/c" = "/d" }
http.pages."/garden" = "garden.html"
webrtc.ice_servers = [{ urls = ["stun:a.example"] }, { urls = "stun:b.example" }]
wifi.networks = [{ ssid = "shed", password = "correct horse" }]
stream = { max_viewers = 3, keep_warm = true }
led.pin = 0x11
"#;
    let lines: Vec<&str> = lines.trim().lines().collect();
    for line in &lines {
        let loaded = load(line);
        assert_eq!(loaded.problems, [], "{line}");
        assert_ne!(loaded.config, Config::default(), "{line}");
        assert_eq!(set(&[line]), (loaded.config, vec![]), "{line}");
    }
    assert_eq!(set(&lines), (load(&lines.join("\n")).config, vec![]));
}

#[test]
fn every_key_is_set_alike_by_a_line_by_its_section_and_by_set() {
    for key in keys().iter().filter(|key| key.split().0 != "auth") {
        let (section, name) = key.split();
        let default = key.value(&Config::default()).map(|value| value.to_string());
        let value = key.example.map(str::to_owned).or(default).unwrap();
        let by_line = load(&format!("[{section}]\n{name} = {value}")).config;
        for by_set in [format!("{}={value}", key.name), format!("{section}={{{name}={value}}}")] {
            assert_eq!(set(&[&by_set]), (by_line.clone(), vec![]), "{by_set}");
        }
    }
}

#[test]
fn entries_that_are_set_one_by_one_make_one_table() {
    let (config, told) = set(&[
        "http.mounts.\"/a\"=/srv/a",
        "camera.fps=25",
        // As the shell leaves it.
        "http.mounts./b=/srv/b",
        "http.tls.cert=cert.pem",
        "http.tls.key=key.pem",
    ]);
    assert_eq!(told, Vec::<String>::new());
    assert_eq!(config.http.mounts.len(), 2);
    assert_eq!(config.http.tls.map(|tls| tls.key), Some("key.pem".into()));
    // The whole of it ends what was before.
    let (config, _) = set(&["http.mounts./a=/x", "http.mounts={}", "http.mounts./b=/y"]);
    assert_eq!(config.http.mounts.keys().map(ToString::to_string).collect::<Vec<_>>(), ["/b"]);
    // Half of a table that guards access locks, as in the file.
    assert!(is_locked(&set(&["http.tls.cert=cert.pem"]).0));
}

#[test]
fn what_is_wrong_in_a_table_that_is_set_is_told_and_the_rest_is_used() {
    let (config, told) = set(&["camera={width=640,heigth=480,fps=\"fast\"}"]);
    assert_eq!((config.camera.width, config.camera.fps), (Some(640), None));
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().any(|told| told.contains("did you mean `height`?")), "{told:?}");
    assert!(told.iter().any(|told| told.contains("`camera.fps` expects a number")), "{told:?}");
    for (wrong, words) in [
        ("camera.overlay=Garden", "is a section and expects a table"),
        ("camera.overlay={text=}", "is a section and expects a table: "),
        ("http.cors=[https://a.example]", "each entry an exact origin"),
    ] {
        let (config, told) = set(&[wrong]);
        assert_eq!(config, Config::default());
        assert!(told.len() == 1 && told[0].contains(words), "{told:?}");
        assert!(told[0].ends_with("; nothing was changed"), "{told:?}");
    }
    for guarded in ["auth=x", "auth={pasword=\"hunter2hunter2\"}", "auth.password.x=hunter2hunter2"]
    {
        let (config, told) = set(&[guarded]);
        assert!(is_locked(&config), "{guarded}");
        assert!(!told[0].contains("hunter2"), "{told:?}");
    }
}

#[test]
fn a_value_is_found_again_where_it_stands() {
    let loaded = load(
        "[http]\nmounts = { \"/a\" = \"/b\" }\n[webrtc]\nice_servers = [\n\
                       { urls = \"stun:a\" },\n { urls = \"stun:b\" },\n]",
    );
    let place = |key, entry| loaded.places.of_entry(key, entry).to_string();
    assert_eq!(place("http.mounts", "/a"), "config.toml:2:12");
    assert_eq!(place("http.mounts", "/b"), "config.toml:2:10");
    assert_eq!(place("webrtc.ice_servers", "1"), "config.toml:6:2");
    assert_eq!(place("webrtc.udp_port", ""), "webrtc.udp_port");
    let mut places = loaded.places;
    Config::default().apply_sets(&["http.mounts={\"/c\"=\"/d\"}"], &mut places);
    assert_eq!(places.of_entry("http.mounts", "/a").to_string(), "--set http.mounts");
}

#[test]
fn set_tells_its_mistakes_and_changes_nothing() {
    for (set, told) in [
        ("camera.sorce=x", "--set camera.sorce: there is no such key: did you mean `source`?"),
        (
            "encoder.bitrate=fast",
            "--set encoder.bitrate: expects a whole number from 25000 to 50000000, or short such \
             as \"2500k\" or \"2M\", found the string \"fast\"; nothing was changed",
        ),
        ("", "--set : there is no such key"),
    ] {
        let mut config = Config::default();
        let problems = config.apply_set(set).unwrap_err();
        assert_eq!(problems[0].to_string(), told);
        assert_eq!(config, Config::default());
    }
    let mut config = Config::default();
    assert!(config.apply_set("http.cors=[\"*\", \"https://a.example\"]").is_err());
    assert_eq!(config, Config::default());
}

#[test]
fn set_cannot_open_what_a_mistake_has_locked() {
    for mistake in ["auth.password=short", "auth.pasword=hunter2hunter2", "http.tls=yes"] {
        let mut config = Config::default();
        let problems = config.apply_set(mistake).unwrap_err();
        assert!(!problems[0].to_string().contains("hunter2"));
        config.apply_set("auth.password=hunter2hunter2").unwrap();
        assert!(is_locked(&config), "{mistake}");
    }
}
