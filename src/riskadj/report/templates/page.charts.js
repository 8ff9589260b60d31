// What each chart shows. A chart gives its words, a way to draw itself, and the table behind it.

const CLASS_LOOKS = {
  "better and cheaper": { look: "better full", shape: "up" },
  "better and dearer": { look: "ink full", shape: "diamond" },
  "worse and cheaper": { look: "ink full", shape: "square" },
  "worse and dearer": { look: "worse full", shape: "down" },
  "better, cost unclear": { look: "better", shape: "up" },
  "worse, cost unclear": { look: "worse", shape: "down" },
  "cheaper, outcome unclear": { look: "better", shape: "left" },
  "dearer, outcome unclear": { look: "worse", shape: "right" },
  "not told apart": { look: "within", shape: "circle" },
};
const REGION = Math.sqrt(-2 * Math.log(0.05));
const MOST_ROWS = 22;
// Analyses by learner, a line each: its name stands before it, or above it where there is no room.
const BEFORE = { left: 280, each: 26, bar: 14, down: 0 };
const ABOVE = { left: 14, each: 46, bar: 14, down: 6 };
const ROOM_BEFORE = 480;

const compared = () => shown(profiles()).filter(row => isCompared(row));
const flagLegend = () => legend(outcome().places.map(place => [lookOf(place.flag), place.words]));
const adjustedAxis = () => `adjusted ${outcome().noun}, ${[outcome().unit, betterWords(outcome())].filter(Boolean).join(", ")}`;
const interval = row => span(row.adjusted, row.ci_lower95, row.ci_upper95, outcome().decimals);
const tipOf = row => `${row.provider_id}\n${number(row.n)} episodes\n${outcome().noun} ${interval(row)}\n${flagWords(row.flag)}`;
const counted = (many, noun) => `${number(many)} ${noun}${many === 1 ? "" : "s"}`;
const PROVIDER = ["provider", row => row.provider_id, { provider: true }];
const EPISODES = ["episodes", row => row.n, { decimals: 0 }];
const number95 = (label, value, low, high, decimals) => [
  [label, value, { decimals }], ["95 % from", low, { decimals }], ["to", high, { decimals }],
];

function marked(rows, x, y, more = () => ({})) {
  return rows.map(row => ({ name: row.provider_id, x: x(row), y: y(row), ...lookOf(row.flag), tip: () => tipOf(row), ...more(row) }));
}

// --- funnel ---

function limitsAt(law, n) {
  const error = law.sd / Math.sqrt(n);
  const middle = law.centre + law.shift * error;
  const spread = Math.hypot(law.factor * error, law.tau);
  return { 95: [middle - law.inner * spread, middle + law.inner * spread], 998: [middle - law.outer * spread, middle + law.outer * spread], middle };
}

function funnel() {
  const rows = compared();
  const law = outcome().laws[state.learner];
  const names = outcome().limits.map(([name]) => name);
  const outermost = names[names.length - 1];
  return {
    title: "Funnel: by how many episodes they have",
    sub: `A mark is a provider. Between the limits (${outcome().limits.map(([, words]) => words).join(" and ")}) a provider is as chance allows.`,
    label: `Funnel of ${counted(rows.length, "provider")}: ${adjustedAxis()}, against episodes, between control limits. ${countsInWords(rows)}`,
    legend: flagLegend,
    table: profileTable,
    draw(place) {
      const last = Math.max(...rows.map(row => row.n), DATA.rules.minimum_n * 2) * 1.04;
      const first = DATA.rules.minimum_n;
      const steps = Array.from({ length: 81 }, (_, at) => first * (last / first) ** (at / 80));
      const ends = law
        ? steps.flatMap(n => limitsAt(law, n)[outermost])
        : rows.flatMap(row => [row[`lower${outermost}`], row[`upper${outermost}`]]);
      const bounded = outcome().share ? ([low, high]) => [Math.max(0, low), Math.min(1, high)] : one => one;
      const plot = new Plot(place, {
        label: this.label,
        x: { domain: [0, last], title: "episodes" },
        y: { domain: bounded(reach([...rows.map(row => row.adjusted), ...ends])), title: adjustedAxis() },
      });
      const held = value => Math.min(plot.domain.y[1], Math.max(plot.domain.y[0], value));
      for (const name of [...names].reverse()) {
        if (law) {
          const curve = side => steps.map(n => [n, held(limitsAt(law, n)[name][side])]);
          plot.area(curve(0), curve(1), { class: name === names[0] ? "inner" : "outer" });
          for (const side of [0, 1]) plot.line(curve(side), { class: name === names[0] ? "limit" : "limit far" });
        } else {
          const bars = rows.filter(row => row[`lower${name}`] !== null).map(row => `M${plot.x(row.n).toFixed(1)} ${plot.y(held(row[`lower${name}`])).toFixed(1)}V${plot.y(held(row[`upper${name}`])).toFixed(1)}`);
          plot.add("path", { d: bars.join(""), class: "limit", "stroke-width": name === names[0] ? 3 : 1, opacity: 0.35 });
        }
      }
      if (law) plot.line(steps.map(n => [n, limitsAt(law, n).middle]), { class: "centre" });
      plot.marks(marked(rows, row => row.n, row => row.adjusted));
      return plot;
    },
  };
}

function countsInWords(rows) {
  return outcome().places.map(place => `${number(rows.filter(row => row.flag === place.flag).length)} ${place.words}`).join(", ");
}

// --- caterpillars ---

function ordered(title, sub, { value, low, high, axis, label, rising = true }) {
  const rows = compared().filter(row => value(row) !== null && value(row) !== undefined)
    .sort((a, b) => (rising ? 1 : -1) * (value(a) - value(b)) || (a.provider_id < b.provider_id ? -1 : 1));
  return {
    title, sub, label: `${label} of ${counted(rows.length, "provider")}, in order, with 95 % intervals.`,
    legend: flagLegend,
    table: profileTable,
    draw(place) {
      const plot = new Plot(place, {
        label: this.label, bottom: 26,
        x: { domain: [-1, rows.length], bare: true, title: "providers in order" },
        y: { domain: reach(rows.flatMap(row => [value(row), low(row), high(row)])), title: axis },
      });
      const places = new Map(rows.map((row, at) => [row.provider_id, at]));
      plot.byColumn = true;
      plot.marks(marked(rows, row => places.get(row.provider_id), value, row => ({ low: low(row), high: high(row) })), { r: rows.length > 80 ? 2.6 : 3.8 });
      return plot;
    },
  };
}

const caterpillar = () => ordered("Caterpillar: from least to most", "The same results with their 95 % intervals, in order.", {
  value: row => row.adjusted, low: row => row.ci_lower95, high: row => row.ci_upper95, axis: adjustedAxis(), label: `Adjusted ${outcome().noun}`,
});

const ranks = () => ordered("How sure a rank is", "Rank 1 is best. Where intervals are long, a league table says little.", {
  value: row => row.rank ?? null, low: row => row.rank_lower95, high: row => row.rank_upper95, axis: "rank", label: "Ranks",
});

// --- value plane ---

function valueParts() {
  const parts = (DATA.tables.value ?? []).map(part => part.of);
  const ours = parts.filter(of => of.learner === state.learner || of.cost_learner === state.learner);
  return ours.length ? ours : parts;
}

function valuePlane() {
  const of = valueParts()[0];
  const rows = of ? shown(rowsOf("value", of)) : [];
  const drawn = rows.filter(row => row.shrunken_outcome !== null && row.shrunken_cost_ratio !== null && CLASS_LOOKS[row.class]);
  const [mine, cost] = [outcomes.get(DATA.value?.outcome), outcomes.get(DATA.value?.cost)];
  const words = row => `${row.provider_id}\n${number(row.n_outcome)} with outcome, ${number(row.n_cost)} with cost\n${mine.noun} above expected ${bounds95(row)}\ncost over expected ${costBounds(row)}\n${row.class}`;
  const bounds95 = row => span(row.shrunken_outcome, row.shrunken_outcome - 1.96 * row.shrunken_outcome_error, row.shrunken_outcome + 1.96 * row.shrunken_outcome_error, mine.decimals);
  const costEnd = (row, side) => row.shrunken_cost_ratio * Math.exp(side * 1.96 * row.shrunken_cost_error);
  const costBounds = row => span(row.shrunken_cost_ratio, costEnd(row, -1), costEnd(row, 1), 3);
  const finite = value => row => row.shrunken_outcome === null ? null : value(row);
  return {
    title: of ? `${mine.called} and ${cost.called.charAt(0).toLowerCase()}${cost.called.slice(1)}` : "",
    sub: of ? `Up is better, left is cheaper. Each provider is drawn to the middle by as much as chance is in its figures; by ${DATA.learners[of.learner]}${of.cost_learner === of.learner ? "" : ` and, of cost, ${DATA.learners[of.cost_learner]}`}. The ring of the chosen provider holds the truth with 95 %.` : "",
    label: `Plane of ${counted(drawn.length, "provider")}: cost over expected, across; outcome above expected, up.`,
    legend: () => legend(DATA.value.classes.filter(name => CLASS_LOOKS[name] && drawn.some(row => row.class === name)).map(name => [CLASS_LOOKS[name], `${name} (${drawn.filter(row => row.class === name).length})`])),
    table: () => ({
      file: "value", rows, columns: [
        PROVIDER, ["episodes with outcome", row => row.n_outcome, { decimals: 0 }], ["with cost", row => row.n_cost, { decimals: 0 }],
        ...number95(`${mine.noun} above expected`, row => row.shrunken_outcome, finite(row => row.shrunken_outcome - 1.96 * row.shrunken_outcome_error), finite(row => row.shrunken_outcome + 1.96 * row.shrunken_outcome_error), mine.decimals),
        ...number95("cost over expected", row => row.shrunken_cost_ratio, finite(row => costEnd(row, -1)), finite(row => costEnd(row, 1)), 3),
        ["class", row => row.class],
      ],
    }),
    draw(place) {
      const x = row => Math.log(row.shrunken_cost_ratio);
      const ring = drawn.filter(row => isChosen(row.provider_id));
      const plot = new Plot(place, {
        label: this.label, height: 420,
        x: { domain: reach([0, ...drawn.map(x), ...ring.flatMap(row => [x(row) - REGION * row.shrunken_cost_error, x(row) + REGION * row.shrunken_cost_error])], 0.06), title: "cost over expected, ratio (log scale)", format: value => number(Math.exp(value), 2), lines: true },
        y: { domain: reach([0, ...drawn.map(row => row.shrunken_outcome), ...ring.flatMap(row => [row.shrunken_outcome - REGION * row.shrunken_outcome_error, row.shrunken_outcome + REGION * row.shrunken_outcome_error])], 0.06), title: `${mine.noun} above expected, ${mine.unit}` },
      });
      const { left, right, top, bottom } = plot.box;
      plot.add("line", { class: "centre", x1: plot.x(0), x2: plot.x(0), y1: top, y2: bottom });
      plot.add("line", { class: "centre", x1: left, x2: right, y1: plot.y(0), y2: plot.y(0) });
      const corners = [["better and cheaper", left + 6, top + 12, "start"], ["better and dearer", right - 6, top + 12, "end"], ["worse and cheaper", left + 6, bottom - 6, "start"], ["worse and dearer", right - 6, bottom - 6, "end"]];
      for (const [text, cx, cy, anchor] of corners) plot.add("text", { x: cx, y: cy, "text-anchor": anchor }, text);
      plot.marks(drawn.map(row => ({ name: row.provider_id, x: x(row), y: row.shrunken_outcome, ...CLASS_LOOKS[row.class], tip: () => words(row) })));
      for (const row of ring) plot.add("g", { class: "chosen" }).append(region(plot, x(row), row));
      return plot;
    },
  };
}

function region(plot, x, row) {
  const points = Array.from({ length: 73 }, (_, at) => {
    const [across, up] = [Math.cos(at / 36 * Math.PI), Math.sin(at / 36 * Math.PI)];
    const rho = row.shrunken_correlation;
    const px = plot.x(x + REGION * row.shrunken_cost_error * across);
    const py = plot.y(row.shrunken_outcome + REGION * row.shrunken_outcome_error * (rho * across + Math.sqrt(Math.max(0, 1 - rho ** 2)) * up));
    return `${at ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}`;
  });
  return svg("path", { class: "region", d: `${points.join("")}Z` });
}

// --- sensitivity ---

function analyses() {
  const all = analysesOf();
  const mine = state.provider === null ? [] : all.map((of, at) => ({ ...rowsOf("analyses", of).find(row => row.provider_id === state.provider), at })).filter(row => row.provider_id);
  const own = profiles().find(row => row.provider_id === state.provider);
  const n = of => profiles(state.outcome, of.learner).find(row => row.provider_id === state.provider)?.n;
  return {
    title: state.provider === null ? "Flags by analysis" : `${state.provider}: its flag under each analysis`,
    sub: state.provider === null
      ? "How many providers lie outside limits under each declared analysis; choose a provider to see its own."
      : own && mine.length ? "The mark is the adjusted result, the band where chance would leave it. The first is the study's own." : "No analysis compares this provider.",
    label: state.provider === null ? `Providers outside limits under each of ${all.length} analyses.` : `${state.provider} under ${mine.length} analyses: ${mine.map(row => `${analysisWords(row)}: ${flagWords(row.flag)}`).join("; ")}.`,
    legend: flagLegend,
    table: () => ({
      note: "Limits take the place of an interval: between them a result is as chance allows, by that analysis.",
      file: "analyses", rows: shown(all.flatMap(of => rowsOf("analyses", of))), columns: [
        PROVIDER, ["episodes", row => episodesOf(row), { decimals: 0 }], ["expected by", row => DATA.learners[row.learner] ?? row.learner], ["method", methodWords], ["limits", limitsWords],
        [`adjusted ${outcome().noun}`, row => row.adjusted, { decimals: outcome().decimals }],
        ["limit below", row => row.lower95, { decimals: outcome().decimals }], ["above", row => row.upper95, { decimals: outcome().decimals }],
        ["flag", row => flagWords(row.flag), { flag: row => row.flag }],
      ],
    }),
    draw(place) { return state.provider === null ? countsByAnalysis(place, all, this.label) : analysesOfOne(place, mine, n, this.label); },
  };
}

const episodesByPair = new Map();

function episodesOf(row) {
  const key = `${row.outcome}\n${row.learner}`;
  if (!episodesByPair.has(key)) episodesByPair.set(key, new Map(profiles(row.outcome, row.learner).map(one => [one.provider_id, one.n])));
  return episodesByPair.get(key).get(row.provider_id);
}

const rowPlot = (place, many, settings, each = 26) => new Plot(place, { top: 24, bottom: 40, height: Math.max(1, many) * each + 64, ...settings });

function rowLabel(plot, text, y, strong) {
  const room = Math.max(6, Math.floor((plot.box.left - 10) / 5.9));
  const node = plot.add("text", { x: plot.box.left - 8, y: y + 4, "text-anchor": "end", class: strong ? "strong" : null }, text.length > room ? `${text.slice(0, room - 1)}…` : text);
  if (text.length > room) node.append(svg("title", {}, text));
}

// Name the analyses, those of a learner under its name; a function says what is drawn at a height.
function analysisRows(place, items, settings, drawn) {
  const look = place.clientWidth < ROOM_BEFORE ? ABOVE : BEFORE;
  const lines = items.flatMap((item, at) => at && items[at - 1].of.learner === item.of.learner ? [item] : [{ heading: DATA.learners[item.of.learner] ?? item.of.learner }, item]);
  const plot = rowPlot(place, lines.length, { left: look.left, top: 14, y: { domain: [lines.length - 0.5, -0.5], bare: true }, ...settings }, look.each);
  lines.forEach(({ heading: learner, of, ...item }, row) => {
    const y = plot.y(row);
    if (learner) { plot.add("text", { x: 0, y: y + 8, class: "strong" }, capital(learner)); return; }
    const words = `${item.at + 1}: ${methodWords(of)}, ${limitsWords(of)}`;
    if (look === BEFORE) rowLabel(plot, words, y, isOwn(of));
    else plot.add("text", { x: plot.box.left, y: y - 13, class: isOwn(of) ? "strong" : null }, words);
    drawn(plot, { of, ...item }, row + look.down / look.each, { y: y + look.down - look.bar / 2, height: look.bar, rx: 3 });
  });
  return plot;
}

function analysesOfOne(place, mine, n, label) {
  const names = outcome().limits.map(([name]) => name);
  const marks = [];
  const plot = analysisRows(place, mine.map(row => ({ of: row, at: row.at })), {
    label, x: { domain: reach(mine.flatMap(row => [row.adjusted, row.lower998 ?? row.lower95, row.upper998 ?? row.upper95])), title: adjustedAxis(), lines: true },
  }, (drawn, { of: row }, at, box) => {
    for (const name of [...names].reverse()) {
      const [low, high] = [row[`lower${name}`], row[`upper${name}`]];
      if (isNumeric(low)) drawn.add("rect", { class: name === names[0] ? "inner" : "outer", x: drawn.x(low), width: Math.max(0, drawn.x(high) - drawn.x(low)), ...box });
    }
    marks.push({ name: row.provider_id, named: false, x: row.adjusted, y: at, ...lookOf(row.flag), tip: () => `${analysisWords(row)}\n${number(n(row))} episodes\n${number(row.adjusted, outcome().decimals)}, limits ${number(row.lower95, outcome().decimals)} to ${number(row.upper95, outcome().decimals)}\n${flagWords(row.flag)}` });
  });
  plot.marks(marks);
  return plot;
}

function countsByAnalysis(place, all, label) {
  const counts = all.map((of, at) => {
    const rows = rowsOf("analyses", of).filter(row => passes(row.provider_id));
    const of_ = side => rows.filter(row => placeOf(row.flag)?.side === side).length;
    return { of, at, better: of_(1), worse: of_(-1) };
  });
  const most = Math.max(1, ...counts.flatMap(one => [one.better, one.worse])) * 1.25;
  const plot = analysisRows(place, counts, {
    label, x: { domain: [-most, most], title: `providers ${outcome().sides[1]} (left) and ${outcome().sides[0]} (right)`, format: (value, decimals) => number(Math.abs(value), decimals) },
  }, (drawn, { better, worse }, _, box) => {
    drawn.add("rect", { class: "b worse", x: drawn.x(-worse), width: drawn.x(0) - drawn.x(-worse), ...box });
    drawn.add("rect", { class: "b better", x: drawn.x(0), width: drawn.x(better) - drawn.x(0), ...box });
    drawn.add("text", { x: drawn.x(-worse) - 5, y: box.y + 11, "text-anchor": "end" }, number(worse));
    drawn.add("text", { x: drawn.x(better) + 5, y: box.y + 11 }, number(better));
  });
  plot.add("line", { class: "centre", x1: plot.x(0), x2: plot.x(0), y1: plot.box.top + 20, y2: plot.box.bottom });
  return plot;
}

function flagGrid() {
  const all = analysesOf();
  const byProvider = grouped(shown(all.flatMap((of, at) => rowsOf("analyses", of).map(row => ({ ...row, at })))), "provider_id");
  const contested = [...byProvider].map(([name, rows]) => ({ name, rows, firm: Math.max(...outcome().places.map(place => rows.filter(row => row.flag === place.flag).length)) / rows.length, outside: rows.some(row => placeOf(row.flag)?.side) }))
    .filter(one => one.outside || isChosen(one.name))
    .sort((a, b) => isChosen(b.name) - isChosen(a.name) || a.firm - b.firm || (a.name < b.name ? -1 : 1));
  const rows = contested.slice(0, MOST_ROWS);
  return {
    title: "Whose flag hangs on the analysis",
    sub: `Providers outside limits under any analysis, the most contested first${contested.length > rows.length ? ` (${rows.length} of ${counted(contested.length, "provider")}; the table has all)` : ""}. Columns are the analyses, the study's own first.`,
    label: `Grid of flags: ${counted(rows.length, "provider")} by ${all.length} analyses.`,
    legend: flagLegend,
    table: () => ({
      file: "flags", rows: contested, columns: [
        ["provider", row => row.name, { provider: true }], ["episodes", row => Math.max(...row.rows.map(one => episodesOf(one) ?? 0)), { decimals: 0 }],
        ["analyses", row => row.rows.length, { decimals: 0 }], ["share under its commonest flag", row => row.firm, { decimals: 2 }],
        ...all.map((of, at) => [`${at + 1}: ${analysisWords(of)}`, row => flagWords(row.rows.find(one => one.at === at)?.flag), { flag: row => row.rows.find(one => one.at === at)?.flag }]),
      ],
    }),
    draw(place) {
      const plot = rowPlot(place, rows.length, {
        label: this.label, left: 110, bottom: 14, top: 40,
        x: { domain: [-0.7, all.length - 0.3], bare: true }, y: { domain: [rows.length - 0.5, -0.5], bare: true, title: "analysis" },
      }, 20);
      all.forEach((of, at) => plot.add("text", { x: plot.x(at), y: 30, "text-anchor": "middle", class: at === 0 ? "strong" : null }, String(at + 1)).append(svg("title", {}, analysisWords(of))));
      rows.forEach((one, at) => {
        if (isChosen(one.name)) plot.add("g", { class: "chosen" }).append(svg("rect", { class: "row-chosen", x: 0, width: plot.width, y: plot.y(at) - 10, height: 20, rx: 4 }));
        rowLabel(plot, one.name, plot.y(at), isChosen(one.name));
        for (const row of one.rows) {
          const look = lookOf(row.flag);
          plot.add("path", { class: `m ${look.look}`, d: SHAPES[look.shape](look.look === "within" ? 2.6 : 4.6), transform: `translate(${plot.x(row.at).toFixed(1)} ${plot.y(at).toFixed(1)})` });
          plot.spots.push({ name: one.name, px: plot.x(row.at), py: plot.y(at), tip: () => `${one.name}, ${number(episodesOf(row))} episodes\n${analysisWords(row)}\n${number(row.adjusted, outcome().decimals)}, limits ${number(row.lower95, outcome().decimals)} to ${number(row.upper95, outcome().decimals)}\n${flagWords(row.flag)}` });
        }
      });
      return plot;
    },
  };
}

// --- graded adjustment ---

const gradedParts = () => (DATA.tables.graded ?? []).filter(part => part.of.outcome === state.outcome && part.of.learner === state.learner);

// Curves of providers: z at each share, better upwards; what its flag is there, and where it changes.
function gradedCurves() {
  const parts = [...gradedParts()].sort((a, b) => a.of.lambda - b.of.lambda);
  const rows = parts.flatMap(part => rowsOf("graded", part.of)).filter(row => isNumeric(row.z)).map(row => ({ ...row, share: Number(row.lambda) }));
  const curves = [...grouped(shown(rows), "provider_id")].filter(([, steps]) => steps.length === parts.length);
  return curves.map(([name, steps]) => {
    const [first, last] = [steps[0], steps[steps.length - 1]].map(row => outcome().better * row.z);
    return { name, steps, kind: !isNumeric(steps[0].flag_changes_at) ? "stays" : last > first ? "better" : "worse" };
  });
}

const CURVES = [
  ["stays", "the flag stays", { look: "within", shape: "circle" }],
  ["better", "the flag changes, moving up", { look: "better full", shape: "up" }],
  ["worse", "the flag changes, moving down", { look: "worse full", shape: "down" }],
];

function graded() {
  const curves = gradedCurves();
  const up = row => outcome().better * row.z;
  const mine = curves.find(one => isChosen(one.name));
  const changing = curves.filter(one => one.kind !== "stays");
  const others = [...new Set((DATA.tables.graded ?? []).filter(part => part.of.outcome === state.outcome).map(part => DATA.learners[part.of.learner]))];
  const cuts = DATA.rules.limits === "benjamini_hochberg" ? [] : outcome().limits.map(([, , cut]) => cut);
  const moves = row => isNumeric(row.flag_changes_at) ? `changes at ${percent(row.flag_changes_at)}` : "stays the same";
  const none = others.length ? `No curve was made of ${DATA.learners[state.learner]}; choose ${listed(others)}.` : "No curve was made of this outcome.";
  return {
    empty: !curves.length,
    title: mine ? `${mine.name}: how far social factors are adjusted for` : "How far social factors are adjusted for",
    sub: !curves.length ? none : `${mine ? `Its flag ${mine.steps.length ? moves(mine.steps[0]) : ""}. ` : ""}A line is a provider, from no adjustment for social factors to all of it. ${changing.length ? `In colour: the ${number(changing.length)} of ${counted(curves.length, "provider")} whose flag changes on the way.` : `No flag of the ${counted(curves.length, "provider")} changes on the way.`} A place on a line has no interval: z is the distance from what a provider is held against, and the limits are across.`,
    label: curves.length ? `Lines of ${counted(curves.length, "provider")} by z, better upwards, from no adjustment for social factors to full adjustment; the flags of ${changing.length} change.${mine ? ` ${mine.name}: ${mine.steps.map(row => `${percent(row.share)}, ${flagWords(row.flag)}`).join("; ")}.` : ""}` : none,
    legend: () => legend(CURVES.filter(([kind]) => curves.some(one => one.kind === kind)).map(([kind, words, look]) => [look, `${words} (${number(curves.filter(one => one.kind === kind).length)})`])),
    table: () => ({
      file: "graded", rows: curves.flatMap(one => one.steps),
      note: "Observed over expected and z have no interval here; the flag says whether z is outside the limits.",
      columns: [
        PROVIDER, ["adjusted for, %", row => 100 * row.share, { decimals: 0 }], EPISODES, [`observed ${outcome().noun}`, row => row.observed, { decimals: outcome().decimals }],
        ["expected", row => row.expected, { decimals: outcome().decimals }], ["observed over expected", row => row.ratio, { decimals: 3 }], ["z", row => row.z, { decimals: 2 }],
        ["flag", row => flagWords(row.flag), { flag: row => row.flag }], ["flag changes at, %", row => isNumeric(row.flag_changes_at) ? 100 * row.flag_changes_at : null, { decimals: 0 }],
      ],
    }),
    draw(place) {
      if (!curves.length) return null;
      const shares = curves[0].steps.map(row => row.share);
      const plot = new Plot(place, {
        label: this.label, height: 380, right: 24,
        x: { domain: [shares[0], shares[shares.length - 1]], title: "of what social factors do, adjusted for", format: value => percent(value) },
        y: { domain: reach([...curves.flatMap(one => one.steps.map(up)), ...cuts, ...cuts.map(one => -one)]), title: "z, better upwards" },
      });
      for (const cut of cuts) for (const side of [1, -1]) plot.line(shares.map(share => [share, side * cut]), { class: cut === cuts[0] ? "limit" : "limit far" });
      plot.line(shares.map(share => [share, 0]), { class: "centre" });
      const path = one => one.steps.map((row, at) => `${at ? "L" : "M"}${plot.x(row.share).toFixed(1)} ${plot.y(up(row)).toFixed(1)}`).join("");
      for (const [kind, , look] of CURVES) {
        const some = curves.filter(one => one.kind === kind && one !== mine);
        plot.add("path", { class: `curve ${kind}`, d: some.map(path).join("") });
        if (kind !== "stays" && some.length <= MANY) for (const { steps } of some) plot.mark(plot.svg, { ...look, x: shares[shares.length - 1], y: up(steps[steps.length - 1]) }, 3.4);
      }
      const tip = row => `${row.provider_id}, ${percent(row.share)} adjusted for\n${counted(row.n, "episode")}\nobserved over expected ${number(row.ratio, 3)}\nz ${number(row.z, 2)}, no interval\n${flagWords(row.flag)}`;
      for (const { name, steps } of curves) for (const row of steps) plot.spots.push({ name, px: plot.x(row.share), py: plot.y(up(row)), tip: () => tip(row) });
      if (mine) chosenCurve(plot, mine, path(mine), up);
      return plot;
    },
  };
}

function chosenCurve(plot, { name, steps }, d, up) {
  const place = plot.add("g", { class: "chosen", "data-provider": name });
  place.append(svg("path", { class: "halo", d }), svg("path", { class: "region", d }));
  for (const row of steps) plot.mark(place, { ...lookOf(row.flag), x: row.share, y: up(row) }, 5.5);
  place.append(svg("text", { x: plot.x(steps[0].share) + 8, y: plot.y(up(steps[0])) - 11 }, name));
}

// --- calibration ---

function deciles() {
  const rows = rowsOf("calibration", { outcome: state.outcome, learner: state.learner }).filter(row => !row.column && row.n !== null && row.observed !== null);
  const [fewest, most] = [Math.min(...rows.map(row => row.n)), Math.max(...rows.map(row => row.n))];
  const each = rows.length ? ` of ${fewest === most ? number(most) : `${number(fewest)} to ${number(most)}`} episodes each` : "";
  const what = outcome().ofScore ? "score after" : outcome().noun;
  const low = row => isNumeric(row.lower95) ? row.expected + row.lower95 : null;
  const high = row => isNumeric(row.upper95) ? row.expected + row.upper95 : null;
  const own = outcome().ofScore ? null : profiles().find(row => isChosen(row.provider_id) && isCompared(row));
  const { decimals } = outcome();
  return {
    title: "Calibration: tenths of what is expected",
    sub: `Episodes by their expected ${what}, in tenths${each}, with 95 % intervals. On the line, what is expected is what is observed${own ? "; the chosen provider is marked" : ""}.`,
    label: `Observed against expected ${what} in ${rows.length} groups of episodes.`,
    table: () => ({
      file: "calibration", rows, columns: [
        ["tenth", row => row.decile, { decimals: 0 }], EPISODES, [`expected ${what}`, row => row.expected, { decimals }],
        ...number95("observed", row => row.observed, low, high, decimals),
        ...number95("difference", row => row.difference, row => row.lower95 ?? null, row => row.upper95 ?? null, decimals),
      ],
    }),
    draw(place) {
      const marks = rows.map(row => ({ name: `tenth ${row.decile}`, x: row.expected, y: row.observed, low: low(row), high: high(row), look: "ink full", shape: "circle", tip: () => `tenth ${row.decile}\n${number(row.n)} episodes\nexpected ${number(row.expected, decimals)}\nobserved ${span(row.observed, low(row), high(row), decimals)}` }));
      if (own) marks.push(observedMark(own));
      const plot = new Plot(place, squared(this.label, marks, what));
      plot.line(diagonal(plot), { class: "centre" });
      plot.marks(marks);
      return plot;
    },
  };
}

const squared = (label, marks, what) => {
  const ends = reach(marks.flatMap(one => [one.x, one.y, one.low, one.high]));
  return { label, x: { domain: ends, title: `expected ${what}, ${outcome().unit}`, lines: true }, y: { domain: ends, title: `observed ${what}` } };
};
const diagonal = plot => [[plot.domain.x[0], plot.domain.x[0]], [plot.domain.x[1], plot.domain.x[1]]];

function observedEnds(row) {
  const how = outcome().adjusts[state.learner];
  const moved = { sum: end => end + row.observed - row.adjusted, product: end => end * row.observed / row.adjusted }[how];
  const end = value => moved && value !== null && value !== undefined ? moved(value) : null;
  return [end(row.ci_lower95), end(row.ci_upper95)];
}

function observedMark(row) {
  const [low, high] = observedEnds(row);
  const { decimals } = outcome();
  return { name: row.provider_id, x: row.expected, y: row.observed, low, high, ...lookOf(row.flag), tip: () => `${row.provider_id}\n${number(row.n)} episodes\nexpected ${number(row.expected, decimals)}\nobserved ${span(row.observed, low, high, decimals)}\n${flagWords(row.flag)}` };
}

function calibration() {
  const rows = compared();
  return {
    title: "Providers: observed and expected",
    sub: `Above the line more is observed than is expected of a provider's patients. The chosen one has its 95 % interval.`,
    label: `Observed against expected ${outcome().noun} of ${counted(rows.length, "provider")}.`,
    legend: flagLegend,
    table: profileTable,
    draw(place) {
      const marks = rows.map(row => isChosen(row.provider_id) ? observedMark(row) : { ...observedMark(row), low: null, high: null });
      const plot = new Plot(place, squared(this.label, marks, outcome().noun));
      plot.line(diagonal(plot), { class: "centre" });
      plot.marks(marks);
      return plot;
    },
  };
}

// --- contributions ---

function contributions() {
  const all = rowsOf("contributions", { outcome: state.outcome, learner: state.learner });
  const other = (DATA.tables.contributions ?? []).map(part => part.of).find(of => of.outcome === state.outcome);
  const mine = all.filter(row => isChosen(row.provider_id)).map(row => ({ ...row, size: row.contribution }));
  const one = state.provider !== null;
  const rows = (one ? mine : byFeature(shown(all))).sort((a, b) => Math.abs(b.size) - Math.abs(a.size));
  const total = mine[0]?.difference;
  const none = other ? `Nothing is explained of ${one ? "this provider" : "this"} under ${DATA.learners[state.learner]}; ${other.learner === state.learner ? "it is hidden or not compared" : `choose ${DATA.learners[other.learner]}`}.` : "No learner of this run was explained for this outcome.";
  return {
    title: one ? `${state.provider}: what moves its expectation` : "What moves expectations of providers",
    sub: !rows.length ? none : one
      ? `Against all episodes, ${counted(mine[0].n, "episode")} here are expected ${number(Math.abs(total), outcome().decimals)} ${outcome().explainedIn} ${total < 0 ? "less" : "more"}. The parts add up to it exactly, so that they have no interval; they describe the model and are no causes.`
      : "Mean size of each part of the difference between providers' expectations. Choose a provider to see its own. Parts describe the model and are no causes.",
    empty: !all.length,
    label: rows.slice(0, 8).map(row => `${DATA.features[row.feature] ?? row.feature} ${number(row.size, 3)}`).join(", ") || none,
    table: () => ({
      note: "Parts follow from the model and add up exactly, so that they have no interval.",
      file: "contributions", rows: shown(all), columns: [PROVIDER, EPISODES, ["part", row => DATA.features[row.feature] ?? row.feature], ["theme", row => row.theme], [`contribution, ${outcome().explainedIn}`, row => row.contribution, { decimals: 4 }], ["sums to", row => row.difference, { decimals: 4 }]],
    }),
    draw(place) {
      if (!rows.length) return null;
      const first = rows.slice(0, 14);
      const rest = rows.slice(14);
      const bars = rest.length ? [...first, { feature: `${rest.length} more`, size: rest.reduce((sum, row) => sum + row.size, 0) }] : first;
      const plot = rowPlot(place, bars.length, {
        label: this.label, left: 210, right: 60,
        x: { domain: reach([0, ...bars.map(row => row.size)], 0.12), title: `contribution, ${outcome().explainedIn}`, lines: true }, y: { domain: [bars.length - 0.5, -0.5], bare: true },
      }, 24);
      const place_ = one ? plot.add("g", { class: "chosen" }) : plot.svg;
      bars.forEach((row, at) => {
        const [from, to] = [plot.x(Math.min(0, row.size)), plot.x(Math.max(0, row.size))];
        place_.append(svg("rect", { class: `b ${!one ? "" : row.size < 0 ? "worse" : "better"}`, x: from, width: to - from, y: plot.y(at) - 8, height: 16, rx: 3 }));
        plot.add("text", { x: row.size < 0 ? from - 5 : to + 5, y: plot.y(at) + 4, "text-anchor": row.size < 0 ? "end" : "start" }, number(row.size, 2));
        rowLabel(plot, DATA.features[row.feature] ?? row.feature, plot.y(at));
      });
      plot.line([[0, -0.5], [0, bars.length - 0.5]], { class: "centre" });
      return plot;
    },
  };
}

function byFeature(rows) {
  return [...grouped(rows, "feature")].map(([feature, some]) => ({ feature, size: some.reduce((sum, row) => sum + row.n * Math.abs(row.contribution), 0) / some.reduce((sum, row) => sum + row.n, 0) }));
}

// --- reliability ---

function reliability() {
  const rows = compared().filter(row => row.reliability !== null && row.reliability !== undefined);
  const used = rowsOf("reliability", { outcome: state.outcome, learner: state.learner });
  const mine = used.find(row => /^true$/i.test(row.used));
  return {
    title: "Reliability by volume",
    sub: `The share of a difference between providers that is no chance.${mine ? ` 0.7 takes ${volume(mine.volume_07)}, 0.9 takes ${volume(mine.volume_09)} (${DATA.estimators[mine.estimator] ?? plain(mine.estimator)}, from ${counted(mine.n_providers, "provider")}).` : ""}`,
    label: `Reliability of ${counted(rows.length, "provider")} against their episodes.`,
    legend: flagLegend,
    table: () => ({ file: "reliability", rows: shown(profiles()), columns: [PROVIDER, EPISODES, ["reliability, no interval", row => row.reliability, { decimals: 2 }], ...number95("drawn to the middle", row => row.shrunken, row => row.shrunken_lower95, row => row.shrunken_upper95, outcome().decimals)] }),
    draw(place) {
      const plot = new Plot(place, {
        label: this.label,
        x: { domain: [0, Math.max(1, ...rows.map(row => row.n)) * 1.04], title: "episodes" }, y: { domain: [0, 1], title: "reliability" },
      });
      for (const level of [0.7, 0.9]) plot.line([[0, level], [plot.domain.x[1], level]], { class: "limit far" });
      plot.marks(marked(rows, row => row.n, row => row.reliability, row => ({ tip: () => `${row.provider_id}\n${number(row.n)} episodes\nreliability ${number(row.reliability, 2)}\n${outcome().noun} drawn to the middle ${span(row.shrunken, row.shrunken_lower95, row.shrunken_upper95, outcome().decimals)}` })));
      return plot;
    },
  };
}

const volume = value => value === null || value === undefined ? "no number of episodes" : counted(Math.ceil(value), "episode");

// --- settlement ---

function payments() {
  const rows = shown(settled.totals).sort((a, b) => a.total_minor - b.total_minor || (a.provider_id < b.provider_id ? -1 : 1));
  const code = DATA.settlement.currency;
  const tip = row => `${row.provider_id}\n${row.episodes === null ? "" : `${number(row.episodes)} episodes\n`}${money(row.total_minor)} ${code}\n${row.status}`;
  return {
    title: "From least to most",
    sub: `Each bar is a provider's total, ${code}. An amount follows from rules, line by line; the estimates that it rests on have their intervals above.`,
    label: `Totals of ${counted(rows.length, "provider")}, ${code}, from least to most.`,
    table: () => ({ file: "settlement", rows, columns: [PROVIDER, ["episodes", row => row.episodes, { decimals: 0 }], ["status", row => row.status], ["target", row => row.target, { decimals: 2 }], ["actual", row => row.actual, { decimals: 2 }], ["gates", row => row.gates ?? ""], [`total, ${code}`, row => major(row.total_minor), { decimals: DATA.settlement.minor_digits }]] }),
    draw(place) {
      const plot = new Plot(place, {
        label: this.label, left: 78, height: 260, bottom: 26,
        x: { domain: [-1, rows.length], bare: true, title: "providers in order" }, y: { domain: reach([0, ...rows.map(row => major(row.total_minor))]), title: code },
      });
      const width = Math.max(1, Math.min(16, (plot.box.right - plot.box.left) / (rows.length + 1) * 0.76));
      const bar = (row, at) => `M${(plot.x(at) - width / 2).toFixed(1)} ${plot.y(0).toFixed(1)}V${plot.y(major(row.total_minor)).toFixed(1)}h${width.toFixed(1)}V${plot.y(0).toFixed(1)}Z`;
      const bars = side => rows.map((row, at) => Math.sign(row.total_minor) === side ? bar(row, at) : "").join("");
      plot.add("path", { class: "b better", d: bars(1) });
      plot.add("path", { class: "b worse", d: bars(-1) });
      plot.line([[-1, 0], [rows.length, 0]], { class: "centre" });
      plot.byColumn = true;
      rows.forEach((row, at) => plot.spots.push({ name: row.provider_id, px: plot.x(at), py: plot.y(major(row.total_minor)), tip: () => tip(row) }));
      const at = rows.findIndex(row => isChosen(row.provider_id));
      if (at >= 0) {
        const { provider_id: name, total_minor: minor } = rows[at];
        plot.chosen({ name, named: false, x: at, y: major(minor), look: minor < 0 ? "worse full" : "better full", shape: "circle" }, 3);
        const clear = minor < 0 ? plot.y(0) - 8 : plot.y(major(minor)) - 16;
        plot.svg.lastChild.append(svg("text", { x: plot.x(at), y: clear, "text-anchor": at < rows.length / 2 ? "start" : "end" }, `${name}: ${money(minor)}`));
      }
      return plot;
    },
  };
}

// --- audit ---

function flow() {
  const rows = rowsOf("flow", { outcome: state.outcome }).filter(row => row.remaining !== null);
  const drawn = rows.filter((row, at) => row.left || at === rows.length - 1 || /train|test|fold/.test(row.station));
  const most = Math.max(1, ...rows.map(row => row.remaining + (row.left ?? 0)));
  const words = row => `${row.station}: ${row.reason}`;
  return {
    title: `Flow of episodes: ${outcome().called}`,
    sub: "What is left after each reason to leave; reasons that nobody left for are in the table.",
    label: drawn.map(row => `${words(row)}, ${number(row.left)} left, ${number(row.remaining)} remain`).join("; "),
    table: () => ({ file: "flow", rows, columns: [["station", row => row.station], ["reason", row => row.reason], ["left", row => row.left, { decimals: 0 }], ["remaining", row => row.remaining, { decimals: 0 }]] }),
    draw(place) {
      const plot = new Plot(place, { label: this.label, left: 0, right: 70, top: 4, bottom: 4, height: drawn.length * 40 + 8, x: { domain: [0, most], bare: true }, y: { domain: [drawn.length - 0.5, -0.5], bare: true } });
      drawn.forEach((row, at) => {
        const y = plot.y(at);
        plot.add("rect", { class: "outer", x: plot.box.left, width: plot.box.right - plot.box.left, y: y + 1, height: 12, rx: 3 });
        plot.add("rect", { class: "b flow", x: plot.box.left, width: plot.x(row.remaining) - plot.box.left, y: y + 1, height: 12, rx: 3 });
        plot.add("text", { x: plot.box.left, y: y - 5, class: "title" }, `${words(row)}${row.left ? ` (${MINUS}${number(row.left)})` : ""}`);
        plot.add("text", { x: plot.box.right + 8, y: y + 11, class: "strong" }, number(row.remaining));
      });
      return plot;
    },
  };
}

function subgroups() {
  const rows = rowsOf("subgroups", { outcome: state.outcome, learner: state.learner }).filter(row => row.n !== null && row.difference !== null)
    .map((row, at) => ({ ...row, at })).sort((a, b) => a.column === b.column ? compare(a.level, b.level) : a.at - b.at);
  const { decimals } = outcome();
  const words = row => `${columnWords(row.column)}: ${plain(row.level)}`;
  return {
    empty: !rows.length,
    title: `Observed minus expected, by group: ${outcome().called}`,
    sub: `At 0 a group gets what is expected of it, ${outcome().unit}; lines are 95 % intervals. Small groups are hidden.`,
    label: rows.map(row => `${words(row)} ${span(row.difference, row.lower95, row.upper95, decimals)}`).join("; ") || "No groups were declared.",
    table: () => ({ file: "subgroups", rows, columns: [["group", row => columnWords(row.column)], ["level", row => plain(row.level)], EPISODES, ["observed", row => row.observed, { decimals }], ["expected", row => row.expected, { decimals }], ...number95("difference", row => row.difference, row => row.lower95, row => row.upper95, decimals)] }),
    draw(place) {
      if (!rows.length) return null;
      const plot = rowPlot(place, rows.length, { label: this.label, left: 210, x: { domain: reach([0, ...rows.flatMap(row => [row.lower95, row.upper95])]), title: `observed minus expected, ${outcome().unit}`, lines: true }, y: { domain: [rows.length - 0.5, -0.5], bare: true } }, 22);
      plot.line([[0, -0.5], [0, rows.length - 0.5]], { class: "centre" });
      rows.forEach((row, at) => rowLabel(plot, words(row), plot.y(at)));
      plot.marks(rows.map((row, at) => ({ name: words(row), x: row.difference, y: at, low: row.lower95, high: row.upper95, look: "ink full", shape: "circle", tip: () => `${words(row)}\n${number(row.n)} episodes\n${span(row.difference, row.lower95, row.upper95, decimals)}` })), { r: 3.6, sideways: true });
      return plot;
    },
  };
}

// --- the table of providers ---

function profileTable() {
  const { decimals, noun } = outcome();
  return {
    note: `What is expected follows from case mix by ${DATA.learners[state.learner]}, and is taken as given; reliability follows from episodes. Neither has an interval.`,
    file: "providers", rows: shown(profiles()), columns: [
      PROVIDER, EPISODES, ...number95(`observed ${noun}`, row => row.observed, row => observedEnds(row)[0], row => observedEnds(row)[1], decimals), ["expected", row => row.expected, { decimals }],
      ...number95(`adjusted ${noun}`, row => row.adjusted, row => row.ci_lower95, row => row.ci_upper95, decimals),
      ["flag", row => isHidden(row) ? "hidden: too few" : flagWords(row.flag), { flag: row => row.flag }],
      ...number95("rank", row => row.rank ?? null, row => row.rank_lower95 ?? null, row => row.rank_upper95 ?? null, 0),
      ["reliability", row => row.reliability ?? null, { decimals: 2 }],
    ],
  };
}

const CHARTS = { funnel, caterpillar, value: valuePlane, settlement: payments, analyses, flags: flagGrid, graded, deciles, calibration, contributions, reliability, ranks, flow, subgroups };
