// The device's page: shows the device's status, and does what its owner asks for.
//
// `follow`, at the end, asks for the status every few seconds and shows it; what was done in
// between, a restart, a lost network, is seen there. Nothing that the device says, or a network in
// reach is called, is ever put into the page as anything but text.

const $ = (id) => document.getElementById(id);

// In milliseconds.
const REQUEST_TIMEOUT = 10_000; // for an answer that takes no work
const SEARCH_TIMEOUT = 40_000; // for what has to ask others first
const JOIN_TIMEOUT = 90_000;
const POLL_EVERY = 5000; // between two requests for the status
const POLL_BUSY_EVERY = 1000; // the same, while something is under way
const UNREACHABLE_AFTER = 2; // failed requests

const LARGEST = 200 * 2 ** 20; // bytes of an update, as for the device: no larger file is sent at all
const UPLOAD_SHARE = 30; // percent of an installation

// --- Words ------------------------------------------------------------------------------------------

/** Sets a text if it differs: screen readers read out every change of a live region. */
function set(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

/** Says how something went: "well", "wrong", or nothing yet. */
function say(id, text, kind = "") {
  $(id).dataset.kind = kind;
  set(id, text);
}

/** "the cable is loose" as a sentence. */
function sentence(text) {
  return text && text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

/** A network's name, with characters that are invisible, or reverse the text around them, made visible. */
function visible(name) {
  return name.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "\u{FFFD}");
}

const quoted = (name) => `“${visible(name)}”`;

const megabytes = (bytes) => `${(bytes / 2 ** 20).toFixed(bytes < 10 * 2 ** 20 ? 1 : 0)} MB`;

/** An element with a text in it. */
function element(tag, text = "", attributes = {}) {
  const created = document.createElement(tag);
  created.textContent = text;
  for (const [name, value] of Object.entries(attributes)) created.setAttribute(name, value);
  return created;
}

/** Shows elements in place of others, unless they are the same. */
function fill(id, elements) {
  const wanted = $(id).cloneNode();
  wanted.append(...elements);
  if (!wanted.isEqualNode($(id))) $(id).replaceChildren(...wanted.childNodes);
}

// --- Requests to the device ----------------------------------------------------------------------------

/** A request that failed, and why. `lost` is whether nobody answered. */
class RequestError extends Error {
  constructor(text, { status = 0 } = {}) {
    super(text);
    this.status = status;
    this.lost = status === 0;
  }
}

/** The device's answer; anything but success is a RequestError. */
async function ask(path, { timeout = REQUEST_TIMEOUT, json, ...options } = {}) {
  if (json) {
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(json);
  }
  let response;
  try {
    response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(timeout), ...options });
  } catch {
    throw new RequestError("the device does not respond");
  }
  if (response.ok) return response.status === 200 ? response.json() : undefined;
  const { detail = `the device answered with status ${response.status}` } = await response.json().catch(() => ({}));
  // It may have been signed out meanwhile, or reset.
  if (response.status === 401 || response.status === 403) signIn();
  throw new RequestError(detail, { status: response.status });
}

/** Loads the page again, which then asks to sign in or to set the first password. */
function signIn() {
  banner("Please sign in.");
  location.assign("device");
}

// --- Status --------------------------------------------------------------------------------------

/** The newest reports. */
let device;
let update;

function banner(text) {
  set("banner-text", text);
  $("banner").hidden = !text;
}

const port = () => (device.port === 80 ? "" : `:${device.port}`);
// Where another device has this name already, it goes by the next one.
const home = () => `http://${device.foundAs ?? device.hostname}.local${port()}/`;

function address(url, by = "") {
  const line = element("p");
  line.append(element("a", url, { href: url }), by && element("span", ` ${by}`, { class: "quiet" }));
  return line;
}

function showAddresses() {
  const lines = device.links.flatMap(({ addresses, wireless }) =>
    addresses.map((ip) => {
      const host = ip.includes(":") ? `[${ip}]` : ip;
      return address(`http://${host}${port()}/`, wireless ? "over Wi-Fi" : "wired");
    }),
  );
  fill("addresses", [address(home()), ...lines]);
}

function camera({ fault, name }) {
  if (fault) return ["wrong", sentence(fault)];
  if (name) return ["well", `${name}, works.`];
  return ["", "Starting."];
}

function wifi({ state, ssid = "", in_reach = [] }) {
  switch (state) {
    case "none":
      return ["", "This device has no Wi-Fi."];
    case "off":
      return ["", "Off."];
    case "joining":
      return ["", `Searching for ${quoted(ssid)}.`];
    case "joined":
      return ["well", `Connected to ${quoted(ssid)}.`];
    case "wrong-password":
      return ["wrong", `The password of ${quoted(ssid)} is wrong.`];
    case "not-found":
      return ["wrong", `${quoted(ssid)} is out of range${in_reach.length ? "" : ", and so is every other network"}.`];
    case "access-point":
      return ["", `Its own network, ${quoted(ssid)}, is on.`];
    default:
      return ["", state];
  }
}

function fact(id, [kind, text]) {
  fill(id, [element("p", text, kind && { class: kind })]);
}

function showDevice() {
  set("release", `Picket ${device.version}`);
  set("hostname", device.hostname);
  showAddresses();
  fact("camera", camera(device.camera));
  fact("wifi", wifi(device.wifi));
  const slot = device.slot ? `, system ${device.slot}` : "";
  fact("system", ["", `Picket ${device.version}${slot}, for ${device.board}`]);
  const notes = Object.values(device.notes);
  if (device.locked) notes.unshift("Nobody can sign in until config.toml is fixed as described below.");
  fill("notes", notes.map((note) => element("li", note)));
  $("notes").hidden = !notes.length;
  fill("problem-list", device.problems.map((problem) => element("li", problem)));
  $("problems").hidden = !device.problems.length;
  showNetwork();
}

// --- Wi-Fi --------------------------------------------------------------------------------------------

let networks;
let joining = false;

function showNetwork() {
  const { state, ssid = "", key = "" } = device.wifi;
  $("network").hidden = state === "none";
  if (state === "none") return;
  if (networks === undefined) searchNetworks();
  const own = state === "access-point";
  $("own-network").hidden = !own;
  if (own) {
    const parts = ["This device has opened a network of its own, ", element("b", visible(ssid)), ", with the password ", element("b", key), ". Choose the network that it should join."];
    fill("own-network", parts);
  }
  showLeaving(own);
  if (!joining) showChoice();
}

/** What will happen to this page's own connection. */
function showLeaving(own) {
  const text = own
    ? `The device turns its own network off to join the other one, and this page loses the connection. Then connect this phone or computer to that other network and open ${home()}device. If the device cannot join, its own network is back after about a minute: connect to it again, and this page says why.`
    : `If you reach the device over Wi-Fi, this page may lose the connection. Then connect this phone or computer to the same network and open ${home()}device. If the device cannot join, it returns to its former network.`;
  set("leaving", text);
}

/** What became of the last choice, also of one made before the connection was lost. */
function showChoice() {
  const { choice } = device;
  if (!choice) return;
  if (choice.state === "joining") say("join-outcome", `Joining ${quoted(choice.ssid)}…`);
  if (choice.state === "joined") say("join-outcome", `The device is connected to ${quoted(choice.ssid)} now.`, "well");
  if (choice.state === "refused") say("join-outcome", sentence(choice.why), "wrong");
}

async function searchNetworks() {
  networks ??= [];
  $("look-networks").disabled = true;
  set("looking", "Searching for networks…");
  $("looking").hidden = false;
  try {
    ({ networks } = await ask("api/v1/device/networks", { timeout: SEARCH_TIMEOUT }));
    $("networks").replaceChildren(...networks.map(row));
    set("looking", networks.length ? "" : "No network is in range.");
  } catch ({ message }) {
    set("looking", sentence(message));
  }
  $("looking").hidden = !$("looking").textContent;
  $("look-networks").disabled = false;
  showFields();
}

/** A network that can be chosen. Its name is somebody else's, and only ever text. */
function row({ ssid, signal, open }, index) {
  const label = element("label", "", { class: "choice" });
  const input = element("input", "", { type: "radio", name: "network", value: String(index) });
  const strength = signal >= -55 ? 3 : signal >= -70 ? 2 : 1;
  const words = `${["weak", "good", "strong"][strength - 1]}, ${open ? "open" : "with a password"}`;
  const name = element("bdi", visible(ssid), { class: "name" });
  label.append(input, name, open ? "" : icon("M7 11V8a5 5 0 0 1 10 0v3M5.5 11h13v9h-13z"), bars(strength), element("span", words, { class: "visually-hidden" }));
  return label;
}

const SVG = "http://www.w3.org/2000/svg";

function icon(...paths) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  for (const d of paths) svg.append(document.createElementNS(SVG, "path"));
  [...svg.children].forEach((path, i) => path.setAttribute("d", paths[i]));
  return svg;
}

/** Three arcs, as many of them plain as the network is strong. */
function bars(strength) {
  const svg = icon("M12 20h.01", "M9 16.5a4.2 4.2 0 0 1 6 0", "M6 13a8.6 8.6 0 0 1 12 0", "M3 9.5a13 13 0 0 1 18 0");
  [...svg.children].slice(strength + 1).forEach((path) => path.classList.add("weak"));
  return svg;
}

const chosen = () => document.querySelector('[name="network"]:checked')?.value;

function showFields() {
  const value = chosen();
  $("details").hidden = value === undefined;
  $("other-network").hidden = value !== "other";
  $("secret").hidden = Boolean(networks?.[value]?.open);
}

/** What the form says, as the device is asked. */
function wanted() {
  const value = chosen();
  const other = value === "other";
  const ssid = other ? $("ssid").value : networks[value].ssid;
  if (!ssid) throw new RequestError("type the network’s name");
  const open = !other && networks[value].open;
  const password = open ? null : $("wifi-password").value || null;
  if (!other && !open && !password) throw new RequestError("type the network’s password");
  return { ssid, password, hidden: other && $("hidden").checked, country: $("country").value || null };
}

async function join(event) {
  event.preventDefault();
  if (joining) return;
  let network;
  try {
    network = wanted();
    joining = true;
    const own = device?.wifi.state === "access-point";
    say("join-outcome", `Joining ${quoted(network.ssid)}. This takes up to 40 seconds${own ? ", and this page loses the connection meanwhile" : ""}…`);
    await ask("api/v1/device/network", { method: "PUT", json: network, timeout: JOIN_TIMEOUT });
    say("join-outcome", `The device is connected to ${quoted(network.ssid)} now.`, "well");
    $("wifi-password").value = "";
  } catch (error) {
    const lost = `This page has lost the connection to the device, which is trying to join ${quoted(network?.ssid ?? "")}. Connect this phone or computer to that network too, and open ${device ? home() : "/"}device.`;
    say("join-outcome", error.lost && network ? lost : sentence(error.message), error.lost && network ? "" : "wrong");
  }
  joining = false;
}

/** The countries as ISO 3166-1 has them. */
const COUNTRIES = "AD AE AF AG AI AL AM AO AR AT AU AW AZ BA BB BD BE BF BG BH BI BJ BM BN BO BR BS BT BW BY BZ CA CD CF CG CH CI CL CM CN CO CR CU CV CY CZ DE DJ DK DM DO DZ EC EE EG ER ES ET FI FJ FM FR GA GB GD GE GF GH GL GM GN GP GQ GR GT GU GW GY HK HN HR HT HU ID IE IL IN IQ IR IS IT JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MG MH MK ML MM MN MO MQ MR MT MU MV MW MX MY MZ NA NC NE NG NI NL NO NP NR NZ OM PA PE PF PG PH PK PL PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SI SK SL SM SN SO SR SS ST SV SY SZ TC TD TG TH TJ TL TM TN TO TR TT TV TW TZ UA UG US UY UZ VA VC VE VG VI VN VU WS XK YE YT ZA ZM ZW";

function listCountries() {
  const names = globalThis.Intl?.DisplayNames && new Intl.DisplayNames(["en"], { type: "region" });
  const countries = COUNTRIES.split(" ").map((code) => [names?.of(code) ?? code, code]);
  countries.sort(([one], [other]) => one.localeCompare(other, "en"));
  $("country").append(...countries.map(([name, code]) => element("option", name, { value: code })));
}

// --- Updates -------------------------------------------------------------------------------------------

const STEPS = {
  receiving: "Receiving",
  checking: "Checking its signature and board",
  writing: "Writing it beside the running system",
  "preparing the start": "Preparing its first start",
  restarting: "Restarting",
};

const INSTALLED = "The update is installed. The device is restarting with it, which takes about a minute…";

/** The upload under way. */
let upload;
/** Since when something is being installed. */
let installing;
/** What to show instead of the last update's outcome: [text, kind]. */
let notice;

function outcome({ state, version, why = "" }) {
  switch (state) {
    case "trying":
      return [`Picket ${version ?? ""} is running on trial. It is kept once it has shown a picture, within three minutes.`];
    case "kept":
      return [`Picket ${version ?? ""} is installed and works.`, "well"];
    case "fell-back":
      return [`Picket ${version} did not work here and was undone: ${sentence(why)} This device runs Picket ${device.version} as before.`, "wrong"];
    default:
      return [""];
  }
}

function showProgress(percent, step) {
  $("progress").hidden = percent === undefined;
  $("choose").hidden = percent !== undefined;
  if (percent === undefined) return;
  $("bar").value = Math.max(percent, upload ? $("bar").value : 0);
  set("step", step);
}

/** Shows what was reported when it was asked for at `asked`. */
function showUpdate(asked = performance.now()) {
  const { news, outcome: last } = update;
  const now = update.installing ?? (last.state === "installing" && last.percent < 100 && { percent: last.percent, step: "writing" });
  // A report that was requested before an installation started says nothing about its end.
  if (!now && asked < installing) return;
  if (now && !(upload && now.step === "receiving")) {
    showProgress(now.percent, `${STEPS[now.step] ?? sentence(now.step)}…`);
  }
  if (!now && !upload) {
    if (installing !== undefined) installed(update.refused);
    showProgress();
  }
  installing = now ? (installing ?? performance.now()) : undefined;

  const busy = Boolean(now || upload || restarting);
  $("restart").disabled = busy;
  say("update-state", ...(busy ? [""] : (notice ?? outcome({ ...last, version: update.version }))));
  $("offer").hidden = busy || !news.offer || last.state === "trying";
  if (news.offer) {
    set("offer-text", `Picket ${news.offer.version} is available (${megabytes(news.offer.size)}).${news.automatic ? " It is installed automatically when nobody has watched for ten minutes." : ""}`);
    set("install", `Install ${news.offer.version}`);
  }
  $("look-row").hidden = !news.asks;
  if (!$("look").disabled) set("looked", looked(news));
}

function looked({ looked: ago, problem, offer }) {
  if (ago === null) return "";
  if (problem) return sentence(problem);
  const minutes = Math.round(ago / 60);
  const when = minutes < 2 ? "just now" : minutes < 120 ? `${minutes} minutes ago` : `${Math.round(minutes / 60)} hours ago`;
  return offer ? "" : `No newer version was found ${when}.`;
}

/** An installation has ended. */
function installed(refused) {
  if (refused) notice = [sentence(refused), "wrong"];
  else if (started() < installing) restart(INSTALLED);
}

/** Sends a file, and shows the progress. */
async function send(file) {
  if (!file || upload || installing !== undefined) return;
  notice = undefined;
  if (file.size === 0 || file.size > LARGEST) {
    notice = [file.size ? `An update has at most ${megabytes(LARGEST)}; this file has ${megabytes(file.size)}.` : "This file is empty.", "wrong"];
    return showUpdate();
  }
  $("bar").value = 0;
  const began = performance.now();
  upload = new XMLHttpRequest();
  showProgress(0, "Sending…");
  showUpdate();
  const ended = await new Promise((resolve) => {
    upload.upload.onprogress = ({ loaded, total }) => {
      showProgress((UPLOAD_SHARE * loaded) / total, `Sending ${megabytes(loaded)} of ${megabytes(total)}…`);
    };
    upload.upload.onload = () => set("step", "Sent. Waiting for the device…");
    for (const event of ["load", "error", "abort"]) upload.addEventListener(event, () => resolve(upload));
    upload.open("POST", "api/v1/update");
    upload.setRequestHeader("Content-Type", "application/octet-stream");
    upload.send(file);
  });
  upload = undefined;
  $("bundle").value = "";
  if (ended.status === 401 || ended.status === 403) return signIn();
  // Without an answer, the next status tells what came of it.
  installing = ended.status ? undefined : began;
  if (ended.status === 200) restart(INSTALLED);
  else if (ended.status) notice = [sentence(detail(ended.responseText) || `the device answered with status ${ended.status}`), "wrong"];
  wake();
}

function detail(text) {
  try {
    return JSON.parse(text).detail;
  } catch {
    return "";
  }
}

async function install() {
  notice = undefined;
  try {
    await ask("api/v1/update/install", { method: "POST", json: { version: update.news.offer.version } });
    installing = performance.now();
  } catch ({ message }) {
    notice = [sentence(message), "wrong"];
  }
  wake();
}

async function look() {
  $("look").disabled = true;
  set("looked", "Checking…");
  await ask("api/v1/update/look", { method: "POST", timeout: SEARCH_TIMEOUT }).catch(() => {});
  $("look").disabled = false;
  wake();
}

function acceptDrops() {
  const drop = $("drop");
  for (const event of ["dragenter", "dragover"]) drop.addEventListener(event, () => drop.classList.add("over"));
  for (const event of ["dragleave", "drop"]) drop.addEventListener(event, () => drop.classList.remove("over"));
  $("bundle").addEventListener("change", () => send($("bundle").files[0]));
  // A file that misses the field must not replace the page.
  for (const event of ["dragover", "drop"]) {
    addEventListener(event, (dropped) => dropped.target !== $("bundle") && dropped.preventDefault());
  }
  addEventListener("beforeunload", (leaving) => upload && leaving.preventDefault());
}

// --- Restart, reset, log -------------------------------------------------------------------------------

/** Since when the page waits for a restart. */
let restarting;

function restart(text) {
  restarting = performance.now();
  banner(text);
  $("restart").disabled = true;
}

async function restartNow() {
  say("restart-outcome", "");
  try {
    await ask("api/v1/device/restart", { method: "POST" });
    restart("The device is restarting. This page continues when it is back…");
  } catch ({ message }) {
    say("restart-outcome", sentence(message), "wrong");
  }
  wake();
}

async function reset(event) {
  event.preventDefault();
  const confirm = $("confirm").value.trim();
  if (confirm !== device?.hostname) return say("reset-outcome", `Type ${device?.hostname ?? "its name"} to confirm.`, "wrong");
  try {
    await ask("api/v1/device/reset", { method: "POST", json: { confirm } });
    $("confirm").value = "";
    say("reset-outcome", "");
    restart("The device is erasing everything and restarting. It is then called picket; without a cable it opens its own network. This page continues if it finds the device again…");
  } catch ({ message }) {
    say("reset-outcome", sentence(message), "wrong");
  }
  wake();
}

async function showLog() {
  try {
    const { lines } = await ask("api/v1/device/log");
    $("log").textContent = lines.join("\n");
    $("log").hidden = false;
    $("log").scrollTop = $("log").scrollHeight;
    say("log-outcome", lines.length ? "" : "The log is empty.");
    set("refresh", "Refresh");
  } catch ({ message }) {
    say("log-outcome", sentence(message), "wrong");
  }
}

// --- Following the device ------------------------------------------------------------------------------

let wake = () => {};

/** Waits until the next request, or until woken. */
function rest(time) {
  return new Promise((resolve) => {
    wake = resolve;
    setTimeout(resolve, time);
  });
}

async function follow() {
  for (let missed = 0; ; ) {
    const asked = performance.now();
    try {
      const [one, other] = await Promise.all([ask("api/v1/device"), ask("api/v1/update")]);
      [device, update] = [one, other];
      missed = 0;
      back();
      showDevice();
      showUpdate(asked);
    } catch (error) {
      missed += 1;
      if (!(error instanceof RequestError)) throw error;
      if (!restarting && missed >= UNREACHABLE_AFTER) {
        banner(error.lost ? "The device does not respond. It may be restarting, or be in another network. Retrying automatically…" : sentence(error.message));
      }
    }
    const busy = upload || installing !== undefined || restarting || missed || joining;
    await rest(busy || update?.outcome.state === "trying" ? POLL_BUSY_EVERY : POLL_EVERY);
    while (document.hidden && !busy) {
      await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
    }
  }
}

/** When the daemon that answered last was started. */
const started = () => performance.now() - 1000 * device.uptime;

/** The device has answered; perhaps for the first time after a restart. */
function back() {
  if (restarting === undefined) return banner("");
  if (started() < restarting) return undefined;
  restarting = undefined;
  installing = undefined;
  notice = undefined;
  $("restart").disabled = false;
  return banner("");
}

function main() {
  listCountries();
  acceptDrops();
  $("join").addEventListener("change", showFields);
  $("join").addEventListener("submit", join);
  $("look-networks").addEventListener("click", searchNetworks);
  $("show").addEventListener("change", () => {
    $("wifi-password").type = $("show").checked ? "text" : "password";
  });
  $("look").addEventListener("click", look);
  $("install").addEventListener("click", install);
  $("restart").addEventListener("click", restartNow);
  $("reset").addEventListener("submit", reset);
  $("refresh").addEventListener("click", showLog);
  document.addEventListener("visibilitychange", () => wake());
  showFields();
  follow();
}

main();
