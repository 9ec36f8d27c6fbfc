// Requests to the daemon, and what its refusals mean for those who want to watch.

import { sentence, stills, video } from "./page.js";

const REQUEST_TIMEOUT = 8000; // ms; the camera takes 3 s to start, and 3 s to change its coding

/** The address of what is at `path` below the camera's root, wherever a proxy or a page of the
    owner's has put this script's page. */
export const urlOf = (path) => new URL(path, new URL("../../../", import.meta.url));

/** The same for the camera that the page shows. */
export function cameraUrlOf(path) {
  const url = urlOf(path);
  const { camera } = video().dataset;
  if (camera) url.searchParams.set("camera", camera);
  return url;
}

/** Whether the page is one of those in the grid. */
const isTile = () => document.body.classList.contains("as-tile");

export const showStills = () => (isTile() ? stills.poll(cameraUrlOf("snapshot.jpg")) : stills.show(cameraUrlOf("stream.mjpg")));

/** Why there is no video: what to say, and when to try again. */
export class PlaybackError extends Error {
  constructor(state, headline, detail = "", { retryAfter = 0, retry = true } = {}) {
    super(headline);
    Object.assign(this, { state, headline, detail, retryAfter, retry });
  }
}

/** The daemon's response, whatever its status. No response is a PlaybackError. */
export async function request(path, options) {
  try {
    return await fetch(path instanceof URL ? path : urlOf(path), { cache: "no-store", signal: AbortSignal.timeout(REQUEST_TIMEOUT), ...options });
  } catch {
    throw navigator.onLine
      ? new PlaybackError("offline", "The camera does not respond", "It may be restarting, or out of reach of this network. Retrying automatically.")
      : new PlaybackError("offline", "You are offline", "The picture returns when this device is online again.");
  }
}

/** The error that a refusal stands for. */
export async function errorFrom(response) {
  const { detail = "" } = await response.json().catch(() => ({}));
  const reason = sentence(detail);
  const retryAfter = 1000 * (Number(response.headers.get("Retry-After")) || 0);
  const temporary = (headline) =>
    new PlaybackError("refused", headline, `${reason} Retrying automatically.`.trim(), { retryAfter });
  const final = (headline) => new PlaybackError("refused", headline, reason, { retry: false });
  switch (response.status) {
    case 400:
      showStills();
      return temporary("This browser cannot play the video");
    case 401:
      // The page for signing in is in no frame; a tile of the grid leaves that to the grid.
      (isTile() ? parent : window).location.assign(urlOf("login"));
      return final("Please sign in");
    case 403:
      return final("You are not allowed to watch this camera");
    case 409:
      return temporary("There is no picture to show");
    case 503:
      return temporary("The camera is busy");
    default:
      return temporary("The camera could not start the video");
  }
}
