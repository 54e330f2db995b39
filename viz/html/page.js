"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const templates = [...document.querySelectorAll("template.view")];
  const stage = $("stage");
  let svg, view = 0, box, home, chosen = null;
  const open = new Set(), closed = new Set();

  // Pictures: which one fits the state of the modules best, and show it.
  const missing = (wanted, has) => [...wanted].filter((x) => !has.includes(x)).length;
  function best(path) {
    let found = 0, least = Infinity;
    data.views.forEach(([expand, collapse], k) => {
      const kept = expand.includes(path) === open.has(path) && collapse.includes(path) === closed.has(path);
      const extra = expand.filter((x) => !open.has(x)).length + collapse.filter((x) => !closed.has(x)).length;
      const cost = (path && !kept ? 1000 : 0) + missing(open, expand) + missing(closed, collapse) + extra;
      if (cost < least) { least = cost; found = k; }
    });
    return found;
  }
  function show(k) {
    view = k;
    open.clear(); closed.clear();
    data.views[k][0].forEach((p) => open.add(p));
    data.views[k][1].forEach((p) => closed.add(p));
    stage.replaceChildren(templates[k].content.firstElementChild.cloneNode(true));
    svg = stage.firstElementChild;
    home = svg.getAttribute("viewBox").split(" ").map(Number);
    svg.removeAttribute("width"); svg.removeAttribute("height");
    chosen = null;
    begin(); list(); search(); walk();
  }

  // Pan and zoom move the view box.
  function place() { svg.setAttribute("viewBox", box.map((v) => v.toFixed(1)).join(" ")); }
  function fit() {
    box = [...home];
    place();
  }
  // What would be too small to read begins at its left end, in a size that can be read; "Fit" shows all of it.
  function begin() {
    fit();
    const readable = 2 * stage.clientWidth;
    if (home[2] <= readable) return;
    const high = readable * stage.clientHeight / stage.clientWidth;
    box = [home[0], home[1] + Math.max(0, (home[3] - high) / 2), readable, high];
    place();
  }
  function zoom(by, x = 0.5, y = 0.5) {
    const wide = Math.min(Math.max(box[2] * by, 40), home[2] * 4), high = box[3] * (wide / box[2]);
    box = [box[0] + (box[2] - wide) * x, box[1] + (box[3] - high) * y, wide, high];
    place();
  }
  function scale() { return Math.max(box[2] / stage.clientWidth, box[3] / stage.clientHeight); }
  function move(dx, dy) { box[0] += dx; box[1] += dy; place(); }
  function reveal(node) {
    const at = node.getBBox();
    box[0] = at.x + at.width / 2 - box[2] / 2;
    box[1] = at.y + at.height / 2 - box[3] / 2;
    place();
  }
  stage.addEventListener("wheel", (e) => {
    e.preventDefault();
    const r = stage.getBoundingClientRect();
    zoom(Math.exp(e.deltaY * 0.0015), (e.clientX - r.left) / r.width, (e.clientY - r.top) / r.height);
  }, { passive: false });
  let drag = null, dragged = false;
  stage.addEventListener("pointerdown", (e) => { drag = [e.clientX, e.clientY]; dragged = false; });
  stage.addEventListener("pointermove", (e) => {
    if (!drag || !e.buttons) return;
    const dx = e.clientX - drag[0], dy = e.clientY - drag[1];
    if (!dragged && Math.abs(dx) + Math.abs(dy) < 4) return;
    dragged = true;
    move(-dx * scale(), -dy * scale());
    drag = [e.clientX, e.clientY];
  });
  window.addEventListener("pointerup", () => { drag = null; });

  // Modules: open to their ops, closed to a box, parents closed with all that is inside.
  const parent = (p) => data.modules.some((q) => q.startsWith(p + "."));
  const expanded = (p) => (parent(p) ? !closed.has(p) : open.has(p));
  function toggle(p) {
    const set = parent(p) ? closed : open;
    set.has(p) ? set.delete(p) : set.add(p);
    if (parent(p) && closed.has(p)) data.modules.forEach((q) => q.startsWith(p + ".") && open.delete(q));
    if (!parent(p)) [...closed].forEach((q) => p.startsWith(q + ".") && closed.delete(q));
    show(best(p));
  }
  function list() {
    $("modules").replaceChildren(...data.modules.map((p) => {
      const button = document.createElement("button");
      button.textContent = (expanded(p) ? "▾ " : "▸ ") + p;
      button.setAttribute("aria-expanded", String(expanded(p)));
      button.dataset.path = p;
      button.addEventListener("click", () => {
        toggle(p);
        [...$("modules").children].find((b) => b.dataset.path === p).focus();
      });
      return button;
    }));
  }

  // Selecting a box lights its ancestors and descendants.
  function reach(start, from, to) {
    const next = new Map();
    svg.querySelectorAll(".e,.bus").forEach((e) => {
      e.dataset[from].split(" ").forEach((a) => {
        const ends = e.dataset[to].split(" ");
        next.has(a) ? next.get(a).push(...ends) : next.set(a, ends);
      });
    });
    const seen = new Set([start]);
    for (const n of seen) (next.get(n) || []).forEach((m) => seen.add(m));
    return seen;
  }
  function choose(node) {
    svg.classList.remove("lit");
    svg.querySelectorAll(".on,.self").forEach((e) => e.classList.remove("on", "self"));
    $("toggle").hidden = true;
    chosen = node;
    if (!node) return;
    const id = node.dataset.n, up = reach(id, "t", "s"), down = reach(id, "s", "t");
    svg.classList.add("lit");
    node.classList.add("self");
    svg.querySelectorAll(".n").forEach((n) => n.classList.toggle("on", up.has(n.dataset.n) || down.has(n.dataset.n)));
    svg.querySelectorAll(".e").forEach((e) => {
      const on = (set) => set.has(e.dataset.s) && set.has(e.dataset.t);
      e.classList.toggle("on", on(up) || on(down));
    });
    svg.querySelectorAll(".bus").forEach((e) => e.classList.toggle("on", up.has(e.dataset.s)));
    $("about").textContent = node.querySelector("title").textContent;
    const path = node.dataset.m;
    if (path && data.modules.includes(path)) {
      $("toggle").hidden = false;
      $("toggle").textContent = (expanded(path) ? "Collapse " : "Expand ") + path;
      $("toggle").onclick = () => toggle(path);
    }
  }
  const nodeOf = (e) => e.target.closest && e.target.closest(".n");
  stage.addEventListener("click", (e) => { if (!dragged) choose(nodeOf(e)); });
  stage.addEventListener("dblclick", (e) => {
    const node = nodeOf(e);
    if (node && data.modules.includes(node.dataset.m)) toggle(node.dataset.m);
  });
  stage.addEventListener("keydown", (e) => {
    const node = nodeOf(e), step = 60 * scale();
    const keys = {
      ArrowLeft: () => move(-step, 0), ArrowRight: () => move(step, 0), ArrowUp: () => move(0, -step), ArrowDown: () => move(0, step),
      "+": () => zoom(0.8), "=": () => zoom(0.8), "-": () => zoom(1.25), 0: fit, Escape: () => choose(null),
      Enter: () => node && choose(node), " ": () => node && choose(node), e: () => node && node.dataset.m && toggle(node.dataset.m),
    };
    if (keys[e.key]) { e.preventDefault(); keys[e.key](); }
  });

  // Search in everything a box knows.
  function search() {
    const words = $("search").value.trim().toLowerCase();
    let count = 0, first = null;
    svg.classList.toggle("found", Boolean(words));
    svg.querySelectorAll(".n").forEach((n) => {
      const hit = Boolean(words) && n.querySelector("title").textContent.toLowerCase().includes(words);
      n.classList.toggle("hit", hit);
      if (hit) { count += 1; first = first || n; }
    });
    $("count").textContent = words ? `${count} found` : "";
    return first;
  }
  $("search").addEventListener("input", search);
  $("search").addEventListener("keydown", (e) => {
    if (e.key === "Enter") { const first = search(); if (first) reveal(first); }
    if (e.key === "Escape") { e.target.value = ""; search(); }
  });

  // The walk through time: forward over all steps, then back over them.
  const steps = data.steps, slider = $("slider");
  let timer = null;
  function walk() {
    if (!steps.length || slider.dataset.used !== "yes") return;
    const k = Number(slider.value), back = k >= steps.length;
    const step = steps[back ? 2 * steps.length - 1 - k : k];
    svg.classList.add("walk");
    svg.classList.toggle("back", back);
    svg.querySelectorAll(".band").forEach((b) => b.classList.toggle("now", Number(b.dataset.c) === step.c));
    svg.querySelectorAll(".n[data-c]").forEach((n) => {
      const c = Number(n.dataset.c);
      n.classList.toggle("later", back ? c < step.c : c > step.c);
    });
    $("clock").textContent = `${back ? "backward" : "forward"}, t = ${step.t}`;
    $("now").hidden = false;
    $("phase").textContent = back ? `The gradient comes back to t = ${step.t}.` : `Values are computed at t = ${step.t}.`;
    $("rows").replaceChildren(...step.rows.map((row) => {
      const tr = document.createElement("tr");
      row.forEach((text) => { const td = document.createElement("td"); td.textContent = text; tr.append(td); });
      return tr;
    }));
  }
  function stop() { clearInterval(timer); timer = null; $("play").textContent = "Play"; }
  if (steps.length) {
    $("time").hidden = false;
    slider.max = String(2 * steps.length - 1);
    slider.addEventListener("input", () => { slider.dataset.used = "yes"; walk(); });
    $("play").addEventListener("click", () => {
      if (timer) { stop(); return; }
      if (Number(slider.value) >= Number(slider.max)) slider.value = "0";
      slider.dataset.used = "yes";
      walk();
      $("play").textContent = "Pause";
      timer = setInterval(() => {
        slider.value = String(Number(slider.value) + 1);
        walk();
        if (Number(slider.value) >= Number(slider.max)) stop();
      }, Math.max(60, Math.min(600, 20000 / steps.length)));
    });
  }

  function dark(on) {
    document.documentElement.dataset.theme = on ? "dark" : "light";
    $("theme").setAttribute("aria-pressed", String(on));
    $("theme").textContent = on ? "Light" : "Dark";
  }
  $("theme").addEventListener("click", () => dark(document.documentElement.dataset.theme !== "dark"));
  $("in").addEventListener("click", () => zoom(0.8));
  $("out").addEventListener("click", () => zoom(1.25));
  $("fit").addEventListener("click", fit);
  window.addEventListener("resize", begin);
  dark(matchMedia("(prefers-color-scheme: dark)").matches);
  show(0);
})();
