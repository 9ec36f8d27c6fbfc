//! Clips seen in a real browser: in every profile, in full range, and after the advice that a refusal
//! gives was followed.

mod common;

use std::path::Path;

use common::browser::Browser;
use common::clip::Folder;
use common::daemon::{Daemon, wait_for};
use serde_json::Value;

/// A clip as the source.
fn playing(clip: &Path) -> Daemon {
    Daemon::start(&[&format!("camera.source=file:{}", clip.display())])
}

/// Plays by `/offer` into `#clip` with those of the browser's H.264 codecs of which `wanted` is true
/// (of their format parameters). `offered` and `answered` may rewrite what is exchanged.
fn player(wanted: &str, offered: &str, answered: &str) -> String {
    format!(
        "(async () => {{
            const wanted = {wanted}, offered = {offered}, answered = {answered};
            const peer = window.peer = new RTCPeerConnection();
            const transceiver = peer.addTransceiver('video', {{ direction: 'recvonly' }});
            const codecs = RTCRtpReceiver.getCapabilities('video').codecs.filter(
                ({{ mimeType, sdpFmtpLine }}) => mimeType === 'video/H264' && wanted(sdpFmtpLine));
            if (codecs.length > 0) transceiver.setCodecPreferences(codecs);
            const video = document.body.appendChild(document.createElement('video'));
            video.id = 'clip';
            video.muted = true;
            peer.ontrack = ({{ streams, receiver }}) => {{
                window.receiver = receiver;
                video.srcObject = streams[0];
            }};
            await peer.setLocalDescription();
            const response = await fetch('/offer', {{
                method: 'POST',
                headers: {{ 'Content-Type': 'application/json' }},
                body: JSON.stringify({{ type: 'offer', sdp: offered(peer.localDescription.sdp) }}),
            }});
            const answer = await response.json();
            if (response.status !== 200) return [response.status, JSON.stringify(answer)];
            await peer.setRemoteDescription({{ type: 'answer', sdp: answered(answer.sdp) }});
            video.play();
            return [response.status, answer.sdp];
        }})()"
    )
}

const AS_IT_IS: &str = "(sdp) => sdp";

fn decoded(browser: &Browser) -> u64 {
    let value = browser.js_await(
        "receiver.getStats().then((all) => [...all.values()].find(({ type }) => type === 'inbound-rtp')?.framesDecoded ?? 0)",
    );
    value.as_u64().unwrap_or(0)
}

/// The brightness in the middle of the picture that is shown.
fn gray(browser: &Browser, video: &str) -> u64 {
    let pixel = browser.js(&format!(
        "const video = document.querySelector('{video}');
         const canvas = document.createElement('canvas');
         [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
         const context = canvas.getContext('2d');
         context.drawImage(video, 0, 0);
         return [...context.getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data];"
    ));
    pixel[1].as_u64().expect("a value")
}

fn encoder(daemon: &Daemon) -> Value {
    daemon.get_json("/api/v1/status")["source"]["mode"]["encoder"].clone()
}

/// Waits until the player of [`player`] has decoded some pictures.
fn wait_for_pictures(browser: &Browser) {
    wait_for("pictures", || decoded(browser) >= 20);
}

/// The player's, with the codecs that the browser offers by itself.
fn plain_player() -> String {
    player("() => true", AS_IT_IS, AS_IT_IS)
}

/// With constrained baseline alone, as Firefox and hardware decoders offer it.
fn baseline_player() -> String {
    let wanted = "(fmtp) => fmtp.includes('42e01f') && fmtp.includes('packetization-mode=1')";
    player(wanted, AS_IT_IS, AS_IT_IS)
}

const LIVE: &str = "document.body.dataset.state === 'live'";

fn high_profile(folder: &Folder) -> std::path::PathBuf {
    folder.ffmpeg("-f lavfi -i testsrc=s=320x240:d=4 -c:v libx264 -bf 0 -pix_fmt yuv420p high.mp4");
    folder.path("high.mp4")
}

#[test]
fn a_high_profile_clip_is_sent_as_it_is_and_plays() {
    let folder = Folder::new("high");
    let daemon = playing(&high_profile(&folder));
    let browser = Browser::start();
    browser.open(&daemon.url("/"));
    browser.wait_for("the picture", LIVE);
    browser.open(&daemon.url("/nothing"));
    let answer = browser.js_await(&plain_player());
    assert_eq!(answer[0], 200, "{answer}");
    let sdp = answer[1].as_str().expect("an answer");
    assert!(sdp.contains("profile-level-id=f400"), "{sdp}");
    wait_for_pictures(&browser);
    assert_eq!(encoder(&daemon), "none");
}

/// Why `Payload::choose` may send High under a payload type for less where there is nothing else.
#[test]
fn chromium_decodes_high_profile_under_whatever_profile_was_agreed_on() {
    let folder = Folder::new("under");
    let clip = high_profile(&folder);
    let browser = Browser::start();
    for profile in ["f4001f", "4d001f", "42e01f", "42001f"] {
        let daemon = playing(&clip);
        browser.open(&daemon.url("/nothing"));
        // The camera believes that the browser offers High, and the browser that it was answered
        // with what it had offered.
        let wanted = format!("(fmtp) => fmtp.includes('{profile}') && fmtp.includes('mode=1')");
        let id = "profile-level-id=";
        let offered = format!("(sdp) => sdp.replaceAll('{id}{profile}', '{id}640028')");
        let answered = format!("(sdp) => sdp.replaceAll(/{id}64[0-9a-f]{{4}}/g, '{id}{profile}')");
        let answer = browser.js_await(&player(&wanted, &offered, &answered));
        assert_eq!(answer[0], 200, "{answer}");
        wait_for_pictures(&browser);
        assert_eq!(encoder(&daemon), "none");
    }
}

#[test]
fn a_viewer_who_cannot_decode_the_clip_has_it_reencoded_for_everybody() {
    let folder = Folder::new("reencoded");
    let daemon = playing(&high_profile(&folder));
    let browser = Browser::start();
    browser.open(&daemon.url("/"));
    browser.wait_for("the picture", LIVE);
    assert_eq!(encoder(&daemon), "none");
    browser.new_tab(&daemon.url("/nothing"));
    let answer = browser.js_await(&baseline_player());
    assert_eq!(answer[0], 200, "{answer}");
    assert!(answer[1].as_str().expect("an answer").contains("profile-level-id=42e0"), "{answer}");
    wait_for_pictures(&browser);
    let line = daemon.wait_for_log("cannot decode the source's own coding");
    assert!(line.contains("(high profile)") && line.contains("for everybody"), "{line}");
    assert_eq!(encoder(&daemon), "openh264");
    // Who watched before goes on, and nobody who comes turns it back.
    browser.switch_to_tab(0);
    browser.wait_for("the picture goes on", LIVE);
    browser.reload();
    browser.wait_for("the picture", LIVE);
    assert_eq!(encoder(&daemon), "openh264");
    // Until the camera was off.
    browser.open(&daemon.url("/nothing"));
    browser.switch_to_tab(1);
    browser.js("window.peer.close();");
    daemon.wait_for_log("camera off");
    browser.open(&daemon.url("/"));
    browser.wait_for("the picture", LIVE);
    assert_eq!(encoder(&daemon), "none");
}

#[test]
fn the_first_viewer_has_it_reencoded_too() {
    let folder = Folder::new("first");
    let daemon = playing(&high_profile(&folder));
    let browser = Browser::start();
    browser.open(&daemon.url("/nothing"));
    let answer = browser.js_await(&baseline_player());
    assert_eq!(answer[0], 200, "{answer}");
    wait_for_pictures(&browser);
    assert_eq!(encoder(&daemon), "openh264");
}

#[test]
fn a_clip_that_cannot_be_reencoded_is_sent_all_the_same() {
    let folder = Folder::new("large");
    // Larger than Picket's decoder takes.
    folder.ffmpeg(
        "-f lavfi -i color=s=4160x2304:r=2:d=2 -c:v libx264 -preset ultrafast -coder 1 -bf 0 \
         -pix_fmt yuv420p -profile:v main large.mp4",
    );
    let daemon = playing(&folder.path("large.mp4"));
    let browser = Browser::start();
    browser.open(&daemon.url("/nothing"));
    let answer = browser.js_await(&baseline_player());
    assert_eq!(answer[0], 200, "{answer}");
    let line = daemon.wait_for_log("cannot be undone");
    assert!(line.contains("4096×2304"), "{line}");
    assert_eq!(encoder(&daemon), "none");
}

#[test]
fn a_viewer_without_h264_is_turned_away_in_words_and_the_owner_is_told_once() {
    let folder = Folder::new("none");
    let daemon = playing(&high_profile(&folder));
    let browser = Browser::start();
    browser.open(&daemon.url("/nothing"));
    let without = player("() => true", "(sdp) => sdp.replaceAll('H264', 'H265')", AS_IT_IS);
    for _ in 0..3 {
        let answer = browser.js_await(&without);
        assert_eq!(answer[0], 400, "{answer}");
        assert!(answer[1].as_str().expect("words").contains("no H.264"), "{answer}");
    }
    let line = daemon.wait_for_log("was turned away: the viewer offers no H.264");
    assert!(line.contains("WARN"), "{line}");
    let answer = browser.js_await(&plain_player());
    assert_eq!(answer[0], 200, "{answer}");
    wait_for_pictures(&browser);
    let again = |line: &&String| line.contains("WARN") && line.contains("was turned away");
    assert_eq!(daemon.logged_so_far().iter().find(again), None, "told again");
}

#[test]
fn a_clip_of_full_range_keeps_its_grays() {
    let folder = Folder::new("grays");
    let browser = Browser::start();
    for level in [56_u8, 205] {
        folder.ffmpeg(&format!(
            "-f lavfi -i color=c=0x{level:02x}{level:02x}{level:02x}:s=320x240:d=2 \
             -vf scale=out_range=pc,format=yuvj420p -color_range pc -c:v libx264 \
             -profile:v baseline full.mp4"
        ));
        let source = format!("camera.source=file:{}", folder.path("full.mp4").display());
        for (settings, by) in [
            (&[][..], "none"),
            (&["camera.overlay.text=Garden"][..], "openh264"),
            (&["camera.frame_size_reduction=20"][..], "openh264"),
        ] {
            let all: Vec<&str> = [source.as_str()].iter().chain(settings).copied().collect();
            let daemon = Daemon::start(&all);
            browser.open(&daemon.url("/"));
            browser.wait_for("the picture", LIVE);
            assert_eq!(encoder(&daemon), by);
            let shown = gray(&browser, "video");
            assert!(
                shown.abs_diff(level.into()) <= 2,
                "{level} is shown as {shown} ({settings:?})"
            );
            browser.open(&daemon.url("/snapshot.jpg"));
            browser.wait_for("the snapshot", "document.querySelector('img')?.naturalWidth > 0");
            let still = browser.js("const image = document.querySelector('img');
                 const canvas = document.createElement('canvas');
                 [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
                 const context = canvas.getContext('2d');
                 context.drawImage(image, 0, 0);
                 return context.getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data[1];");
            let still = still.as_u64().expect("a value");
            // What passes keeps its range to the bit; an encoder may be one off.
            let off = u64::from(by != "none");
            assert!(still.abs_diff(level.into()) <= off, "{level} is {still} ({settings:?})");
        }
    }
}

#[test]
fn a_clip_converted_as_the_refusal_says_plays() {
    let folder = Folder::new("advice");
    folder.ffmpeg(
        "-f lavfi -i testsrc=s=322x242:d=2 -c:v libx265 -pix_fmt yuv420p10le \
         -x265-params log-level=none 'my clip.mov'",
    );
    let daemon = playing(&folder.path("my clip.mov"));
    let browser = Browser::start();
    browser.open(&daemon.url("/"));
    let line = daemon.wait_for_log("to convert it: ");
    let (_, advice) = line.split_once("to convert it: ").expect("just found");
    let command = &advice[..advice.rfind(".mp4'").expect("a file to make") + 5];
    let out = folder.sh(command);
    assert!(out.status.success(), "{command}\n{}", String::from_utf8_lossy(&out.stderr));
    let daemon = playing(&folder.path("my clip-picket.mp4"));
    browser.open(&daemon.url("/nothing"));
    let answer = browser.js_await(&baseline_player());
    assert_eq!(answer[0], 200, "{answer}");
    wait_for_pictures(&browser);
    assert_eq!(encoder(&daemon), "none", "every viewer decodes it as it is");
}
