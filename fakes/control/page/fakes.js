"use strict";

const ROWS_MAX = 400;    // journal rows in the page
const HELD_MAX = 4000;   // entries that the filter can look back on
const STATE_EVERY = 1000;

const $ = (id) => document.getElementById(id);
const make = (tag, text, kind) => { const e = document.createElement(tag); e.textContent = text; if (kind) e.className = kind; return e; };
const number = (n) => n.toLocaleString("en");
const time = (t) => new Date(t).toISOString().slice(11, 23);

/* State: fetched again and again, and at once when the journal tells of
   something that changes it. */

let ask = 0;
async function state() {
  clearTimeout(ask);
  try {
    const r = await fetch("state");
    show(await r.json());
  } catch { /* the event stream tells that nobody answers */ }
  ask = setTimeout(state, STATE_EVERY);
}

function show(s) {
  const o = s.organisation, inside = s.inside, push = s.servers || {};
  $("title").textContent = "Exchange " + o.version + ", APNs and WNS";
  pill($("throttling"), o.throttling ? "throttling on" : "throttling off", "");
  const sum = (name) => (push.apns?.[name] || 0) + (push.apns_sandbox?.[name] || 0);
  fill("tiles", [
    [o.mailboxes, "mailboxes"], [o.subscriptions, "subscriptions"], [o.streams, "open streams"],
    [sum("accepted") + (push.wns?.received || 0), "pushes accepted"], [s.faults.length, "faults in force", s.faults.length > 0],
  ].map(([n, what, bad]) => { const li = make("li", ""); li.append(make("b", number(n), bad ? "bad" : ""), " " + what); return li; }));
  fill("servers", o.servers.map((v) => row([v.name, v.mailboxes, v.subscriptions, v.streams], v.fqdn + ", " + v.site)));
  const services = [];
  for (const [name, v] of Object.entries(push)) {
    if (name.startsWith("apns")) services.push(row([name === "apns" ? "APNs" : "APNs sandbox", v.accepted, v.rejected + v.refused, v.open]));
    else services.push(row(["WNS", v.received, v.pushes - v.received, "–"]));
  }
  fill("push", services);
  fill("faults", s.faults.map((f) => {
    const words = [f.probability && f.probability < 1 ? Math.round(f.probability * 100) + " %" : "", f.count ? f.count + " left" : "", f.for && f.for !== "0s" ? "for " + f.for : "",
      ...Object.entries(f.scope || {}).map(([k, v]) => k + " " + v), ...Object.entries(f.args || {}).map(([k, v]) => k + "=" + v)];
    return item(f.name, words.filter(Boolean).join(" · ") || "everywhere, until it is ended", "bad", () => fetch("faults?id=" + encodeURIComponent(f.id), { method: "DELETE" }).then(state));
  }), "none");
  $("end-faults").hidden = s.faults.length === 0;
  fill("streams", inside.streams.map((v) => item(v.charge, [v.server, v.subscriptions + (v.subscriptions === 1 ? " subscription" : " subscriptions"), v.waiting ? v.waiting + " waiting" : ""].filter(Boolean).join(" · "))), "none open");
  fill("moves", inside.moves.map((v) => item(v.mailbox, v.from + " → " + v.to + ", until " + time(v.until))), "none");
  $("subscriptions-count").textContent = number(o.subscriptions);
  fill("subscriptions", inside.subscriptions.map((v) => item(v.mailbox, [v.server, v.account, v.streamed ? "streamed" : "no stream", v.queued ? v.queued + " events wait" : "", v.missed ? "events missed" : ""].filter(Boolean).join(" · "), v.streamed ? "" : "warn")), "none");
  $("budgets-count").textContent = inside.budgets.length;
  fill("budgets", inside.budgets.map((v) => {
    const limit = inside.limits[v.budget];
    return item(v.charge, v.budget + " " + v.used + (limit ? " of " + limit : ""), limit && v.used >= limit ? "bad" : "");
  }), "none");
}

function pill(e, text, kind) { e.textContent = text; e.className = "pill " + kind; }

/* Puts rows into a list, but touches the page only if they differ. */
const before = {};
function fill(id, rows, empty) {
  const key = rows.map((r) => r.className + "\u0000" + r.textContent).join("\u0001");
  if (before[id] === key && rows.length) return;
  before[id] = key;
  $(id).replaceChildren(...(rows.length ? rows : empty ? [make("li", empty, "soft")] : []));
}

function row(cells, hint) {
  const tr = make("tr", "");
  cells.forEach((c, i) => tr.append(make("td", typeof c === "number" ? number(c) : c, i ? "n" : "")));
  if (hint) tr.title = hint;
  return tr;
}

function item(name, text, kind, end) {
  const li = make("li", "", kind);
  li.append(make("b", name), make("span", text));
  if (end) {
    const b = make("button", "End");
    b.type = "button";
    b.addEventListener("click", end);
    li.append(b);
  }
  return li;
}

$("end-faults").addEventListener("click", () => fetch("faults", { method: "DELETE" }).then(state));

fetch("ready").then((r) => r.ok ? r.json() : {}).then((ready) => {
  const rows = [];
  for (const name of ["ews", "autodiscover", "apns", "apns_sandbox", "wns", "wns_token", "oauth", "smtp", "control"]) {
    if (ready[name]) rows.push(make("dt", name), make("dd", ready[name]));
  }
  if (ready.listener) rows.push(make("dt", "listener"), make("dd", ready.listener.user + " / " + ready.listener.password));
  if (ready.mailboxes) rows.push(make("dt", "mailboxes"), make("dd", ready.mailboxes.join(", ")));
  $("addresses").replaceChildren(...rows);
});

/* Journal: server-sent events. The browser comes back by itself, and tells by
   Last-Event-ID where it was. */

const held = [];
let paused = false;

/* Every word must be in the entry; one with a minus before it must not. */
function words() {
  return $("filter").value.toLowerCase().split(/\s+/).filter((w) => w && w !== "-");
}
const fits = (text, list) => list.every((w) => w[0] === "-" ? !text.includes(w.slice(1)) : text.includes(w));

function entry(e) {
  const detail = Object.entries(e.detail || {}).map(([k, v]) => k + "=" + v).join(" ");
  const body = e.body === undefined ? "" : typeof e.body === "string" ? e.body : JSON.stringify(e.body);
  const text = [e.server, e.kind, e.operation, e.mailbox, e.account, e.device, e.status, e.reason, e.fault, detail, body].filter(Boolean).join(" ").toLowerCase();
  held.push({ e, detail, body, text });
  if (held.length > HELD_MAX) held.shift();
  if (!paused) draw(held[held.length - 1]);
  if (!["request", "notification"].includes(e.kind)) { clearTimeout(ask); ask = setTimeout(state, 100); }
}

function line({ e, detail, body }) {
  const li = make("li", "", e.fault || e.kind === "fault" || e.kind === "violation" ? "fault" : e.status >= 400 ? "bad" : e.kind === "push" ? "push" : e.kind === "mail" ? "mail" : "");
  const head = make("div", "", "head");
  head.append(make("time", time(e.time)), make("b", e.server), make("span", e.kind + (e.operation && e.operation !== e.kind ? " " + e.operation : ""), "what"));
  if (e.status) head.append(make("span", String(e.status), "status"));
  if (e.reason) head.append(make("span", e.reason, "reason"));
  if (e.fault) head.append(make("span", e.fault, "reason"));
  li.append(head);
  const who = [e.mailbox, e.account, e.device && (e.device.length > 24 ? e.device.slice(0, 12) + "…" + e.device.slice(-8) : e.device), e.detail?.subject && "“" + e.detail.subject + "”"].filter(Boolean).join(" · ");
  if (who) li.append(make("div", who, "who"));
  if (detail || body) {
    const more = make("details", "");
    more.append(make("summary", "#" + e.seq));
    more.append(make("pre", [detail && Object.entries(e.detail).map(([k, v]) => k + ": " + v).join("\n"), e.device && e.device.length > 24 && "device: " + e.device, e.item && "item: " + e.item, body].filter(Boolean).join("\n")));
    li.append(more);
  }
  return li;
}

function draw(h) {
  count();
  if (!fits(h.text, words())) return;
  const list = $("journal");
  list.prepend(line(h));
  while (list.children.length > ROWS_MAX) list.lastChild.remove();
  $("empty").hidden = true;
  count();
}

function redraw() {
  const list = words(), rows = [];
  for (let i = held.length - 1; i >= 0 && rows.length < ROWS_MAX; i--) if (fits(held[i].text, list)) rows.push(line(held[i]));
  $("journal").replaceChildren(...rows);
  $("empty").hidden = held.length > 0;
  count();
}

function count() {
  $("shown").textContent = held.length ? $("journal").children.length + " of " + number(held.length) : "";
}

function gap(g) {
  if (g.why !== "dropped") { reset(); return; } // the world was reset or started anew
  const li = make("li", "Entries " + number(g.from) + " to " + number(g.to) + " are no longer held.", "gap");
  $("journal").prepend(li);
}

function reset() { held.length = 0; redraw(); state(); }

$("filter").addEventListener("input", redraw);
$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").textContent = paused ? "Go on" : "Pause";
  $("pause").classList.toggle("on", paused);
  if (!paused) redraw();
});

const source = new EventSource("journal");
source.addEventListener("open", () => pill($("live"), "live", "good"));
source.addEventListener("entry", (m) => entry(JSON.parse(m.data)));
source.addEventListener("reset", reset);
source.addEventListener("gap", (m) => gap(JSON.parse(m.data)));
source.addEventListener("error", () => pill($("live"), "not reachable", "bad"));
state();
