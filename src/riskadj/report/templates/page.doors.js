// What people touch: doors, the choice of a provider, filters; and what follows from a choice.

// --- charts in their places ---

const openTables = new Set();

function showChart(figure) {
  const chart = CHARTS[figure.dataset.chart]();
  const place = el("div", { class: "plot" });
  figure.replaceChildren(el("h3", {}, chart.title), el("p", { class: "sub" }, chart.sub), place);
  const plot = chart.draw(place);
  if (plot) plot.show();
  if (plot && chart.legend) figure.append(chart.legend());
  if (!chart.empty) figure.append(behind(figure.dataset.chart, chart));
  figure.dataset.marked = figure.querySelector(".chosen") ? state.provider : "";
}

function behind(name, chart) {
  const details = el("details", { class: "behind" }, el("summary", {}, "Table behind it"));
  const place = el("div");
  details.append(place);
  const fill = () => { if (!place.hasChildNodes()) place.append(dataTable(chart.table(), chart.title)); };
  details.addEventListener("toggle", () => {
    openTables[details.open ? "add" : "delete"](name);
    if (details.open) fill();
  });
  if (openTables.has(name)) { details.open = true; fill(); }
  return details;
}

const PARTS = { tiles, contract, statement, audited };
const TABLES = {
  files: () => dataTable({ file: "files", rows: DATA.files, columns: [["file", row => row.file], ["SHA-256", row => row.digest]] }, "Files of the run"),
};

const isThere = { value: () => Boolean(DATA.value && DATA.tables.value?.length), settlement: () => Boolean(settled), graded: () => Boolean(DATA.tables.graded?.length) };

function showDoor() {
  for (const name of DOORS) $(`#${name}`).hidden = name !== state.door;
  for (const link of $$("#doors a")) {
    link.href = address({ door: link.dataset.door });
    if (link.dataset.door === state.door) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const door = $(`#${state.door}`);
  for (const section of door.querySelectorAll("[data-if]")) section.hidden = !isThere[section.dataset.if]();
  const wanted = selector => [...door.querySelectorAll(selector)].filter(one => !one.closest("[hidden]"));
  for (const figure of wanted("[data-chart]")) showChart(figure);
  for (const part of wanted("[data-part]")) part.replaceChildren(...PARTS[part.dataset.part]());
  for (const place of wanted("[data-table]")) place.replaceChildren(TABLES[place.dataset.table]());
}

// --- parts of a door ---

function tiles() {
  const rows = shown(profiles()).filter(row => passes(row.provider_id));
  const inside = rows.filter(row => isCompared(row));
  const tile = (many, words, look) => el("div", { class: "tile" }, el("b", {}, number(many)), el("span", {}, look ? symbol(look) : "", words));
  const hidden = rows.filter(isHidden).length;
  return [
    tile(inside.length, "compared"),
    ...outcome().places.filter(place => place.side).map(place => tile(inside.filter(row => row.flag === place.flag).length, place.words, lookOf(place.flag))),
    tile(rows.length - inside.length - hidden, "not compared"),
    ...(hidden ? [tile(hidden, "hidden: too few")] : []),
  ];
}

function contract() {
  const { title, about, contract: name, currency, pool_minor: pool, told, unconfirmed } = DATA.settlement;
  return [
    el("p", {}, `${title} (${name}). All totals together: ${money(pool)} ${currency}. ${about}`),
    ...(unconfirmed.length ? [el("p", { class: "note" }, `Not confirmed in a source: ${unconfirmed.map(plain).join(", ")}.`)] : []),
    el("details", { class: "words" }, el("summary", {}, "What was decided for those with too little to go by"), ...told.map(one => el("p", {}, one))),
  ];
}

function statement() {
  if (state.provider === null) return [el("p", { class: "empty" }, "Choose a provider for its statement, line by line.")];
  const total = settled.totals.find(row => isChosen(row.provider_id));
  if (!total) return [el("p", { class: "empty" }, `${state.provider} is not settled by this contract.`)];
  const lines = settled.lines.get(state.provider) ?? [];
  const rows = lines.map(line => el("tr", { class: line.kind === "payment" ? null : "quietly" },
    el("td", {}, number(line.place)), el("td", {}, line.label, line.confirmed === "False" ? el("span", { class: "note", title: line.source }, " (not confirmed)") : ""),
    el("td", {}, el("code", {}, line.formula ?? "")), el("td", { class: "number" }, line.value ?? ""),
    el("td", { class: "number" }, line.kind === "payment" || line.amount_minor ? money(line.amount_minor) : "")));
  const title = `Statement of ${state.provider}: ${total.status}${total.episodes === null ? "" : `, ${counted(total.episodes, "episode")}`}`;
  return [el("div", { class: "scroll statement", tabindex: "0", role: "region", "aria-label": title }, el("table", {},
    el("caption", {}, title),
    el("thead", {}, el("tr", {}, ...["step", "line", "formula", "value", `amount, ${DATA.settlement.currency}`].map((label, at) => el("th", { scope: "col", class: at > 2 ? "number" : null }, label)))),
    el("tbody", {}, ...rows, el("tr", { class: "total" }, el("td"), el("td", {}, "Total"), el("td"), el("td"), el("td", { class: "number" }, money(total.total_minor))))))];
}

function audited() {
  return DATA.audited.map(({ title, note, table }) => {
    const details = el("details", { class: "behind" }, el("summary", {}, title));
    details.addEventListener("toggle", () => { if (details.open && details.children.length === 1) details.append(dataTable({ file: title, note, ...plainTable(table) }, title)); });
    return details;
  });
}

const PASSPORT = ["outcome", "expected by", "episodes", "observed", "expected", "adjusted (95 % interval)", "flag", "rank (95 %)", "reliability"];
const NUMBERS = [2, 3, 4, 5, 7, 8];

function showPassport() {
  const place = $("#passport");
  place.hidden = state.provider === null;
  if (state.provider === null) { place.replaceChildren(); return; }
  const rows = DATA.outcomes.map(of => {
    const learner = of.learners.includes(state.learner) ? state.learner : of.learners[0];
    return { of, learner, row: profiles(of.name, learner).find(one => isChosen(one.provider_id)) };
  }).filter(one => one.row);
  const heads = PASSPORT;
  const outside = !passes(state.provider);
  place.replaceChildren(
    el("h2", { id: "passport-title" }, state.provider),
    outside ? el("p", { class: "note" }, "Outside the filters; shown because it is chosen.") : "",
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Figures of ${state.provider}` }, el("table", {},
      el("thead", {}, el("tr", {}, ...heads.map((label, at) => el("th", { scope: "col", class: NUMBERS.includes(at) ? "number" : null }, label)))),
      el("tbody", {}, ...rows.flatMap(one => [labelled(passportRow(one)), whyRow(one)]).filter(Boolean)))),
    el("p", { class: "note" }, "Observed and expected are means of the episodes named; the interval of the adjusted result is that of their comparison. Reliability has none."));
  if (settled) {
    const total = settled.totals.find(row => isChosen(row.provider_id));
    if (total) place.append(el("p", { class: "note" }, `Settled: ${money(total.total_minor)} ${DATA.settlement.currency} (${total.status}).`));
  }
}

// On a phone each cell stands on a line of its own, with its heading before it.
function labelled(row) {
  [...row.children].forEach((one, at) => { if (!one.hasAttribute("colspan")) one.dataset.label = PASSPORT[at]; });
  return row;
}

function passportRow({ of, learner, row }) {
  const figure = (value, ...ends) => el("td", { class: "number" }, ends.length ? span(value, ...ends, of.decimals) : number(value, of.decimals));
  const start = [el("th", { scope: "row" }, of.called, el("small", {}, [of.unit, betterWords(of)].filter(Boolean).join(", "))), el("td", {}, DATA.learners[learner])];
  if (isHidden(row)) return el("tr", {}, ...start, el("td", { colspan: "7", class: "missing" }, `hidden: fewer than ${DATA.rules.suppress_below} episodes, or hidden so that others cannot be worked out`));
  return el("tr", {}, ...start, el("td", { class: "number" }, number(row.n)), figure(row.observed), figure(row.expected),
    row.adjusted === null ? el("td", { class: "number missing" }, "not compared") : figure(row.adjusted, row.ci_lower95, row.ci_upper95),
    el("td", { class: "short" }, el("span", { class: "flag" }, symbol(lookOf(row.flag, of)), flagWords(row.flag, of))),
    el("td", { class: "number" }, span(row.rank ?? null, row.rank_lower95, row.rank_upper95, 0)), el("td", { class: "number" }, number(row.reliability ?? null, 2)));
}

function whyRow({ of, row }) {
  if (isHidden(row)) return "";
  const holds = isCompared(row, of) ? holdsWords(row) : "";
  const note = row.note ? `${capital(row.note)}.` : "";
  return el("tr", { class: "why" }, el("td", { colspan: PASSPORT.length }, el("b", {}, "Why: "), [reasonWords(row, of), holds, note].filter(Boolean).join(" ")));
}

// --- the choice of a provider ---

const input = $("#provider");
const list = $("#options");
const MOST_OPTIONS = 60;
let active = -1;

function matches() {
  const asked = input.value.trim().toLocaleLowerCase("en-GB");
  const all = asked === (state.provider ?? "").toLocaleLowerCase("en-GB") ? DATA.providers : DATA.providers.filter(name => name.toLocaleLowerCase("en-GB").includes(asked));
  return [...all].sort((a, b) => starts(b, asked) - starts(a, asked)).slice(0, MOST_OPTIONS);
}

const starts = (name, asked) => Number(name.toLocaleLowerCase("en-GB").startsWith(asked));

function openList() {
  const rows = new Map(profiles().map(row => [row.provider_id, row]));
  const found = matches();
  active = found.length && input.value.trim() ? 0 : -1;
  list.replaceChildren(...(found.length ? found.map((name, at) => {
    const row = rows.get(name);
    const option = el("li", { role: "option", id: `option-${at}`, "aria-selected": "false" }, name, el("small", {}, row ? isHidden(row) ? "hidden" : `${number(row.n)} · ${flagWords(row.flag)}` : ""));
    option.dataset.name = name;
    option.addEventListener("pointerdown", event => { event.preventDefault(); choose(name); });
    return option;
  }) : [el("li", { role: "option", "aria-selected": "false", "aria-disabled": "true" }, "No provider of that name")]));
  list.hidden = false;
  input.setAttribute("aria-expanded", "true");
  point(active);
}

function closeList() {
  list.hidden = true;
  active = -1;
  input.setAttribute("aria-expanded", "false");
  input.removeAttribute("aria-activedescendant");
}

function point(at) {
  active = at;
  [...list.children].forEach((option, place) => option.setAttribute("aria-selected", String(place === at)));
  const option = list.children[at];
  if (!option?.dataset.name) { input.removeAttribute("aria-activedescendant"); return; }
  input.setAttribute("aria-activedescendant", option.id);
  option.scrollIntoView({ block: "nearest" });
}

function choose(name) {
  closeList();
  change({ provider: name });
}

const KEYS = {
  ArrowDown: () => { if (list.hidden) openList(); else point(Math.min(active + 1, list.children.length - 1)); },
  ArrowUp: () => { if (!list.hidden) point(Math.max(active - 1, 0)); },
  Enter: () => { const name = list.children[active]?.dataset.name; if (!list.hidden && name) choose(name); },
  Escape: () => { if (list.hidden) choose(null); else { closeList(); input.value = state.provider ?? ""; } },
};

input.addEventListener("input", openList);
input.addEventListener("click", () => { input.select(); openList(); });
input.addEventListener("blur", () => { closeList(); input.value = state.provider ?? ""; });
input.addEventListener("keydown", event => {
  if (!KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});
$("#forget").addEventListener("click", () => { choose(null); input.focus(); });

// --- filters ---

function options(select, entries, chosen) {
  select.replaceChildren(...entries.map(([value, words]) => el("option", { value, selected: value === chosen }, words)));
}

function flagChoices() {
  const present = new Set(profiles().map(row => flagWords(row.flag)));
  const order = [...outcome().places.map(place => place.words), "not compared"];
  $("#flags").replaceChildren(...order.filter(words => present.has(words)).map(words => {
    const place = outcome().places.find(one => one.words === words);
    const box = el("input", { type: "checkbox", checked: !state.hidden.has(words), value: words });
    box.addEventListener("change", () => {
      const hidden = new Set(state.hidden);
      hidden[box.checked ? "delete" : "add"](words);
      change({ hidden });
      $$("#flags input").find(one => one.value === words)?.focus();
    });
    return el("label", { class: "chip" }, box, symbol(lookOf(place?.flag)), words);
  }));
}

$("#outcome").addEventListener("change", event => {
  const of = outcomes.get(event.target.value);
  change({ outcome: of.name, learner: of.learners.includes(state.learner) ? state.learner : of.learners[0], hidden: new Set() });
});
$("#learner").addEventListener("change", event => change({ learner: event.target.value }));
$("#least").addEventListener("change", event => change({ least: Math.max(0, Number.parseInt(event.target.value, 10) || 0) }));
$("#reset").addEventListener("click", () => change({ least: 0, hidden: new Set() }));
$("#print").addEventListener("click", () => window.print());

// --- all of it ---

function refresh() {
  readAddress();
  applyFilters();
  options($("#outcome"), DATA.outcomes.map(one => [one.name, capital(one.called)]), state.outcome);
  options($("#learner"), outcome().learners.map(one => [one, DATA.learners[one]]), state.learner);
  $("#least").value = state.least;
  flagChoices();
  input.value = state.provider ?? "";
  $("#forget").hidden = state.provider === null;
  $("#reset").hidden = !state.least && !state.hidden.size;
  const all = profiles();
  $("#count").textContent = `${number(all.filter(row => passes(row.provider_id)).length)} of ${counted(all.length, "provider")}`;
  showPassport();
  showDoor();
  $("#stranger").hidden = state.stranger === null;
  $("#stranger").textContent = state.stranger === null ? "" : `The address names ${state.stranger}, which is no provider of this run.`;
  const words = `${$("#count").textContent} shown${state.provider === null ? "" : `; ${state.provider} is marked`}.`;
  if ($("#said").textContent !== words) $("#said").textContent = words;
}

let width = document.documentElement.clientWidth;
window.addEventListener("hashchange", refresh);
document.addEventListener("click", event => {
  const link = event.target.closest?.('a[href^="#"]');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault(); // the address says what is chosen, so that a place on the page cannot be in it
  if (link.dataset.door) { go({ door: link.dataset.door }); return; }
  const target = $(link.hash);
  target.scrollIntoView();
  target.focus();
});
window.addEventListener("resize", () => {
  if (document.documentElement.clientWidth === width) return;
  width = document.documentElement.clientWidth;
  requestAnimationFrame(showDoor);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showDoor);
window.addEventListener("beforeprint", showDoor);
window.addEventListener("afterprint", showDoor);
refresh();
