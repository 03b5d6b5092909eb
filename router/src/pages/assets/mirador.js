// What the pages do beyond being read: they stay current, find, sort by keyboard, and draw.
// Everything essential is there without this.
"use strict";

(() => {
  const root = document.documentElement;
  const THEMES = ["auto", "light", "dark"];
  const stored = (() => {
    try { return localStorage.getItem("mirador-theme"); } catch { return null; }
  })();
  let theme = THEMES.includes(stored) ? stored : "auto";

  // Before anything is painted.
  const wear = () => {
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
  };
  wear();

  // Pages come from this router alone, and are parsed by nothing but this.
  const trusted = window.trustedTypes?.createPolicy("mirador", { createHTML: (text) => text });
  const parse = (text) =>
    new DOMParser().parseFromString(trusted ? trusted.createHTML(text) : text, "text/html");

  const one = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];

  // --- The theme ---------------------------------------------------------------------------------

  const startTheme = () => {
    const button = one("#theme");
    if (!button) return;
    const tell = () => {
      button.textContent = `Colours: ${theme}`;
    };
    tell();
    button.hidden = false;
    button.addEventListener("click", () => {
      theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
      try { localStorage.setItem("mirador-theme", theme); } catch { /* It holds for this page. */ }
      wear();
      tell();
      draw();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  };

  // --- Times -------------------------------------------------------------------------------------

  const STEPS = [[60, "s", 1], [3600, "min", 60], [86400, "h", 3600], [Infinity, "d", 86400]];

  const ago = (seconds) => {
    const [, unit, size] = STEPS.find(([below]) => Math.abs(seconds) < below);
    const count = Math.floor(Math.abs(seconds) / size);
    if (unit === "s" && count < 2) return "just now";
    return seconds < 0 ? `in ${count} ${unit}` : `${count} ${unit} ago`;
  };

  // By the router's clock, as all that it tells is.
  let ahead = 0;

  const tick = () => {
    const now = Date.now() - ahead;
    for (const time of all("time[data-ago]")) {
      const then = Date.parse(time.dateTime);
      if (Number.isNaN(then)) continue;
      time.title ||= time.textContent;
      const text = ago((now - then) / 1000);
      if (time.textContent !== text) time.textContent = text;
    }
  };

  // --- Staying current ---------------------------------------------------------------------------

  // What the server wrote: what is on the page has been touched since. Not of lists, which are long:
  // each row of one has a mark of what it says.
  const written = new WeakMap();

  const isList = (region) => one("tbody[data-rows]", region) !== null;

  const remembered = (element) => {
    for (const part of [element, ...all("[data-live]", element)]) {
      if (part.dataset.live !== undefined && !isList(part)) written.set(part, part.outerHTML);
    }
  };

  const adopt = (old, fresh) => {
    remembered(fresh);
    replace(old, fresh);
  };

  const replace = (old, fresh) => {
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    const path = focused && all("a, button, summary", old).indexOf(focused);
    for (const open of all("details[open]", old)) {
      const same = open.id && one(`#${CSS.escape(open.id)}`, fresh);
      if (same) same.open = true;
    }
    old.replaceWith(fresh);
    if (focused) all("a, button, summary", fresh)[path]?.focus({ preventScroll: true });
  };

  // Rows that say the same stay what they are, so that focus, selection and place stay too.
  const updateRows = (body, fresh) => {
    const rows = [...fresh.children];
    const known = new Map([...body.children].map((row) => [row.dataset.key, row]));
    // A row that changes places loses the focus.
    const key = document.activeElement?.closest("tr")?.dataset.key;
    // First, so that those that stay need not be moved past them.
    const stay = new Set(rows.map((row) => row.dataset.key));
    for (const [key, row] of known) if (!stay.has(key)) row.remove();
    let place = body.firstElementChild;
    for (const row of rows) {
      let old = known.get(row.dataset.key);
      if (old && old.dataset.says !== row.dataset.says) {
        if (old === place) place = row;
        row.classList.add("changed");
        replace(old, row);
        old = row;
      }
      const current = old ?? row;
      if (current === place) place = place.nextElementSibling;
      else body.insertBefore(current, place);
    }
    const focused = key && one(`tr[data-key="${key}"] th a`, body);
    if (focused && focused !== document.activeElement) focused.focus({ preventScroll: true });
  };

  const updateRegion = (old, fresh) => {
    // What holds other regions is touched only when it holds others than before.
    if (old.dataset.live === "frame") {
      if (old.dataset.shape !== fresh.dataset.shape) adopt(old, fresh);
      return;
    }
    const body = one("tbody[data-rows]", old);
    const freshBody = one("tbody[data-rows]", fresh);
    if (body && freshBody) {
      updateRows(body, freshBody);
      for (const part of all("[data-part]", fresh)) {
        const same = one(`[data-part="${part.dataset.part}"]`, old);
        if (same && !same.isEqualNode(part)) replace(same, part);
      }
      return;
    }
    if (body || freshBody) { adopt(old, fresh); return; }
    const text = fresh.outerHTML;
    if (written.get(old) === text) return;
    if (old.dataset.trend !== undefined && fresh.dataset.trend !== undefined) {
      written.set(old, text);
      old.dataset.trend = fresh.dataset.trend;
      for (const part of all("[data-part]", fresh)) {
        one(`[data-part="${part.dataset.part}"]`, old)?.replaceWith(part);
      }
    } else {
      adopt(old, fresh);
    }
  };

  // One at a time; what somebody asks for by hand takes the place of what is under way.
  let asking = null;
  let again = false;

  const refresh = async () => {
    if (asking) { again = true; return; }
    const mine = new AbortController();
    asking = mine;
    const deadline = setTimeout(() => mine.abort(), 20_000);
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, signal: mine.signal });
      // Logged out meanwhile: whoever looks should see so.
      if (answer.redirected || answer.status === 404) { location.reload(); return; }
      if (!answer.ok) throw new Error(`${answer.status}`);
      const page = parse(await answer.text());
      if (asking !== mine) return;
      for (const old of all("[data-live]")) {
        const fresh = page.getElementById(old.id);
        // Nodes are moved from one document to the other, not copied.
        if (fresh && old.isConnected) updateRegion(old, fresh);
      }
      document.title = page.title;
      tick();
      draw();
      connected(true);
    } catch {
      // Given up for another look, which will tell.
      if (asking === mine) connected(false);
    } finally {
      clearTimeout(deadline);
      if (asking === mine) {
        asking = null;
        if (again) { again = false; soon(); }
      }
    }
  };

  // Events come in bursts: one look for all of a burst, and at most so many in a while.
  let planned = null;
  let last = 0;
  const soon = () => {
    if (planned) return;
    const wait = Math.max(120, 700 - (Date.now() - last));
    planned = setTimeout(() => { planned = null; last = Date.now(); refresh(); }, wait);
  };

  const connected = (is) => {
    const link = one("#link");
    if (!link) return;
    const text = is ? "Live" : "Not current: the router does not answer";
    link.className = is ? "link on" : "link off";
    if (link.textContent !== text) link.textContent = text;
  };

  // Told to those who can't see it, not more often than it can be listened to.
  let told = 0;
  const announce = (event) => {
    const news = one("#news");
    if (!news || Date.now() - told < 3000) return;
    told = Date.now();
    news.textContent = `${event.tenant}: ${event.sentence}`;
  };

  const KINDS = ["gap", "endpoint", "deployment", "tenant", "failover", "maintenance", "findings"];

  const startLive = () => {
    const { live, every } = document.body.dataset;
    if (!every) return;
    const asOf = Date.parse(one("#as-of time")?.dateTime ?? "");
    if (!Number.isNaN(asOf)) ahead = Date.now() - asOf;
    remembered(document.body);
    document.addEventListener("animationend", (event) => event.target.closest("tr")?.classList.remove("changed"));
    let source = null;
    let later = null;
    const close = () => { source?.close(); source = null; };
    const open = () => {
      if (!live || source) return;
      source = new EventSource(live);
      // What happened before the stream began is seen by looking once more.
      source.addEventListener("open", () => { connected(true); soon(); });
      source.addEventListener("error", () => {
        connected(false);
        // Closed for good by an answer that is no stream: the next look tells why.
        if (source?.readyState === EventSource.CLOSED) { close(); soon(); setTimeout(open, 5000); }
      });
      for (const kind of KINDS) {
        source.addEventListener(kind, (message) => {
          soon();
          // What is remembered of it is there within a second.
          clearTimeout(later);
          later = setTimeout(soon, 1500);
          try {
            const event = JSON.parse(message.data);
            if (kind === "tenant" || kind === "failover") announce(event);
          } catch { /* The look tells. */ }
        });
      }
    };
    // A browser opens six connections to a router: tabs that nobody sees must not hold them.
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) { close(); } else { open(); soon(); }
    });
    addEventListener("pagehide", close);
    addEventListener("pageshow", (event) => { if (event.persisted) { open(); soon(); } });
    setInterval(() => { if (!document.hidden) soon(); }, Number(every) * 1000);
    setInterval(tick, 1000);
    tick();
    if (!document.hidden) open();
    if (!live) connected(true);
  };

  // --- Finding -----------------------------------------------------------------------------------

  const startFilters = () => {
    const form = one("form.filters");
    if (!form) return;
    const apply = () => {
      const query = new URLSearchParams();
      for (const [name, value] of new FormData(form)) if (value) query.append(name, value);
      const text = query.toString();
      history.replaceState(null, "", text ? `?${text}` : location.pathname);
      const before = asking;
      asking = null;
      before?.abort();
      refresh();
    };
    let typed = null;
    form.addEventListener("input", (event) => {
      clearTimeout(typed);
      typed = setTimeout(apply, event.target.type === "search" ? 180 : 0);
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      clearTimeout(typed);
      apply();
    });
    const button = one("button[type=submit]", form);
    if (button) button.hidden = true;
  };

  // --- The keyboard ------------------------------------------------------------------------------

  const move = (by) => {
    const links = all("tbody[data-rows] th a");
    if (links.length === 0) return;
    const at = links.indexOf(document.activeElement);
    const next = at < 0 ? (by > 0 ? 0 : links.length - 1) : at + by;
    links[Math.min(Math.max(next, 0), links.length - 1)].focus();
  };

  const KEYS = {
    "/": () => one("form.filters input[type=search]")?.focus(),
    j: () => move(1),
    k: () => move(-1),
    t: () => one('nav a[data-place="tenants"]')?.click(),
    r: () => one('nav a[data-place="router"]')?.click(),
    "?": () => one("#keys")?.showModal(),
  };

  const startKeys = () => {
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      // One that was just closed keeps the focus until the next paint.
      const typing = event.target.closest("input, select, textarea, dialog[open]");
      if (event.key === "Escape" && event.target.matches("input[type=search]")) {
        event.target.blur();
        return;
      }
      const act = typing ? null : KEYS[event.key];
      if (act) { event.preventDefault(); act(); }
    });
    const help = one("#help");
    if (help) {
      help.hidden = false;
      help.addEventListener("click", KEYS["?"]);
    }
  };

  // --- Charts ------------------------------------------------------------------------------------

  const colour = (name) => {
    const probe = document.body.appendChild(document.createElement("i"));
    probe.className = name;
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value;
  };

  const FORMATS = {
    rate: (value) => value === null ? "–" : value === 0 ? "0" : value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString("en"),
    share: (value) => value === null ? "–" : value === 0 ? "0 %" : `${(value * 100).toFixed(value < 0.1 ? 1 : 0)} %`,
    seconds: (value) => value === null ? "–" : value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`,
  };

  const clock = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 19);

  const plots = new WeakMap();

  const draw = () => {
    if (!window.uPlot) return;
    for (const figure of all("figure[data-trend]")) {
      const text = figure.dataset.trend;
      const holder = one(".plot", figure);
      const look = getComputedStyle(root).colorScheme + matchMedia("(prefers-color-scheme: dark)").matches;
      const old = plots.get(figure);
      if (old?.text === text && old.look === look) continue;
      const trend = JSON.parse(text);
      const data = [trend.at, ...trend.lines.map((line) => line.values)];
      if (old && old.look === look) {
        old.plot.setData(data);
        old.text = text;
        continue;
      }
      old?.plot.destroy();
      const tell = FORMATS[trend.unit];
      const [ink, grid] = [colour("muted-ink"), colour("grid-ink")];
      const plot = new uPlot({
        width: figure.clientWidth,
        height: 132,
        legend: { show: false },
        cursor: { y: false, points: { size: 6 } },
        // Half an hour, however little of it there is to show yet.
        scales: { x: { range: (_, low, high) => [Math.min(low, high - 1800), high] }, y: { range: (_, low, high) => [0, Math.max(high ?? 0, trend.least) * 1.08] } },
        axes: [
          { stroke: ink, grid: { show: false }, ticks: { show: false }, size: 22, font: "11px system-ui", space: 70,
            values: (_, times) => times.map((time) => clock(time).slice(0, 5)) },
          { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { show: false }, size: 52, font: "11px system-ui", space: 34,
            values: (_, values) => values.map(tell) },
        ],
        series: [{}, ...trend.lines.map((line) => ({
          label: line.label, stroke: colour(line.ink), width: 1.6, spanGaps: false,
          dash: line.ink === "series-2-ink" ? [5, 4] : undefined,
          points: { show: trend.at.length < 4, size: 4 },
        }))],
        hooks: {
          setCursor: [(u) => {
            const at = u.cursor.idx;
            const note = one(".reading", figure);
            if (!note) return;
            note.textContent = at == null ? "" : [
              `${clock(trend.at[at])} UTC`,
              ...u.series.slice(1).map((line, n) => `${line.label} ${tell(u.data[n + 1][at])}`),
            ].join(" · ");
          }],
        },
      }, data, holder);
      plots.set(figure, { plot, text, look });
      // The table says it to those who can't see the drawing.
      one("canvas", holder)?.setAttribute("aria-hidden", "true");
    }
  };

  let resized = null;
  addEventListener("resize", () => {
    clearTimeout(resized);
    resized = setTimeout(() => {
      for (const figure of all("figure[data-trend]")) {
        const width = figure.clientWidth;
        plots.get(figure)?.plot.setSize({ width, height: 132 });
      }
    }, 120);
  });

  document.addEventListener("DOMContentLoaded", () => {
    root.classList.add("scripted");
    startTheme();
    startFilters();
    startKeys();
    startLive();
    draw();
  });
})();
