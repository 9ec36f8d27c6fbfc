//! HTTPS by the device's own certificate and by the owner's: who is shown what, what is kept, and
//! what whoever comes by HTTP is told.

mod common;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use common::browser::Browser;
use common::client::{ask, raw};
use common::daemon::{Daemon, wait_for};
use common::network::{Network, TOKEN, inside, must};
use common::tls::{
    connect, connect_with, fingerprint, get, https_address, root_at, root_of, shown_certificate,
    write_pem,
};
use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;

/// A daemon that serves HTTPS and keeps its keys in `folder`.
fn daemon_in(folder: &Path) -> Daemon {
    Daemon::start(&["http.tls=auto", &format!("site.data_location={}", folder.display())])
}

#[test]
fn the_devices_own_certificate_stands_for_all_it_goes_by_and_lasts() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = daemon_in(folder.path());
    let root = root_of(&daemon);
    let address = https_address(&daemon);
    for name in ["picket.local", "localhost", "127.0.0.1", "::1"] {
        let mut stream = connect(address, name, &root).unwrap_or_else(|e| panic!("{name}: {e}"));
        let host = format!("localhost:{}", address.port());
        let page = get(&mut stream, &host, "/");
        assert_eq!(page.status, 200, "{name}: {page:?}");
        assert!(page.all("strict-transport-security").is_empty(), "{page:?}");
    }
    let error = connect(address, "www.example.org", &root).unwrap_err();
    assert!(error.contains("certificate"), "{error}");
    let shown = shown_certificate(&connect(address, "localhost", &root).unwrap());
    // What is secret can be read by nobody else.
    let keys = folder.path().join(".tls");
    assert_eq!(keys.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    for file in std::fs::read_dir(&keys).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.path().display());
    }
    drop(daemon);
    let daemon = daemon_in(folder.path());
    assert_eq!(root_of(&daemon), root, "another root after a restart");
    let after = connect(https_address(&daemon), "localhost", &root).unwrap();
    assert_eq!(shown_certificate(&after), shown, "another certificate after a restart");
}

#[test]
fn no_folder_that_is_served_shows_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display();
    let mount = format!("http.mounts./all={data}");
    let daemon = Daemon::start(&["http.tls=auto", &format!("site.data_location={data}"), &mount]);
    assert!(folder.path().join(".tls/root.key.pem").exists());
    assert_eq!(ask(daemon.http, "GET", "/all/static/css/custom.css", &[], "").status, 200);
    for name in ["root.key.pem", "own.key.pem", "root.pem"] {
        for path in [format!("/all/.tls/{name}"), format!("/all/%2etls/{name}")] {
            let reply = ask(daemon.http, "GET", &path, &[], "");
            assert!(reply.status >= 400 && !reply.body.contains("BEGIN"), "{path}: {reply:?}");
        }
    }
}

#[test]
fn two_devices_have_two_authorities() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let daemons = folders.each_ref().map(|folder| daemon_in(folder.path()));
    let [one, other] = daemons.each_ref().map(root_of);
    assert_ne!(one, other);
    connect(https_address(&daemons[0]), "localhost", &other).unwrap_err();
}

#[test]
fn an_authority_that_is_damaged_is_told_and_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let root = root_of(&daemon_in(folder.path()));
    for damage in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        std::fs::write(folder.path().join(".tls/root.pem"), damage).unwrap();
        let daemon = daemon_in(folder.path());
        daemon.wait_for_log("certificate authority cannot be used");
        let new = root_of(&daemon);
        assert_ne!(new, root);
        connect(https_address(&daemon), "localhost", &new).unwrap();
    }
}

#[test]
fn an_authority_that_cannot_be_read_is_told_and_kept_for_when_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let root = root_of(&daemon_in(folder.path()));
    let key = folder.path().join(".tls/root.key.pem");
    let aside = folder.path().join("aside");
    std::fs::rename(&key, &aside).unwrap();
    std::fs::create_dir(&key).unwrap();
    let daemon = daemon_in(folder.path());
    daemon.wait_for_log("certificate authority cannot be read");
    let other = root_of(&daemon);
    assert_ne!(other, root);
    connect(https_address(&daemon), "localhost", &other).unwrap();
    drop(daemon);
    std::fs::remove_dir(&key).unwrap();
    std::fs::rename(&aside, &key).unwrap();
    let daemon = daemon_in(folder.path());
    assert_eq!(root_of(&daemon), root);
    connect(https_address(&daemon), "localhost", &root).unwrap();
}

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
    std::io::Write::write_all(&mut stream, &hello).unwrap();
    let mut answer = Vec::new();
    let _ = std::io::Read::read_to_end(&mut stream, &mut answer);
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

/// Writes a certificate for `localhost`, and its key.
fn write_certificate(folder: &Path) -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = (SystemTime::now() - Duration::from_secs(3600)).into();
    params.not_after = (SystemTime::now() + Duration::from_secs(30 * 24 * 3600)).into();
    let der = params.self_signed(&key).unwrap().der().to_vec();
    write_pem(&folder.join("key.pem"), "PRIVATE KEY", key.serialized_der());
    write_pem(&folder.join("cert.pem"), "CERTIFICATE", &der);
    der
}

fn daemon_with_files(folder: &Path) -> Daemon {
    let shown = folder.display();
    let tls = format!("http.tls={{ cert = \"{shown}/cert.pem\", key = \"{shown}/key.pem\" }}");
    Daemon::start(&[&tls, &format!("site.data_location={shown}")])
}

#[test]
fn a_certificate_of_the_owners_own_is_shown_and_read_again_when_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let first = write_certificate(folder.path());
    let daemon = daemon_with_files(folder.path());
    let address = https_address(&daemon);
    let shown = || {
        let now = connect(address, "localhost", &first);
        // A certificate that is not trusted is still not the first.
        now.map(|stream| shown_certificate(&stream)).ok()
    };
    assert_eq!(shown().as_ref(), Some(&first));
    let missing = ask(daemon.http, "GET", "/secure/root.crt", &[], "");
    assert_eq!(missing.status, 404, "there is nothing to be told to trust");
    let second = write_certificate(folder.path());
    wait_for("the new certificate to be shown", || {
        connect(address, "localhost", &second)
            .is_ok_and(|stream| shown_certificate(&stream) == second)
    });
    // A key that does not belong to it leaves the one before.
    write_pem(
        &folder.path().join("key.pem"),
        "PRIVATE KEY",
        KeyPair::generate().unwrap().serialized_der(),
    );
    daemon.wait_for_log("the private key is not that of the certificate");
    connect(address, "localhost", &second).unwrap();
    // And it is read again once that is put right.
    let third = write_certificate(folder.path());
    wait_for("the third certificate to be shown", || connect(address, "localhost", &third).is_ok());
}

#[test]
fn what_is_the_matter_with_a_certificate_that_is_used_all_the_same_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = (SystemTime::now() - Duration::from_secs(7200)).into();
    params.not_after = (SystemTime::now() - Duration::from_secs(3600)).into();
    let der = params.self_signed(&key).unwrap().der().to_vec();
    write_pem(&folder.path().join("key.pem"), "PRIVATE KEY", key.serialized_der());
    write_pem(&folder.path().join("cert.pem"), "CERTIFICATE", &der);
    let for_all = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(folder.path().join("key.pem"), for_all).unwrap();
    let daemon = daemon_with_files(folder.path());
    daemon.wait_for_log("cert.pem is not valid any more: renew it");
    daemon.wait_for_log("everybody on this machine can read the private key: `chmod o-rwx ");
    let error = connect(https_address(&daemon), "localhost", &der).unwrap_err();
    assert!(error.contains("certificate expired"), "{error}");
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_and_the_devices_own_is_shown_until_it_can() {
    for (cert, key, said) in [
        (None, None, "cannot be read"),
        (Some("hello"), Some("hello"), "no certificate (BEGIN CERTIFICATE)"),
        (
            Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            Some(""),
            "the certificate cannot be read",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("cert.pem", cert), ("key.pem", key)] {
            if let Some(text) = text {
                std::fs::write(folder.path().join(name), text).unwrap();
            }
        }
        let daemon = daemon_with_files(folder.path());
        let line = daemon.wait_for_log(said);
        assert!(line.contains("http.tls") && line.contains("\"auto\" is shown"), "{line}");
        let address = https_address(&daemon);
        connect(address, "localhost", &root_of(&daemon)).unwrap();
        let theirs = write_certificate(folder.path());
        wait_for("the owner's certificate to be shown", || {
            connect(address, "localhost", &theirs).is_ok()
        });
    }
}

/// A daemon with HTTPS in a network, for viewers of others.
fn daemon_at(network: &Network, folder: &Path, settings: &[&str]) -> Daemon {
    let mut command = Network::command(&network.camera);
    let location = format!("site.data_location={}", folder.display());
    let token = format!("auth.tokens=[\"{TOKEN}\"]");
    let always = ["http.tls=auto", &location, &token];
    for setting in always.iter().chain(settings) {
        command.args(["--set", setting]);
    }
    Daemon::spawn(command)
}

/// The port of HTTPS, told to who has a token.
fn https_port(daemon: &Daemon, host: &str) -> u16 {
    let to = format!("{host}:{}", daemon.http.port()).parse().unwrap();
    let token = format!("Bearer {TOKEN}");
    let status = ask(to, "GET", "/api/v1/status", &[("authorization", &token)], "");
    u16::try_from(status.json()["https"]["port"].as_u64().expect("HTTPS")).unwrap()
}

#[test]
fn the_certificate_follows_a_change_of_address() {
    let Some(network) = Network::with_viewers(1) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    must(&format!("ip -n {} addr add 10.9.8.1/24 dev line0", network.camera));
    must(&format!("ip -n {} addr add 10.9.8.2/24 dev eth0", network.viewers[0]));
    let daemon = daemon_at(&network, folder.path(), &[]);
    network.at(0, || {
        let port = https_port(&daemon, "10.9.8.1");
        let to = format!("10.9.8.1:{port}").parse().unwrap();
        let http = format!("10.9.8.1:{}", daemon.http.port()).parse().unwrap();
        let root = root_at(http);
        connect(to, "10.9.8.1", &root).unwrap();
        connect(to, "10.9.8.77", &root).unwrap_err();
        inside(&network.camera, || must("ip addr add 10.9.8.77/24 dev line0"));
        wait_for("a certificate for the new address", || connect(to, "10.9.8.77", &root).is_ok());
        connect(to, "10.9.8.1", &root).unwrap();
    });
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
