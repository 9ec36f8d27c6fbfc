// The buttons of the page, and the keys that do the same: snapshot, statistics, full screen.

import { cameraUrlOf } from "./daemon.js";
import { $, drawPicture, showControls, stills, toast, video } from "./page.js";
import { drawer, reset } from "./statistics.js";

function toggleDrawer() {
  if (drawer().contains(document.activeElement)) $("statistics").focus();
  drawer().hidden = !drawer().hidden;
  $("statistics").setAttribute("aria-expanded", String(!drawer().hidden));
  reset();
}

async function toggleFullScreen() {
  if (document.fullscreenElement) return document.exitFullscreen();
  // An iPhone has it for videos only.
  if (!document.fullscreenEnabled) return video().webkitEnterFullscreen?.();
  return document.documentElement.requestFullscreen().catch(() => toast("This browser does not allow full screen."));
}

/** Saves the camera's own JPEG, or else the picture as it is on the page. */
async function snapshot() {
  if (document.body.dataset.state !== "live" && !stills.shown) return toast("There is no picture to save now.");
  const response = await fetch(cameraUrlOf("snapshot.jpg"), { cache: "no-store" }).catch(() => undefined);
  if (!response?.ok && stills.shown) return toast("The camera has no picture to save now.");
  const drawn = () => new Promise((resolve) => drawPicture(document.createElement("canvas")).toBlob(resolve, "image/jpeg", 0.92));
  const blob = response?.ok ? await response.blob() : await drawn();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${$("name").textContent}-${localTime()}.jpg`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  toast(`Saved ${link.download}`);
}

/** "2026-03-01-12-30-59", fit for a file's name. */
function localTime() {
  const now = new Date();
  const local = new Date(now - 60_000 * now.getTimezoneOffset());
  return local.toISOString().slice(0, 19).replace(/[T:]/g, "-");
}

const KEYS = { f: toggleFullScreen, s: snapshot, i: toggleDrawer };

/** Single keys can be turned off: they get in the way of people who speak to their computer
    (WCAG 2.2, 2.1.4). Browsers may refuse to keep the choice. */
function restoreShortcuts() {
  const box = $("shortcuts");
  try {
    box.checked = localStorage.getItem("shortcuts") !== "off";
    box.addEventListener("change", () => localStorage.setItem("shortcuts", box.checked ? "on" : "off"));
  } catch {}
}

export function setUpControls() {
  restoreShortcuts();
  $("snapshot").addEventListener("click", snapshot);
  $("statistics").addEventListener("click", toggleDrawer);
  $("close-drawer").addEventListener("click", toggleDrawer);
  $("fullscreen").addEventListener("click", toggleFullScreen);
  $("fullscreen").hidden = !document.fullscreenEnabled && !video().webkitEnterFullscreen;
  video().addEventListener("dblclick", toggleFullScreen);
  document.addEventListener("fullscreenchange", () => {
    const name = document.fullscreenElement ? "Leave full screen" : "Full screen";
    $("fullscreen").setAttribute("aria-label", name);
    $("fullscreen").title = `${name} (f)`;
  });
  document.addEventListener("keydown", (event) => {
    showControls();
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.key === "Escape" && !drawer().hidden) toggleDrawer();
    if ($("shortcuts").checked) KEYS[event.key.toLowerCase()]?.();
  });
  for (const event of ["pointermove", "pointerdown", "focusin"]) document.addEventListener(event, showControls);
}
