// Data, state and words. Everything that is shown goes through textContent: no text becomes markup.

const DATA = JSON.parse(document.getElementById("data").textContent);
const $ = selector => document.querySelector(selector);
const $$ = selector => [...document.querySelectorAll(selector)];
const MINUS = "\u2212";
const EMPTY = { n: 0, columns: {} };

// --- elements ---

function el(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter(one => one !== null && one !== undefined && one !== ""));
  return node;
}

// --- tables ---

function unpacked(table) {
  const columns = {};
  for (const [name, packed] of Object.entries(table.columns)) {
    columns[name] = packed === null || Array.isArray(packed)
      ? packed ?? new Array(table.n).fill(null)
      : Array.from({ length: table.n }, (_, at) => packed.levels[packed.codes ? packed.codes[at] : 0]);
  }
  const names = Object.keys(columns);
  return Array.from({ length: table.n }, (_, at) => Object.fromEntries(names.map(one => [one, columns[one][at]])));
}

const unpackedOnce = new Map();

function rowsOf(name, wanted = {}) {
  return (DATA.tables[name] ?? [])
    .filter(part => Object.entries(wanted).every(([key, value]) => part.of[key] === value))
    .flatMap(part => {
      if (!unpackedOnce.has(part)) unpackedOnce.set(part, unpacked(part.table).map(row => ({ ...part.of, ...row })));
      return unpackedOnce.get(part);
    });
}

const settled = DATA.settlement && {
  totals: unpacked(DATA.settlement.totals),
  lines: grouped(unpacked(DATA.settlement.lines), "provider_id"),
};

function grouped(rows, key) {
  const found = new Map();
  for (const row of rows) {
    if (!found.has(row[key])) found.set(row[key], []);
    found.get(row[key]).push(row);
  }
  return found;
}

// --- numbers ---

const formats = [];

function number(value, decimals) {
  if (value === null || value === undefined) return "";
  const digits = decimals ?? (Number.isInteger(value) ? 0 : Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value) || 1)))));
  formats[digits] ??= new Intl.NumberFormat("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const text = formats[digits].format(Math.abs(value));
  return value < 0 && /[1-9]/.test(text) ? MINUS + text : text;
}

function span(value, low, high, decimals) {
  if (value === null || value === undefined) return "";
  return `${number(value, decimals)} (${low === null || low === undefined ? "no interval" : `${number(low, decimals)} to ${number(high, decimals)}`})`;
}

const percent = (value, decimals = 0) => value === null || value === undefined ? "" : `${number(100 * value, decimals)}\u00a0%`;
const plain = text => text.replaceAll("_", " ");
const capital = text => text.charAt(0).toUpperCase() + text.slice(1);

const major = minor => minor / 10 ** DATA.settlement.minor_digits;
const money = minor => number(major(minor), DATA.settlement.minor_digits);

// --- state: what is chosen and filtered, as the address says ---

const DOORS = ["payer", "researcher", "auditor"];
const outcomes = new Map(DATA.outcomes.map(one => [one.name, one]));
const known = new Set(DATA.providers);
const state = { door: DOORS[0], outcome: DATA.outcomes[0].name, learner: DATA.outcomes[0].learners[0], provider: null, stranger: null, least: 0, hidden: new Set() };

function readAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  if (DOORS.includes(asked.get("door"))) state.door = asked.get("door");
  if (outcomes.has(asked.get("outcome"))) state.outcome = asked.get("outcome");
  const { learners } = outcomes.get(state.outcome);
  if (learners.includes(asked.get("learner"))) state.learner = asked.get("learner");
  if (!learners.includes(state.learner)) state.learner = learners[0];
  const named = asked.get("provider");
  state.provider = known.has(named) ? named : null;
  state.stranger = named !== null && !known.has(named) ? named : null;
  state.least = Math.max(0, Number.parseInt(asked.get("least") ?? "0", 10) || 0);
  state.hidden = new Set(asked.getAll("without"));
}

function address(changes = {}) {
  const next = { ...state, ...changes };
  const asked = new URLSearchParams({ door: next.door, outcome: next.outcome, learner: next.learner });
  if (next.provider !== null) asked.set("provider", next.provider);
  if (next.least) asked.set("least", next.least);
  for (const flag of next.hidden) asked.append("without", flag);
  return `#${asked}`;
}

function change(changes) {
  const [held, figure] = [document.activeElement?.textContent, document.activeElement?.closest?.("[data-chart]")];
  history.replaceState(null, "", address(changes));
  refresh();
  if (figure) [...figure.querySelectorAll("button")].find(one => one.textContent === held)?.focus({ preventScroll: true });
}

// --- what is looked at ---

const outcome = () => outcomes.get(state.outcome);
const profiles = (name = state.outcome, learner = state.learner) => rowsOf("providers", { outcome: name, learner });
const placeOf = (flag, of = outcome()) => of.places.find(one => one.flag === flag);
const isHidden = row => row.suppression === DATA.rules.suppressed;
const isCompared = row => row.adjusted !== null && row.adjusted !== undefined && Boolean(placeOf(row.flag));
const flagWords = (flag, of = outcome()) => placeOf(flag, of)?.words ?? "not compared";

let passing = new Set();

function applyFilters() {
  passing = new Set(profiles()
    .filter(row => (row.n ?? row.episodes ?? 0) >= state.least && !state.hidden.has(flagWords(row.flag)))
    .map(row => row.provider_id));
}

const passes = name => passing.has(name);
const isChosen = name => name === state.provider;
const shown = rows => rows.filter(row => passes(row.provider_id) || isChosen(row.provider_id));

function lookOf(flag, of = outcome()) {
  const place = placeOf(flag, of);
  if (!place) return { look: "none", shape: "circle" };
  const look = place.side > 0 ? "better" : place.side < 0 ? "worse" : "within";
  return { look: place.beyond ? `${look} full` : look, shape: place.side > 0 ? "up" : place.side < 0 ? "down" : "circle" };
}

function analysisWords(of) {
  return `${DATA.learners[of.learner] ?? plain(of.learner)}, ${plain(of.method)}, ${plain(of.limits)} limits`;
}

const isOwn = of => of.method === DATA.rules.method && of.limits === DATA.rules.limits;
