// The statistics in the drawer, once a second while it is open.

import { $, setText, video } from "./page.js";

const SAMPLE_EVERY = 1000; // ms
const MINUTE = 60; // samples

export const drawer = () => $("drawer");

let samples = []; // the last minute's
let delays = []; // of the pictures since the last sample

const HELP = {
  captured: "Delay: from the capture of a picture to its display here, measured for each picture.",
  received: "Delay: estimated for each picture, as half the round trip plus the time from its arrival to its display here. The camera’s exposure and encoding are not included.",
  counted: "Delay: estimated as half the round trip plus the time that pictures spend in this browser’s buffer and decoder. Exposure, encoding and display are not included.",
};

/** Takes a receiver's counters, which come `every` so many milliseconds. */
export function takeCounters(counters, every) {
  if (drawer().hidden) return;
  // A new session starts its counters again.
  if (samples[0]?.id !== counters.id) samples = [];
  const last = samples.at(-1);
  if (last && counters.timestamp - last.timestamp < SAMPLE_EVERY - every / 2) return;
  const sample = { ...counters, ...meanDelay(counters, last) };
  samples = [...samples, sample].slice(-MINUTE);
  if (last) show(sample, last, samples.at(-10) ?? samples[0]);
}

/** Starts again, when the drawer is opened or closed. */
export function reset() {
  samples = [];
  delays = [];
  listen();
}

/** The mean delay since the last sample, and how it was found. */
function meanDelay(counters, last) {
  const measured = delays.splice(0);
  if (measured.length) {
    const delay = measured.reduce((sum, d) => sum + d.time, 0) / measured.length;
    return measured[0].captured
      ? { delay, found: "captured" }
      : { delay: delay + counters.roundTrip / 2, found: "received" };
  }
  const time = counters.totalProcessingDelay - last?.totalProcessingDelay;
  const inBrowser = (1000 * time) / (counters.framesDecoded - last?.framesDecoded);
  return { delay: inBrowser + counters.roundTrip / 2, found: "counted" };
}

/** Called for each picture, where the browser can. */
function onFrame(_, { captureTime, receiveTime, expectedDisplayTime }) {
  const since = captureTime ?? receiveTime;
  if (since) delays.push({ time: expectedDisplayTime - since, captured: captureTime !== undefined });
  listen();
}

function listen() {
  if (!drawer().hidden) video().requestVideoFrameCallback?.(onFrame);
}

function show(sample, last, earlier) {
  const seconds = (sample.timestamp - last.timestamp) / 1000;
  const bits = 8 * (received(sample) - received(last));
  const lost = Math.max(0, sample.packetsLost - earlier.packetsLost);
  const sent = lost + sample.packetsReceived - earlier.packetsReceived;
  setText("delay", whole(sample.delay, "ms"));
  setText("round-trip", whole(sample.roundTrip, "ms"));
  setText("rate", `${(bits / seconds / 1e6).toFixed(2)} Mbit/s`);
  setText("loss", `${((100 * lost) / (sent || 1)).toFixed(1)} %`);
  setText("resolution", `${sample.frameWidth} × ${sample.frameHeight}`);
  setText("frames", String(sample.framesPerSecond ?? "–"));
  setText("codec", codecName(sample.codec));
  setText("delay-help", HELP[sample.found]);
  drawDelays();
}

/** The last minute's delays as a line, the newest at the right. */
function drawDelays() {
  const values = samples.map(({ delay }) => delay || 0);
  const most = Math.max(50, ...values);
  const points = values.map((d, i) => `${i + MINUTE - values.length - 1},${20 - (20 * d) / most}`);
  $("trace").firstElementChild.setAttribute("points", points.join(" "));
}

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
