// One way to draw: scales, axes, marks as SVG, and on a canvas where there are very many.

const MANY = 1000;
const SHAPES = {
  circle: r => `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`,
  up: r => `M0 ${-1.2 * r}L${1.1 * r} ${0.8 * r}L${-1.1 * r} ${0.8 * r}Z`,
  down: r => `M0 ${1.2 * r}L${1.1 * r} ${-0.8 * r}L${-1.1 * r} ${-0.8 * r}Z`,
  left: r => `M${-1.2 * r} 0L${0.8 * r} ${1.1 * r}L${0.8 * r} ${-1.1 * r}Z`,
  right: r => `M${1.2 * r} 0L${-0.8 * r} ${1.1 * r}L${-0.8 * r} ${-1.1 * r}Z`,
  diamond: r => `M0 ${-1.3 * r}L${1.3 * r} 0L0 ${1.3 * r}L${-1.3 * r} 0Z`,
  square: r => `M${-r} ${-r}H${r}V${r}H${-r}Z`,
};

function symbol({ look, shape }, r = 4.5) {
  const icon = svg("svg", { class: "symbol", viewBox: "-7 -7 14 14", "aria-hidden": "true" });
  icon.append(svg("path", { class: `m ${look}`, d: SHAPES[shape](r) }));
  return icon;
}

function reach(values, margin = 0.05) {
  let [low, high] = [Infinity, -Infinity];
  for (const one of values) {
    if (one === null || one === undefined || !Number.isFinite(one)) continue;
    if (one < low) low = one;
    if (one > high) high = one;
  }
  if (low > high) return [0, 1];
  const room = margin * (high - low) || Math.abs(high) * 0.1 || 1;
  return [low - room, high + room];
}

function ticksOf([low, high], wanted) {
  const rough = (high - low) / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map(one => one * power).find(one => one >= rough);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.max(0, Math.floor(high / step + 1e-9) - first + 1) }, (_, at) => (first + at) * step);
}

function decimalsOf(ticks) {
  const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : Math.abs(ticks[0] ?? 1);
  return [0, 1, 2, 3, 4, 5].find(one => Math.abs(step * 10 ** one - Math.round(step * 10 ** one)) < 1e-6) ?? 6;
}

class Plot {
  // A plot fills the width that its place has; `rows` gives it a height by rows instead.
  constructor(place, { height = 330, x, y, left = 56, right = 14, top = 26, bottom = 42, label }) {
    this.place = place;
    this.width = Math.max(260, Math.floor(place.clientWidth));
    this.height = height;
    this.box = { left: this.width < 420 ? Math.min(left, Math.max(44, this.width * 0.42)) : left, right: this.width - right, top, bottom: height - bottom };
    this.domain = { x: x.domain, y: y.domain };
    this.svg = svg("svg", { viewBox: `0 0 ${this.width} ${height}`, height, role: "img", "aria-label": label });
    this.spots = [];
    this.axes(x, y);
  }

  x(value) {
    const [low, high] = this.domain.x;
    return this.box.left + (value - low) / (high - low) * (this.box.right - this.box.left);
  }

  y(value) {
    const [low, high] = this.domain.y;
    return this.box.bottom - (value - low) / (high - low) * (this.box.bottom - this.box.top);
  }

  add(name, attributes, ...children) {
    const node = svg(name, attributes, ...children);
    this.svg.append(node);
    return node;
  }

  axes(x, y) {
    const { left, right, top, bottom } = this.box;
    if (!y.bare) {
      const ticks = ticksOf(y.domain, 5);
      const decimals = decimalsOf(ticks);
      for (const one of ticks) {
        this.add("line", { class: "grid", x1: left, x2: right, y1: this.y(one), y2: this.y(one) });
        this.add("text", { x: left - 8, y: this.y(one) + 4, "text-anchor": "end" }, (y.format ?? number)(one, decimals));
      }
    }
    if (!x.bare) {
      const ticks = ticksOf(x.domain, Math.max(2, Math.floor((right - left) / 80)));
      const decimals = decimalsOf(ticks);
      for (const one of ticks) {
        if (x.lines) this.add("line", { class: "grid", x1: this.x(one), x2: this.x(one), y1: top, y2: bottom });
        this.add("text", { x: this.x(one), y: bottom + 18, "text-anchor": "middle" }, (x.format ?? number)(one, decimals));
      }
    }
    if (x.title) this.add("text", { class: "title", x: right, y: this.height - 6, "text-anchor": "end" }, x.title);
    if (y.title) this.add("text", { class: "title", x: y.bare ? left : 0, y: 12 }, y.title);
  }

  line(points, attributes) {
    if (points.length) this.add("path", { fill: "none", ...attributes, d: points.map(([x, y], at) => `${at ? "L" : "M"}${this.x(x).toFixed(1)} ${this.y(y).toFixed(1)}`).join("") });
  }

  area(lower, upper, attributes) {
    const points = [...lower, ...[...upper].reverse()];
    if (points.length) this.add("path", { ...attributes, d: `${points.map(([x, y], at) => `${at ? "L" : "M"}${this.x(x).toFixed(1)} ${this.y(y).toFixed(1)}`).join("")}Z` });
  }

  // Marks: { name, x, y, look, shape, r, low, high, tip }; low and high make a bar up and down.
  marks(all, { r = 4.5, sideways = false } = {}) {
    const [first, last] = [all.filter(one => !isChosen(one.name)), all.filter(one => isChosen(one.name))];
    const order = one => one.look === "within" || one.look === "none" ? 0 : 1;
    first.sort((a, b) => order(a) - order(b));
    for (const one of all) this.spots.push({ ...one, px: this.x(one.x), py: this.y(one.y) });
    if (first.length > MANY) this.onCanvas(first, r, sideways);
    else for (const one of first) this.mark(this.svg, one, one.r ?? r, sideways);
    for (const one of last) this.chosen(one, one.r ?? r, sideways);
  }

  mark(place, one, r, sideways) {
    const bar = this.bar(one, sideways);
    if (bar) place.append(svg("line", { class: `span ${one.look}`, ...bar }));
    place.append(svg("path", { class: `m ${one.look}`, d: SHAPES[one.shape](r), transform: `translate(${this.x(one.x).toFixed(1)} ${this.y(one.y).toFixed(1)})` }));
  }

  bar({ x, y, low, high }, sideways) {
    if (low === null || low === undefined) return null;
    const clipped = (value, [least, most]) => Math.min(most, Math.max(least, value));
    return sideways
      ? { x1: this.x(clipped(low, this.domain.x)), x2: this.x(clipped(high, this.domain.x)), y1: this.y(y), y2: this.y(y) }
      : { x1: this.x(x), x2: this.x(x), y1: this.y(clipped(low, this.domain.y)), y2: this.y(clipped(high, this.domain.y)) };
  }

  chosen(one, r, sideways) {
    const place = this.add("g", { class: "chosen", "data-provider": one.name });
    const at = `translate(${this.x(one.x).toFixed(1)} ${this.y(one.y).toFixed(1)})`;
    const bar = this.bar(one, sideways);
    if (bar) place.append(svg("line", bar));
    place.append(svg("circle", { class: "glow", r: r + 7, transform: at }));
    place.append(svg("path", { class: `m ${one.look}`, d: SHAPES[one.shape](r + 1), transform: at }));
    place.append(svg("circle", { class: "ring", r: r + 6, transform: at }));
    const right = this.x(one.x) < (this.box.left + this.box.right) / 2;
    if (one.named !== false) place.append(svg("text", { x: this.x(one.x) + (right ? r + 11 : -r - 11), y: this.y(one.y) - 8, "text-anchor": right ? "start" : "end" }, one.name));
  }

  onCanvas(all, r, sideways) {
    const canvas = el("canvas", { "aria-hidden": "true" });
    const scale = window.devicePixelRatio || 1;
    canvas.width = this.width * scale;
    canvas.height = this.height * scale;
    canvas.style.width = `${this.width}px`;
    canvas.style.height = `${this.height}px`;
    this.canvas = canvas;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const colours = getComputedStyle(document.documentElement);
    const colour = Object.fromEntries(["better", "worse", "within", "within-fill", "ink", "sheet", "line"].map(name => [name, colours.getPropertyValue(`--${name}`).trim()]));
    const small = Math.max(2, r - 1.5);
    const paths = new Map();
    for (const one of all) {
      const [tone, full] = one.look.split(" ");
      pen.strokeStyle = colour[tone === "none" ? "line" : tone];
      pen.fillStyle = tone === "within" ? colour["within-fill"] : full ? pen.strokeStyle : colour.sheet;
      pen.lineWidth = 1;
      const bar = this.bar(one, sideways);
      if (bar) { pen.globalAlpha = 0.35; pen.beginPath(); pen.moveTo(bar.x1, bar.y1); pen.lineTo(bar.x2, bar.y2); pen.stroke(); pen.globalAlpha = 1; }
      if (!paths.has(one.shape)) paths.set(one.shape, new Path2D(SHAPES[one.shape](small)));
      pen.save();
      pen.translate(this.x(one.x), this.y(one.y));
      pen.fill(paths.get(one.shape));
      pen.stroke(paths.get(one.shape));
      pen.restore();
    }
  }

  // Put the plot in its place; what is nearest to the pointer tells its numbers, and can be chosen.
  show() {
    const tip = el("div", { class: "tip", hidden: true });
    this.place.replaceChildren(...[this.canvas, this.svg, tip].filter(Boolean));
    if (!this.spots.length) return;
    let near = null;
    this.svg.addEventListener("pointermove", event => {
      const box = this.svg.getBoundingClientRect();
      const [px, py] = [event.clientX - box.left, event.clientY - box.top];
      near = nearest(this.spots, px, py, this.byColumn, this.byRow);
      tip.hidden = !near;
      this.svg.style.cursor = near && known.has(near.name) ? "pointer" : "";
      if (!near) return;
      tip.textContent = near.tip(); // words are made when they are asked for: numbers are dear to write
      tip.style.left = `${Math.min(near.px + 14, Math.max(0, this.width - tip.offsetWidth - 4))}px`;
      tip.style.top = `${near.py + 14}px`;
    });
    this.svg.addEventListener("pointerleave", () => { tip.hidden = true; });
    this.svg.addEventListener("click", () => { if (near && known.has(near.name)) change({ provider: near.name }); });
  }
}

function nearest(spots, px, py, byColumn, byRow) {
  let [found, least] = [null, 18 ** 2];
  for (const one of spots) {
    const distance = (byRow ? 0 : (one.px - px) ** 2) + (byColumn ? 0 : (one.py - py) ** 2);
    if (distance < least) [found, least] = [one, distance];
  }
  return found;
}

function legend(entries) {
  return el("ul", { class: "legend" }, ...entries.map(([look, words]) => el("li", {}, symbol(look), words)));
}
