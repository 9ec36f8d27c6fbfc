// The lines of a session description (SDP) that the player reads and changes.

/** Lines of a description that say where its side is. */
const ICE_LINE = /^a=(ice-ufrag|ice-pwd|candidate|end-of-candidates)/;

/** What a WHEP `PATCH` carries (RFC 8840 §9): whose candidates they are, and the candidates. */
export function fragment(sdp, candidates) {
  const line = (name) => new RegExp(`^a=${name}:.*$`, "m").exec(sdp)?.[0].trim();
  const head = [line("ice-ufrag"), line("ice-pwd"), "m=video 9 UDP/TLS/RTP/SAVPF 0", line("mid")];
  return head.map((text) => `${text}\r\n`).join("") + candidates.join("");
}

/** The camera's description with the new transport that a restart of ICE gave. */
export function withTransport(answer, restarted) {
  const lines = (text) => text.split("\r\n").filter(Boolean);
  const transport = lines(restarted).filter((line) => ICE_LINE.test(line));
  const kept = lines(answer).filter((line) => !ICE_LINE.test(line));
  const after = kept.findIndex((line) => line.startsWith("a=fingerprint:"));
  kept.splice(after, 0, ...transport);
  return kept.map((line) => `${line}\r\n`).join("");
}

/** The camera's UDP port. */
export function portOf(answer) {
  return /^a=candidate:\S+ 1 udp \d+ \S+ (\d+) typ host/im.exec(answer)?.[1] ?? "8189";
}

/** Whether a description offers H.264. */
export const offersH264 = (sdp) => / H264\//i.test(sdp);
