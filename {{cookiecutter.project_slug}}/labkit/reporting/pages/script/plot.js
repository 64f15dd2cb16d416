// ---- the plot: lines, bands and points are all shapes {rows, g, x, y}
const VALUES_PER_FRAME = 10000;
// Okabe and Ito: told apart by colour-blind readers; the dashes say the same again. What is black on paper is white in the dark.
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "ink", "#999999"];
const DASHES = [[], [6, 3], [8, 3, 2, 3], [2, 2], [12, 3], [6, 2, 2, 2, 2, 2], [1, 3], [14, 6]];
const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
const look = (g) => ({ colour: COLOURS[(g ?? 7) % 8], dash: DASHES[((g ?? 0) + Math.floor((g ?? 0) / 8)) % 8] });
const colourOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const lines = $("lines"), marks = $("marks"), tip = $("tip");
let plot = null, requested = false, drawings = 0, ink = {}, timeUnit = "s";

function shapesOf(drawn) {
  if (view.show === "columns") {
    const [x, y] = [view.across, view.up].map((name) => cells[columns.indexOf(name)].map(number));
    const there = drawn.filter((row) => !Number.isNaN(x[row] + y[row]));
    return there.map((row) => ({ rows: [row], g: group[row], x: [x[row]], y: [y[row]] }));
  }
  if (!metrics.length) return [];
  const curves = curvesOf(view.metric), there = drawn.filter((row) => curves[row] && (view.x !== "time" || rows[row][WALL] > 0));
  const xOf = xValues(there);
  if (view.show === "settings") return bySetting(there).map((members) => bandOf(members, curves, xOf));
  return there.map((row) => ({ rows: [row], g: group[row], x: xOf(row), y: smooth(curves[row]), raw: curves[row] }));
}
function xValues(drawn) { // a function of the row; time is in the unit that suits the longest run
  if (view.x !== "time") return (row) => (view.x === "step" ? steps : epochs)[DATA.at[row]];
  const longest = drawn.reduce((most, row) => Math.max(most, rows[row][WALL]), 0);
  const [unit, seconds] = UNITS.find(([, seconds]) => longest > 2 * seconds) ?? UNITS.at(-1);
  timeUnit = unit;
  return (row) => {
    const at = steps[DATA.at[row]], perStep = rows[row][WALL] / seconds / at.at(-1);
    return at.map((step) => step * perStep);
  };
}
function bySetting(drawn) {
  const found = new Map();
  for (const row of drawn) {
    if (!found.has(group[row])) found.set(group[row], []);
    found.get(group[row]).push(row);
  }
  return [...found.values()];
}
function bandOf(members, curves, xOf) { // as far as all of them have a value at the same step
  const points = new Map();
  for (const row of members) {
    const x = xOf(row);
    steps[DATA.at[row]].forEach((step, i) => {
      const v = curves[row][i];
      if (!Number.isFinite(v)) return;
      const point = points.get(step) ?? { n: 0, x: 0, sum: 0, low: Infinity, high: -Infinity };
      point.n += 1;
      point.x += x[i];
      point.sum += v;
      point.low = Math.min(point.low, v);
      point.high = Math.max(point.high, v);
      points.set(step, point);
    });
  }
  const shared = [...points.values()].filter(({ n }) => n === members.length), of = (value) => shared.map(value);
  const y = of(({ sum, n }) => sum / n);
  const x = of(({ x, n }) => x / n), low = of(({ low }) => low), high = of(({ high }) => high);
  return { rows: members, g: group[members[0]], x, y: smooth(y), raw: y, low, high };
}
function smooth(values) { // an exponential moving average, divided by the weights that are there at its beginning
  const keep = Number(view.smoothing);
  let sum = 0, weights = 0;
  return !keep ? values : values.map((v) => {
    if (!Number.isFinite(v)) return v;
    sum = keep * sum + (1 - keep) * v;
    weights = keep * weights + (1 - keep);
    return sum / weights;
  });
}

// ---- from values to pixels
function axisOf(lists, choice, margin) {
  let low = Infinity, high = -Infinity, positive = Infinity;
  for (const list of lists) {
    for (const v of list) {
      if (!Number.isFinite(v)) continue;
      low = Math.min(low, v);
      high = Math.max(high, v);
      if (v > 0) positive = Math.min(positive, v);
    }
  }
  // By itself logarithmic where one run that explodes would flatten all others.
  const log = choice === "log" ? high > 0 : choice === "auto" && low > 0 && high > 100 * low;
  if (log) [low, high] = [Math.log10(Math.max(low, positive)), Math.log10(high)];
  const half = high / 2 - low / 2, air = margin * (2 * half * 0.04 || Math.abs(high) * 0.04 || 1); // halves: 1e308 twice is too much
  [low, high] = [Math.max(low - air, -Number.MAX_VALUE), Math.min(high + air, Number.MAX_VALUE)];
  return { low, high, log, ticks: (count) => (log ? logTicks(low, high) : ticks(low, high, count)) };
}
function placed(axis, from, to) { // NaN for what a logarithmic axis lacks
  const { low, high, log } = axis, half = high / 2 - low / 2;
  return (value) => {
    const at = log ? Math.log10(value) : value;
    return Number.isFinite(at) ? from + (half ? (at / 2 - low / 2) / half : 0.5) * (to - from) : NaN;
  };
}
function tickLabel(value, digits) {
  return Math.abs(value) >= 1e6 || digits > 6 ? value.toExponential(3).replace(/\.?0+e\+?/, "e") : value.toFixed(digits);
}
function ticks(low, high, count) {
  if (!(high > low)) return [[low, String(low)]];
  const rough = high / count - low / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= rough * 0.999), first = Math.ceil(low / step - 1e-9);
  const found = [], digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  for (let i = 0; i <= count && (first + i) * step <= high + step * 1e-9; i++) {
    found.push([(first + i) * step, tickLabel((first + i) * step, digits)]);
  }
  return found;
}
function logTicks(low, high) {
  const found = [], stride = Math.max(1, Math.ceil((high - low) / 8)), label = (value) => String(Number(value.toPrecision(3)));
  for (let power = Math.floor(low); power <= high; power += stride) {
    for (const m of high - low < 3 ? [1, 2, 5] : [1]) {
      const value = m * 10 ** power;
      if (Math.log10(value) >= low && Math.log10(value) <= high) found.push([value, label(value)]);
    }
  }
  return found.length > 1 ? found : ticks(10 ** low, 10 ** high, 4);
}

// ---- drawing
function requestDrawing() { // once per frame, however fast one types
  if (!requested) requestAnimationFrame(() => { requested = false; drawPlot(); });
  requested = true;
}
function prepare(canvas) {
  const scale = window.devicePixelRatio || 1, pen = canvas.getContext("2d");
  canvas.width = canvas.clientWidth * scale; // which also clears it
  canvas.height = canvas.clientHeight * scale;
  pen.scale(scale, scale);
  pen.lineJoin = "round";
  pen.font = "12px system-ui, sans-serif";
  return pen;
}
function layOut(pen, shapes) {
  const { clientWidth: width, clientHeight: height } = lines, points = view.show === "columns";
  const xAxis = axisOf(new Set(shapes.map(({ x }) => x)), points ? view.acrossScale : "linear", points ? 1 : 0);
  const yAxis = axisOf(shapes.flatMap(({ y, raw, low, high }) => (low ? [low, high] : [raw ?? y])), points ? view.upScale : view.scale, 1);
  const yTicks = yAxis.ticks(5), widest = Math.max(...yTicks.map(([, label]) => pen.measureText(label).width));
  const box = { left: Math.max(34, widest + 14), right: width - 14, top: 10, bottom: height - 42 };
  const xTicks = xAxis.ticks(Math.max(3, Math.min(8, Math.floor(width / 80))));
  const ofRow = new Map(shapes.flatMap((shape) => shape.rows.map((row) => [row, shape])));
  return { shapes, ofRow, box, width, height, xTicks, yTicks, x: placed(xAxis, box.left, box.right), y: placed(yAxis, box.bottom, box.top) };
}
function drawPlot() {
  const done = () => afterFrame(() => performance.mark("drawn"));
  ink = Object.fromEntries(["ink", "quiet", "rule", "paper"].map((name) => [name, colourOf(name)]));
  describe();
  if (!view.show) return done();
  const pen = prepare(lines), shapes = shapesOf(matching).filter(({ y }) => y.length), turn = ++drawings;
  countLegend(shapes);
  const counted = plural(shapes.length, { runs: "learning curve", settings: "mean curve", columns: "point" }[view.show]);
  lines.setAttribute("aria-label", `${counted} of ${yTitle()}; each row of the list below names its own`);
  plot = shapes.length ? layOut(pen, shapes) : null;
  lightChosen();
  if (!plot) {
    pen.fillStyle = ink.quiet;
    pen.fillText(rows.length ? `No matching run has ${view.show === "columns" ? "both numbers" : "a curve"}.` : "No runs.", 4, 24);
    return done();
  }
  drawAxes(pen);
  const many = shapes.length > 20, width = many ? 1 : 1.8; // a line of one pixel takes a third of the time
  const alpha = shapes.length > 100 ? 0.5 : many ? 0.75 : 1, batches = inBatches(shapes), smoothed = view.smoothing !== "0";
  const jobs = [
    ...shapes.filter(({ low }) => low).map((shape) => () => fillBand(pen, shape)),
    ...(smoothed && view.show === "runs" ? batches.map((batch) => () => stroke(pen, batch, 1, 0.25, ({ raw }) => raw)) : []),
    ...batches.map((batch) => () => stroke(pen, batch, width, alpha)),
  ];
  (function drawSome() { // a page with thousands of curves stays awake, and drops what a newer filter has outdated
    if (turn !== drawings) return;
    for (let values = 0; jobs.length && values < VALUES_PER_FRAME;) values += jobs.shift()();
    if (jobs.length) requestAnimationFrame(drawSome); else done();
  })();
}
function inBatches(shapes) { // of one look each; one path of thousands of curves would take far longer
  const found = [], open = new Map();
  for (const shape of shapes) {
    const batch = open.get(shape.g);
    if (batch && batch.length < 25) batch.push(shape);
    else found.push(open.set(shape.g, [shape]).get(shape.g));
  }
  return found;
}
function afterFrame(then) {
  requestAnimationFrame(() => setTimeout(then));
}
function stroke(pen, shapes, width, alpha, values = ({ y }) => y) { // returns how many values it drew
  const { colour, dash } = look(shapes[0].g);
  pen.strokeStyle = pen.fillStyle = colour === "ink" ? ink.ink : colour;
  pen.lineWidth = width;
  pen.globalAlpha = alpha;
  pen.setLineDash(dash);
  pen.beginPath();
  for (const shape of shapes) trace(pen, shape.x, values(shape));
  pen.stroke();
  pen.setLineDash([]);
  pen.globalAlpha = 1;
  return shapes.reduce((sum, { y }) => sum + y.length, 0);
}
function trace(pen, at, values) { // a gap where there is no number, a dot where a number stands alone
  const { x, y } = plot;
  for (let i = 0, open = false; i < values.length; i++) {
    const px = x(at[i]), py = y(values[i]);
    if (Number.isNaN(px + py)) open = false;
    else if (open) pen.lineTo(px, py);
    else {
      pen.moveTo(px, py);
      open = true;
      if (i + 1 === values.length || Number.isNaN(y(values[i + 1]))) pen.fillRect(px - 2, py - 2, 4, 4);
    }
  }
}
function fillBand(pen, shape) {
  const { colour } = look(shape.g), { x, y, box } = plot, foot = (v) => (Number.isNaN(y(v)) ? box.bottom : y(v));
  pen.fillStyle = colour === "ink" ? ink.ink : colour;
  pen.globalAlpha = 0.18;
  pen.beginPath();
  shape.high.forEach((v, i) => pen.lineTo(x(shape.x[i]), foot(v)));
  shape.low.map((v, i) => [x(shape.x[i]), foot(v)]).reverse().forEach(([px, py]) => pen.lineTo(px, py));
  pen.fill();
  pen.globalAlpha = 1;
  return shape.x.length;
}
function drawAxes(pen) {
  const { box, x, y, width, xTicks, yTicks } = plot;
  pen.fillStyle = ink.quiet;
  pen.lineWidth = 1;
  pen.textBaseline = "middle";
  pen.textAlign = "right";
  pen.strokeStyle = ink.rule;
  for (const [value, label] of yTicks) {
    line(pen, box.left, Math.round(y(value)) + 0.5, box.right, Math.round(y(value)) + 0.5);
    pen.fillText(label, box.left - 8, y(value));
  }
  pen.textBaseline = "alphabetic";
  pen.strokeStyle = ink.quiet;
  for (const [value, label] of xTicks) {
    line(pen, Math.round(x(value)) + 0.5, box.bottom, Math.round(x(value)) + 0.5, box.bottom + 4);
    pen.textAlign = x(value) > width - 30 ? "right" : "center";
    pen.fillText(label, pen.textAlign === "right" ? width - 2 : x(value), box.bottom + 18);
  }
  line(pen, box.left, box.bottom + 0.5, box.right, box.bottom + 0.5);
  pen.textAlign = "center";
  pen.fillText(xTitle(), (box.left + box.right) / 2, box.bottom + 36, box.right - box.left);
}
function line(pen, x1, y1, x2, y2) {
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.lineTo(x2, y2);
  pen.stroke();
}
