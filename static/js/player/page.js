// What the page shows: the state in words, still pictures, and short messages.

export const $ = (id) => document.getElementById(id);

/** The video element. Asked for when it is used: this file may be here before the page is. */
export const video = () => $("video");

const FADE_CONTROLS_AFTER = 3000; // ms without a movement
const RESTART_STILLS_EVERY = 10_000; // ms
const NEXT_STILL_AFTER = 2000; // ms

/** The states, in a word. */
const LABELS = {
  connecting: "Connecting",
  live: "Live",
  lost: "No signal",
  ended: "Ended",
  waiting: "Waiting",
  slow: "Too slow",
  offline: "Offline",
  refused: "Refused",
  blocked: "Ready",
};

/** Shows a state, and says it in plain words. With an `action`, there is a button of that name. */
export function showState(state, headline, detail = "", action = "") {
  if (document.body.dataset.state !== state) showControls();
  document.body.dataset.state = state;
  setText("word", stills.shown ? "Still pictures" : LABELS[state]);
  setText("headline", headline);
  setText("detail", detail);
  setText("retry", action);
  $("retry").hidden = !action;
}

/** Sets a text if it differs: screen readers read out every change of a live region. */
export function setText(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

/** "the cable is loose" as a sentence. */
export function sentence(text) {
  return text && text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

let toastTimer;
/** Shows a short message for a moment. */
export function toast(text) {
  setText("toast", text);
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => setText("toast", ""), 4000);
}

let fadeTimer;
/** Shows the controls; they fade when the video plays and nobody uses them. */
export function showControls() {
  document.body.classList.remove("idle");
  clearTimeout(fadeTimer);
  fadeTimer = setTimeout(() => {
    const used = document.querySelector(".dock :focus-visible, .dock:hover");
    if (document.body.dataset.state === "live" && !used) document.body.classList.add("idle");
  }, FADE_CONTROLS_AFTER);
}

/** The picture that the video shows, on a canvas. */
export function drawPicture(canvas) {
  const { videoWidth, videoHeight } = video();
  [canvas.width, canvas.height] = [videoWidth, videoHeight];
  canvas.getContext("2d").drawImage(video(), 0, 0);
  return canvas;
}

/** The camera as JPEG pictures one after the other: for browsers that cannot play its video, and
    for networks that let no video through. */
export const stills = {
  startedAt: -Infinity,

  get image() {
    return $("stills");
  },

  get shown() {
    return !this.image.hidden;
  },

  /** Shows the pictures at `url`. */
  show(url) {
    // A stream that has ended leaves its last picture and says nothing: start it again at times.
    const now = performance.now();
    if (this.shown && now - this.startedAt < RESTART_STILLS_EVERY) return;
    this.startedAt = now;
    url.searchParams.set("t", Math.round(now));
    this.image.src = url;
    this.image.hidden = false;
    // Without them, the words say it all.
    this.image.onerror = () => this.hide();
  },

  /** Shows the picture at `url`, again and again. For pages of which there are many beside each other:
      a browser keeps no more than six connections to one server, and a stream would hold one. */
  poll(url) {
    if (this.shown) return;
    const next = () => {
      url.searchParams.set("t", Math.round(performance.now()));
      this.image.src = url;
    };
    this.image.hidden = false;
    this.image.onload = () => (this.timer = setTimeout(next, NEXT_STILL_AFTER));
    this.image.onerror = () => this.hide();
    next();
  },

  hide() {
    clearTimeout(this.timer);
    this.image.onload = null;
    this.image.hidden = true;
    // The camera learns at once that nobody watches any more.
    this.image.removeAttribute("src");
  },
};
