"use strict";
// What the lab tells arrives as server-sent events; what the person does goes
// out as small POSTs. Nothing is kept here that a reload would miss: the lab
// repeats its recent past to every new page.

const $ = (id) => document.getElementById(id);
const devices = new Map(); // id → {card, screen, badge}
const paths = new Map();   // item → {node, hops}
const NOTES_MAX = 3, PATHS_MAX = 30, NEWS_MAX = 12, LIT_MS = 4000;

function el(tag, className, text) {
  const n = document.createElement(tag);
  if (className) n.className = className;
  if (text !== undefined) n.textContent = text;
  return n;
}

function addDevice(d) {
  if (devices.has(d.id)) return;
  const card = el("article", "device " + d.kind);
  card.id = "device-" + d.id;
  const title = el("h3", "", d.name);
  const badge = el("b", "badge");
  badge.hidden = true;
  title.append(badge, el("span", "", `${d.mailbox} · ${d.locale}${d.hidden ? " · content hidden" : ""}`));
  const screen = el("div", "screen");
  card.append(title, screen);
  $("devices").append(card);
  devices.set(d.id, { card, screen, badge, newestOnTop: d.kind === "ios", timer: 0 });
}

function push(p) {
  const d = devices.get(p.device);
  if (!d) return;
  const note = el("div", "note");
  note.append(el("time", "", p.ms + " ms"), el("b", "", p.lines[0] || ""));
  for (const line of p.lines.slice(1)) note.append(el("p", "", line));
  if (d.newestOnTop) d.screen.prepend(note); else d.screen.append(note);
  while (d.screen.children.length > NOTES_MAX) (d.newestOnTop ? d.screen.lastChild : d.screen.firstChild).remove();
  badge(p);
  d.card.classList.add("lit");
  clearTimeout(d.timer);
  d.timer = setTimeout(() => d.card.classList.remove("lit"), LIT_MS);
}

function badge(b) {
  const d = devices.get(b.device);
  if (!d || b.badge === "") return;
  d.badge.textContent = b.badge;
  d.badge.hidden = b.badge === "0";
  d.badge.title = b.badge + " unread";
}

function mail(m) {
  if (paths.has(m.item)) return;
  document.querySelector(".paths .empty")?.remove();
  const node = el("li", "path");
  node.append(el("b", "", m.subject || "(no subject)"), el("div", "to", `${m.from} → ${m.mailbox}`));
  const hops = el("ul", "hops");
  node.append(hops);
  $("paths").prepend(node);
  paths.set(m.item, { node, hops });
  if (paths.size > PATHS_MAX) {
    const [oldest, p] = paths.entries().next().value;
    p.node.remove();
    paths.delete(oldest);
  }
}

function hop(h) {
  const p = paths.get(h.item);
  if (!p) return;
  const text = "+" + h.ms + " ms" + (h.times > 1 ? " ×" + h.times : "");
  if (h.times > 1) {
    const li = [...p.hops.children].find((li) => li.dataset.name === h.name);
    if (li) { li.querySelector("i").textContent = text; return; }
  }
  const li = el("li", h.kind, h.name);
  li.dataset.name = h.name;
  li.append(el("i", "", text));
  if (h.detail) li.title = h.detail;
  if (h.kind === "told") p.hops.prepend(li); else p.hops.append(li);
}

function news(n) {
  const list = $("news");
  list.querySelector(".empty")?.remove();
  const li = el("li", n.kind);
  li.append(el("time", "", new Date(n.at).toLocaleTimeString([], { hour12: false })), n.text);
  list.prepend(li);
  while (list.children.length > NEWS_MAX) list.lastChild.remove();
}

function reset() {
  for (const d of devices.values()) clearTimeout(d.timer);
  for (const m of [devices, paths]) m.clear();
  for (const id of ["devices", "paths", "news"]) $(id).replaceChildren();
}

function state(s) {
  for (const d of s.devices) addDevice(d);
  const pill = (id, text, good) => { $(id).textContent = text; $(id).className = "pill " + (good ? "good" : "bad"); };
  pill("notifier", "notifier " + s.notifier, s.notifier === "running");
  pill("streams", s.streams + (s.streams === 1 ? " stream" : " streams"), s.streams > 0);
  if (s.p50 !== undefined) pill("latency", `mail → push p50 ${s.p50} ms`, s.p50 < 1000);
  else $("latency").textContent = "mail → push …";
  toggle("outage", s.outage, "End the outage", "APNs outage");
  toggle("kill", s.notifier !== "running", "Start the notifier", "Kill the notifier");
  $("smtp").textContent = s.smtp;
  const to = document.forms.mail.to;
  if (to.length === 0) for (const m of s.mailboxes) to.append(new Option(m, m));
}

function toggle(name, on, textOn, textOff) {
  const b = document.querySelector(`[data-do=${name}]`);
  b.classList.toggle("on", on);
  b.textContent = on ? textOn : textOff;
}

async function post(path, body) {
  const say = (text, bad) => { $("said").textContent = text; $("said").classList.toggle("bad", bad); };
  try {
    const r = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    const answer = await r.json();
    say(answer.error || answer.said || "", !r.ok);
  } catch {
    say("The lab does not answer. Does it still run?", true);
  }
}

$("mail").addEventListener("submit", (e) => {
  e.preventDefault();
  const f = e.target;
  post("mail", { to: [f.to.value], from: f.from.value, subject: f.subject.value, body: f.body.value });
});
$("everyone").addEventListener("click", () => {
  const f = $("mail");
  post("mail", { to: [...f.to.options].map((o) => o.value), from: f.from.value, subject: f.subject.value, body: f.body.value });
});
$("faults").addEventListener("click", (e) => {
  const b = e.target.closest("button");
  if (b) post("do", { what: b.classList.contains("on") ? b.dataset.toggle : b.dataset.do });
});

const source = new EventSource("events");
for (const [name, f] of Object.entries({ reset, state, push, badge, mail, hop, news })) source.addEventListener(name, (e) => f(JSON.parse(e.data)));
source.addEventListener("error", () => { $("notifier").textContent = "lab not reachable"; $("notifier").className = "pill bad"; });
