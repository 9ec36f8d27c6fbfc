//! Certificates by ACME (RFC 8555) from a real authority for tests, Pebble, with records put into the
//! DNS by a program and by signed updates of a real server, BIND.
#![cfg(feature = "acme")]

mod common;

use std::path::Path;

use common::daemon::{Daemon, wait_for};
use common::pebble::{Bind, ChallengeServer, Pebble, Rules};
use common::tls::{connect, https_address, root_of, shown_certificate};

const NAME: &str = "cam.example.org";

/// As an authority is on a good day.
const PLAIN: Rules = Rules { validity: 24 * 3600, bad_nonces: 0 };

fn daemon(pebble: &Pebble, folder: &Path, challenge: &str) -> Daemon {
    let tls = format!(
        "http.tls={{ acme = \"{NAME}\", email = \"owner@example.org\", directory = \"{}\", \
         root = \"{}\", {challenge} }}",
        pebble.directory(),
        pebble.root_file().display(),
    );
    Daemon::start(&[&tls, &format!("site.data_location={}", folder.display())])
}

fn with_hook(server: &ChallengeServer, folder: &Path) -> String {
    format!("hook = \"{}\"", server.hook(folder).display())
}

/// Waits until a certificate of that root is shown for the name, and gives it.
fn wait_for_certificate(daemon: &Daemon, root: &[u8]) -> Vec<u8> {
    let address = https_address(daemon);
    let mut shown = None;
    wait_for("the authority's certificate to be shown", || {
        shown = connect(address, NAME, root).ok().map(|stream| shown_certificate(&stream));
        shown.is_some()
    });
    shown.expect("just seen")
}

#[test]
fn a_certificate_comes_by_a_program_of_the_owners_and_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (Some(dns), mut pebble) = (ChallengeServer::start(), Pebble::absent()) else { return };
    if !pebble.start(dns.port, Rules { bad_nonces: 20, ..PLAIN }) {
        return;
    }
    let challenge = with_hook(&dns, folder.path());
    let first = daemon(&pebble, folder.path(), &challenge);
    let root = pebble.issuing_root();
    let shown = wait_for_certificate(&first, &root);
    // What was put into the DNS was taken out again.
    let log = std::fs::read_to_string(folder.path().join("hook.log")).unwrap();
    assert_eq!(log, format!("add _acme-challenge.{NAME}.\nremove _acme-challenge.{NAME}.\n"));
    // Nothing is to be trusted by hand.
    let missing = common::client::get(first.http, "/secure/root.crt");
    assert_eq!(missing.status, 404);
    drop(first);
    // With the authority gone, the one that was kept is shown from the start.
    pebble.stop();
    let second = daemon(&pebble, folder.path(), &challenge);
    let now = connect(https_address(&second), NAME, &root).expect("the certificate that was kept");
    assert_eq!(shown_certificate(&now), shown);
}

#[test]
fn a_certificate_is_renewed_when_two_thirds_of_its_time_are_over() {
    let folder = tempfile::tempdir().unwrap();
    let (Some(dns), mut pebble) = (ChallengeServer::start(), Pebble::absent()) else { return };
    if !pebble.start(dns.port, Rules { validity: 15, ..PLAIN }) {
        return;
    }
    let daemon = daemon(&pebble, folder.path(), &with_hook(&dns, folder.path()));
    let root = pebble.issuing_root();
    let first = wait_for_certificate(&daemon, &root);
    // Somebody who connects is never shown one that has ended.
    wait_for("another certificate", || wait_for_certificate(&daemon, &root) != first);
}

#[test]
fn an_authority_that_is_away_is_asked_again_and_meanwhile_the_devices_own_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (Some(dns), mut pebble) = (ChallengeServer::start(), Pebble::absent()) else { return };
    let daemon = daemon(&pebble, folder.path(), &with_hook(&dns, folder.path()));
    let line = daemon.wait_for_log("no certificate");
    assert!(line.contains("tried again in 20 seconds"), "{line}");
    connect(https_address(&daemon), "localhost", &root_of(&daemon)).expect("the device's own");
    if pebble.start(dns.port, PLAIN) {
        wait_for_certificate(&daemon, &pebble.issuing_root());
    }
}

#[test]
fn a_record_is_put_into_the_dns_by_a_signed_update() {
    let folder = tempfile::tempdir().unwrap();
    let (Some(bind), mut pebble) = (Bind::start(), Pebble::absent()) else { return };
    if !pebble.start(bind.port, PLAIN) {
        return;
    }
    let challenge =
        |key: &str| format!("dns_server = \"127.0.0.1:{}\", dns_key = \"{key}\"", bind.port);
    let wrong = "hmac-sha256:cam.:YW5vdGhlciBrZXkgb2Ygc2l4dGVlbiBieXRlcw==";
    let refused = daemon(&pebble, folder.path(), &challenge(wrong));
    let line = refused.wait_for_log("no certificate");
    assert!(line.contains("the DNS server 127.0.0.1") && !line.contains("YW5vdGhlciB"), "{line}");
    assert!(line.contains("tried again in 15 minutes"), "{line}");
    drop(refused);
    let daemon = daemon(&pebble, folder.path(), &challenge(Bind::KEY));
    wait_for_certificate(&daemon, &pebble.issuing_root());
}

#[test]
fn a_program_that_fails_is_told_with_what_it_said() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (Some(dns), mut pebble) = (ChallengeServer::start(), Pebble::absent()) else { return };
    if !pebble.start(dns.port, PLAIN) {
        return;
    }
    let hook = folder.path().join("hook");
    std::fs::write(&hook, "#!/bin/sh\necho 'the account is locked' >&2\nexit 4\n").unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let challenge = format!("hook = \"{}\"", hook.display());
    let daemon = daemon(&pebble, folder.path(), &challenge);
    let line = daemon.wait_for_log("no certificate");
    assert!(line.contains("(exit status: 4): the account is locked"), "{line}");
}
