//! Viewers that ask for more than video, in any order and by any bundle policy: each sees the
//! picture, because every section it has offered gets an answer that it takes.

mod common;

use common::browser::Browser;
use common::daemon::Daemon;

/// Small enough for any machine.
const PICTURE: [&str; 2] = ["camera.width=640", "camera.height=360"];

/// What a viewer offers, in order. `vp8` is a video section without H.264, `sends` one that a
/// camera of its own would send in.
const OFFERS: [&str; 9] = [
    "video audio",
    "audio video",
    "data video",
    "video data",
    "video audio data",
    "audio data video",
    "vp8 video",
    "sends video",
    "audio audio video video",
];

const POLICIES: [&str; 3] = ["balanced", "max-bundle", "max-compat"];

/// Plays as a page of somebody else's would, and says how many pictures were decoded.
const PLAY: &str = r#"
async function play(sections, bundlePolicy, door) {
    const pc = new RTCPeerConnection({ bundlePolicy });
    for (const section of sections.split(" ")) {
        if (section === "data") {
            pc.createDataChannel("chat");
        } else if (section === "vp8") {
            const { codecs } = RTCRtpReceiver.getCapabilities("video");
            const vp8 = codecs.filter(({ mimeType }) => mimeType === "video/VP8");
            pc.addTransceiver("video", { direction: "recvonly" }).setCodecPreferences(vp8);
        } else if (section === "sends") {
            pc.addTransceiver("video", { direction: "sendonly" });
        } else {
            pc.addTransceiver(section, { direction: "recvonly" });
        }
    }
    try {
        await pc.setLocalDescription();
        const { type, sdp } = pc.localDescription;
        const [body, kind] = door === "whep" ? [sdp, "application/sdp"] : [JSON.stringify({ type, sdp }), "application/json"];
        const response = await fetch("/" + door, { method: "POST", headers: { "Content-Type": kind }, body });
        if (!response.ok) return `${response.status}: ${await response.text()}`;
        const answer = door === "whep" ? { type: "answer", sdp: await response.text() } : await response.json();
        await pc.setRemoteDescription(answer);
        for (;;) {
            await new Promise((resolve) => setTimeout(resolve, 20));
            if (["failed", "closed"].includes(pc.connectionState)) return pc.connectionState;
            const all = [...(await pc.getStats()).values()];
            const decoded = all.filter((s) => s.type === "inbound-rtp").map((s) => s.framesDecoded ?? 0);
            if (Math.max(0, ...decoded) >= 3) return "plays";
        }
    } finally {
        pc.close();
    }
}
"#;

#[test]
fn a_browser_that_asks_for_more_than_video_sees_it() {
    let daemon = Daemon::start(&PICTURE);
    let browser = Browser::start();
    browser.open(&daemon.url("/healthz"));
    browser.js(&format!("{PLAY} window.play = play;"));
    for policy in POLICIES {
        for (n, sections) in OFFERS.into_iter().enumerate() {
            let door = ["whep", "offer"][n % 2];
            let outcome = browser.js_await(&format!("play('{sections}', '{policy}', '{door}')"));
            assert_eq!(outcome, "plays", "{sections} under {policy} by /{door}");
        }
    }
}
