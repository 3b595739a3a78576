"use strict";
// Rows of the report: searched, filtered, and shown a page at a time. Texts go into text nodes only.
(() => {
  const PAGE = 25;
  const FOLDED = 1500; // characters of a text that are shown at first
  const { words, rows } = JSON.parse(document.getElementById("data").textContent);
  const lang = document.documentElement.lang;
  const byId = (id) => document.getElementById(id);
  const number = (n) => n.toLocaleString(lang);
  const say = (key, values = {}) => words.ui[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const named = (table, name) => (Object.hasOwn(words[table], name) ? words[table][name] : name);

  function make(name, className, ...children) {
    const element = document.createElement(name);
    if (className) element.className = className;
    element.append(...children.filter((child) => child !== null));
    return element;
  }

  // --- Texts, which come as pieces [kind, text]: "=" kept, "+" added, "-" removed, "…" how much is left out

  const MARKS = { "=": "span", "+": "ins", "-": "del" };
  const whole = (pieces) => (pieces ?? []).map(([kind, text]) => (kind === "=" || kind === "+" ? text : "")).join("");

  function showPieces(place, pieces, room) {
    place.replaceChildren();
    for (const [kind, text] of pieces) {
      if (kind === "…") place.append(make("span", "rest", say("missing", { count: number(text) })));
      else place.append(make(MARKS[kind], "", text.length > room ? text.slice(0, room) + "…" : text));
      room -= kind === "…" ? 0 : text.length;
      if (room <= 0) break;
    }
  }

  function textBlock(title, pieces) {
    const place = make("div", "text");
    const length = pieces.reduce((sum, [kind, text]) => sum + (kind === "…" ? 0 : text.length), 0);
    const block = make("div", "", make("h4", "", title), place);
    showPieces(place, pieces, length > FOLDED ? FOLDED : Infinity);
    if (length === 0) place.append(make("span", "rest", say("empty_text")));
    if (length > FOLDED) {
      const unfold = make("button", "unfold", say("unfold", { count: number(length) }));
      unfold.type = "button";
      unfold.addEventListener("click", () => {
        showPieces(place, pieces, Infinity);
        place.tabIndex = -1;
        place.focus();
        unfold.remove();
      });
      block.append(unfold);
    }
    return block;
  }

  // --- One row

  function stageTitle(row, n, method) {
    if (method === null) return say("last_rewrite");
    const first = row.generation - row.stages.length; // of a pool, rounds that failed left no stage
    return `${say("stage_n", { n: Math.max(0, first) + n + 1 })} · ${named("methods", method)}`;
  }

  function otherTitle(grade) {
    return grade === null ? say("other_answer") : `${say("other_answer")} · ${named("labels", grade)}`;
  }

  function details(row) {
    const body = make("div", "body");
    if (row.reason) body.append(make("p", "why", `${named("reasons", row.reason)}. ${words.why[row.reason] ?? ""}`));
    const facts = row.labels.map((label) => `${say("label")}: ${named("labels", label)}`);
    if (row.attempts) facts.push(say("attempts", { count: row.attempts }));
    if (facts.length) body.append(make("p", "tags", facts.join(" · ")));
    if (row.note) body.append(textBlock(say("note"), row.note));
    if (row.context) body.append(textBlock(say("context"), row.context));
    body.append(textBlock(say("seed"), row.seed));
    row.stages.forEach(([method, pieces], n) => body.append(textBlock(stageTitle(row, n, method), pieces)));
    if (row.reply) body.append(textBlock(say("raw_reply"), row.reply));
    if (row.answer) body.append(textBlock(say("answer"), row.answer));
    row.others.forEach(([grade, pieces]) => body.append(textBlock(otherTitle(grade), pieces)));
    if (row.reference) body.append(textBlock(say("seed_answer"), row.reference));
    return body;
  }

  function item(row) {
    const id = make("span", "id", `#${row.id}`);
    if (severalGenerations) id.append(make("small", "", say("generation_n", { n: row.generation })));
    const outcome = row.reason ? named("reasons", row.reason) : say(row.outcome);
    const gist = whole(row.stages.length ? row.stages.at(-1)[1] : row.seed).slice(0, 200);
    const summary = make("summary", "", id, make("span", `badge ${row.outcome}`, outcome), make("span", "gist", gist));
    const element = make("details", "row", summary);
    element.addEventListener("toggle", () => element.open && element.append(details(row)), { once: true });
    return element;
  }

  const severalGenerations = new Set(rows.map((row) => row.generation)).size > 1;
  byId("rows").classList.toggle("generations", severalGenerations);

  // --- Search and filters

  const haystacks = new Map();
  function haystack(row) {
    if (!haystacks.has(row)) {
      const single = [row.context, row.seed, row.answer, row.reply, row.note, row.reference];
      const texts = [...single, ...[...row.stages, ...row.others].map((pair) => pair[1])];
      haystacks.set(row, [`#${row.id}`, ...texts.map(whole)].join("\n").toLowerCase());
    }
    return haystacks.get(row);
  }

  const chosen = (id) => byId(id)?.value ?? "";
  function fitting() {
    const wanted = chosen("search").toLowerCase().split(/\s+/).filter(Boolean);
    const [outcome, reason, label, generation] = ["outcome", "reason", "label", "generation"].map(chosen);
    return rows.filter(
      (row) =>
        (!outcome || row.outcome === outcome) &&
        (!reason || row.reason === reason) &&
        (!label || row.labels.includes(label)) &&
        (!generation || String(row.generation) === generation) &&
        wanted.every((word) => haystack(row).includes(word)),
    );
  }

  let found = [];
  let shown = 0;
  function showMore() {
    byId("rows").append(...found.slice(shown, shown + PAGE).map(item));
    shown = Math.min(found.length, shown + PAGE);
    byId("more").hidden = shown === found.length;
    byId("more").textContent = say("more", { count: number(Math.min(PAGE, found.length - shown)) });
  }

  function refresh() {
    found = fitting();
    shown = 0;
    byId("rows").replaceChildren();
    byId("found").textContent = found.length ? say("found", { count: number(found.length) }) : say("none_found");
    showMore();
  }

  let waiting = 0;
  const filters = byId("filters");
  // The search field answers while one types; its change event comes when a click elsewhere takes the focus away,
  // and would replace the very row that is being clicked.
  filters.addEventListener("change", (event) => event.target.id !== "search" && refresh());
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("reset", () => setTimeout(refresh));
  byId("search").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(refresh, 150);
  });
  byId("more").addEventListener("click", showMore);

  // A reason in the overview leads to its rows.
  for (const button of document.querySelectorAll("button[data-reason]")) {
    button.addEventListener("click", () => {
      filters.reset();
      if (byId("reason")) byId("reason").value = button.dataset.reason;
      byId("trajectories").scrollIntoView();
      byId("reason")?.focus({ preventScroll: true });
    });
  }

  byId("copy").addEventListener("click", async () => {
    const command = byId("command");
    getSelection().selectAllChildren(command);
    try {
      await navigator.clipboard.writeText(command.textContent);
      byId("copy").textContent = say("copied");
    } catch {
      // Without the right to copy, the command is selected at least.
    }
  });

  refresh();
})();
