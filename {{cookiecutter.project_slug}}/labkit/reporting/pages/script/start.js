function showView() {
  sortRows();
  hideColumns();
  update();
  drawComparison();
}
function start() {
  const example = columns.indexOf(DATA.metric), dark = matchMedia("(prefers-color-scheme: dark)");
  $("tools").hidden = false;
  $("plot").hidden = $("legend").hidden = $("drawing").hidden = !view.show;
  if (example >= 0) {
    const middle = number(median(example)), name = /\s/.test(DATA.metric) ? `"${DATA.metric}"` : DATA.metric;
    $("example").textContent = `${name}>${Number.isFinite(middle) ? Number(middle.toPrecision(3)) : 0}`;
  }
  makeHead();
  makeLegend();
  makeColumnBoxes();
  makeControls();
  $("download").onclick = download;
  listenToPointers();
  const shade = () => { document.documentElement.classList.toggle("dark", dark.matches); requestDrawing(); };
  dark.addEventListener("change", shade);
  shade();
  new ResizeObserver(() => { if (plot && plot.width !== lines.clientWidth) requestDrawing(); }).observe($("plot"));
  readAddress();
  showView();
}
function median(c) {
  const values = cells[c].filter((v) => !isBlank(v)).sort((a, b) => a - b);
  return values[values.length >> 1] ?? null;
}
start();
