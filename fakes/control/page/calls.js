"use strict";

const make = (tag, text, kind) => { const e = document.createElement(tag); e.textContent = text; if (kind) e.className = kind; return e; };

fetch("../", { headers: { Accept: "application/json" } }).then((r) => r.json()).then(({ calls }) => {
  for (const c of calls) {
    const dt = make("dt", "");
    dt.append(make("b", c.method), " ", make("code", c.path.replace("{$}", "")));
    const dd = make("dd", c.does);
    const takes = make("ul", "", "plain");
    for (const [name, text] of Object.entries(c.takes || {})) {
      const li = make("li", "");
      li.append(make("code", name), " " + text);
      takes.append(li);
    }
    dd.append(takes);
    document.getElementById("calls").append(dt, dd);
  }
});
