//! Viewers in a real browser whose certificate is not the ECDSA one that browsers make when not
//! asked for another.

mod common;

use common::browser::Browser;
use common::daemon::Daemon;
use serde_json::json;

/// Small enough for any machine.
const PICTURE: [&str; 2] = ["camera.width=640", "camera.height=360"];

const RSA: &str = r#"{ name: "RSASSA-PKCS1-v1_5", hash: "SHA-256",
    publicExponent: new Uint8Array([1, 0, 1]), modulusLength: "#;

/// Offers to watch, with a certificate of that algorithm, and with the offer altered by `alter`.
fn watch(browser: &Browser, daemon: &Daemon, algorithm: &str, alter: &str) {
    // A page of the camera's origin that watches nothing itself.
    browser.open(&daemon.url("/api/v1/sessions"));
    let answered = browser.js_await(&format!(
        "(async () => {{
            const certificate = await RTCPeerConnection.generateCertificate({algorithm});
            const peer = window.peer = new RTCPeerConnection({{ certificates: [certificate] }});
            peer.addTransceiver('video', {{ direction: 'recvonly' }});
            await peer.setLocalDescription();
            const alter = {alter};
            const response = await fetch('/whep', {{
                method: 'POST',
                headers: {{ 'Content-Type': 'application/sdp' }},
                body: alter(peer.localDescription.sdp),
            }});
            const sdp = await response.text();
            await peer.setRemoteDescription({{ type: 'answer', sdp }});
            return /a=setup:(\\w+)/.exec(sdp)[1];
        }})()"
    ));
    assert!(answered == "active" || answered == "passive", "{answered}");
}

/// Waits until some pictures are decoded.
fn assert_plays(browser: &Browser) {
    browser.js("window.decoded = 0;
         setInterval(async () => {
             const stats = [...(await peer.getStats()).values()];
             window.decoded = stats.find(({ type }) => type === 'inbound-rtp')?.framesDecoded ?? 0;
         }, 50);");
    browser.wait_for("pictures", "window.decoded > 5");
}

#[test]
fn a_browser_with_an_rsa_certificate_plays_whoever_begins_the_handshake() {
    let browser = Browser::start();
    for bits in [2048, 3072] {
        let algorithm = format!("{RSA}{bits} }}");
        for alter in ["(sdp) => sdp", "(sdp) => sdp.replace('a=setup:actpass', 'a=setup:passive')"]
        {
            let daemon = Daemon::start(&PICTURE);
            watch(&browser, &daemon, &algorithm, alter);
            assert_plays(&browser);
        }
    }
}

#[test]
fn the_log_says_once_in_plain_words_why_a_viewer_cannot_connect() {
    let browser = Browser::start();
    let cases = [
        (
            format!("{RSA}1024 }}"),
            "(sdp) => sdp",
            "its certificate has an RSA key of 1024 bits; 2048 to 8192 are accepted",
            "never connected",
        ),
        (
            "{ name: 'ECDSA', namedCurve: 'P-256' }".to_owned(),
            "(sdp) => sdp.replace(/a=fingerprint:sha-256 ../, 'a=fingerprint:sha-256 ' +
                (sdp.includes('a=fingerprint:sha-256 00') ? '01' : '00'))",
            "its certificate is not the one whose fingerprint is in its offer",
            "connection to",
        ),
    ];
    for (algorithm, alter, words, end) in cases {
        let daemon = Daemon::start(&PICTURE);
        watch(&browser, &daemon, &algorithm, alter);
        let mut lines = daemon.log_until(end);
        lines.retain(|line| line.contains("cannot connect"));
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("WARN") && lines[0].contains(words), "{lines:?}");
        assert_eq!(daemon.get_json("/api/v1/sessions"), json!([]));
    }
}
