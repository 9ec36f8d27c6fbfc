// Plays the camera, and goes on trying for as long as somebody looks.
//
//   ┌──▶ connecting ──first picture──▶ live ◀──▶ lost       the camera is away; its card plays
//   │        │                         │ ▲
//   │        │ trouble          silence│ │pictures
//   │        ▼                         ▼ │
//   └─ offline, refused ◀─trouble── waiting, slow
//
// `main`, at the end, turns that wheel: one `Session` after another, each from its offer to the
// `Trouble` that ends it, with a pause in between. `say` shows where we are. Where no video gets
// through or the browser cannot play it, `stills` shows the camera as a row of JPEG pictures
// meanwhile.

// The script is run as soon as it is there; the page is one packet and not far.
if (document.readyState === "loading") {
  await new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve));
}

const $ = (id) => document.getElementById(id);
const video = $("video");
const drawer = $("drawer");

// In milliseconds.
const LOOK_EVERY = 250; // at the stream's counters
const ASK_EVERY = 2000; // how the camera is
const SILENCE = 1000; // without a packet, and we ask whether our session still is
const PROBE_EVERY = 1000;
const RESTART_EVERY = 2500; // ICE, while silence lasts
const ASK_STILLS_EVERY = 10_000;
const UNSEEN = 3000; // packets that make no picture for so long: the network is too slow
const GIVE_UP = 8000; // on a session without a packet
const PATIENCE = 8000; // for an answer; the camera takes 3 s to start, and 3 s to change its coding
const PROBE_PATIENCE = 2000; // for an answer that takes no work
const RETRY_FIRST = 300;
const RETRY_MOST = 2000;
const REST_AFTER = 3000; // without a movement, and the controls fade

/** The address of what is at `path` below the camera's root, wherever a proxy or a page of the
    owner's has put this script's page. */
const at = (path) => new URL(path, new URL("../../", import.meta.url));

const sleep = (time) => new Promise((resolve) => setTimeout(resolve, time));

// --- What is shown --------------------------------------------------------------------------------

/** The states, in a word. */
const WORDS = {
  connecting: "Connecting",
  live: "Live",
  lost: "Reconnecting",
  waiting: "Waiting",
  slow: "Too slow",
  offline: "Offline",
  refused: "Refused",
  blocked: "Ready",
};

/** Shows a state, and says it in plain words. With an `action`, there is a button of that name. */
function say(state, headline, detail = "", action = "") {
  if (document.body.dataset.state !== state) stir();
  document.body.dataset.state = state;
  set("word", stills.shown ? "Still pictures" : WORDS[state]);
  set("headline", headline);
  set("detail", detail);
  set("retry", action);
  $("retry").hidden = !action;
}

/** Sets a text if it differs: screen readers read out every change of a live region. */
function set(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

/** "the cable is loose" as a sentence. */
function sentence(text) {
  return text && text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

// --- Talking to the daemon --------------------------------------------------------------------------

/** Why there is no picture: what to say, and when to try again. */
class Trouble extends Error {
  constructor(state, headline, detail = "", { retryAfter = 0, again = true } = {}) {
    super(headline);
    Object.assign(this, { state, headline, detail, retryAfter, again });
  }
}

/** The session is over for no reason that need be told. */
const over = () => new Trouble("connecting", "Connecting again…");

/** The daemon's response, whatever its status. None is a Trouble. */
async function ask(path, options) {
  try {
    return await fetch(at(path), { cache: "no-store", signal: AbortSignal.timeout(PATIENCE), ...options });
  } catch {
    throw navigator.onLine
      ? new Trouble("offline", "The camera does not answer", "It may be restarting, or out of reach of this network. Trying again by itself.")
      : new Trouble("offline", "You are offline", "The picture returns when this device has a network again.");
  }
}

/** What a refusal means for those who want to watch. */
async function refusal(response) {
  const { detail = "" } = await response.json().catch(() => ({}));
  const told = sentence(detail);
  const retryAfter = 1000 * (Number(response.headers.get("Retry-After")) || 0);
  const refused = (headline) =>
    new Trouble("refused", headline, `${told} Trying again by itself.`.trim(), { retryAfter });
  const final = (headline) => new Trouble("refused", headline, told, { again: false });
  switch (response.status) {
    case 400:
      stills.show();
      return refused("This browser cannot play the video");
    case 401:
      location.assign(at("login"));
      return final("Please sign in");
    case 403:
      return final("You may not watch this camera");
    case 409:
      return refused("There is no picture to show");
    case 503:
      return refused("The camera is busy");
    default:
      return refused("The camera could not start the picture");
  }
}

// --- Still pictures -----------------------------------------------------------------------------------

/** The camera as a row of JPEG pictures: for browsers that cannot play its video, and for networks
    that let no video through. */
const stills = {
  image: $("stills"),

  get shown() {
    return !this.image.hidden;
  },

  show() {
    // A stream that has ended leaves its last picture and says nothing: begin anew at times.
    const now = performance.now();
    if (this.shown && now - this.askedAt < ASK_STILLS_EVERY) return;
    this.askedAt = now;
    this.image.src = at(`stream.mjpg?${Math.round(now)}`);
    this.image.hidden = false;
    // Without them, the words say it all.
    this.image.onerror = () => this.hide();
  },

  hide() {
    this.image.hidden = true;
    // The camera is told at once that nobody looks any more.
    this.image.removeAttribute("src");
  },
};

// --- One session --------------------------------------------------------------------------------------

/** Why a browser that can do without video over WebRTC cannot do with this camera's. */
const NO_H264 = [
  "This browser cannot play H.264 video",
  "Firefox fetches what it needs for that (the OpenH264 plugin) a minute after its first start. Other browsers may need another version or package. Trying again by itself; until then, still pictures are shown.",
];

/** One connection to the camera, from its offer to its end. */
class Session {
  /** Whether a picture was shown. */
  live = false;
  #over = false;
  #peer;
  #receiver;
  #resource; // the session's address at the daemon, for as long as it is known there
  #answer; // the camera's description
  #found = []; // addresses of ours that the camera does not know yet
  #packets = 0;
  #pictures = 0;
  #heardAt = 0; // when the last packet came
  #seenAt = 0; // when the last picture was decoded
  #probedAt = -Infinity;
  #askedAt = -Infinity;
  #restartedAt = -Infinity;
  #restarting = false;

  constructor() {
    const { iceServers = "[]" } = video.dataset;
    this.#peer = new RTCPeerConnection({ iceServers: JSON.parse(iceServers) });
    this.#receiver = this.#peer.addTransceiver("video", { direction: "recvonly" }).receiver;
    // Show each picture as soon as possible. The second name is the older one.
    this.#receiver.jitterBufferTarget = 0;
    this.#receiver.playoutDelayHint = 0;
    this.#peer.addEventListener("track", ({ track }) => this.#show(track));
    this.#peer.addEventListener("icecandidate", ({ candidate }) => this.#find(candidate));
  }

  /** Plays until trouble comes, which is thrown. */
  async play() {
    await this.#connect();
    for (;;) {
      await sleep(LOOK_EVERY);
      await this.#look();
    }
  }

  /** Ends it. The daemon is told, and has the place free at once. */
  close() {
    this.#over = true;
    this.#peer.close();
  }

  /** Ends it with the page. A browser in a hurry may not get the goodbye out that `close` says;
      a request that may outlive its page, it does. */
  leave() {
    if (this.#resource) {
      fetch(at(this.#resource), { method: "DELETE", keepalive: true }).catch(() => {});
    }
    this.close();
  }

  async #connect() {
    await this.#peer.setLocalDescription();
    // Sent at once, without candidates of ours: the answer holds all of the camera's, and the
    // camera learns ours from the checks that we send to those (RFC 8445 §7.3.1.3). Those found
    // later follow, for networks in which the camera has to check, too.
    const { type, sdp } = this.#peer.localDescription;
    if (!/ H264\//i.test(sdp)) {
      stills.show();
      throw new Trouble("refused", ...NO_H264, { retryAfter: 10_000 });
    }
    const response = await ask("offer", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ type, sdp }),
    });
    if (!response.ok) throw await refusal(response);
    const answer = await response.json();
    this.#resource = `whep/${answer.session}`;
    this.#answer = answer.sdp;
    this.#heardAt = this.#seenAt = performance.now();
    await this.#peer.setRemoteDescription({ type: "answer", sdp: answer.sdp });
    this.#tell();
  }

  // Candidates that say nothing to the camera: names that only this network knows, TCP.
  #find(candidate) {
    const [, , protocol, , address = ""] = candidate?.candidate.split(" ") ?? [];
    if (protocol?.toLowerCase() !== "udp" || address.endsWith(".local")) return;
    this.#found.push(`a=${candidate.candidate}\r\n`);
    if (this.#resource) this.#tell();
  }

  /** Tells the camera where we are (WHEP's trickle). */
  async #tell() {
    // In the midst of a restart, what is found belongs to what the camera does not know yet.
    if (!this.#found.length || this.#restarting || this.#over) return;
    const found = this.#found.splice(0);
    const response = await this.#patch(found).catch(() => undefined);
    // With the next that are found, or after a restart, it is said again.
    if (!response?.ok) this.#found.unshift(...found);
  }

  #patch(candidates, headers = {}) {
    return ask(this.#resource, {
      method: "PATCH",
      headers: { "Content-Type": "application/trickle-ice-sdpfrag", ...headers },
      body: fragment(this.#peer.localDescription.sdp, candidates),
    });
  }

  /** Finds a new way to the camera, for the same session (ICE restart). */
  async restart() {
    if (this.#over || !this.#answer || performance.now() - this.#restartedAt < RESTART_EVERY) return;
    this.#restartedAt = performance.now();
    this.#restarting = true;
    try {
      this.#found = [];
      this.#peer.restartIce();
      await this.#peer.setLocalDescription();
      const response = await this.#patch([], { "If-Match": "*" });
      if (!response.ok) throw over();
      this.#answer = withTransport(this.#answer, await response.text());
      await this.#peer.setRemoteDescription({ type: "answer", sdp: this.#answer });
    } finally {
      this.#restarting = false;
    }
    this.#tell();
  }

  #show(track) {
    video.srcObject = new MediaStream([track]);
    // Whatever comes late from a session that is over says nothing about this one.
    const seen = () => this.#over || this.#see();
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(seen);
    else video.onplaying = seen;
    video.play().catch(({ name }) => {
      // Muted pictures may play by themselves nearly everywhere, but not on a phone that saves power.
      if (name === "NotAllowedError" && !this.#over) say("blocked", "The picture is ready", "", "Play");
    });
  }

  /** A picture is there to be seen. */
  #see() {
    if (!this.live) performance.mark("first-picture");
    this.live = true;
    stills.hide();
    if (!video.paused) say("live", "Live");
  }

  /** Watches over the stream. It may stop without a word: a daemon that is killed says no
      goodbye, and ICE needs many seconds to miss it. */
  async #look() {
    const now = performance.now();
    const counters = await this.#counters();
    if (counters.packetsReceived > this.#packets) {
      this.#packets = counters.packetsReceived;
      this.#heardAt = now;
    }
    if (counters.framesDecoded > this.#pictures) {
      this.#pictures = counters.framesDecoded;
      this.#seenAt = now;
      // A page out of sight decodes without showing.
      if (!this.live || document.body.dataset.state === "slow") this.#see();
    }
    const silence = now - this.#heardAt;
    const ended = ["failed", "closed"].includes(this.#peer.connectionState);
    if (ended || silence > SILENCE) {
      if (this.live) say("waiting", "Waiting for the picture");
      if (ended || now - this.#probedAt > PROBE_EVERY) await this.#probe(now, silence);
    } else if (now - this.#seenAt > UNSEEN && this.#packets) {
      say("slow", "The network is too slow for this video", "It arrives in part, which is not enough for a picture. A better connection helps, or a lower encoder.bitrate in the camera’s config.toml.");
    } else if (this.live) {
      statistics.take(counters);
      const { state } = document.body.dataset;
      if (state === "waiting" || now - this.#askedAt > ASK_EVERY) this.#status(now);
    }
  }

  /** Finds out what silence means. */
  async #probe(now, silence) {
    this.#probedAt = now;
    const response = await ask(this.#resource, { signal: AbortSignal.timeout(PROBE_PATIENCE) });
    if (response.status === 401) throw await refusal(response);
    const failed = this.#peer.connectionState === "failed";
    if (!response.ok || (this.live && silence > GIVE_UP)) throw over();
    if (silence > GIVE_UP || (failed && !this.live)) {
      stills.show();
      throw new Trouble("offline", "The video does not get through", `The camera answers, but no video arrives: something on the way blocks UDP. The camera’s owner can let UDP port ${portOf(this.#answer)} through, set webrtc.tcp = true, or name a TURN server in webrtc.ice_servers. Trying again by itself.`);
    }
    if (this.live) await this.restart();
  }

  /** Tells whether the camera is there. The session goes on without it. */
  async #status(now) {
    this.#askedAt = now;
    const response = await ask("api/v1/status", { signal: AbortSignal.timeout(PROBE_PATIENCE) }).catch(() => undefined);
    // Without an answer, the stream itself says how things stand.
    const silent = performance.now() - this.#heardAt > SILENCE;
    if (!response?.ok || silent || video.paused || this.#over) return;
    const { source, viewers } = await response.json();
    set("watching", String(viewers?.connected ?? "–"));
    if (source.state === "lost") {
      say("lost", "The camera is away", `${sentence(source.reason)} Picket keeps trying to get it back.`);
    } else if (source.state === "ended") {
      say("lost", "The end", "The source has come to its end.");
    } else {
      say("live", "Live");
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

/** Lines of a description that say where its side is. */
const ICE_LINE = /^a=(ice-ufrag|ice-pwd|candidate|end-of-candidates)/;

/** What a WHEP `PATCH` carries (RFC 8840 §9): whose candidates they are, and the candidates. */
function fragment(sdp, candidates) {
  const line = (name) => new RegExp(`^a=${name}:.*$`, "m").exec(sdp)?.[0].trim();
  const head = [line("ice-ufrag"), line("ice-pwd"), "m=video 9 UDP/TLS/RTP/SAVPF 0", line("mid")];
  return head.map((text) => `${text}\r\n`).join("") + candidates.join("");
}

/** The camera's description with the transport that it has said anew. */
function withTransport(answer, said) {
  const lines = (text) => text.split("\r\n").filter(Boolean);
  const transport = lines(said).filter((line) => ICE_LINE.test(line));
  const kept = lines(answer).filter((line) => !ICE_LINE.test(line));
  const after = kept.findIndex((line) => line.startsWith("a=fingerprint:"));
  kept.splice(after, 0, ...transport);
  return kept.map((line) => `${line}\r\n`).join("");
}

/** The camera's UDP port. */
function portOf(answer) {
  return /^a=candidate:\S+ 1 udp \d+ \S+ (\d+) typ host/im.exec(answer)?.[1] ?? "8189";
}

// --- Statistics ---------------------------------------------------------------------------------------

/** The drawer's figures, once a second while it is open. */
const statistics = {
  samples: [], // the last minute's
  delays: [], // of the pictures since the last sample

  HELP: {
    captured: "Delay: from the camera’s taking of a picture to its showing here, measured on each picture.",
    received: "Delay: estimated on each picture, as half the round trip plus the time from its arrival to its showing here. The camera’s exposure and encoding come on top.",
    counted: "Delay: estimated as half the round trip plus the time that pictures spend in this browser’s buffer and decoder. Exposure, encoding and display come on top.",
  },

  take(counters) {
    if (drawer.hidden) return;
    // A new session begins to count anew.
    if (this.samples[0]?.id !== counters.id) this.samples = [];
    const last = this.samples.at(-1);
    if (last && counters.timestamp - last.timestamp < 1000 - LOOK_EVERY / 2) return;
    const sample = { ...counters, ...this.delay(counters, last) };
    this.samples = [...this.samples, sample].slice(-60);
    if (last) this.show(sample, last, this.samples.at(-10) ?? this.samples[0]);
  },

  /** The mean delay since the last sample, and how it was found. */
  delay(counters, last) {
    const delays = this.delays.splice(0);
    if (delays.length) {
      const delay = delays.reduce((sum, d) => sum + d.time, 0) / delays.length;
      return delays[0].captured
        ? { delay, found: "captured" }
        : { delay: delay + counters.roundTrip / 2, found: "received" };
    }
    const time = counters.totalProcessingDelay - last?.totalProcessingDelay;
    const inBrowser = (1000 * time) / (counters.framesDecoded - last?.framesDecoded);
    return { delay: inBrowser + counters.roundTrip / 2, found: "counted" };
  },

  /** Called for each picture, where the browser can. */
  picture(_, { captureTime, receiveTime, expectedDisplayTime }) {
    const since = captureTime ?? receiveTime;
    if (since) this.delays.push({ time: expectedDisplayTime - since, captured: captureTime !== undefined });
    this.listen();
  },

  listen() {
    if (!drawer.hidden) video.requestVideoFrameCallback?.((...args) => this.picture(...args));
  },

  show(sample, last, earlier) {
    const seconds = (sample.timestamp - last.timestamp) / 1000;
    const bits = 8 * (received(sample) - received(last));
    const lost = Math.max(0, sample.packetsLost - earlier.packetsLost);
    const sent = lost + sample.packetsReceived - earlier.packetsReceived;
    set("delay", whole(sample.delay, "ms"));
    set("round-trip", whole(sample.roundTrip, "ms"));
    set("rate", `${(bits / seconds / 1e6).toFixed(2)} Mbit/s`);
    set("loss", `${((100 * lost) / (sent || 1)).toFixed(1)} %`);
    set("resolution", `${sample.frameWidth} × ${sample.frameHeight}`);
    set("frames", String(sample.framesPerSecond ?? "–"));
    set("codec", codecName(sample.codec));
    set("delay-help", this.HELP[sample.found]);
    this.draw();
  },

  /** The last minute's delays as a line, the newest at the right. */
  draw() {
    const delays = this.samples.map(({ delay }) => delay || 0);
    const most = Math.max(50, ...delays);
    const points = delays.map((d, i) => `${i + 60 - delays.length - 1},${20 - (20 * d) / most}`);
    $("trace").firstElementChild.setAttribute("points", points.join(" "));
  },
};

const received = ({ bytesReceived = 0, headerBytesReceived = 0 }) => bytesReceived + headerBytesReceived;
const whole = (number, unit) => (Number.isFinite(number) ? `${Math.round(number)} ${unit}` : "–");

/** "H.264 Constrained Baseline 3.1", from the profile-level-id (RFC 6184 §8.1). */
function codecName(codec) {
  const name = codec?.mimeType.replace("video/H", "H.") ?? "–";
  const [, id] = /profile-level-id=([0-9a-f]{6})/i.exec(codec?.sdpFmtpLine) ?? [];
  if (!id) return name;
  const [profile, constraints, level] = id.match(/../g).map((byte) => parseInt(byte, 16));
  const profiles = { 66: constraints & 0x40 ? "Constrained Baseline" : "Baseline", 77: "Main", 100: "High" };
  return `${name} ${profiles[profile] ?? profile} ${level / 10}`;
}

// --- Controls -----------------------------------------------------------------------------------------

function toggleDrawer() {
  if (drawer.contains(document.activeElement)) $("statistics").focus();
  drawer.hidden = !drawer.hidden;
  $("statistics").setAttribute("aria-expanded", String(!drawer.hidden));
  statistics.samples = [];
  statistics.delays = [];
  statistics.listen();
}

async function toggleFullScreen() {
  if (document.fullscreenElement) return document.exitFullscreen();
  // An iPhone has it for videos only.
  if (!document.fullscreenEnabled) return video.webkitEnterFullscreen?.();
  return document.documentElement.requestFullscreen().catch(() => toast("This browser does not allow full screen."));
}

/** Saves the camera's own JPEG, or else the picture as it stands on the page. */
async function snapshot() {
  if (document.body.dataset.state !== "live" && !stills.shown) return toast("There is no picture to save now.");
  const response = await fetch(at("snapshot.jpg"), { cache: "no-store" }).catch(() => undefined);
  if (!response?.ok && stills.shown) return toast("The camera has no picture to save now.");
  const drawn = () => new Promise((resolve) => draw(document.createElement("canvas")).toBlob(resolve, "image/jpeg", 0.92));
  const blob = response?.ok ? await response.blob() : await drawn();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${$("name").textContent}-${localTime()}.jpg`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  toast(`Saved ${link.download}`);
}

/** The picture that the video shows, on a canvas. */
function draw(canvas) {
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext("2d").drawImage(video, 0, 0);
  return canvas;
}

/** "2026-03-01-12-30-59", fit for a file's name. */
function localTime() {
  const now = new Date();
  const local = new Date(now - 60_000 * now.getTimezoneOffset());
  return local.toISOString().slice(0, 19).replace(/[T:]/g, "-");
}

let toastTimer;
function toast(text) {
  set("toast", text);
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => set("toast", ""), 4000);
}

let restTimer;
/** Shows the controls; they fade when all is well and nobody is at them. */
function stir() {
  document.body.classList.remove("idle");
  clearTimeout(restTimer);
  restTimer = setTimeout(() => {
    const used = document.querySelector(".dock :focus-visible, .dock:hover");
    if (document.body.dataset.state === "live" && !used) document.body.classList.add("idle");
  }, REST_AFTER);
}

const KEYS = { f: toggleFullScreen, s: snapshot, i: toggleDrawer };

/** Single keys can be turned off: they get in the way of people who speak to their computer
    (WCAG 2.2, 2.1.4). Browsers may refuse to keep the choice. */
function keepShortcuts() {
  const box = $("shortcuts");
  try {
    box.checked = localStorage.getItem("shortcuts") !== "off";
    box.addEventListener("change", () => localStorage.setItem("shortcuts", box.checked ? "on" : "off"));
  } catch {}
}

function controls() {
  keepShortcuts();
  $("snapshot").addEventListener("click", snapshot);
  $("statistics").addEventListener("click", toggleDrawer);
  $("close-drawer").addEventListener("click", toggleDrawer);
  $("fullscreen").addEventListener("click", toggleFullScreen);
  $("fullscreen").hidden = !document.fullscreenEnabled && !video.webkitEnterFullscreen;
  video.addEventListener("dblclick", toggleFullScreen);
  document.addEventListener("fullscreenchange", () => {
    const name = document.fullscreenElement ? "Leave full screen" : "Full screen";
    $("fullscreen").setAttribute("aria-label", name);
    $("fullscreen").title = `${name} (f)`;
  });
  document.addEventListener("keydown", (event) => {
    stir();
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.key === "Escape" && !drawer.hidden) toggleDrawer();
    if ($("shortcuts").checked) KEYS[event.key.toLowerCase()]?.();
  });
  for (const event of ["pointermove", "pointerdown", "focusin"]) document.addEventListener(event, stir);
}

// --- The wheel ----------------------------------------------------------------------------------------

/** Ends the pause between two sessions. */
let wake = () => {};

/** Waits; without end where `time` is infinite, or while there is no network. */
function rest(time) {
  return new Promise((resolve) => {
    wake = resolve;
    if (time < Infinity && navigator.onLine) setTimeout(resolve, time);
  });
}

/** How long to wait from one attempt to the next. */
function pause({ again, retryAfter }, failures) {
  if (!again) return Infinity;
  if (!failures) return 0;
  const backOff = Math.min(RETRY_MOST, RETRY_FIRST * 2 ** (failures - 1));
  // A camera that is restarting turns us away as a full one does: be quick at first.
  const time = failures > 3 ? Math.max(backOff, retryAfter) : backOff;
  // Not all viewers at the same moment.
  return time * (0.75 + 0.25 * Math.random());
}

/** Waits until somebody can see the page. */
async function seen() {
  while (document.hidden) {
    await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
  }
}

async function main() {
  controls();
  if (!globalThis.RTCPeerConnection) {
    for (;;) {
      stills.show();
      say("refused", "This browser cannot play the video", "It has no WebRTC, or it is turned off. Still pictures are shown instead.");
      await sleep(ASK_STILLS_EVERY);
    }
  }
  let session;
  addEventListener("pagehide", () => session?.leave());
  for (const event of ["online", "pageshow"]) addEventListener(event, () => wake());
  // The way of before may be gone without a word.
  addEventListener("online", () => session?.live && session.restart().catch(() => {}));
  document.addEventListener("visibilitychange", () => wake());
  $("retry").addEventListener("click", () => (video.paused && video.srcObject ? video.play() : wake()));

  say("connecting", "Connecting…");
  for (let failures = 0; ; ) {
    await seen();
    const started = performance.now();
    session = new Session();
    const error = await session.play().catch((e) => e);
    // Closing blackens the video.
    if (session.live) draw($("still"));
    session.close();
    const trouble = error instanceof Trouble ? error : new Trouble("refused", "The picture could not be started", `${sentence(error.message)} Trying again by itself.`);
    failures = session.live ? 0 : failures + 1;
    say(trouble.state, trouble.headline, trouble.detail, trouble.state === "connecting" ? "" : "Try again");
    await rest(pause(trouble, failures) - (performance.now() - started));
  }
}

main();
