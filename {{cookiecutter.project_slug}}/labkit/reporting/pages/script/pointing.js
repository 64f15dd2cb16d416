// ---- pointing at a shape, a row or a setting
const NEAR = 30; // pixels from the pointer within which a shape is meant
const xTitle = () => {
  if (view.show === "columns") return short(word(view.across));
  return view.x === "time" ? `time (${timeUnit}), spread evenly over the steps` : view.x;
};
const yTitle = () => short(view.show === "columns" ? word(view.up) : choices.metric[view.metric]);

function light(shapes, point) { // `point`: the position in the shape of the value that is named
  const pen = prepare(marks);
  for (const old of body.querySelectorAll("tr.lit")) old.classList.remove("lit");
  if (shapes.length) {
    const { left, top, right, bottom } = plot.box;
    pen.fillStyle = ink.paper; // the others step back
    pen.globalAlpha = 0.72;
    pen.fillRect(left - 2, top - 2, right - left + 4, bottom - top + 2);
  }
  for (const shape of shapes) stroke(pen, [shape], 2.6, 1);
  tip.textContent = "";
  if (shapes.length === 1) nameShape(pen, shapes[0], point);
}
function lightRow(row) {
  const shape = row ? plot?.ofRow.get(Number(row.dataset.row)) : undefined;
  light(shape ? [shape] : []);
}
function lightChosen() { // the row that has the focus, if one has it
  lightRow(document.activeElement?.closest("#list tbody tr"));
}
function nameShape(pen, shape, point) {
  const i = point ?? shape.y.findLastIndex((v) => !Number.isNaN(plot.y(v))), px = plot.x(shape.x[i]), py = plot.y(shape.y[i]);
  pen.beginPath();
  pen.arc(px, py, 4, 0, 7);
  pen.fill();
  tip.textContent = wordsFor(shape, i);
  tip.style.left = `${Math.max(0, Math.min(px + 12, plot.width - tip.offsetWidth - 4))}px`;
  tip.style.top = `${py + 14 + tip.offsetHeight > plot.height ? Math.max(0, py - tip.offsetHeight - 12) : py + 14}px`;
  if (shape.rows.length === 1) body.querySelector(`tr[data-row="${shape.rows[0]}"]`)?.classList.add("lit");
}
function wordsFor(shape, i) {
  const digits = (v, n = 4) => Number(v.toPrecision(n));
  const run = short(names[shape.rows[0]]), setting = shape.g === null ? [] : [short(groups[shape.g])];
  if (view.show === "columns") {
    return [run, `${yTitle()} ${digits(shape.y[i], 6)}`, `${xTitle()} ${digits(shape.x[i], 6)}`, ...setting].join("\n");
  }
  const place = view.x === "time" ? `after ${digits(shape.x[i])} ${timeUnit}` : `at ${view.x} ${shape.x[i]}`;
  const measured = view.smoothing === "0" ? "" : ` smoothed, ${digits(shape.raw[i])} measured,`;
  const value = `${yTitle()} ${digits(shape.y[i])}${measured} ${place}`;
  if (view.show === "runs") return [run, value, ...setting].join("\n");
  const range = `lowest ${digits(shape.low[i])}, highest ${digits(shape.high[i])}`;
  return [...setting, `mean of ${plural(shape.rows.length, "run")}: ${value}`, range].join("\n");
}
function nearest(px, py) { // [shape, position in it] of the nearest one, or null
  let best = null, least = NEAR;
  for (const shape of plot?.shapes ?? []) {
    const { x, y } = shape;
    let from = 0, to = x.length - 1; // the last value to the left of the pointer
    while (from < to) { const middle = (from + to + 1) >> 1; if (plot.x(x[middle]) <= px) from = middle; else to = middle - 1; }
    const ends = [from, from + 1].filter((i) => i < x.length && !Number.isNaN(plot.x(x[i]) + plot.y(y[i])));
    const distance = toLine(px, py, ends.map((i) => [plot.x(x[i]), plot.y(y[i])]));
    if (distance >= least) continue;
    least = distance;
    best = [shape, ends.reduce((a, b) => (Math.abs(plot.x(x[b]) - px) < Math.abs(plot.x(x[a]) - px) ? b : a))];
  }
  return best;
}
function toLine(px, py, ends) { // the distance to the line between two places, or to the one that is there
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
  for (const kind of ["mouseover", "focusin"]) body.addEventListener(kind, (event) => lightRow(event.target.closest("tr")));
  body.addEventListener("mouseleave", lightChosen);
  body.addEventListener("focusout", () => light([]));
  body.addEventListener("keydown", (event) => {
    const own = event.target.closest("tr");
    if (event.key === " " && event.target === own) {
      event.preventDefault();
      return choose(Number(own.dataset.row));
    }
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
function key(g) { // a piece of the line that a setting is drawn with
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), line = document.createElementNS(svg.namespaceURI, "line");
  const { colour, dash } = look(g), stroke = colour === "ink" ? "currentColor" : colour;
  svg.setAttribute("class", "key");
  svg.setAttribute("aria-hidden", "true");
  for (const [name, value] of Object.entries({ x1: 0, x2: 34, y1: 5, y2: 5, stroke, "stroke-width": 2, "stroke-dasharray": dash.join(" ") })) {
    line.setAttribute(name, value);
  }
  svg.append(line);
  return svg;
}
function makeLegend() {
  groups.forEach((label, g) => {
    const item = element("li");
    item.append(key(g), label, " ", counts[g]);
    item.onmouseenter = () => light((plot?.shapes ?? []).filter((shape) => shape.g === g));
    item.onmouseleave = lightChosen;
    $("legend").append(item);
  });
}
function countLegend(shapes) {
  const n = groups.map(() => 0);
  for (const shape of shapes) if (shape.g !== null) n[shape.g] += shape.rows.length;
  counts.forEach((span, g) => { span.textContent = `(${n[g]})`; span.parentNode.classList.toggle("none", !n[g]); });
}
function describe() { // the plot in words, as it is drawn now
  const curves = view.show !== "columns" && metrics.length > 0, smoothed = view.smoothing !== "0", said = [];
  $("of-curves").hidden = !curves;
  $("of-columns").hidden = view.show !== "columns";
  $("smoothed").textContent = smoothed ? view.smoothing : "none";
  if (!metrics.length) said.push("No run has a learning curve.");
  if (view.show === "runs") {
    said.push(`Learning curves: ${yTitle()} of the runs that match. Point at a curve or a row to name it, or choose a row to keep its curve lit.`);
    if (smoothed) said.push("Lines are smoothed by an exponential moving average; what was measured is faint.");
  }
  if (view.show === "settings") {
    said.push(`The mean of ${yTitle()} over the runs of a setting that match; the band reaches from the lowest to the highest of them.`);
    said.push("Drawn only where each of them has a value at the step.");
    if (smoothed) said.push("Means are smoothed by an exponential moving average, bands are not.");
  }
  if (view.show === "columns") {
    said.push(`Each point is a run: ${yTitle()} upwards, ${xTitle()} to the right. Point at it or at a row to name it.`);
  }
  if (view.show) said.push("In brackets: how many runs of a setting are drawn.");
  if (curves && view.x === "time") said.push("The wall time of a run is spread evenly over its steps: when each evaluation took place is not known.");
  if (curves && DATA.thinned) said.push(`Of more than ${plural(DATA.thinned, "evaluation")} of a run a part is drawn, evenly spread, and the last.`);
  if (curves && DATA.left_out) said.push(`Not in this page, because it would grow too large: ${DATA.left_out}.`);
  if (groups.length > 64) said.push("Looks repeat after 64 settings.");
  $("about-curves").textContent = said.join(" ");
}
