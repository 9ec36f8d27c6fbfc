//! Which certificate is shown: the device's own, which lasts and follows its names and addresses, and
//! the owner's.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use common::client::ask;
use common::daemon::{Daemon, wait_for};
use common::network::{Network, inside, must};
use common::tls::{
    connect, daemon_at, daemon_in, get, https_address, https_port, root_at, root_of,
    shown_certificate, write_pem,
};
use rcgen::{CertificateParams, KeyPair};

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
fn a_device_of_another_name_is_trusted_by_that_name() {
    let folder = tempfile::tempdir().unwrap();
    let root = root_of(&daemon_in(folder.path()));
    let location = format!("site.data_location={}", folder.path().display());
    let daemon = Daemon::start(&["http.tls=auto", "device.hostname=porch", &location]);
    assert_eq!(root_of(&daemon), root);
    connect(https_address(&daemon), "porch.local", &root).unwrap();
    connect(https_address(&daemon), "picket.local", &root).unwrap_err();
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
