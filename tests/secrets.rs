//! Whatever is wrong in a configuration, no message tells a secret.

mod common;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use common::client::ask;
use common::daemon::Daemon;

/// What stands for a secret, as text and as a number. None of their parts is told.
const TEXT: &str = "zq7canary-0123456789";
const NUMBER: &str = "7718187718";
const PARTS: [&str; 4] = ["zq7", "canary", "0123456789", "7718"];

/// Keys that are secret, hold one, or may.
const KEYS: [(&str, &str); 12] = [
    ("auth", "password"),
    ("auth", "password_hash"),
    ("auth", "tokens"),
    ("wifi", "password"),
    ("wifi", "networks"),
    ("wifi", "ssid"),
    ("webrtc", "ice_servers"),
    ("camera", "source"),
    ("http", "tls"),
    ("site", "download_url"),
    ("update", "url"),
    ("ssh", "authorized_keys"),
];

/// Values in forms that are right for some keys and wrong for the others.
fn values() -> Vec<String> {
    [
        "\"S\"",
        "'S:S'",
        "\"S@S\"",
        "\"rtsp:S\"",
        "\"S://S\"",
        "\"\\u0007S\"",
        "[\"S\"]",
        "[[\"S\"]]",
        "[\"S\", 5, \"short\", \"\\u0007S\"]",
        "{ x = \"S\" }",
        "{ S = 1 }",
        "{ \"S\" = \"S\" }",
        "{ S.S = \"S\" }",
        "[{ S = 1 }]",
        "[{ urls = \"S\", username = 5, credential = \"S\" }]",
        "[{ urls = [\"turn:a.example\", \"S\"], username = \"\\u0007S\", credential = N }]",
        "[{ urls = \"turn:S:S\", username = \"S\", credential = \"S\" }]",
        "[{ urls = \"turn:a.example\", username = \"S\", pasword = \"S\" }]",
        "[{ ssid = \"SS\", password = \"\\u0007S\", hidden = \"S\" }]",
        "[{ ssid = \"S\", passwrod = \"S\", S = 1 }]",
        "{ cert = \"\\u0007S\", key = \"-----BEGIN PRIVATE KEY-----\\nS\" }",
        "{ cert = \"S\", kye = \"S\", S = 2 }",
        "N",
        "[N]",
        "-N.5",
        "{ x = N }",
        "\"\"\"\nS\nS\"\"\"",
        "[\n\"S\",\n[\"S\"],\n]",
    ]
    .map(|value| value.replace('S', TEXT).replace('N', NUMBER))
    .to_vec()
}

/// Lines below a section that are wrong in another way, or no TOML.
fn lines(section: &str, name: &str) -> Vec<String> {
    [
        "NAME = S",
        "NAME = \"S",
        "NAME = 'S",
        "NAME = \"\"\"S",
        "NAME = [\"S\"",
        "NAME = [\"S\" \"S\"]",
        "NAME = { a = \"S\" b = \"S\" }",
        "NAME = \"S\" \"S\"",
        "NAME = \"S\"S",
        "NAME = \"\\qS\"",
        "NAME = \"\\uS\"",
        "NAME \"S\"",
        "NAME: S",
        "NAME = \"S\"\nNAME = \"S\"",
        "NAME = \"S\"\nNAME.S = \"S\"",
        "NAME = \"S\"\n[SECTION.NAME]\nS = 1",
        "[SECTION.NAME]\nS = \"S\"",
        "[[SECTION.NAME]]\nS = \"S\"",
        "[SECTION.NAME.S]\nx = \"S\"",
        "[SECTION.NAME",
        "[SECTION.S]\nx = \"S\"",
        "[SECTION.\"S\"]\nx = 1",
        "[S]\nx = \"S\"",
        "[S\nx = 1",
        "\"S\" = \"NAME\"",
        "S = \"NAME\"",
        "S = true",
        "S",
        "= \"S\"",
        "\"NAME = S\" = 1",
        "\"NAME.S\" = 1",
        "NAME.S = 1",
        "NAMEx = \"S\"",
        "NAME_S = \"S\"",
        "x = { NAME = \"S\", S = \"S\" }",
        "psk = \"S\"\nkey = \"S\"\ntoken = [\"S\"]\ncredential = \"S\"\nsecret = \"S\"",
        "\"\\u0007S\" = 1",
        "'''S''' = 1",
        "NAME = 1979-05-27S",
        "NAME = NN N",
        "NAME = 0xNS",
        "NAME = \"S\u{7}\"",
        "NAME = \"S\"\n\u{0}",
    ]
    .map(|line| line.replace("SECTION", section).replace("NAME", name))
    .map(|line| line.replace('S', TEXT).replace('N', NUMBER))
    .to_vec()
}

/// Files each of which has secrets in wrong forms and places.
fn files() -> Vec<String> {
    let mut files = Vec::new();
    for (section, name) in KEYS {
        for value in values() {
            files.push(format!("[{section}]\n{name} = {value}\n"));
        }
        for line in lines(section, name) {
            files.push(format!("[{section}]\n{line}\n"));
        }
        for value in [TEXT, "[]", "[[]]"] {
            files.push(format!("{section} = \"{value}\"\n"));
        }
        files.push(format!("{section} = [\"{TEXT}\"]\n"));
        files.push(format!("[[{section}]]\n{name} = \"{TEXT}\"\n\"{TEXT}\" = 1\n"));
    }
    // Next to where it belongs, and where nothing belongs.
    for section in ["wifi", "auth", "webrtc", "camera", "device", "http"] {
        for key in ["country", "hidden", "announce", "udp_port", "hostname", "listen", "x"] {
            files.push(format!("[{section}]\n{key} = \"cam:{TEXT}@example.org\"\n"));
        }
    }
    for key in ["country", "hidden"] {
        files.push(format!("[wifi]\n{key} = \"{TEXT}\"\n"));
    }
    files.push(format!("password = \"{TEXT}\"\n\"{TEXT}\" = 2\n{TEXT} = 3\n"));
    files.push(format!("\"auth.{TEXT}\" = 2\n[auth.password]\nx.{TEXT} = 3\n"));
    files
}

fn tells_nothing(told: &str, of: &str) {
    let lower = told.to_lowercase();
    for part in PARTS {
        assert!(!lower.contains(part), "{part:?} is told of:\n{of}\n---\n{told}");
    }
}

#[test]
fn check_tells_no_secret_whatever_form_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let mut told_of = 0;
    for text in files() {
        std::fs::write(&file, &text).unwrap();
        let checked = Command::new(env!("CARGO_BIN_EXE_picket"))
            .args(["check"])
            .arg(&file)
            .env("RUST_BACKTRACE", "0")
            .output()
            .unwrap();
        let told = [checked.stdout, checked.stderr].concat();
        let told = String::from_utf8(told).unwrap();
        tells_nothing(&told, &text);
        told_of += usize::from(!checked.status.success());
    }
    // The forms are wrong for nearly all.
    assert!(told_of > 500, "{told_of}");
}

/// Starts the daemon, ends it, and gives all that it has written.
fn run(config: &Path, settings: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut command = Daemon::command_with(config, settings);
    command.stdout(Stdio::piped()).stderr(File::create(&log).unwrap());
    let mut daemon = command.spawn().unwrap();
    let mut said = String::new();
    let mut out = BufReader::new(daemon.stdout.take().unwrap());
    while !said.contains("http://") {
        assert!(out.read_line(&mut said).unwrap() > 0, "it ended: {said}");
    }
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    said + &std::fs::read_to_string(log).unwrap()
}

#[test]
fn a_run_logs_no_secret_whatever_form_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    // One file for each form, with all keys in it.
    let mut texts: Vec<String> = Vec::new();
    for (number, _) in values().iter().enumerate() {
        let mut text = String::new();
        let mut section = "";
        for (name_of, name) in KEYS {
            if name_of != section {
                text += &format!("[{name_of}]\n");
            }
            section = name_of;
            text += &format!("{name} = {}\n", values()[number]);
        }
        texts.push(text);
    }
    texts.extend(lines("auth", "password").into_iter().map(|line| format!("[auth]\n{line}\n")));
    for text in texts.iter().step_by(3) {
        std::fs::write(&file, text).unwrap();
        let log = run(&file, &[]);
        assert!(log.contains("config.toml:"), "{text}\n{log}");
        tells_nothing(&log, text);
    }
}

#[test]
fn a_secret_on_the_command_line_is_not_logged() {
    let mut sets = Vec::new();
    for (section, name) in KEYS {
        sets.extend(values().into_iter().map(|value| format!("{section}.{name}={value}")));
        sets.extend(values().into_iter().map(|value| format!("{section}={{{name}={value}}}")));
        sets.extend(
            [
                "SECTION.NAME=S",
                "SECTION.NAME S",
                "SECTION.NAME:S",
                "SECTION.NAME=[S",
                "SECTION.NAME={S",
                "SECTION.NAME=\"S",
                "SECTION.NAME={S=1}",
                "SECTION.NAME.S=1",
                "SECTION.NAME.\"S\"=1",
                "SECTION.NAMES=S",
                "SECTION.NAME\"S=S",
                "SECTION.S=1",
                "SECTION.\"S\"=1",
                "SECTION.S.S=1",
                "SECTION={S=1}",
                "SECTION={S",
                "SECTION=S",
                "SECTIONS=S",
                "S=1",
                "S",
                "S.NAME=S",
                "=S",
                "\"SECTION.NAME=S\"",
            ]
            .map(|set| set.replace("SECTION", section).replace("NAME", name).replace('S', TEXT)),
        );
    }
    let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
    let log = run(Path::new("/dev/null"), &sets);
    assert!(log.matches("--set ").count() > 200, "{log}");
    tells_nothing(&log, "--set");
}

#[test]
fn arguments_that_make_no_sense_are_told_without_their_secret() {
    for arguments in [
        &["--set", "auth.password", TEXT][..],
        &["run", "--set", "auth.password=x", TEXT],
        &["--set=auth.password", TEXT],
        &[&format!("--auth.password={TEXT}")],
        &["--set", "auth.password=x", &format!("--password={TEXT}")],
        &["--log", TEXT],
        &["password", TEXT],
    ] {
        let run = Command::new(env!("CARGO_BIN_EXE_picket")).args(arguments).output().unwrap();
        assert!(!run.status.success());
        let told = String::from_utf8([run.stdout, run.stderr].concat()).unwrap();
        assert!(told.contains("--help"), "{told}");
        tells_nothing(&told, &arguments.join(" "));
    }
}

/// The words of the example for systemd that follow the program's name.
fn words_of_the_example() -> Vec<String> {
    let page = include_str!("../docs/install.md");
    let line = page.lines().find(|line| line.starts_with("ExecStart=/usr/bin/picket"));
    let words = line.expect("the example").split(' ').skip(1);
    words.map(str::to_owned).collect()
}

#[test]
fn a_password_that_systemd_keeps_lets_its_owner_in_and_nobody_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let hash = picket::config::PasswordHash::of(TEXT).unwrap();
    std::fs::write(folder.path().join("hash"), format!("{}\n", hash.expose())).unwrap();
    let mut command = Daemon::command(&[]);
    command.env("CREDENTIALS_DIRECTORY", folder.path());
    let mut words = words_of_the_example().into_iter().skip_while(|word| word != "--set-file");
    let (option, value) = (words.next().unwrap(), words.next().unwrap());
    command.args([option, value.replace("%d", folder.path().to_str().unwrap())]);
    let daemon = Daemon::spawn(command);
    let command_line = std::fs::read_to_string(format!("/proc/{}/cmdline", daemon.pid())).unwrap();
    assert!(command_line.contains("--set-file") && !command_line.contains(hash.expose()));
    let json = ("Content-Type", "application/json");
    for (password, status) in [("another one", 401), (TEXT, 204)] {
        let body = format!("{{\"password\": \"{password}\"}}");
        let reply = ask(daemon.http, "POST", "/login", &[json], &body);
        assert_eq!(reply.status, status, "{reply:?}");
    }
    daemon.signal("-HUP");
    let log = daemon.log_until("nothing has changed").join("\n");
    assert!(!log.contains("--set"), "nothing is wrong with it: {log}");
    tells_nothing(&log, "a file");
    assert!(!log.contains("$argon2"), "{log}");
}

#[test]
fn a_secret_on_the_command_line_is_warned_of() {
    let log = run(Path::new("/dev/null"), &[&format!("auth.password={TEXT}"), "camera.fps=25"]);
    let warned: Vec<_> = log.lines().filter(|line| line.contains("--set-file")).collect();
    assert_eq!(warned.len(), 1, "{log}");
    assert!(warned[0].contains("--set auth.password: "), "{log}");
    tells_nothing(&log, "--set");
}

#[test]
fn a_file_that_holds_no_password_locks_and_is_told() {
    let mut command = Daemon::command(&[]);
    command.args(["--set-file", &format!("auth.password={TEXT}")]);
    let daemon = Daemon::spawn(command);
    let told = daemon.wait_for_log("--set-file auth.password");
    assert!(told.contains("cannot be read") && told.contains("locked"), "{told}");
    tells_nothing(&told, "--set-file");
    assert_eq!(ask(daemon.http, "GET", "/api/v1/status", &[], "").status, 403);
}

#[test]
fn what_holds_hashes_is_its_owners_alone_whatever_the_umask() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, "").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let daemon = Daemon::command_with(&file, &[]);
    let mut command = Command::new("sh");
    command.args(["-c", "umask 0; exec \"$0\" \"$@\""]).arg(daemon.get_program());
    command.args(daemon.get_args()).env("STATE_DIRECTORY", folder.path());
    let daemon = Daemon::spawn(command);
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let body = format!("password={TEXT}");
    let reply = ask(daemon.http, "POST", "/setup", &[form, ("Accept", "text/html")], &body);
    assert_eq!(reply.status, 303, "{reply:?}");
    common::daemon::wait_for("the sign-in is kept", || {
        folder.path().join("sign-ins.json").exists()
    });
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder.path()).unwrap().flatten() {
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert!(!entry.metadata().unwrap().is_file() || mode == 0o600, "{entry:?}: {mode:o}");
        found.push(entry.file_name().into_string().unwrap());
    }
    for name in ["config.toml", "sign-ins.json"] {
        assert!(found.contains(&name.to_owned()), "{found:?}");
    }
}
