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

// A column is numbers; or whole ones of which `per` are 1; or levels; or runs of any of these, or
// these again and again; or the place of one that several tables have.
const unpackedColumns = [];

function unpackedColumn(packed, n) {
  if (typeof packed === "number") return unpackedColumns[packed] ??= unpackedColumn(DATA.columns[packed], n);
  if (packed === null) return new Array(n).fill(null);
  if (Array.isArray(packed)) return packed;
  if (packed.runs) return unpackedColumn(packed.of, packed.runs.length).flatMap((one, at) => new Array(packed.runs[at]).fill(one));
  if (packed.again) return repeated(packed.again, n);
  if (packed.per) return packed.of.map(one => one === null ? null : one / packed.per);
  if (packed.codes) return packed.codes.map(one => packed.levels[one]);
  return packed.levels.length === n ? packed.levels : new Array(n).fill(packed.levels[0]);
}

function repeated(packed, n) {
  const many = packed.codes?.length ?? packed.levels.length;
  const once = unpackedColumn(packed, many);
  return Array.from({ length: n }, (_, at) => once[at % many]);
}

function unpacked(table, of = {}) {
  const columns = Object.entries(table.columns).map(([name, packed]) => [name, unpackedColumn(packed, table.n)]);
  return Array.from({ length: table.n }, (_, at) => {
    const row = { ...of };
    for (const [name, values] of columns) row[name] = values[at];
    return row;
  });
}

const unpackedOnce = new Map();

function rowsOf(name, wanted = {}) {
  return (DATA.tables[name] ?? [])
    .filter(part => Object.entries(wanted).every(([key, value]) => part.of[key] === value))
    .flatMap(part => {
      if (!unpackedOnce.has(part)) unpackedOnce.set(part, unpacked(part.table, part.of));
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

// As a card rounds: the number as it is kept, an exact half to the even digit.
function rounded(value, digits) {
  const text = value.toFixed(digits);
  const isHalf = /^50*$/.test(value.toFixed(digits + 30).slice(-30));
  return Number(isHalf && text.at(-1) % 2 ? text.slice(0, -1) + (text.at(-1) - 1) : text);
}

function number(value, decimals) {
  if (value === null || value === undefined) return "";
  const digits = decimals ?? (Number.isInteger(value) ? 0 : Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value) || 1)))));
  formats[digits] ??= new Intl.NumberFormat("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const text = formats[digits].format(rounded(Math.abs(value), digits));
  return value < 0 && /[1-9]/.test(text) ? MINUS + text : text;
}

function span(value, low, high, decimals) {
  if (value === null || value === undefined) return "";
  return `${number(value, decimals)} (${low === null || low === undefined ? "no interval" : `${number(low, decimals)} to ${number(high, decimals)}`})`;
}

const percent = (value, decimals = 0) => value === null || value === undefined ? "" : `${number(100 * value, decimals)}\u00a0%`;
const plain = text => text.replaceAll("_", " ");
const ENDS = { lower95: "95 % from", upper95: "95 % to" };
const columnWords = name => DATA.features[name] ?? plain(name);

function heading(name) {
  const [, stem, end] = /^(.*?)_?(lower95|upper95)?$/.exec(name);
  return [stem && (DATA.headings[stem] ?? plain(stem)), ENDS[end]].filter(Boolean).join(", ");
}
const listed = parts => parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} or ${parts[parts.length - 1]}`;
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

// As a link does, and also in a frame that is shut off, where links lead nowhere.
function go(changes) {
  history.replaceState(null, "", address()); // so that the way back leads to this door
  history.pushState(null, "", address(changes));
  refresh();
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
const isNumeric = value => value !== null && value !== undefined;
const isCompared = (row, of = outcome()) => isNumeric(row.adjusted) && Boolean(placeOf(row.flag, of));
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

const methodWords = of => DATA.methods[of.method] ?? plain(of.method);
const limitsWords = of => DATA.kindsOfLimits[of.limits] ?? plain(of.limits);
const betterWords = of => `${of.better > 0 ? "higher" : "lower"} is better`;

function analysisWords(of) {
  return `${DATA.learners[of.learner] ?? plain(of.learner)}, ${methodWords(of)}, ${limitsWords(of)} limits`;
}

// Why a provider has the flag that it has: where its result is, and where the limits are.
function reasonWords(row, of = outcome()) {
  if (!isCompared(row, of)) return `${capital(DATA.rules.silent[row.flag] ?? "it is not compared")}; it has ${counted(row.n ?? 0, "episode")}.`;
  const limits = of.limits.filter(([name]) => isNumeric(row[`lower${name}`]) && isNumeric(row[`upper${name}`]));
  if (!limits.length) return "";
  const place = placeOf(row.flag, of);
  const around = ([name, words]) => `of ${words}, ${number(row[`lower${name}`], of.decimals)} to ${number(row[`upper${name}`], of.decimals)}`;
  const [inner, outer] = [limits[0], limits[limits.length - 1]];
  const [low, high] = [row[`lower${inner[0]}`], row[`upper${inner[0]}`]];
  const side = place.side === 0 ? "within" : row.adjusted > (low + high) / 2 ? "above" : "below";
  const crossed = place.side === 0 || !place.beyond ? inner : outer;
  const but = place.side !== 0 && crossed !== outer ? `, but within those ${around(outer)}` : "";
  const z = isNumeric(row.z) ? ` (z ${number(row.z, 2)})` : "";
  return `The adjusted ${of.noun}, ${number(row.adjusted, of.decimals)}, is ${side} the limits ${around(crossed)}${but}${z}.`;
}

const MOVED_BY = { learner: "another learner", method: "another method", limits: "other limits" };

// In how many of all analyses the flag, and the side, is that of the study's own.
function holdsWords(row) {
  const many = analysesWith(row.outcome, row.provider_id);
  if (!isNumeric(row.flag_share) || many < 2) return "No other analysis was declared that it could hang on.";
  const [same, side] = [row.flag_share, row.flag_side_share].map(share => isNumeric(share) ? Math.round(share * many) : null);
  const sides = side === null ? "" : `; ${number(side)} of ${number(many)} analyses put it on the same side`;
  const moved = (row.flag_moved_by || "").split(/[ ,]+/).filter(Boolean).map(one => MOVED_BY[one] ?? one);
  const by = moved.length ? `. ${capital(listed(moved))} alone would move it.` : same < many ? ". Only several choices at once would move it." : ".";
  if (same === many) return `All ${number(many)} analyses give this flag, and so put it on the same side.`;
  return `${number(same)} of ${number(many)} analyses give this flag${sides}${by}`;
}

const analysesOf = (name = state.outcome) => (DATA.tables.analyses ?? []).map(part => part.of).filter(of => of.outcome === name)
  .sort((a, b) => learnerPlace(a) - learnerPlace(b) || isOwn(b) - isOwn(a));
const learnerPlace = of => of.learner === state.learner ? -1 : outcomes.get(of.outcome).learners.indexOf(of.learner);

// How many analyses of an outcome compare a provider; without a row of any being made.
const analysed = new Map();

function analysesWith(name, provider) {
  if (!analysed.has(name)) {
    const many = new Map();
    for (const { of, table } of DATA.tables.analyses ?? []) {
      if (of.outcome === name) for (const one of unpackedColumn(table.columns.provider_id, table.n)) many.set(one, (many.get(one) ?? 0) + 1);
    }
    analysed.set(name, many);
  }
  return analysed.get(name).get(provider) ?? 0;
}

const isOwn = of => of.method === DATA.rules.method && of.limits === DATA.rules.limits;
