"use strict";
// Text from the runs is only ever set as textContent, never as markup.
const $ = (id) => document.getElementById(id);
const { columns, rows, groups, group, metric, title, every, steps, curves } = JSON.parse($("data").textContent);
const FIRST_ROWS = 200; // shown at once; the rest after a click
const VALUES_PER_FRAME = 10000; // of curves
const NEAR = 30; // pixels from the pointer within which a curve is meant
// Okabe and Ito: told apart by colour-blind readers; the dashes say the same again.
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#999999"];
const DASHES = [[], [6, 3], [8, 3, 2, 3], [2, 2], [12, 3], [6, 2, 2, 2, 2, 2], [1, 3], [14, 6]];
const TROUBLE = new Set(["failed", "diverged", "dead", "refused", "unreadable"]);

const look = (g) => ({ colour: COLOURS[g % 8], dash: DASHES[(g + Math.floor(g / 8)) % 8] });
const isBlank = (value) => value === null || value === "";
const fold = (value) => String(value).normalize("NFC").toLowerCase();
const plural = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
function number(value) { // NaN for what is none
  return typeof value === "number" ? value : typeof value === "string" && value.trim() ? Number(value) : NaN;
}
function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

// ---- columns: numbers to the right, with as many decimals as tell different values apart
const cells = columns.map((_, c) => rows.map((row) => row[c]));
const numeric = cells.map((column) => column.some((v) => !isBlank(v)) && column.every((v) => isBlank(v) || Number.isFinite(number(v))));
const places = (value) => { // decimals of a number as it is written; NaN for 1e-7
  const text = String(value);
  return /e/i.test(text) ? NaN : (text.split(".")[1] || "").length;
};
const decimals = cells.map((column, c) => {
  const values = column.filter((v) => !isBlank(v));
  if (!numeric[c]) return NaN;
  const written = values.reduce((most, v) => Math.max(most, places(v)), 0);
  const sorted = values.filter((v) => typeof v === "number").sort((a, b) => a - b);
  if (sorted.length < values.length || !sorted.length) return written; // settings stand as they were written
  let gap = Infinity, largest = 0;
  sorted.forEach((v, i) => { largest = Math.max(largest, Math.abs(v)); if (i && v > sorted[i - 1]) gap = Math.min(gap, v - sorted[i - 1]); });
  const digits = Math.max(largest ? 3 - Math.floor(Math.log10(largest)) : 0, gap < Infinity ? Math.ceil(-Math.log10(gap)) : 0, 0);
  return Number.isNaN(written) ? digits : Math.min(digits, written);
});
function shown(value, c) {
  return isBlank(value) ? "" : typeof value === "number" && decimals[c] <= 12 ? value.toFixed(decimals[c]) : String(value);
}
function padding(text, c) { // in place of the decimals that the number lacks, so that points stand below each other
  const missing = decimals[c] - places(text);
  return text && missing > 0 && missing <= 8 ? "\u2007".repeat(missing) + (text.includes(".") ? "" : "\u2008") : "";
}

// ---- the filter
const OPERATORS = {
  "=": (a, b) => a === b, "!=": (a, b) => a !== b, "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b,
};
const texts = rows.map((row) => fold(row.filter((v) => !isBlank(v)).join("\n")));
const unquoted = (text) => text.replaceAll('"', "");

function parse(query) { // what a row must pass, and what could not be understood
  const tests = [], problems = [];
  for (const word of query.match(/(?:"[^"]*(?:"|$)|[^\s"])+/g) || []) {
    const [, name, operator, value] = word.match(/^((?:"[^"]*"|[^"<>=!])*)(>=|<=|!=|=|<|>)(.*)$/s) || [];
    const test = word.split('"').length % 2 === 0 ? `${word} lacks its second quote`
      : operator ? condition(unquoted(name), operator, unquoted(value), word)
      : ((wanted) => (row) => texts[row].includes(wanted))(fold(unquoted(word)));
    if (typeof test === "string") problems.push(test); else tests.push(test);
  }
  return { tests, problems };
}
function condition(name, operator, value, word) { // a test of a row, or a sentence on why there is none
  if (!name) return `${word} lacks a column before ${operator}`;
  const found = findColumns(name);
  if (!found.length) return `there is no column ${name}; there are ${columns.join(", ")}`;
  if (found.length > 1) return `${name} may be ${found.map((c) => columns[c]).join(" or ")}: write more of it`;
  if (!value.trim()) return `${word} lacks a value after ${operator}`;
  const column = cells[found[0]], limit = number(value), compare = OPERATORS[operator];
  if (operator === "=" || operator === "!=") {
    const wanted = fold(value);
    return (row) => {
      const own = number(column[row]);
      if (Number.isFinite(own) && Number.isFinite(limit)) return compare(own, limit);
      return compare(fold(isBlank(column[row]) ? "" : column[row]), wanted);
    };
  }
  if (!numeric[found[0]]) return `${columns[found[0]]} holds text: compare it by = or !=`;
  if (Number.isNaN(limit)) return `${word}: ${value} is no number`;
  return (row) => !isBlank(column[row]) && compare(number(column[row]), limit);
}
function findColumns(name) { // by the whole name, else by its end: lr for optimizer.lr
  const all = columns.map((_, c) => c), wanted = fold(name);
  const whole = all.filter((c) => fold(columns[c]) === wanted);
  return whole.length ? whole : all.filter((c) => fold(columns[c]).endsWith("." + wanted) || fold(columns[c]).endsWith("/" + wanted));
}

// ---- sorting: numbers before text, blanks always last
const collator = new Intl.Collator("en", { numeric: true });
let order = rows.map((_, i) => i), matching = order, sortedBy = -1, sign = 1, showAll = false;
function compareCells(a, b) {
  const x = number(a), y = number(b), text = Number.isNaN(x) - Number.isNaN(y);
  return text || (Number.isNaN(x) ? collator.compare(a, b) : x - y);
}
function sortBy(c) {
  sign = sortedBy === c ? -sign : 1;
  sortedBy = c;
  const column = cells[c];
  order = rows.map((_, i) => i).sort((i, j) =>
    isBlank(column[i]) - isBlank(column[j]) || (isBlank(column[i]) ? 0 : sign * compareCells(column[i], column[j])) || i - j);
  for (const [i, head] of [...headRow.children].entries()) {
    head.setAttribute("aria-sort", i !== c ? "none" : sign > 0 ? "ascending" : "descending");
  }
  update();
}

// ---- the list
const headRow = document.querySelector("#list thead tr"), body = document.querySelector("#list tbody");
function key(g) { // a piece of the line that a setting is drawn with
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), line = document.createElementNS(svg.namespaceURI, "line");
  svg.setAttribute("class", "key");
  svg.setAttribute("aria-hidden", "true");
  const { colour, dash } = look(g);
  for (const [name, value] of Object.entries({ x1: 0, x2: 34, y1: 5, y2: 5, stroke: colour, "stroke-width": 2, "stroke-dasharray": dash.join(" ") })) {
    line.setAttribute(name, value);
  }
  svg.append(line);
  return svg;
}
function rowElement(row) {
  const made = element("tr");
  made.dataset.row = row;
  made.tabIndex = -1;
  columns.forEach((name, c) => {
    const value = rows[row][c], text = shown(value, c), cell = element(c ? "td" : "th", text);
    if (!c) {
      cell.scope = "row";
      if (metric) cell.prepend(curves[row] ? key(group[row]) : element("span", "", "key"));
    }
    if (numeric[c]) cell.className = "number";
    else if (text.length > 60) cell.className = "long";
    if (name === "status" && TROUBLE.has(value)) cell.className = "bad";
    const pad = numeric[c] ? padding(text, c) : "";
    if (pad) cell.dataset.pad = pad;
    if (typeof value === "number" && text !== String(value)) cell.title = value;
    made.append(cell);
  });
  return made;
}
function drawRows() {
  const rest = showAll ? 0 : Math.max(0, matching.length - FIRST_ROWS), all = element("button", `Show all ${matching.length.toLocaleString("en")}`);
  const fragment = document.createDocumentFragment();
  for (const row of rest ? matching.slice(0, FIRST_ROWS) : matching) fragment.append(rowElement(row));
  body.replaceChildren(fragment);
  if (body.firstChild) body.firstChild.tabIndex = 0;
  all.type = "button";
  all.onclick = () => { showAll = true; drawRows(); body.children[FIRST_ROWS]?.focus(); };
  $("more").replaceChildren(...(rest ? [`The first ${FIRST_ROWS} are shown. `, all] : []));
}
function update() {
  showAll = false;
  const { tests, problems } = parse($("filter").value);
  matching = order.filter((row) => tests.every((test) => test(row)));
  $("matches").textContent = tests.length ? `${matching.length.toLocaleString("en")} of ${plural(rows.length, "run")}` : plural(rows.length, "run");
  $("problem").textContent = problems.length ? `Not applied: ${problems.join("; ")}.` : "";
  drawRows();
  requestDrawing();
}

// ---- the curves
const lines = $("lines"), marks = $("marks"), tip = $("tip"), plot = $("plot");
let view = null, requested = false, drawings = 0;
function requestDrawing() { // once per frame, however fast one types
  if (!requested) requestAnimationFrame(() => { requested = false; drawCurves(); });
  requested = true;
}
function range(values) {
  let low = Infinity, high = -Infinity, positive = Infinity;
  for (const list of values) for (const v of list) if (v !== null) { low = Math.min(low, v); high = Math.max(high, v); }
  return [low, high];
}
function makeView(drawn) { // from steps and values to pixels
  const { clientWidth: width, clientHeight: height } = lines, box = { left: 62, right: width - 14, top: 10, bottom: height - 42 };
  const [first, last] = range([...new Set(drawn.map((row) => curves[row][0]))].map((i) => steps[i]));
  let [low, high] = range(drawn.map((row) => curves[row].slice(1)));
  const log = low > 0 && high > 100 * low; // one run that explodes must not flatten all others
  if (log) [low, high] = [Math.log10(low), Math.log10(high)];
  const margin = (high - low) * 0.04 || Math.abs(high) * 0.04 || 1;
  [low, high] = [low - margin, high + margin];
  const x = (step) => box.left + (last > first ? (step - first) / (last - first) : 0.5) * (box.right - box.left);
  const y = (value) => box.bottom - ((log ? Math.log10(value) : value) - low) / (high - low) * (box.bottom - box.top);
  return { drawn, isDrawn: new Set(drawn), width, height, box, x, y, log, first, last, low, high };
}
function ticks(low, high, count) {
  const power = 10 ** Math.floor(Math.log10((high - low) / count || 1)), step = power * [1, 2, 5, 10].find((m) => m * power * count >= (high - low) * 0.999);
  const found = [], digits = Math.min(Math.max(0, -Math.floor(Math.log10(step) + 1e-9)), 20);
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push([k * step, (k * step).toFixed(digits)]);
  return found;
}
function logTicks(low, high) {
  const found = [];
  for (let power = Math.floor(low); power <= high; power++) {
    for (const m of high - low < 3 ? [1, 2, 5] : [1]) {
      const value = m * 10 ** power;
      if (Math.log10(value) >= low && Math.log10(value) <= high) found.push([value, String(Number(value.toPrecision(3)))]);
    }
  }
  return found;
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
function drawCurves() {
  if (!metric) return afterFrame(() => performance.mark("drawn"));
  const pen = prepare(lines), drawn = matching.filter((row) => curves[row]), number = ++drawings;
  countLegend(drawn);
  view = drawn.length ? makeView(drawn) : null;
  lightChosen();
  lines.setAttribute("aria-label", `${plural(drawn.length, "learning curve")} of ${title}; each row of the list below shows its own`);
  if (!view) {
    pen.fillStyle = "#5f6368";
    pen.fillText(rows.length ? "No matching run has a curve." : "No runs.", 4, 24);
    return afterFrame(() => performance.mark("drawn"));
  }
  drawAxes(pen);
  pen.globalAlpha = drawn.length > 100 ? 0.5 : drawn.length > 20 ? 0.75 : 1;
  const batches = inBatches(drawn), width = drawn.length > 20 ? 1 : 1.5; // a line of one pixel takes a third of the time
  (function drawSome() { // a page with thousands of curves stays awake, and drops what a newer filter has outdated
    if (number !== drawings) return;
    for (let values = 0; batches.length && values < VALUES_PER_FRAME;) {
      const batch = batches.shift();
      stroke(pen, batch, group[batch[0]], width);
      for (const row of batch) values += curves[row].length;
    }
    if (batches.length) requestAnimationFrame(drawSome); else afterFrame(() => performance.mark("drawn"));
  })();
}
function inBatches(drawn) { // rows of one look each; one path of thousands of curves would take far longer
  const found = [], open = new Map();
  for (const row of drawn) {
    const batch = open.get(group[row]);
    if (batch && batch.length < 25) batch.push(row);
    else found.push(open.set(group[row], [row]).get(group[row]));
  }
  return found;
}
function afterFrame(then) {
  requestAnimationFrame(() => setTimeout(then));
}
function stroke(pen, members, g, width) {
  const { colour, dash } = look(g);
  pen.strokeStyle = pen.fillStyle = colour;
  pen.lineWidth = width;
  pen.setLineDash(dash);
  pen.beginPath();
  for (const row of members) trace(pen, row);
  pen.stroke();
  pen.setLineDash([]);
}
function trace(pen, row) { // a gap where there is no number, a dot where a number stands alone
  const curve = curves[row], at = steps[curve[0]];
  for (let i = 1, previous = null; i < curve.length; previous = curve[i++]) {
    if (curve[i] === null) continue;
    const x = view.x(at[i - 1]), y = view.y(curve[i]);
    if (previous !== null) pen.lineTo(x, y);
    else {
      pen.moveTo(x, y);
      if ((curve[i + 1] ?? null) === null) pen.fillRect(x - 2, y - 2, 4, 4);
    }
  }
}
function drawAxes(pen) {
  const { box, x, y, width, log, low, high, first, last } = view;
  pen.fillStyle = "#5f6368";
  pen.lineWidth = 1;
  pen.textBaseline = "middle";
  pen.textAlign = "right";
  for (const [value, label] of log ? logTicks(low, high) : ticks(low, high, 5)) {
    pen.strokeStyle = "#e6e6e6";
    line(pen, box.left, Math.round(y(value)) + 0.5, box.right, Math.round(y(value)) + 0.5);
    pen.fillText(label, box.left - 8, y(value));
  }
  pen.textBaseline = "alphabetic";
  for (const [value, label] of last > first ? ticks(first, last, Math.max(3, Math.min(8, Math.floor(width / 80)))) : [[first, String(first)]]) {
    pen.strokeStyle = "#9a9a9a";
    line(pen, Math.round(x(value)) + 0.5, box.bottom, Math.round(x(value)) + 0.5, box.bottom + 4);
    pen.textAlign = x(value) > width - 30 ? "right" : "center";
    pen.fillText(label, pen.textAlign === "right" ? width - 2 : x(value), box.bottom + 18);
  }
  pen.strokeStyle = "#9a9a9a";
  line(pen, box.left, box.bottom + 0.5, box.right, box.bottom + 0.5);
  pen.textAlign = "center";
  pen.fillText("step", (box.left + box.right) / 2, box.bottom + 36);
}
function line(pen, x1, y1, x2, y2) {
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.lineTo(x2, y2);
  pen.stroke();
}

// ---- pointing at a curve, a row or a setting
function light(members, point) { // `point`: the position in the curve of the one that is named
  const pen = prepare(marks), there = view ? members.filter((row) => view.isDrawn.has(row)) : [];
  for (const old of body.querySelectorAll("tr.lit")) old.classList.remove("lit");
  if (there.length) {
    const { left, top, right, bottom } = view.box;
    pen.fillStyle = "#ffffffb8"; // the others step back
    pen.fillRect(left - 2, top - 2, right - left + 4, bottom - top + 2);
  }
  for (const row of there) stroke(pen, [row], group[row], 2.6);
  tip.textContent = "";
  if (there.length === 1) nameCurve(pen, there[0], point);
}
function lightChosen() { // the row that has the focus, if one has it
  const row = document.activeElement?.closest("#list tbody tr");
  light(row ? [Number(row.dataset.row)] : []);
}
function nameCurve(pen, row, point) {
  const curve = curves[row], last = curve.findLastIndex((value, i) => i && value !== null), i = point || last;
  const x = view.x(steps[curve[0]][i - 1]), y = view.y(curve[i]);
  pen.beginPath();
  pen.arc(x, y, 4, 0, 7);
  pen.fill();
  tip.textContent = `${rows[row][0]}\n${title} ${curve[i]} at step ${steps[curve[0]][i - 1]}\n${groups[group[row]]}`;
  tip.style.left = `${Math.max(0, Math.min(x + 12, view.width - tip.offsetWidth - 4))}px`;
  tip.style.top = `${y + 14 + tip.offsetHeight > view.height ? Math.max(0, y - tip.offsetHeight - 12) : y + 14}px`;
  body.querySelector(`tr[data-row="${row}"]`)?.classList.add("lit");
}
function nearest(px, py) { // [row, position in its curve] of the nearest curve, or null
  let best = null, least = NEAR;
  for (const row of view ? view.drawn : []) {
    const curve = curves[row], at = steps[curve[0]];
    let from = 0, to = at.length - 1; // the last step to the left of the pointer
    while (from < to) { const middle = (from + to + 1) >> 1; if (view.x(at[middle]) <= px) from = middle; else to = middle - 1; }
    for (const i of [from, from + 1]) {
      const distance = toSegment(px, py, row, i);
      if (distance >= least) continue;
      least = distance;
      const right = i + 1 < curve.length && curve[i + 1] !== null;
      const closer = right && (curve[i] === null || !i || Math.abs(view.x(at[i]) - px) < Math.abs(view.x(at[i - 1]) - px));
      best = [row, closer ? i + 1 : i];
    }
  }
  return best;
}
function toSegment(px, py, row, i) { // distance to the line between positions i and i + 1, or to the one that is there
  const curve = curves[row], at = steps[curve[0]];
  const ends = [i, i + 1].filter((k) => k > 0 && k < curve.length && curve[k] !== null).map((k) => [view.x(at[k - 1]), view.y(curve[k])]);
  if (!ends.length) return Infinity;
  const [[ax, ay], [bx, by]] = [ends[0], ends.at(-1)], square = (bx - ax) ** 2 + (by - ay) ** 2;
  const t = square ? Math.max(0, Math.min(1, ((px - ax) * (bx - ax) + (py - ay) * (by - ay)) / square)) : 0;
  return Math.hypot(px - ax - t * (bx - ax), py - ay - t * (by - ay));
}
function listenToPointers() {
  const point = (event) => {
    const found = nearest(event.offsetX, event.offsetY);
    if (found) light([found[0]], found[1]); else lightChosen();
  };
  marks.addEventListener("pointermove", point);
  marks.addEventListener("pointerdown", point);
  marks.addEventListener("pointerleave", lightChosen);
  for (const kind of ["mouseover", "focusin"]) {
    body.addEventListener(kind, (event) => light([Number(event.target.closest("tr")?.dataset.row)]));
  }
  body.addEventListener("mouseleave", lightChosen);
  body.addEventListener("focusout", () => light([]));
  body.addEventListener("keydown", (event) => {
    const own = event.target.closest("tr");
    const next = { ArrowDown: own.nextSibling, ArrowUp: own.previousSibling, Home: body.firstChild, End: body.lastChild }[event.key];
    if (!next) return;
    event.preventDefault();
    own.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
}

// ---- the legend
const counts = groups.map(() => element("span"));
function makeLegend() {
  groups.forEach((label, g) => {
    const item = element("li");
    item.append(key(g), label, " ", counts[g]);
    item.onmouseenter = () => light(matching.filter((row) => group[row] === g));
    item.onmouseleave = lightChosen;
    $("legend").append(item);
  });
}
function countLegend(drawn) {
  const n = groups.map(() => 0);
  for (const row of drawn) n[group[row]]++;
  counts.forEach((span, g) => { span.textContent = `(${n[g]})`; span.parentNode.classList.toggle("none", !n[g]); });
}

function start() {
  $("tools").hidden = false;
  columns.forEach((name, c) => {
    const head = element("th", undefined, numeric[c] ? "number" : ""), button = element("button", name);
    button.type = "button";
    button.onclick = () => sortBy(c);
    head.scope = "col";
    head.setAttribute("aria-sort", "none");
    head.append(button);
    headRow.append(head);
  });
  if (metric) {
    const middle = number(median(columns.indexOf(metric)));
    $("example").textContent = `${/\s/.test(metric) ? `"${metric}"` : metric}>${Number.isFinite(middle) ? Number(middle.toPrecision(3)) : 0}`;
    $("about-curves").textContent = `Learning curves: ${title} at every evaluation of the runs that match. Point at a curve or a row to name it, or choose a row to keep its curve lit; `
      + "in brackets: how many curves a setting has." + (every > 1 ? ` One evaluation of ${every} is drawn, and the last.` : "")
      + (groups.length > 64 ? " Looks repeat after 64 settings." : "");
    makeLegend();
    new ResizeObserver(() => { if (view && view.width !== lines.clientWidth) requestDrawing(); }).observe(plot);
  } else {
    $("about-curves").textContent = "No run has a learning curve.";
    plot.hidden = $("legend").hidden = true;
  }
  $("filter").addEventListener("input", update);
  listenToPointers();
  update();
}
function median(c) {
  const values = c < 0 ? [] : cells[c].filter((v) => !isBlank(v)).sort((a, b) => a - b);
  return values[values.length >> 1] ?? null;
}
start();
