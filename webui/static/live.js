"use strict";
// Keeps a page true: the status line, and what the page says it shows.
//   <body data-status="/status">          asked every 2 s where the page has no live data of its own
//   <main data-live="/dashboard/live">    asked every 1.5 s: {status, texts, parts, figures}
//   <main data-figures="/figures/x?…">    asked once, and again when the theme changes
//   data-text="name"   gets the text of that name      data-part="name"   the HTML of that name
//   data-href="name"   goes to the address of that name
//   data-fig="name"    gets the chart of that name, drawn in place
(() => {
  const body = document.body, root = document.documentElement, page = document.querySelector("[data-live], [data-figures]");
  const live = page && page.dataset.live, once = page && page.dataset.figures;
  const source = live || once, drawn = {}, shown = {};
  const all = (name) => Object.fromEntries([...document.querySelectorAll(`[data-${name}]`)].map((e) => [e.dataset[name], e]));
  const boxes = all("fig"), texts = document.querySelectorAll("[data-text]"), parts = all("part");
  // Plotly asks its own host for a map of the world even where a chart brings its outlines: it gets an empty one
  const none = { type: "GeometryCollection", geometries: [] };
  const layers = ["coastlines", "land", "ocean", "lakes", "rivers", "countries", "subunits"];
  window.PlotlyGeoAssets = { topojson: { world_110m: { type: "Topology", arcs: [], objects: Object.fromEntries(layers.map((l) => [l, none])) } } };
  const months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
  const clock = (at) => `${at.getUTCDate()} ${months[at.getUTCMonth()]} ${at.toISOString().slice(11, 19)}`;
  let good = clock(new Date()); // when the numbers on the page were last true
  // this script stands before Plotly, so that the numbers are on their way while that is being read
  const loaded = new Promise((done) => addEventListener("DOMContentLoaded", done, { once: true }));
  const config = { displayModeBar: false, responsive: true, topojsonURL: "/static/" };

  const status = (s) => {
    const pill = document.getElementById("status");
    if (!pill) return;
    pill.className = "status tone-" + s.tone;
    pill.title = s.detail;
    pill.querySelector("i").className = "bi bi-" + s.icon;
    pill.querySelector("span").textContent = s.text;
    const stale = ["stopped", "unreachable", "offline"].includes(s.kind);
    root.toggleAttribute("data-stale", stale);
    const note = document.getElementById("as-of");
    if (!note) return;
    const since = s.as_of || (stale && note.hidden ? good : "");
    if (since) note.querySelector("b").textContent = since;
    note.hidden = !stale;
  };
  const draw = async (figures) => {
    await loaded;
    for (const [name, figure] of Object.entries(figures || {})) {
      const box = boxes[name];
      if (!box || drawn[name] === figure.rev) continue;
      drawn[name] = figure.rev;
      await Plotly.react(box, figure.data, figure.layout, config);
      const title = document.querySelector(`[data-title="${name}"]`);
      if (title && figure.title) title.textContent = figure.title;
    }
  };
  const fill = (answer) => {
    for (const [name, url] of Object.entries(answer.links || {})) document.querySelector(`[data-href="${name}"]`)?.setAttribute("href", url);
    texts.forEach((e) => { const v = (answer.texts || {})[e.dataset.text]; if (v !== undefined && e.textContent !== v) e.textContent = v; });
    for (const [name, html] of Object.entries(answer.parts || {})) {
      const box = parts[name];
      if (!box || shown[name] === html || box.contains(document.activeElement)) continue; // nobody loses the focus
      const wrap = box.querySelector(".table-wrap") || box, left = wrap.scrollLeft;
      shown[name] = html;
      box.innerHTML = html;
      (box.querySelector(".table-wrap") || box).scrollLeft = left;
    }
  };
  const ask = async (address) => {
    const url = new URL(address, location);
    url.searchParams.set("theme", root.dataset.bsTheme);
    if (live) url.searchParams.set("have", Object.values(drawn).join(","));
    const reply = await fetch(url, { headers: { Accept: "application/json" } });
    if (reply.status === 401) { location.reload(); return; }
    if (!reply.ok && reply.status !== 503) throw new Error(reply.status);
    const answer = await reply.json();
    if (reply.ok) good = clock(new Date(reply.headers.get("Date") || Date.now()));
    if (reply.status === 503) { status({ kind: "unreachable", text: "Store unreachable", icon: "plug-fill", tone: "bad", detail: "" }); return; }
    if (answer.status) status(answer.status);
    fill(answer);
    await draw(answer.figures);
  };
  const refresh = async (address) => {
    try { await ask(address); root.dataset.ready = "1"; } catch (error) {
      status({ kind: "offline", text: "Web app unreachable", icon: "plug-fill", tone: "bad", detail: String(error) });
    }
  };
  const beat = live || body.dataset.status;
  const loop = async () => {
    if (!document.hidden) await refresh(beat);
    setTimeout(loop, live ? 1500 : 2000);
  };
  if (once) refresh(once);
  if (!source) root.dataset.ready = "1";
  if (beat) { if (live) loop(); else setTimeout(loop, 2000); }
  addEventListener("theme", () => { if (source) refresh(source); });
})();
