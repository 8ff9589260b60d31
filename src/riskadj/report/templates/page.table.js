// Tables behind the charts: sorted by any column, some rows at a time, downloaded whole.

const AT_ONCE = 60;

// A column is [label, row => value, { decimals, provider, flag }]; without decimals it is text.
// How a table was left, it is found again after another provider is chosen.
const left = new Map();

function dataTable({ file, rows, columns, note }, caption) {
  let sorted = rows;
  const kept = left.get(file) ?? { by: null, many: AT_ONCE, top: 0 };
  left.set(file, kept);
  const body = el("tbody");
  const told = el("span");
  const more = el("button", { type: "button", class: "plain", onclick: () => { kept.many += 10 * AT_ONCE; fill(); } }, "Show more");
  const heads = columns.map(([label, , kind = {}], at) => el("th", { scope: "col", class: isNumber(kind) ? "number" : null }, el("button", { type: "button", onclick: () => { kept.by = { at, down: kept.by?.at === at ? !kept.by.down : isNumber(kind) }; sort(); fill(); } }, label)));
  const table = el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, ...heads)), body);

  function sort() {
    if (!kept.by || !columns[kept.by.at]) return;
    const { at, down } = kept.by;
    const [, value] = columns[at];
    sorted = [...rows].sort((a, b) => compare(value(a), value(b)) * (down && !isBlank(value(a)) && !isBlank(value(b)) ? -1 : 1));
    heads.forEach((head, place) => place === at ? head.setAttribute("aria-sort", down ? "descending" : "ascending") : head.removeAttribute("aria-sort"));
  }

  function fill() {
    body.replaceChildren(...sorted.slice(0, kept.many).map(row => tableRow(row, columns)));
    told.textContent = rows.length > kept.many ? `${number(kept.many)} of ${number(rows.length)} rows shown` : counted(rows.length, "row");
    more.hidden = rows.length <= kept.many;
  }

  sort();
  fill();
  const scroll = el("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": caption, onscroll: event => { kept.top = event.target.scrollTop; } }, table);
  requestAnimationFrame(() => { scroll.scrollTop = kept.top; });
  const take = framed
    ? [el("button", { type: "button", class: "plain copy", onclick: event => copyCsv(event.target, sorted, columns) }, "Copy as CSV"), el("span", {}, "The viewer around this page may block downloads.")]
    : [el("button", { type: "button", class: "plain download", onclick: () => downloadCsv(file, sorted, columns) }, "Download CSV")];
  return el("div", { class: "data" }, el("div", { class: "tools" }, told, more, ...take), note ? el("p", { class: "note" }, note) : "", scroll);
}

const isNumber = kind => kind.decimals !== undefined;
const isBlank = value => value === null || value === undefined || value === "";

function compare(a, b) {
  if (isBlank(a) || isBlank(b)) return isBlank(a) - isBlank(b);
  return typeof a === "number" ? a - b : String(a).localeCompare(String(b), "en-GB", { numeric: true });
}

function tableRow(row, columns) {
  const chosen = isChosen(row.provider_id ?? row.name);
  return el("tr", { class: chosen ? "is-chosen" : null, "aria-current": chosen ? "true" : null }, ...columns.map(([, value, kind = {}]) => cell(value(row), kind, row)));
}

function cell(value, kind, row) {
  if (kind.provider) return el("td", {}, el("button", { type: "button", class: "name", onclick: () => change({ provider: value }) }, value));
  if (isNumber(kind)) return el("td", { class: "number" }, number(value, kind.decimals));
  if (kind.flag) return el("td", { class: "short" }, value ? el("span", { class: "flag" }, symbol(lookOf(kind.flag(row))), value) : "");
  return el("td", {}, value ?? "");
}

// A spreadsheet runs a cell that begins with one of these: the apostrophe makes it text, as in
// no_formula of report/folder.py.
const FORMULA = /(?<![^;\t\r\n])('*)(?=[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20])/g;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

function csvCell(value) {
  if (isBlank(value)) return "";
  if (typeof value === "number") return String(value);
  const safe = NUMBER.test(value) ? String(value) : String(value).replace(FORMULA, "'$1");
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function csvText(rows, columns) {
  const lines = [columns.map(([label]) => csvCell(label)), ...rows.map(row => columns.map(([, value]) => csvCell(value(row))))];
  return `\ufeff${lines.map(line => line.join(",")).join("\r\n")}\r\n`;
}

function downloadCsv(file, rows, columns) {
  const link = el("a", { href: URL.createObjectURL(new Blob([csvText(rows, columns)], { type: "text/csv" })), download: `${DATA.run.name}_${file}_${state.outcome}.csv` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// In a frame that is shut off, a download ends in nothing, and the clipboard can be had by selecting.
const framed = window.self !== window.top;

function copyCsv(button, rows, columns) {
  const text = el("textarea", { class: "sr", "aria-hidden": "true", readonly: true });
  text.value = csvText(rows, columns).slice(1);
  document.body.append(text);
  text.select();
  const done = document.execCommand("copy");
  text.remove();
  button.focus({ preventScroll: true });
  button.textContent = done ? "Copied" : "Not copied: the browser refused";
}

// A table of the run folder: codes become words, and columns of numbers are set as such.
const NAMED = {
  outcome: name => outcomes.get(name)?.called ?? name,
  learner: name => DATA.learners[name] ?? plain(name),
  limits: name => DATA.kindsOfLimits[name] ?? plain(name),
  flag: name => flagWords(name, DATA.outcomes.find(of => placeOf(name, of)) ?? outcome()),
  provider_id: name => name,
  column: columnWords,
  group: columnWords,
};
const KINDS = { provider_id: { provider: true }, flag: { flag: row => row.flag } };
const YES_NO = { True: "yes", False: "no" };

function plainTable(table) {
  const rows = unpacked(table);
  const isOfNumbers = name => rows.every(row => typeof row[name] !== "string") && rows.some(row => row[name] !== null);
  const words = name => row => isBlank(row[name]) ? "" : (NAMED[name] ?? (text => YES_NO[text] ?? plain(String(text))))(row[name]);
  return { rows, columns: Object.keys(table.columns).map(name => [heading(name), ...isOfNumbers(name) ? [row => row[name], { decimals: null }] : [words(name), KINDS[name] ?? {}]]) };
}
