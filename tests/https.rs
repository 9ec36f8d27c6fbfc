//! HTTPS: what is spoken, whom it keeps out, and what whoever comes by HTTP is told.

mod common;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::browser::Browser;
use common::client::{ask, raw};
use common::daemon::Daemon;
use common::network::{Network, inside};
use common::tls::{
    connect, connect_with, daemon_at, daemon_in, fingerprint, get, https_address, https_port,
    root_at, root_of,
};
use serde_json::Value;

#[test]
fn only_tls_of_today_is_spoken() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = daemon_in(folder.path());
    let (address, root) = (https_address(&daemon), root_of(&daemon));
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        connect_with(address, "localhost", &root, &[version]).unwrap();
    }
    // A ClientHello that knows nothing above TLS 1.1 (RFC 4346 §7.4.1.2), whole, is refused by an
    // alert (RFC 5246 §7.2).
    let hello = {
        let mut body = vec![3, 2];
        body.extend([7; 32]);
        body.extend([0, 0, 2, 0x00, 0x2f, 1, 0]);
        let mut handshake = vec![1, 0, 0, u8::try_from(body.len()).unwrap()];
        handshake.extend(body);
        let mut record = vec![22, 3, 1, 0, u8::try_from(handshake.len()).unwrap()];
        record.extend(handshake);
        record
    };
    let mut stream = common::client::connect(address);
    stream.write_all(&hello).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(answer.first(), Some(&21), "an alert: {answer:?}");
}

/// What the scanner SSLyze finds; `None` where it is missing and may be.
fn scanned(address: SocketAddr) -> Option<Value> {
    let venv = std::env::var_os("PICKET_VENV")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv"), PathBuf::from);
    let mut scanner = Command::new(venv.join("bin/python"));
    scanner.args(["-m", "sslyze", "--json_out=-", &address.to_string()]);
    let output = scanner.output().ok().filter(|output| !output.stdout.is_empty());
    let Some(output) = output else {
        let advice = "no SSLyze; scripts/install-test-tools installs it";
        assert!(std::env::var_os("CI").is_none(), "{advice}");
        eprintln!("skipped: {advice}");
        return None;
    };
    let mut found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    Some(found["server_scan_results"][0]["scan_result"].take())
}

#[test]
fn an_independent_scanner_finds_nothing_weak() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = daemon_in(folder.path());
    let Some(found) = scanned(https_address(&daemon)) else { return };
    let suites = |version: &str| -> Vec<String> {
        let accepted =
            &found[format!("{version}_cipher_suites")]["result"]["accepted_cipher_suites"];
        let accepted = accepted.as_array().unwrap_or_else(|| panic!("{version}: {found}"));
        let name = |suite: &Value| suite["cipher_suite"]["name"].as_str().unwrap().to_owned();
        accepted.iter().map(name).collect()
    };
    for version in ["ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"] {
        assert_eq!(suites(version), [""; 0], "{version}");
    }
    for version in ["tls_1_2", "tls_1_3"] {
        assert!(!suites(version).is_empty(), "{version}");
        for suite in suites(version) {
            // Authenticated encryption; with keys that nobody can work out afterwards, which TLS 1.3
            // has always (RFC 8446 §1.2).
            let authenticated = suite.contains("_GCM_") || suite.contains("_CHACHA20_POLY1305_");
            assert!(authenticated, "{suite}");
            assert!(version == "tls_1_3" || suite.starts_with("TLS_ECDHE_"), "{suite}");
        }
    }
    for (scan, finding, wanted) in [
        ("heartbleed", "is_vulnerable_to_heartbleed", false),
        ("openssl_ccs_injection", "is_vulnerable_to_ccs_injection", false),
        ("session_renegotiation", "is_vulnerable_to_client_renegotiation_dos", false),
        ("session_renegotiation", "supports_secure_renegotiation", true),
        ("tls_compression", "supports_compression", false),
        ("tls_extended_master_secret", "supports_ems_extension", true),
        ("tls_fallback_scsv", "supports_fallback_scsv", true),
    ] {
        assert_eq!(found[scan]["result"][finding], wanted, "{scan}: {}", found[scan]);
    }
    assert_eq!(found["robot"]["result"]["robot_result"], "NOT_VULNERABLE_RSA_NOT_SUPPORTED");
}

/// The beginning of a client's first message, which never goes on.
const UNFINISHED_HELLO: [u8; 11] = [22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];

#[test]
fn handshakes_that_never_end_and_nonsense_keep_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let location = format!("site.data_location={}", folder.path().display());
    let daemon = Daemon::start(&["http.tls=auto", "http.max_connections=64", &location]);
    let (address, root) = (https_address(&daemon), root_of(&daemon));
    let mut held = Vec::new();
    for number in 0..200u8 {
        let mut stream = common::client::connect(address);
        let begun: &[u8] = match number % 4 {
            0 => b"",
            1 => &UNFINISHED_HELLO,
            2 => &[22, number, number, 0xff, 0xff, number],
            _ => &[number; 300],
        };
        // The server may have closed it already.
        let _ = stream.write_all(begun);
        held.push(stream);
    }
    for _ in 0..5 {
        let mut stream = connect(address, "localhost", &root).unwrap();
        assert_eq!(get(&mut stream, "localhost", "/healthz").status, 200);
        assert_eq!(ask(daemon.http, "GET", "/healthz", &[], "").status, 200);
    }
    // Nobody can fill the log with what they send.
    let log = daemon.logged_so_far();
    assert!(!log.iter().any(|line| line.contains("WARN")), "{log:?}");
}

#[test]
fn whoever_speaks_http_where_https_is_spoken_is_told_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = daemon_in(folder.path());
    let address = https_address(&daemon);
    let reply = ask(address, "GET", "/garden?x=1", &[], "");
    assert_eq!(reply.status, 307, "{reply:?}");
    assert_eq!(reply.header("location"), format!("https://{address}/garden?x=1"));
    let nonsense = raw(address, b"GET / HTTP/1.1\r\nHost: a@b\r\nConnection: close\r\n\r\n");
    assert!(nonsense.starts_with("HTTP/1.1 400"), "{nonsense}");
}

#[test]
fn whoever_types_a_password_over_plain_http_is_told_what_that_risks() {
    let Some(network) = Network::with_viewers(1) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let password = "auth.password=\"a long password\"";
    let daemon = daemon_at(&network, folder.path(), &[password]);
    let note = "Use the secure page";
    let page = ["accept", "text/html"];
    network.at(0, || {
        let http = format!("192.0.2.1:{}", daemon.http.port()).parse().unwrap();
        for path in ["/login", "/"] {
            let reply = ask(http, "GET", path, &[(page[0], page[1])], "");
            assert!(reply.body.contains(note), "{path}: {reply:?}");
            assert!(reply.body.contains("Others in your network could read"), "{reply:?}");
        }
        // Where it leads to is open to everybody, and names the secure page by the host asked for.
        let secure = ask(http, "GET", "/secure", &[(page[0], page[1])], "");
        let port = https_port(&daemon, "192.0.2.1");
        let text = secure.body.replace("&#x2f;", "/");
        assert!(text.contains(&format!("https://192.0.2.1:{port}/")), "{text}");
        // On the secure page there is nothing to warn of.
        let mut stream =
            connect(format!("192.0.2.1:{port}").parse().unwrap(), "picket.local", &root_at(http))
                .unwrap();
        let login = get(&mut stream, "picket.local", "/login");
        assert!(login.status == 200 && !login.body.contains(note), "{login:?}");
    });
    // Nobody listens on the way from a machine to itself.
    inside(&network.camera, || {
        let login = ask(daemon.http, "GET", "/login", &[(page[0], page[1])], "");
        assert!(!login.body.contains(note), "{login:?}");
    });
}

#[test]
fn whoever_comes_by_http_is_sent_to_https_where_that_is_asked_for() {
    let Some(network) = Network::with_viewers(1) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let daemon = daemon_at(&network, folder.path(), &["http.redirect_to_https=true"]);
    let port = network.at(0, || {
        let http = format!("192.0.2.1:{}", daemon.http.port()).parse().unwrap();
        for (method, path) in [("GET", "/a?b=c"), ("POST", "/offer"), ("POST", "/login")] {
            let reply = ask(http, method, path, &[], "");
            assert_eq!(reply.status, 307, "{reply:?}");
            let location = reply.header("location").to_owned();
            let rest = location.strip_prefix("https://192.0.2.1:").expect("HTTPS of that host");
            assert!(rest.ends_with(path), "{location}");
        }
        for stays in ["/secure", "/secure/root.crt", "/login.css"] {
            assert_eq!(ask(http, "GET", stays, &[], "").status, 200, "{stays}");
        }
        let reply = ask(http, "GET", "/", &[], "");
        let location = reply.header("location").trim_end_matches('/').to_owned();
        location.rsplit_once(':').unwrap().1.parse::<u16>().unwrap()
    });
    inside(&network.camera, || {
        // Who asks from the device itself is not sent anywhere: the health check is one.
        assert_eq!(ask(daemon.http, "GET", "/healthz", &[], "").status, 200);
        connect(format!("127.0.0.1:{port}").parse().unwrap(), "localhost", &root_at(daemon.http))
            .unwrap();
    });
}

#[test]
fn without_https_nothing_speaks_of_it() {
    let daemon = Daemon::start(&[]);
    let status = daemon.get_json("/api/v1/status");
    assert!(status.get("https").is_none(), "{status}");
    for path in ["/secure", "/secure/root.crt"] {
        let reply = ask(daemon.http, "GET", path, &[], "");
        assert_eq!(reply.status, 404, "{reply:?}");
    }
}

#[test]
fn a_browser_that_trusts_the_device_has_a_secure_page_and_plays() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = daemon_in(folder.path());
    let address = https_address(&daemon);
    let browser = Browser::trusting(&root_of(&daemon));
    browser.open(&format!("https://localhost:{}/", address.port()));
    browser.wait_for("the picture", "document.body.dataset.state === 'live'");
    assert_eq!(browser.js("return isSecureContext;"), true);
    assert_eq!(browser.js("return 'mediaDevices' in navigator;"), true);
}

#[test]
fn a_browser_that_does_not_trust_the_device_shows_a_warning_and_no_page() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = daemon_in(folder.path());
    let browser = Browser::start();
    browser.try_to_open(&format!("https://localhost:{}/", https_address(&daemon).port()));
    browser
        .wait_for("the warning", "document.body.innerText.includes('ERR_CERT_AUTHORITY_INVALID')");
}

#[test]
fn the_page_that_explains_it_can_be_used_with_any_aid() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = daemon_in(folder.path());
    let browser = Browser::start();
    browser.open(&daemon.url("/secure"));
    browser
        .js("document.querySelectorAll('details').forEach((details) => { details.open = true; })");
    if let Some(axe) = common::axe::axe() {
        common::axe::judge(&browser, &axe, "/secure");
    }
    let shown = browser.text(".fingerprint");
    assert_eq!(shown, fingerprint(&root_of(&daemon)));
    assert_eq!(daemon.get_json("/api/v1/status")["https"]["fingerprint"], shown);
    assert_eq!(browser.sticking_out(), serde_json::json!([]));
}
