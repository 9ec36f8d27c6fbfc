//! Handshakes with OpenSSL, which GStreamer's and many other WebRTC stacks are built on.

use std::io::Read;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::fuzz::handshake;
use super::*;

/// As large as the library's own.
const ROOM: usize = 2000;

const PATIENCE: Duration = Duration::from_secs(30);

const SRTP: [&str; 6] = [
    "-use_srtp",
    "SRTP_AES128_CM_SHA1_80",
    "-keymatexport",
    "EXTRACTOR-dtls_srtp",
    "-keymatexportlen",
    "60",
];

/// What is said of a viewer that has nothing of what it was asked for.
const NO_SUCH: &str = "it has no certificate of a kind that is accepted: ECDSA keys on P-256 and \
                       P-384, and RSA keys of 2048 to 8192 bits are";

/// Whether there is an `openssl` to shake hands with. If not, says so; in CI that is a failure.
fn has_openssl() -> bool {
    let found = Command::new("openssl").arg("version").stdout(Stdio::null()).status().is_ok();
    assert!(found || std::env::var_os("CI").is_none(), "no openssl");
    if !found {
        eprintln!("skipped: no openssl; scripts/install-test-tools installs it");
    }
    found
}

/// A viewer's certificate and key.
struct Identity {
    folder: TempDir,
}

impl Identity {
    /// As `openssl req` makes it with `options`, separated by spaces.
    fn new(options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-subj", "/CN=viewer", "-newkey"])
            .args(options.split(' '))
            .args(["-keyout", "key.pem", "-out", "cert.pem"])
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The certificate's DER.
    fn certificate(&self) -> Vec<u8> {
        let made = Command::new("openssl")
            .args(["x509", "-in", "cert.pem", "-outform", "der"])
            .current_dir(&self.folder)
            .output()
            .unwrap();
        made.stdout
    }
}

/// OpenSSL's end. Killed when dropped.
struct OpenSsl {
    child: Child,
    said: PathBuf,
}

impl OpenSsl {
    /// `openssl PROGRAM` with the identity, and with `options`, separated by spaces.
    fn start(program: &str, identity: &Identity, options: &str) -> Self {
        let said = identity.path().join(format!("{program}.out"));
        let child = Command::new("openssl")
            .args([program, "-dtls1_2", "-cert", "cert.pem", "-key", "key.pem"])
            .args(SRTP)
            .args(options.split(' '))
            .current_dir(identity.path())
            // Open, as its end is goodbye.
            .stdin(Stdio::piped())
            .stdout(std::fs::File::create(&said).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, said }
    }

    fn said(&self) -> String {
        let mut text = String::new();
        std::fs::File::open(&self.said).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    /// What is after `label` in the line that begins with it, once there is one.
    fn says(&self, label: &str) -> String {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            // A line without its end may have more to come.
            let said = self.said();
            let mut lines = said.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            if let Some(rest) = lines.find_map(|line| line.trim().strip_prefix(label)) {
                return rest.trim().to_owned();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("no {label:?} in: {}", self.said());
    }

    /// The keying material it ended up with.
    fn material(&self) -> Vec<u8> {
        let hex = self.says("Keying material:");
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(byte).collect()
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a handshake came to at our end.
enum Outcome {
    Keys { keys: Keys, certificate: Vec<u8>, heard: Vec<u8> },
    Trouble(String),
}

/// Our end, until there are keys or trouble.
fn shake_hands(socket: &UdpSocket, active: bool) -> Outcome {
    let crypto = crypto();
    let certificate = crypto.dtls_provider.generate_certificate().unwrap();
    let mut dtls = crypto
        .dtls_provider
        .new_dtls(&certificate, Instant::now(), DtlsVersion::Dtls12, None)
        .unwrap();
    dtls.set_active(active);
    dtls.handle_timeout(Instant::now()).unwrap();
    let mut peer = None;
    let mut heard = vec![u8::from(active)];
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        let mut room = [0; ROOM];
        let wake = loop {
            match dtls.poll_output(&mut room) {
                DtlsOutput::Packet(packet) => drop(socket.send(packet)),
                DtlsOutput::PeerCert(der) => peer = Some(der.to_vec()),
                DtlsOutput::Timeout(at) => break at,
                DtlsOutput::BufferTooSmall { .. } => return Outcome::Trouble(trouble().unwrap()),
                _ => {}
            }
        };
        if let Some(keys) = take() {
            let certificate = peer.expect("known before there are keys");
            return Outcome::Keys { keys, certificate, heard };
        }
        let wait = wake.saturating_duration_since(Instant::now());
        let wait = wait.clamp(Duration::from_millis(1), Duration::from_millis(500));
        socket.set_read_timeout(Some(wait)).unwrap();
        let mut datagram = [0; ROOM];
        let result = match socket.peer_addr() {
            Ok(_) => socket.recv(&mut datagram),
            Err(_) => socket.recv_from(&mut datagram).map(|(len, from)| {
                socket.connect(from).unwrap();
                len
            }),
        };
        if let Ok(len) = result {
            let datagram = &datagram[..len];
            heard.extend((len as u16).to_be_bytes());
            heard.extend(datagram);
            if let Err(error) = dtls.handle_packet(datagram) {
                return Outcome::Trouble(trouble().unwrap_or_else(|| panic!("{error}")));
            }
        }
        dtls.handle_timeout(Instant::now()).unwrap();
    }
    panic!("no end within {PATIENCE:?}");
}

/// The viewer begins: OpenSSL is the client.
fn viewer_begins(identity: &Identity, options: &str) -> (Outcome, OpenSsl) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let options = format!("-connect {} {options}", socket.local_addr().unwrap());
    let openssl = OpenSsl::start("s_client", identity, options.trim_end());
    (shake_hands(&socket, false), openssl)
}

/// The camera begins: OpenSSL is the server.
fn camera_begins(identity: &Identity, options: &str) -> (Outcome, OpenSsl) {
    let options = format!("-accept 127.0.0.1:0 -Verify 1 {options}");
    let openssl = OpenSsl::start("s_server", identity, options.trim_end());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(openssl.says("ACCEPT")).unwrap();
    (shake_hands(&socket, true), openssl)
}

/// Both ends have the same keys, and ours those of the right certificate.
fn assert_agreed(what: &str, identity: &Identity, (outcome, openssl): (Outcome, OpenSsl)) {
    match outcome {
        Outcome::Keys { keys, certificate, .. } => {
            assert_eq!(keys.material, openssl.material(), "{what}");
            assert_eq!(certificate, identity.certificate(), "{what}");
        }
        Outcome::Trouble(why) => panic!("{what}: {why}\n{}", openssl.said()),
    }
}

fn refusal((outcome, openssl): (Outcome, OpenSsl)) -> String {
    match outcome {
        Outcome::Trouble(why) => why,
        Outcome::Keys { .. } => panic!("not refused: {}", openssl.said()),
    }
}

#[test]
fn keys_are_agreed_on_with_rsa_and_ecdsa_certificates_in_both_roles() {
    if !has_openssl() {
        return;
    }
    let kinds = [
        "rsa:2048",
        "rsa:3072",
        "rsa:4096",
        // Valid past 2050, which is written in another way.
        "rsa:2048 -days 36500 -addext basicConstraints=critical,CA:TRUE",
        "ec -pkeyopt ec_paramgen_curve:prime256v1",
        "ec -pkeyopt ec_paramgen_curve:secp384r1",
    ];
    for kind in kinds {
        let identity = Identity::new(kind);
        assert_agreed(kind, &identity, viewer_begins(&identity, ""));
        assert_agreed(kind, &identity, camera_begins(&identity, ""));
    }
}

#[test]
fn an_rsa_key_signs_by_pkcs_1_or_pss_with_each_hash_in_both_roles() {
    if !has_openssl() {
        return;
    }
    let identity = Identity::new("rsa:2048");
    for scheme in ["RSA", "rsa_pss_rsae"] {
        for hash in ["SHA256", "SHA384", "SHA512"] {
            let algorithm = match scheme {
                "RSA" => format!("RSA+{hash}"),
                pss => format!("{pss}_{}", hash.to_lowercase()),
            };
            let client = format!("-sigalgs ECDSA+SHA256:{algorithm}");
            assert_agreed(&algorithm, &identity, viewer_begins(&identity, &client));
            let server = format!("-sigalgs {algorithm} -client_sigalgs ECDSA+SHA256");
            assert_agreed(&algorithm, &identity, camera_begins(&identity, &server));
        }
    }
}

#[test]
fn the_camera_takes_each_suite_that_goes_with_an_rsa_certificate() {
    if !has_openssl() {
        return;
    }
    let identity = Identity::new("rsa:2048");
    for cipher in ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"] {
        let options = format!("-cipher ECDHE-RSA-{cipher}");
        let (outcome, openssl) = camera_begins(&identity, &options);
        openssl.says(&format!("CIPHER is ECDHE-RSA-{cipher}"));
        assert_agreed(cipher, &identity, (outcome, openssl));
    }
}

#[test]
fn what_an_ecdsa_viewer_is_offered_and_given_is_as_ever() {
    if !has_openssl() {
        return;
    }
    let identity = Identity::new("ec -pkeyopt ec_paramgen_curve:prime256v1");
    let (outcome, openssl) = viewer_begins(&identity, "");
    assert_eq!(openssl.says("New, TLSv1.2, Cipher is"), "ECDHE-ECDSA-AES256-GCM-SHA384");
    assert_agreed("viewer begins", &identity, (outcome, openssl));
    let (outcome, openssl) = camera_begins(&identity, "");
    assert_eq!(openssl.says("CIPHER is"), "ECDHE-ECDSA-AES128-GCM-SHA256");
    // In order of preference: what there was before RSA comes first.
    let ciphers = openssl.says("Shared ciphers:");
    let (ecdsa, rsa) = ciphers.split_at(ciphers.find(":ECDHE-RSA").unwrap_or(ciphers.len()));
    assert!(!rsa.contains("ECDSA"), "{ciphers}");
    assert_eq!(
        ecdsa,
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
         ECDHE-ECDSA-CHACHA20-POLY1305"
    );
    assert_agreed("camera begins", &identity, (outcome, openssl));
}

#[test]
fn a_short_rsa_key_is_refused_in_words_in_both_roles() {
    if !has_openssl() {
        return;
    }
    let identity = Identity::new("rsa:1024");
    let words = "its certificate has an RSA key of 1024 bits; 2048 to 8192 are accepted";
    let allowed = "-cipher DEFAULT@SECLEVEL=0";
    assert_eq!(refusal(viewer_begins(&identity, allowed)), words);
    assert_eq!(refusal(camera_begins(&identity, allowed)), words);
}

#[test]
fn keys_of_other_kinds_are_refused_in_words() {
    if !has_openssl() {
        return;
    }
    for kind in ["ed25519", "ec -pkeyopt ec_paramgen_curve:secp521r1", "rsa-pss"] {
        let identity = Identity::new(kind);
        let words = refusal(viewer_begins(&identity, ""));
        // It says so itself, or shows a key all the same.
        let shown = NO_SUCH.replace("it has no certificate", "its certificate has a key");
        let shown = shown.replace("that is accepted", "that is not accepted");
        assert!(words == NO_SUCH || words == shown, "{kind}: {words}");
    }
}

#[test]
fn a_viewer_that_would_sign_with_sha_1_alone_gets_no_keys() {
    if !has_openssl() {
        return;
    }
    let identity = Identity::new("rsa:2048");
    let options = "-sigalgs ECDSA+SHA256:RSA+SHA1 -cipher DEFAULT@SECLEVEL=0";
    let words = refusal(viewer_begins(&identity, options));
    assert_eq!(words, NO_SUCH);
}

/// More than fits the library's buffer: it used to end the program.
#[test]
fn a_certificate_that_is_too_long_is_refused_in_words() {
    if !has_openssl() {
        return;
    }
    let names: Vec<_> = (0..200).map(|n| format!("DNS:viewer-{n}.example")).collect();
    let identity = Identity::new(&format!("rsa:2048 -addext subjectAltName={}", names.join(",")));
    let length = identity.certificate().len();
    assert!(length > ROOM);
    let words = format!("its certificate is {length} bytes long, more than the 2000");
    let said = refusal(viewer_begins(&identity, ""));
    assert!(said.starts_with(&words), "{said}");
    let said = refusal(camera_begins(&identity, ""));
    assert!(said.starts_with(&words), "{said}");
}

/// As the fuzz target, from what OpenSSL says.
#[test]
fn a_damaged_handshake_ends_nothing_but_itself() {
    if !has_openssl() {
        return;
    }
    let identity = Identity::new("rsa:2048");
    for (outcome, _openssl) in [viewer_begins(&identity, ""), camera_begins(&identity, "")] {
        let Outcome::Keys { heard, .. } = outcome else {
            panic!("no keys");
        };
        handshake(&heard);
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..200 {
            let mut damaged = heard.clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(1..damaged.len());
                damaged[at] = random.u8(..);
            }
            damaged.truncate(random.usize(damaged.len() / 2..=damaged.len()));
            handshake(&damaged);
        }
    }
}
