//! Whatever the configuration says, the camera starts and tells what cannot be had.

mod common;

use std::path::Path;
use std::process::Command;

use common::daemon::Daemon;
use picket::config::{Config, keys};

/// A file whose one mistake is of the right form; the line it stands in, from 1; and what is told.
struct Case {
    file: String,
    line: usize,
    told: &'static str,
    /// Whether `picket check` finds it, too.
    checked: bool,
}

fn case(file: impl Into<String>, line: usize, told: &'static str) -> Case {
    Case { file: file.into(), line, told, checked: true }
}

/// Values that no machine can do anything with, or not this one.
fn cases(folder: &Path) -> Vec<Case> {
    let folder = folder.display();
    let turn = "{ urls = \"turn:t.example\", username = \"\u{e4}\", credential = \"c\" }";
    vec![
        case("[device]\ntimezone = \"UTC+2\"", 2, "did you mean \"Etc/GMT-2\"?"),
        case("[device]\ntimezone = \"Berlin\"", 2, "did you mean \"Europe/Berlin\"?"),
        case("[device]\ntimezone = \"Mars/Olympus\"", 2, "expects a time zone"),
        case("[http]\nmounts = { \"/x\" = \"/no/such\" }", 2, "/no/such"),
        case("[http]\nmounts = { \"/x\" = \"/dev/null\" }", 2, "/dev/null"),
        case("[http.mounts]\n\"/ok\" = \"/tmp\"\n\"/whep\" = \"/tmp\"", 3, "built-in /whep/{name}"),
        case("[http]\nmounts = { \"/api/v1/sessions\" = \"/tmp\" }", 2, "/api/v1/sessions/{id}"),
        case("[http]\nmounts = { \"/static\" = \"/tmp\" }", 2, "/static"),
        case("[http]\nmounts = { \"/index\" = \"/tmp\" }", 2, "another name"),
        case("[http]\nmounts = { \"/\" = \"/tmp\" }", 2, "is not usable"),
        case("[http]\npages = { \"/\" = \"index.html\" }", 2, "the built-in /"),
        case("[http]\npages = { \"/login\" = \"index.html\" }", 2, "the built-in /login"),
        case("[http]\npages = { \"/garden\" = \"garden.html\" }", 2, "no such template"),
        case("[http]\nmax_connections = 65535\n", 2, ""),
        case("[http]\nmax_connections_per_address = 1\n", 2, ""),
        case("[webrtc]\nannounce = [\"203.0.113.5\",\n\"0.0.0.0\"]", 3, "0.0.0.0"),
        case("[webrtc]\nannounce = [\"ff02::1\"]", 2, "nobody can be reached"),
        case("[webrtc]\nice_servers = [{ urls = \"stun:a:99999\" }]", 2, "no valid port"),
        case("[webrtc]\nice_servers = [{ urls = \"stun://a\" }]", 2, ""),
        case(format!("[webrtc]\nice_servers = [{turn}]"), 2, ""),
        case("[webrtc]\nice_servers = [{ urls = \"stun:nowhere.invalid\" }]", 2, ""),
        case("[camera]\nsource = \"file:/no/such.mp4\"", 2, "/no/such.mp4, which is not there"),
        case("[camera]\nsource = \"file:/tmp\"", 2, "a folder and no clip"),
        case("[camera]\nsource = \"v4l2:/dev/video99\"", 2, ""),
        case("[camera]\nsource = \"libcamera:7\"", 2, ""),
        case("[camera]\nsource = \"rtsp://u:secret@a.example/\"", 2, "cannot play"),
        case("[camera]\nsource = \"gst:videotestsrc\"", 2, "cannot play"),
        case("[camera]\nwidth = 4096\nheight = 4096", 2, "made smaller"),
        case("[camera]\nwidth = 33\nheight = 35\nframe_size_reduction = 90", 2, ""),
        case("[camera]\nfps = 1\ntime_delay = 60", 2, ""),
        case("[camera]\nstabilize = true", 2, "does not do it yet"),
        case("[camera]\ntuning_file = \"/no/such.json\"", 2, "cannot read /no/such.json"),
        case("[camera.controls]\nexposure = 60000000\nhdr = \"night\"", 2, ""),
        case("[[cameras]]\nname = \"garden\"", 1, "needs a `source`"),
        case("[[cameras]]\nsource = \"pattern\"\nname = \"Garden\"", 3, "\"garden\""),
        case("[encoder]\nbackend = \"v4l2-m2m\"", 2, "\"auto\" is used"),
        case("[encoder]\nbitrate = 25000\nkeyframe_interval = 0.5", 2, ""),
        case("[encoder]\nbitrate = \"50M\"", 2, ""),
        case("[stream]\nmax_viewers = 10000\nkeep_warm = true", 2, ""),
        case("[led]\npin = 17", 2, "no effect"),
        case("[led]\npin = 5\n[button]\npin = 5", 4, "the LED's pin"),
        case("[site]\ndata_location = \"/dev/null/site\"", 2, "built-in pages"),
        case(format!("[site]\ndata_location = \"{folder}/file\""), 2, "not a directory"),
        case("[site]\ndownload_url = \"ftp://a.example/x\"", 2, "http:// or https://"),
        case("[update]\nurl = \"file:///x\"", 2, "http:// or https://"),
        case(
            "[network]\naddress = \"10.0.0.2/24\"\ngateway = \"10.9.0.1\"",
            3,
            "not in the network",
        ),
        Case { checked: false, ..case("[http]\nlisten = \"127.0.0.1:PORT\"", 2, "has this port") },
        case("[http]\nlisten = \"203.0.113.1:8000\"", 2, "no address 203.0.113.1"),
        Case { checked: false, ..case("[webrtc]\nudp_port = UDP", 2, "another program has it") },
        case("[http]\ntls = { cert = \"/no/cert\", key = \"/no/key\" }", 2, "cannot be read"),
        Case {
            checked: false,
            ..case("[http]\ntls = \"auto\"\ntls_listen = \"127.0.0.1:PORT\"", 3, "has this port")
        },
        case("[http]\ntls = \"auto\"", 2, "set site.data_location"),
    ]
}

/// No part of a message is said twice.
fn says_each_thing_once(line: &str) {
    let mut parts: Vec<&str> = line.split([':', ';', '(', ')']).map(str::trim).collect();
    parts.retain(|part| part.len() > 7);
    parts.sort_unstable();
    let twice = parts.windows(2).find(|pair| pair[0] == pair[1]);
    assert_eq!(twice, None, "{line}");
}

#[test]
fn the_camera_starts_and_serves_whatever_cannot_be_had_and_tells_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("file"), "").expect("written");
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let udp = std::net::UdpSocket::bind("[::]:0").expect("a port");
    let port = |address: std::net::SocketAddr| address.port().to_string();
    let tcp_port = port(tcp.local_addr().expect("bound"));
    let udp_port = port(udp.local_addr().expect("bound"));
    for (number, case) in cases(folder.path()).into_iter().enumerate() {
        let Case { file: text, line, told, checked } = case;
        let text = text.replace("PORT", &tcp_port).replace("UDP", &udp_port);
        let file = folder.path().join(format!("{number}.toml"));
        std::fs::write(&file, &text).expect("written");
        let place = format!("{}:{line}:", file.display());

        let picket = std::env::var_os("PICKET_BIN");
        let picket = picket.unwrap_or_else(|| env!("CARGO_BIN_EXE_picket").into());
        let mut command = Command::new(&picket);
        command.arg("--config").arg(&file).args(["--log", "info"]);
        let sets = [("listen =", "http.listen=127.0.0.1:0"), ("udp_port", "webrtc.udp_port=0")];
        for (_, set) in sets.iter().filter(|(key, _)| !text.contains(key)) {
            command.args(["--set", set]);
        }
        let daemon = Daemon::spawn(command);
        assert!(daemon.http.ip().is_loopback(), "{text}: {}", daemon.http);
        let healthy = ureq::get(&daemon.url("/healthz")).call().expect("an answer");
        assert_eq!(healthy.status(), 200, "{text}");
        // Without a password this machine may watch.
        let index = ureq::get(&daemon.url("/")).call();
        assert!(index.is_ok(), "{text}: {index:?}");
        if !told.is_empty() {
            let line = daemon.wait_for_log(&place);
            assert!(line.contains(told) && !line.contains("secret"), "{text}: {line}");
            says_each_thing_once(&line);
        }

        if checked {
            let checked = Command::new(&picket).arg("check").arg(&file).output().expect("it runs");
            let said = String::from_utf8_lossy(&checked.stdout);
            let line = said.lines().find(|line| line.starts_with(&place));
            match line {
                Some(line) => {
                    assert!(line.contains(told) && !line.contains("secret"), "{text}: {line}");
                    says_each_thing_once(line);
                }
                None => assert_eq!(told, "", "{text}: {said}"),
            }
        }
    }
}

/// Values of every form there is.
const POOL: &[&str] = &[
    "true",
    "false",
    "-1",
    "0",
    "1",
    "2",
    "16",
    "27",
    "33",
    "90",
    "120",
    "4096",
    "10000",
    "65535",
    "0.5",
    "1.5",
    "15",
    "60000000",
    "\"auto\"",
    "\"x\"",
    "\"-\"",
    "\"\u{1f3a5} %s {{ x }}\"",
    "\"XX\"",
    "\"50M\"",
    "\"UTC\"",
    "\"Etc/GMT+12\"",
    "\"/dev/null/x\"",
    "\"/proc/self/mem\"",
    "\"file:/proc/self/mem\"",
    "\"v4l2:/dev/null\"",
    "\"page:https://a.invalid/\"",
    "\"custom\"",
    "\"203.0.113.1:9\"",
    "\"[::]:0\"",
    "\"255.255.255.255\"",
    "\"10.0.0.255/24\"",
    "\"night\"",
    "\"http://a.invalid/x\"",
    "\"https://192.0.2.1:9/x\"",
    "\"low\"",
    "\"weekly\"",
    "\"automatic\"",
    "\"v4l2-m2m\"",
    "\"wrap\"",
    "\"bottom-right\"",
    "\"gray\"",
    "180",
    "270",
    "\"error\"",
    "\"correct horse\"",
    "[]",
    "[\"255.255.255.255\", \"::\"]",
    "[\"*.invalid\"]",
    "[\"a.invalid\"]",
    "[\"http://a.invalid\"]",
    "[0.0, 0.0, 0.001, 0.001]",
    "[0, 32]",
    "[{ urls = [\"turn:a.invalid?transport=tcp\", \"stuns:[::]:1\"], username = \"u\", credential = \"c\" }]",
    "[{ urls = \"stun:%00\" }]",
    "[{ ssid = \"x\" }]",
    "{ \"/whep/main\" = \"/dev/null\", \"/a\" = \"/\" }",
    "{ \"/a\" = \"../x\", \"/b\" = \"500.html\", \"/whep/{x}\" = \"y\" }",
    "{ \"/a\" = \"/proc/self\" }",
    "{ \"/offer\" = \"index.html\", \"/b\" = \"404.html\" }",
    "{ cert = \"/dev/null\", key = \"/dev/null\" }",
];

#[test]
fn no_value_that_a_key_takes_keeps_the_camera_from_starting_or_lets_anybody_in() {
    const TOKEN: &str = "0123456789abcdef";
    let mut rounds: Vec<String> = Vec::new();
    let mut tried = 0;
    for key in keys().iter().filter(|key| !key.name.starts_with("auth.")) {
        // These need one another.
        let beside = [
            ("site.data_location", "\"/dev/null/x\"".to_owned()),
            ("site.download_url", "\"http://a.invalid/\"".to_owned()),
            ("site.download_sha256", format!("\"{}\"", "0".repeat(64))),
        ];
        let beside = beside
            .iter()
            .filter(|(name, _)| key.name.starts_with("site.download") && *name != key.name);
        let beside: String = beside.map(|(name, value)| format!("{name} = {value}\n")).collect();
        let takes = |value: &&&str| {
            let lines = format!("{beside}{} = {value}", key.name);
            Config::load(lines.as_bytes(), "f").problems.iter().all(|problem| !problem.is_refusal())
        };
        // And the words that it says it takes.
        let expects = key.expects();
        let words: Vec<String> =
            expects.split('"').skip(1).step_by(2).map(|word| format!("\"{word}\"")).collect();
        let pool: Vec<&str> =
            POOL.iter().copied().chain(words.iter().map(String::as_str)).collect();
        let taken: Vec<&&str> = pool.iter().filter(takes).collect();
        assert!(
            !taken.is_empty() || ["download_sha256", "authorized_keys"].contains(&key.split().1),
            "{}: the pool has nothing for it",
            key.name
        );
        tried += taken.len();
        for (round, value) in taken.into_iter().enumerate() {
            if rounds.len() <= round {
                rounds.push(format!("auth.tokens = [\"{TOKEN}\"]\n"));
            }
            rounds[round] += &format!("{} = {value}\n", key.name);
        }
    }
    assert!(tried > 300, "{tried}");
    let folder = tempfile::tempdir().expect("a folder");
    for (number, text) in rounds.iter().enumerate() {
        let file = folder.path().join(format!("{number}.toml"));
        std::fs::write(&file, text).expect("written");
        let sets = ["http.listen=127.0.0.1:0", "log.level=warn"];
        let mut command = Command::new(env!("CARGO_BIN_EXE_picket"));
        // Some of the values are names of folders, which are made.
        command.current_dir(&folder).arg("--config").arg(&file);
        for set in sets {
            command.args(["--set", set]);
        }
        let daemon = Daemon::spawn(command);
        let healthy = ureq::get(&daemon.url("/healthz")).call().expect("an answer");
        assert_eq!(healthy.status(), 200, "{text}");
        assert!(ureq::get(&daemon.url("/api/v1/status")).call().is_err(), "{text}");
        let shown = ureq::get(&daemon.url("/api/v1/status"))
            .header("authorization", format!("Bearer {TOKEN}"))
            .call();
        assert!(shown.is_ok(), "{text}");
        let checked = Command::new(env!("CARGO_BIN_EXE_picket")).arg("check").arg(&file).output();
        assert!(matches!(checked.expect("it runs").status.code(), Some(0 | 1)), "{text}");
    }
}

#[test]
fn a_server_that_never_answers_keeps_the_camera_from_nothing() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let folder = tempfile::tempdir().expect("a folder");
    let location = format!("site.data_location={}", folder.path().join("site").display());
    let url = format!("site.download_url=http://{}/x", silent.local_addr().expect("bound"));
    let sum = format!("site.download_sha256={}", "0".repeat(64));
    let daemon = Daemon::start(&[&location, &url, &sum, "http.pages./later=later.html"]);
    let index = ureq::get(&daemon.url("/")).call().expect("an answer");
    assert_eq!(index.status(), 200);
}

#[test]
fn no_viewer_is_shown_where_on_the_owner_s_disk_a_clip_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let clip = folder.path().join("my secret clip.mp4");
    let source = format!("camera.source=file:{}", clip.display());
    let token = "auth.tokens=[\"0123456789abcdef\"]";
    let mut daemon = Daemon::start(&[&source, token, "stream.keep_warm=true"]);
    daemon.token = Some("0123456789abcdef".into());
    let log = daemon.wait_for_log("trying again until it is back");
    assert!(log.contains("my secret clip.mp4: there is no file"), "{log}");
    says_each_thing_once(&log);
    let status = || {
        let request = ureq::get(&daemon.url("/api/v1/status"));
        let request = request.header("authorization", "Bearer 0123456789abcdef");
        request.call().expect("an answer").body_mut().read_to_string().expect("text")
    };
    common::daemon::wait_for("the loss", || status().contains("\"state\":\"lost\""));
    let lost = status();
    assert!(lost.contains("there is no file …: check"), "{lost}");
    assert!(!lost.contains("secret"), "{lost}");
    std::fs::copy("tests/media/plain.mp4", &clip).expect("copied");
    common::daemon::wait_for("the clip", || status().contains("\"state\":\"live\""));
    let live = status();
    assert!(live.contains("\"name\":\"file\""), "{live}");
    assert!(!live.contains("secret"), "{live}");
}

/// Types the password into a terminal, as often as it is asked for, and prints what the terminal
/// showed and how it ended.
const TYPIST: &str = r#"
import os, pty, sys, termios
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "password"])
shown = b""
for word in sys.argv[2:]:
    before = len(shown)
    while not shown[before:].endswith(b": "):
        shown += os.read(terminal, 1)
    assert not termios.tcgetattr(terminal)[3] & termios.ECHO, "it shows what is typed"
    os.write(terminal, word.encode() + b"\n")
try:
    while more := os.read(terminal, 1000):
        shown += more
except OSError:
    pass
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.stdout.write(f"{code}\n{shown.decode()}")
"#;

fn type_in(words: &[&str]) -> String {
    let picket = env!("CARGO_BIN_EXE_picket");
    let typed = Command::new("python3").args(["-c", TYPIST, picket]).args(words).output();
    let typed = typed.expect("python3 runs");
    assert!(typed.status.success(), "{}", String::from_utf8_lossy(&typed.stderr));
    String::from_utf8_lossy(&typed.stdout).replace('\r', "")
}

#[test]
fn a_password_is_asked_for_twice_and_never_shown() {
    let shown = type_in(&["correct horse", "correct horse"]);
    let hash = shown.lines().find(|line| line.starts_with("$argon2id$")).expect(&shown);
    let hash: picket::config::PasswordHash = hash.parse().expect("a hash");
    assert!(hash.verify("correct horse"));
    assert!(shown.starts_with("0\n") && !shown.contains("horse"), "{shown}");
    let shown = type_in(&["correct horse", "battery staple"]);
    assert!(shown.starts_with("1\n") && shown.contains("are not the same"), "{shown}");
    // It is told before it is typed a second time.
    let shown = type_in(&["short"]);
    assert!(shown.starts_with("1\n") && shown.contains("8 to 256 characters"), "{shown}");
}
