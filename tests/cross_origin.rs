//! Players on pages of other sites, as MediaMTX and Mainsail have them: their steps, in a real
//! browser, from an origin that `http.cors` lists.

mod common;

use common::browser::Browser;
use common::daemon::Daemon;
use common::web::{Page, Web};

const TOKEN: &str = "zQ7-token-0123456789";

/// What both do with a video, an answer, and what `Link` says.
const TOOLS: &str = r##"<!doctype html><title>Wall</title><video id="video" muted autoplay></video>
<script>
  window.said = [];
  const video = document.getElementById("video");
  const servers = (links) => (links ?? "").split(", ").filter(Boolean).map((link) => {
    const [, url, , username, credential] = /^<(.+?)>; rel="ice-server"(; username="(.*?)"; credential="(.*?)")?/i.exec(link);
    return username ? { urls: [url], username, credential } : { urls: [url] };
  });
  const fragment = (sdp, { sdpMLineIndex, candidate }) => {
    const lines = sdp.split("\r\n");
    const one = (name) => lines.find((line) => line.startsWith(name));
    const media = lines.filter((line) => line.startsWith("m="));
    return [one("a=ice-ufrag:"), one("a=ice-pwd:"), media[sdpMLineIndex], `a=mid:${sdpMLineIndex}`, `a=${candidate}`, ""].join("\r\n");
  };
  const expect = (step, response, status) => {
    said.push(`${step} ${response.status}`);
    if (response.status !== status) throw new Error(`${step}: ${response.status}`);
    return response;
  };
</script>
"##;

/// As MediaMTX's reader: it shows who it is when it asks for servers and when it offers, and not
/// when it trickles, which it does for any entity tag; it wants sound and a data channel too.
const READER: &str = r##"
  const play = async (url, authorization) => {
    const options = await fetch(url, { method: "OPTIONS", headers: authorization });
    expect("options", options, 200);
    const iceServers = servers(options.headers.get("Link"));
    said.push(`servers ${iceServers.length}`);
    const peer = new RTCPeerConnection({ iceServers });
    peer.addTransceiver("video", { direction: "recvonly" });
    peer.addTransceiver("audio", { direction: "recvonly" });
    peer.createDataChannel("");
    let session;
    const early = [];
    const offer = await peer.createOffer();
    const trickle = async (candidate) => expect("trickle", await fetch(session, {
      method: "PATCH",
      headers: { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "*" },
      body: fragment(offer.sdp, candidate),
    }), 204);
    peer.onicecandidate = ({ candidate }) => {
      if (candidate) session ? trickle(candidate) : early.push(candidate);
    };
    peer.ontrack = ({ track, streams }) => { if (track.kind === "video") video.srcObject = streams[0]; };
    await peer.setLocalDescription(offer);
    const answer = expect("offer", await fetch(url, {
      method: "POST",
      headers: { ...authorization, "Content-Type": "application/sdp" },
      body: offer.sdp,
    }), 201);
    session = new URL(answer.headers.get("location"), url).toString();
    await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    for (const candidate of early) await trickle(candidate);
  };
"##;

/// As Mainsail's: it shows nothing, offers what it has not set yet, takes the last part of the
/// session's address, and trickles with the entity tag.
const MAINSAIL: &str = r##"
  const play = async (url) => {
    const options = await fetch(url, { method: "OPTIONS" });
    const peer = new RTCPeerConnection({ iceServers: servers(options.headers.get("Link")) });
    peer.addTransceiver("video", { direction: "sendrecv" });
    peer.addTransceiver("audio", { direction: "sendrecv" });
    peer.ontrack = ({ track, streams }) => { if (track.kind === "video") video.srcObject = streams[0]; };
    const offer = await peer.createOffer();
    const answer = expect("offer", await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/sdp" },
      body: offer.sdp,
    }), 201);
    const location = answer.headers.get("Location");
    const session = `${url}/${location.substring(location.lastIndexOf("/") + 1)}`;
    const tag = answer.headers.get("ETag");
    peer.onicecandidate = async ({ candidate }) => {
      if (!candidate) return;
      expect("trickle", await fetch(session, {
        method: "PATCH",
        headers: { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": tag },
        body: fragment(offer.sdp, candidate),
      }), 204);
    };
    peer.setLocalDescription(offer);
    await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  };
"##;

/// Opens a page of another site with this player, and has it play from the camera.
fn plays(player: &str, settings: &[&str], call: &str) -> Browser {
    let web = Web::start();
    let page = format!("{TOOLS}<script>{player}</script>");
    web.serve("/", Page::Bytes(page.into_bytes()));
    let origin = web.url("");
    let cors = format!("http.cors=[\"{origin}\"]");
    let daemon = Daemon::start(&[settings, &[cors.as_str()]].concat());
    let browser = Browser::start();
    browser.open(&web.url("/"));
    let call = call.replace("URL", &format!("\"{}\"", daemon.url("/whep")));
    let played = browser.js_await(&format!("{call}.then(() => \"\")"));
    assert_eq!(played, "", "{}", browser.js("return said.join('; ')"));
    browser.wait_for(
        "pictures",
        "document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames > 10",
    );
    browser.wait_for("a candidate is sent", "said.some((step) => step.startsWith('trickle'))");
    let said = browser.js("return said.join('; ')");
    let said = said.as_str().expect("text");
    assert!(!said.replace("trickle 204", "").contains("trickle"), "{said}");
    browser
}

#[test]
fn the_steps_of_mediamtxs_reader_play_from_a_listed_origin() {
    let token = format!("auth.tokens=[\"{TOKEN}\"]");
    let servers = "webrtc.ice_servers=[{urls=\"stun:127.0.0.1:9\"}]";
    let call = format!("play(URL, {{ Authorization: \"Bearer {TOKEN}\" }})");
    let browser = plays(READER, &[&token, servers], &call);
    let said = browser.js("return said.slice(0, 3).join()");
    assert_eq!(said, "options 200,servers 1,offer 201");
}

#[test]
fn mainsails_steps_play_from_a_listed_origin() {
    plays(MAINSAIL, &[], "play(URL)");
}

#[test]
fn from_an_origin_that_is_not_listed_nothing_is_read() {
    let web = Web::start();
    web.serve("/", Page::Bytes(format!("{TOOLS}<script>{READER}</script>").into_bytes()));
    let daemon = Daemon::start(&["http.cors=[\"https://wall.example\"]"]);
    let browser = Browser::start();
    browser.open(&web.url("/"));
    let call = format!("play(\"{}\", {{}}).then(() => \"played\")", daemon.url("/whep"));
    assert_eq!(browser.js_await(&call), "TypeError: Failed to fetch");
}
