// Plays the camera, and keeps trying for as long as somebody looks.
//
//   ┌──▶ connecting ──first picture──▶ live ◀──▶ lost       no camera; its placeholder plays
//   │        │                         │ ▲
//   │        │ error            silence│ │pictures
//   │        ▼                         ▼ │
//   └─ offline, refused ◀───error─── waiting, slow
//
// `main` runs this loop: one `Session` after another, each from its offer to the `PlaybackError`
// that ends it, with a pause in between. Where no video gets through or the browser cannot play it,
// still pictures are shown meanwhile. The parts are in `player/`, one duty each; they belong to this
// file, and are replaced together with it.

import { setUpControls } from "./player/controls.js";
import { PlaybackError, showStills } from "./player/daemon.js";
import { $, drawPicture, sentence, showState, video } from "./player/page.js";
import { CHECK_EVERY, Session } from "./player/session.js";
import { takeCounters } from "./player/statistics.js";

// In milliseconds.
const FIRST_RETRY = 300;
const LONGEST_RETRY = 2000;
const CHECK_STILLS_EVERY = 10_000;

/** Ends the pause between two sessions. */
let wake = () => {};

/** Waits; without end where `time` is infinite, or while there is no network. */
function pause(time) {
  return new Promise((resolve) => {
    wake = resolve;
    if (time < Infinity && navigator.onLine) setTimeout(resolve, time);
  });
}

/** How long to wait from one attempt to the next. */
function retryDelay({ retry, retryAfter }, failures) {
  if (!retry) return Infinity;
  if (!failures) return 0;
  const backOff = Math.min(LONGEST_RETRY, FIRST_RETRY * 2 ** (failures - 1));
  // A camera that is restarting turns us away as a full one does: be quick at first.
  const time = failures > 3 ? Math.max(backOff, retryAfter) : backOff;
  // Not all viewers at the same moment.
  return time * (0.75 + 0.25 * Math.random());
}

/** Waits until somebody can see the page. */
async function visible() {
  while (document.hidden) {
    await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
  }
}

async function showStillsOnly() {
  for (;;) {
    showStills();
    showState("refused", "This browser cannot play the video", "It has no WebRTC, or it is turned off. Still pictures are shown instead.");
    await new Promise((resolve) => setTimeout(resolve, CHECK_STILLS_EVERY));
  }
}

/** Scripts run as soon as they are there; the page is one packet and not far. */
async function pageLoaded() {
  if (document.readyState !== "loading") return;
  await new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve));
}

async function main() {
  await pageLoaded();
  setUpControls();
  if (!globalThis.RTCPeerConnection) return showStillsOnly();
  let session;
  addEventListener("pagehide", () => session?.leave());
  for (const event of ["online", "pageshow"]) addEventListener(event, () => wake());
  // The path of before may be gone without notice.
  addEventListener("online", () => session?.live && session.restart().catch(() => {}));
  document.addEventListener("visibilitychange", () => wake());
  $("retry").addEventListener("click", () => (video().paused && video().srcObject ? video().play() : wake()));

  showState("connecting", "Connecting…");
  for (let failures = 0; ; ) {
    await visible();
    const started = performance.now();
    session = new Session((counters) => takeCounters(counters, CHECK_EVERY));
    const reason = await session.play().catch((e) => e);
    // Closing blackens the video.
    if (session.live) drawPicture($("still"));
    session.close();
    const error = reason instanceof PlaybackError ? reason : new PlaybackError("refused", "The video could not be started", `${sentence(reason.message)} Retrying automatically.`);
    failures = session.live ? 0 : failures + 1;
    showState(error.state, error.headline, error.detail, error.state === "connecting" ? "" : "Try again");
    await pause(retryDelay(error, failures) - (performance.now() - started));
  }
}

main();
