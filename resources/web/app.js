/* The pages' only script. It follows the worker's events; when something changed it asks for the same page again
   and puts what differs in place. So every word and row comes from the server's templates, and nothing that a
   task or a pool wrote is ever parsed here: it is text, in text nodes. */

const body = document.body;
const words = body.dataset.words ? JSON.parse(body.dataset.words) : null;
const byId = (id) => document.getElementById(id);
const fill = (sentence, fields) => sentence.replace(/\{(\w+)\}/g, (all, name) => fields[name] ?? all);
/* Of a sentence with a number there are two forms: for one, and for several. */
const count = ([one, several], fields) => fill(fields.count === 1 ? one : several, fields);

/* --- asking --------------------------------------------------------------------------------- */

const LIMIT_MS = 10_000;

async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, signal: AbortSignal.timeout(LIMIT_MS) });
  if (answer.status === 401 || answer.redirected) leave();
  return answer;
}

function leave() {
  location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
}

async function write(path, values, method = "POST") {
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": body.dataset.csrf };
  try {
    const answer = await ask(path, { method, headers, body: JSON.stringify(values ?? {}) });
    const told = await answer.json();
    say(answer.ok ? told.message : [told.detail, told.fix].filter(Boolean).join(" "), !answer.ok);
  } catch {
    say(words.unanswered, true);
  }
  refresh();
}

function say(sentence, isTrouble) {
  const notice = byId("notice");
  byId("notice-text").textContent = sentence ?? "";
  notice.hidden = !sentence;
  notice.classList.toggle("tone-error", isTrouble);
  notice.classList.toggle("tone-waiting", !isTrouble);
}

/* --- the page again, in place ----------------------------------------------------------------- */

const APART_MS = 1500;
let asked = 0, waiting = null, running = null;

function refresh() {
  if (document.hidden || waiting) return;
  waiting = setTimeout(() => { waiting = null; running ??= renew().finally(() => { running = null; }); },
    Math.max(0, asked + APART_MS - Date.now()));
}

async function renew() {
  asked = Date.now();
  try {
    const answer = await ask(location.pathname + location.search, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of fresh.querySelectorAll("[data-live]")) {
      const old = byId(part.id);
      if (old) adapt(old, part);
    }
    body.dataset.at = fresh.body.dataset.at;
    for (const old of document.querySelectorAll("main > [data-live]")) if (!fresh.getElementById(old.id)) old.remove();
    heard();
  } catch { /* the state line tells how long ago the worker was heard */ }
}

/* Makes `old` like `fresh`, keeping the elements that stay: focus, open menus and scrolling survive. */
function adapt(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const keyed = new Map([...old.children].filter(keyOf).map((child) => [keyOf(child), child]));
  let at = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const twin = keyOf(child) ? keyed.get(keyOf(child)) : at && !keyOf(at) && alike(at, child) ? at : null;
    if (!twin) { old.insertBefore(document.importNode(child, true), at); continue; }
    if (twin === at) at = at.nextSibling; else old.insertBefore(twin, at);
    if (twin.nodeType === Node.ELEMENT_NODE) adapt(twin, child);
    else if (twin.data !== child.data) twin.data = child.data;
  }
  while (at) { const next = at.nextSibling; at.remove(); at = next; }
}

const keyOf = (node) => node.dataset?.key ?? (node.id || undefined);
const alike = (a, b) => a.nodeName === b.nodeName && a.nodeType === b.nodeType;

/* --- following -------------------------------------------------------------------------------- */

const STALE_S = 5, POLL_MS = 5000, AGAIN_MS = 30_000;
let source = null, poll = null, again = null, lastHeard = Date.now(), gone = false;
const onLog = [], onGap = [];

function follow() {
  source?.close();
  clearTimeout(again);
  source = new EventSource(`/api/v1/events?types=${onLog.length ? "state,verdict,task,metrics,pool,log" : "state,verdict,task,metrics,pool"}`);
  source.onopen = () => { clearInterval(poll); poll = null; heard(); fillGaps(); };
  source.onerror = () => { if (source.readyState === EventSource.CLOSED) fallBack(); };
  for (const kind of ["state", "verdict", "task", "pool", "resync"]) source.addEventListener(kind, () => { heard(); refresh(); });
  source.addEventListener("resync", fillGaps);
  source.addEventListener("metrics", (event) => { heard(); measure(JSON.parse(event.data)); });
  source.addEventListener("log", (event) => { heard(); for (const take of onLog) take(JSON.parse(event.data)); });
}

function fillGaps() {
  for (const gap of onGap) gap();
}

/* No place among the readers, or an older server: look every few seconds, and try again to follow. */
function fallBack() {
  poll ??= setInterval(look, POLL_MS);
  clearTimeout(again);
  again = setTimeout(() => { if (!document.hidden) follow(); }, AGAIN_MS);
  look();
}

let seen = null;
async function look() {
  if (document.hidden) return;
  try {
    const answer = await ask("/api/v1/state");
    if (!answer.ok) return;
    const { at, ...rest } = await answer.json();
    const now = JSON.stringify(rest);
    if (gone || (seen !== null && seen !== now)) refresh();
    seen = now;
    fillGaps();
    heard();
  } catch { /* as above */ }
}

function heard() {
  const wasGone = gone;
  lastHeard = Date.now();
  showFollowing();
  if (wasGone) { refresh(); if (source?.readyState === EventSource.CLOSED) follow(); }
}

function showFollowing() {
  const silent = Math.floor((Date.now() - lastHeard) / 1000);
  gone = silent >= (poll ? 2 * POLL_MS / 1000 + STALE_S : STALE_S);
  body.classList.toggle("gone", gone);
  byId("stale").hidden = !gone;
  const line = byId("follow");
  line.dataset.state = gone ? "gone" : poll ? "polling" : "live";
  const text = gone ? fill(silent < 120 ? words.gone : words.gone_minutes, { seconds: silent, minutes: Math.floor(silent / 60) })
    : fill(poll ? words.polling : words.live, { time: wall(lastHeard) });
  line.textContent = text;
  if (gone) byId("stale-text").textContent = text;
  for (const button of document.querySelectorAll("[data-action],[data-fleet],[data-hold],[data-stop],[data-end]")) button.disabled = gone;
}

const wall = (ms) => new Date(ms).toTimeString().slice(0, 8);

function measure(values) {
  for (const place of document.querySelectorAll("[data-figure]")) {
    const value = values[place.dataset.figure], { digits, unit } = place.closest("[data-unit]").dataset;
    if (typeof value === "number") place.textContent = `${value.toFixed(Number(digits))} ${unit}`;
  }
}

function tick() {
  const ahead = lag;
  for (const place of document.querySelectorAll("[data-since]")) {
    place.textContent = clock(Date.now() / 1000 - ahead - Number(place.dataset.since));
  }
  showFollowing();
}

function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds)), two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/* How much this browser's clock is ahead of the worker's. */
let lag = 0;

/* --- pressing --------------------------------------------------------------------------------- */

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target) || button) menu.open = false;
  }
  if (!button) return;
  const { action, fleet, hold, stop, end, copy, close, show: field } = button.dataset;
  if (action) act(action, button.dataset);
  else if (fleet) write(`/api/v1/fleet/${fleet}`, button.dataset.machine ? { machines: [button.dataset.machine] } : {});
  else if (end) write(`/api/v1/sessions/${end}`, undefined, "DELETE");
  else if (hold) write(`/api/v1/tasks/${button.dataset.key}/${hold}`);
  else if (stop) confirmStop(stop, button.dataset.name);
  else if (copy) copyText(button, byId(copy));
  else if (close) byId(close).hidden = true;
  else if (field) reveal(button, byId(field));
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

function act(action, { minutes, until, mode, paused }) {
  const values = minutes ? { minutes: Number(minutes) } : until ? { until: tomorrow(Number(until)) } : {};
  if (mode) values.mode = mode;
  if (paused) values.paused = paused === "true";
  write(`/api/v1/actions/${action}`, values);
}

function tomorrow(hour) {
  const moment = new Date();
  moment.setDate(moment.getDate() + 1);
  moment.setHours(hour, 0, 0, 0);
  return moment.toISOString();
}

function confirmStop(key, name) {
  const dialog = byId("confirm");
  byId("confirm-name").textContent = name;
  dialog.returnValue = "";
  dialog.onclose = () => { if (dialog.returnValue === "yes") write(`/api/v1/tasks/${key}/stop`); };
  dialog.showModal();
}

async function copyText(button, from) {
  const text = from.matches("ol") ? [...from.children].filter((line) => !line.hidden).map((line) => line.innerText.replaceAll("\n", " ")).join("\n") : from.textContent;
  try { await navigator.clipboard.writeText(text); } catch { getSelection().selectAllChildren(from); }
  button.classList.add("done");
  if (words) say(words.copied, false);
}

function reveal(button, field) {
  const hide = field.type === "password";
  field.type = hide ? "text" : "password";
  const word = button.textContent;
  button.textContent = button.dataset.hide;
  button.dataset.hide = word;
}

/* --- logs --------------------------------------------------------------------------------------- */

const MOST_LINES = 5000, LOG_MS = 1000;

/* Colours and orders for a terminal go; a carriage return, by which programs redraw a line, ends it. */
const ORDERS = /\x1b\[[0-?]*[ -\/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[PX^_][^\x1b]*\x1b\\|\x1b[ -\/]*[0-Z\\^-~]|\x9b[0-?]*[ -\/]*[@-~]/g;
const ODD = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
const plain = (text) => text.replace(ORDERS, "").replace(/\r\n?/g, "\n").replace(ODD, written);
const written = (letter) => {
  const code = letter.charCodeAt(0).toString(16);
  return code.length > 2 ? `\\u${code.padStart(4, "0")}` : `\\x${code.padStart(2, "0")}`;
};

function taskLog(panel) {
  const place = byId("log-text"), size = byId("log-size"), state = byId("log-state");
  let next = Number(panel.dataset.next), ended = "ended" in panel.dataset, held = "";
  let lines = place.textContent.split("\n");
  const filter = filterOf("log-filter", "log-hits", draw);
  bottom(place);
  async function more() {
    if (document.hidden || ended) return;
    try {
      const answer = await ask(`/api/v1/tasks/${panel.dataset.key}/logs?offset=${next}`);
      if (!answer.ok) return;
      const piece = await answer.json();
      const news = piece.next > next || held;
      next = piece.next;
      ended = piece.ended;
      if (news) add(piece.text);
      const behind = !ended && next < piece.size;
      if (news || ended) size.textContent = count(words.log_size, { count: lines.length - (lines.at(-1) ? 0 : 1), size: bytes(piece.size) });
      state.textContent = ended ? words.log_ended : words.log_live;
      if (ended) refresh();
      if (behind) more();
    } catch { /* the state line tells */ }
  }
  /* What may be the beginning of an order or of a line end waits for the next piece. */
  function add(text) {
    text = held + text;
    const cut = ended ? null : /(?:\r|\x1b[^\x1b]{0,200})$/.exec(text);
    held = cut && cut[0].search(ORDERS) < 0 ? cut[0] : "";
    text = plain(held ? text.slice(0, -held.length) : text);
    const fresh = text.split("\n");
    lines[lines.length - 1] += fresh.shift();
    lines.push(...fresh);
    if (lines.length > MOST_LINES) { lines = [words.log_cut, ...lines.slice(1 - MOST_LINES)]; draw(); }
    else if (filter.wanted()) draw();
    else { place.append(text); place.normalize(); keepUp(place, "log-follow"); }
  }
  function draw() {
    const shown = filter.wanted() ? lines.filter(filter.fits) : lines;
    place.textContent = shown.join("\n");
    filter.count(shown.length);
    keepUp(place, "log-follow");
  }
  setInterval(more, LOG_MS);
  more();
}

function filterOf(inputId, hitsId, draw) {
  const input = byId(inputId), hits = byId(hitsId);
  input.addEventListener("input", draw);
  const wanted = () => input.value.toLowerCase();
  return {
    wanted,
    fits: (line) => line.toLowerCase().includes(wanted()),
    count: (n) => { hits.textContent = wanted() ? count(words.hits, { count: n }) : ""; },
  };
}

const bottom = (place) => { place.scrollTop = place.scrollHeight; };
const keepUp = (place, tickId) => { if (byId(tickId).checked) bottom(place); };
const bytes = (n) => n < 1024 ? `${n} B` : n < 1048576 ? `${(n / 1024).toFixed(1)} KiB` : `${(n / 1048576).toFixed(1)} MiB`;

function workerLog(panel) {
  const place = byId("lines"), ranks = { DEBUG: 0, INFO: 1, WARNING: 2, ERROR: 3, CRITICAL: 3 };
  const filter = filterOf("lines-filter", "lines-hits", sift);
  let next = Number(panel.dataset.next);
  panel.addEventListener("change", sift);
  function sift() {
    const least = ranks[panel.querySelector("[name=level]:checked").value];
    let shown = 0;
    for (const line of place.children) {
      line.hidden = (ranks[line.dataset.level] ?? 1) < least || !filter.fits(line.textContent);
      if (!line.hidden) shown += 1;
    }
    filter.count(shown);
    byId("lines-size").textContent = count(words.lines, { shown, count: place.children.length });
    keepUp(place, "lines-follow");
  }
  onGap.push(async () => {
    try {
      const answer = await ask(`/api/v1/log?after=${next}`);
      if (answer.ok) for (const entry of (await answer.json()).entries) put(entry);
    } catch { /* the state line tells */ }
    sift();
  });
  onLog.push((entry) => { put(entry); sift(); });
  function put(entry) {
    if (entry.number <= next) return;
    next = entry.number;
    const line = document.createElement("li");
    line.dataset.level = entry.level;
    for (const [kind, text] of [["time", entry.timestamp], ["b", entry.level], ["span", entry.message]]) {
      line.append(Object.assign(document.createElement(kind), { textContent: text }), " ");
    }
    place.append(line);
    while (place.children.length > MOST_LINES) place.firstElementChild.remove();
  }
  sift();
}

/* --- begin ---------------------------------------------------------------------------------------- */

for (const control of document.querySelectorAll("[data-show],[data-language]")) control.hidden = false;
document.addEventListener("change", ({ target }) => {
  if (!target.matches("[data-language]")) return;
  document.cookie = `hivemind-language=${target.value}; path=/; max-age=31536000; samesite=strict`;
  location.reload();
});

if (words) {
  lag = Math.abs(Date.now() / 1000 - Number(body.dataset.at)) > 60 ? Date.now() / 1000 - Number(body.dataset.at) : 0;
  if (byId("log")) taskLog(byId("log"));
  if (byId("worker-log")) workerLog(byId("worker-log"));
  setInterval(tick, 1000);
  setInterval(refresh, 1000 * Number(byId("main").dataset.every));
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { source?.close(); clearInterval(poll); poll = null; clearTimeout(again); }
    else { lastHeard = Date.now(); follow(); refresh(); }
  });
  addEventListener("pagehide", () => source?.close());
  if (!document.hidden) follow();
}
