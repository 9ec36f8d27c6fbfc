// One WebRTC session with the camera, from its offer to the error that ends it.

import { cameraUrlOf, errorFrom, PlaybackError, request, showStills, urlOf } from "./daemon.js";
import { sentence, setText, showState, stills, video } from "./page.js";
import { fragment, offersH264, portOf, withTransport } from "./sdp.js";

// In milliseconds.
export const CHECK_EVERY = 250; // of the stream's counters
const STATUS_EVERY = 2000;
const SILENCE = 1000; // without a packet, after which the daemon is asked whether the session is still there
const PROBE_EVERY = 1000;
const RESTART_EVERY = 2500; // of ICE, while silence lasts
const NO_PICTURE = 3000; // packets that make no picture for so long: the network is too slow
const GIVE_UP = 8000; // on a session without a packet
const PROBE_TIMEOUT = 2000;

/** Why a browser that can do without video over WebRTC cannot do with this camera's. */
const NO_H264 = [
  "This browser cannot play H.264 video",
  "Firefox downloads the OpenH264 plugin, which it needs for that, about a minute after it is first started. Other browsers may need another version or package. Retrying automatically; until then, still pictures are shown.",
];

const sleep = (time) => new Promise((resolve) => setTimeout(resolve, time));

/** The session is over for no reason that has to be told. */
const ended = () => new PlaybackError("connecting", "Reconnecting…");

/** One connection to the camera, from its offer to its end. */
export class Session {
  /** Whether a picture was shown. */
  live = false;
  #closed = false;
  #peer;
  #receiver;
  #onCounters; // told the receiver's counters while the video plays
  #resource; // the session's address at the daemon, for as long as it is known there
  #answer; // the camera's description
  #candidates = []; // addresses of ours that the camera does not know yet
  #packets = 0;
  #pictures = 0;
  #receivedAt = 0; // when the last packet came
  #decodedAt = 0; // when the last picture was decoded
  #probedAt = -Infinity;
  #statusAt = -Infinity;
  #restartedAt = -Infinity;
  #restarting = false;

  constructor(onCounters) {
    const { iceServers = "[]" } = video().dataset;
    this.#onCounters = onCounters;
    this.#peer = new RTCPeerConnection({ iceServers: JSON.parse(iceServers) });
    this.#receiver = this.#peer.addTransceiver("video", { direction: "recvonly" }).receiver;
    // Show each picture as soon as possible. The second name is the older one.
    this.#receiver.jitterBufferTarget = 0;
    this.#receiver.playoutDelayHint = 0;
    this.#peer.addEventListener("track", ({ track }) => this.#show(track));
    this.#peer.addEventListener("icecandidate", ({ candidate }) => this.#addCandidate(candidate));
  }

  /** Plays until an error ends it, which is thrown. */
  async play() {
    await this.#connect();
    for (;;) {
      await sleep(CHECK_EVERY);
      await this.#check();
    }
  }

  /** Ends it. The daemon is told, and can give the place to another viewer at once. */
  close() {
    this.#closed = true;
    this.#peer.close();
  }

  /** Ends it with the page. A browser in a hurry may not send what `close` says; a request that
      may outlive its page, it does. */
  leave() {
    if (this.#resource) {
      fetch(urlOf(this.#resource), { method: "DELETE", keepalive: true }).catch(() => {});
    }
    this.close();
  }

  async #connect() {
    await this.#peer.setLocalDescription();
    // Sent at once, without candidates of ours: the answer holds all of the camera's, and the
    // camera learns ours from the checks that we send to those (RFC 8445 §7.3.1.3). Those found
    // later follow, for networks in which the camera has to check, too.
    const { type, sdp } = this.#peer.localDescription;
    if (!offersH264(sdp)) {
      showStills();
      throw new PlaybackError("refused", ...NO_H264, { retryAfter: 10_000 });
    }
    const response = await request(cameraUrlOf("offer"), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ type, sdp }),
    });
    if (!response.ok) throw await errorFrom(response);
    const answer = await response.json();
    this.#resource = `whep/${answer.session}`;
    this.#answer = answer.sdp;
    this.#receivedAt = this.#decodedAt = performance.now();
    await this.#peer.setRemoteDescription({ type: "answer", sdp: answer.sdp });
    this.#trickle();
  }

  // Without candidates that mean nothing to the camera: names that only this network knows, TCP.
  #addCandidate(candidate) {
    const [, , protocol, , address = ""] = candidate?.candidate.split(" ") ?? [];
    if (protocol?.toLowerCase() !== "udp" || address.endsWith(".local")) return;
    this.#candidates.push(`a=${candidate.candidate}\r\n`);
    if (this.#resource) this.#trickle();
  }

  /** Tells the camera our candidates (WHEP's trickle). */
  async #trickle() {
    // During a restart, what is found belongs to credentials that the camera does not know yet.
    if (!this.#candidates.length || this.#restarting || this.#closed) return;
    const candidates = this.#candidates.splice(0);
    const response = await this.#patch(candidates).catch(() => undefined);
    // They are sent again with the next that are found, or after a restart.
    if (!response?.ok) this.#candidates.unshift(...candidates);
  }

  #patch(candidates, headers = {}) {
    return request(this.#resource, {
      method: "PATCH",
      headers: { "Content-Type": "application/trickle-ice-sdpfrag", ...headers },
      body: fragment(this.#peer.localDescription.sdp, candidates),
    });
  }

  /** Finds a new path to the camera, for the same session (ICE restart). */
  async restart() {
    if (this.#closed || !this.#answer || performance.now() - this.#restartedAt < RESTART_EVERY) return;
    this.#restartedAt = performance.now();
    this.#restarting = true;
    try {
      this.#candidates = [];
      this.#peer.restartIce();
      await this.#peer.setLocalDescription();
      const response = await this.#patch([], { "If-Match": "*" });
      if (!response.ok) throw ended();
      this.#answer = withTransport(this.#answer, await response.text());
      await this.#peer.setRemoteDescription({ type: "answer", sdp: this.#answer });
    } finally {
      this.#restarting = false;
    }
    this.#trickle();
  }

  #show(track) {
    video().srcObject = new MediaStream([track]);
    // Whatever comes late from a session that is over says nothing about this one.
    const shown = () => this.#closed || this.#setLive();
    if (video().requestVideoFrameCallback) video().requestVideoFrameCallback(shown);
    else video().onplaying = shown;
    video().play().catch(({ name }) => {
      // Muted videos may play by themselves nearly everywhere, but not on a phone that saves power.
      if (name === "NotAllowedError" && !this.#closed) showState("blocked", "The video is ready", "", "Play");
    });
  }

  /** A picture is there to be seen. */
  #setLive() {
    if (!this.live) performance.mark("first-picture");
    this.live = true;
    stills.hide();
    if (!video().paused) showState("live", "Live");
  }

  /** Watches the stream. It may stop without notice: a daemon that is killed closes nothing, and
      ICE needs many seconds to miss it. */
  async #check() {
    const now = performance.now();
    const counters = await this.#counters();
    if (counters.packetsReceived > this.#packets) {
      this.#packets = counters.packetsReceived;
      this.#receivedAt = now;
    }
    if (counters.framesDecoded > this.#pictures) {
      this.#pictures = counters.framesDecoded;
      this.#decodedAt = now;
      // A page out of sight decodes without showing.
      if (!this.live || document.body.dataset.state === "slow") this.#setLive();
    }
    const silence = now - this.#receivedAt;
    const lost = ["failed", "closed"].includes(this.#peer.connectionState);
    if (lost || silence > SILENCE) {
      if (this.live) showState("waiting", "Waiting for the picture");
      if (lost || now - this.#probedAt > PROBE_EVERY) await this.#probe(now, silence);
    } else if (now - this.#decodedAt > NO_PICTURE && this.#packets) {
      showState("slow", "The network is too slow for this video", "Too much of it is lost on the way to show a picture. Use a better connection, or set a lower encoder.bitrate in the camera’s config.toml.");
    } else if (this.live) {
      this.#onCounters(counters);
      const { state } = document.body.dataset;
      if (state === "waiting" || now - this.#statusAt > STATUS_EVERY) this.#showStatus(now);
    }
  }

  /** Finds out why no packet comes. */
  async #probe(now, silence) {
    this.#probedAt = now;
    const response = await request(this.#resource, { signal: AbortSignal.timeout(PROBE_TIMEOUT) });
    if (response.status === 401) throw await errorFrom(response);
    const failed = this.#peer.connectionState === "failed";
    if (!response.ok || (this.live && silence > GIVE_UP)) throw ended();
    if (silence > GIVE_UP || (failed && !this.live)) {
      showStills();
      throw new PlaybackError("offline", "The video does not get through", `The camera answers, but no video arrives: something on the network blocks UDP. The camera’s owner can open UDP port ${portOf(this.#answer)}, set webrtc.tcp = true, or add a TURN server to webrtc.ice_servers. Retrying automatically.`);
    }
    if (this.live) await this.restart();
  }

  /** Shows whether the camera is there. The session goes on without it. */
  async #showStatus(now) {
    this.#statusAt = now;
    const response = await request("api/v1/status", { signal: AbortSignal.timeout(PROBE_TIMEOUT) }).catch(() => undefined);
    // Without an answer, the stream itself says how things stand.
    const silent = performance.now() - this.#receivedAt > SILENCE;
    if (!response?.ok || silent || video().paused || this.#closed) return;
    const { cameras } = await response.json();
    const { camera } = video().dataset;
    const { source, viewers } = cameras.find(({ name }) => name === camera) ?? cameras[0];
    setText("watching", String(viewers?.connected ?? "–"));
    if (source.state === "lost") {
      showState("lost", "The camera is not available", `${sentence(source.reason)} Picket keeps trying to get it back.`);
    } else if (source.state === "ended") {
      showState("ended", "The end", "The source has ended.");
    } else {
      showState("live", "Live");
    }
  }

  /** The receiver's counters, by W3C's names, with codec and round trip beside them. */
  async #counters() {
    const stats = await this.#receiver.getStats();
    const all = [...stats.values()];
    const inbound = all.find(({ type }) => type === "inbound-rtp");
    const pair = all.find(({ type, nominated }) => type === "candidate-pair" && nominated);
    return {
      packetsReceived: 0,
      ...inbound,
      codec: stats.get(inbound?.codecId),
      roundTrip: 1000 * (pair?.currentRoundTripTime ?? 0),
    };
  }
}
