// Tables behind the charts: sorted by any column, some rows at a time, downloaded whole.

const AT_ONCE = 60;

// A column is [label, row => value, { decimals, provider, flag }]; without decimals it is text.
// How a table was left, it is found again after another provider is chosen.
const left = new Map();

function dataTable({ file, rows, columns }, caption) {
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
  const download = el("button", { type: "button", class: "plain download", onclick: () => downloadCsv(file, sorted, columns) }, "Download CSV");
  return el("div", { class: "data" }, el("div", { class: "tools" }, told, more, download), scroll);
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

// A spreadsheet runs a cell that begins with one of these: the apostrophe makes it text.
const FORMULA = /^[=+\-@\t\r]/;

function csvCell(value) {
  if (isBlank(value)) return "";
  if (typeof value === "number") return String(value);
  const safe = FORMULA.test(value) ? `'${value}` : String(value);
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

function plainTable(table) {
  const rows = unpacked(table);
  return { rows, columns: Object.keys(table.columns).map(name => [plain(name), row => row[name]]) };
}
