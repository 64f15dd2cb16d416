// ---- what the reader chose: everything that is shown depends on this, and the address keeps it
const names = rows.map((row) => row[0]), numbers = columns.filter((_, c) => numeric[c]);
const own = numbers.includes(DATA.metric) ? DATA.metric : numbers[0]; // the metric of the report
const different = (name) => new Set(cells[columns.indexOf(name)].filter((v) => !isBlank(v))).size;
const varied = numbers.filter((name) => name !== own && name !== "seed" && different(name) > 1);
const WALL = columns.indexOf("wall_s");
const SCALES = { auto: "automatic", linear: "linear", log: "logarithmic" };
const choices = { // {a control or a list: {what it may be: what it is called}}
  sort: named(columns),
  order: named(["ascending", "descending"]),
  show: {
    ...(metrics.length ? { runs: "curve of every run", settings: "mean and range per setting" } : {}),
    ...(numbers.length > 1 ? { columns: "one column against another" } : {}),
  },
  metric: Object.fromEntries(metrics.map(({ name, title }) => [name, title])),
  x: {
    step: "step",
    ...(epochs.length ? { epoch: "epoch" } : {}),
    ...(WALL >= 0 ? { time: "time, spread evenly over the steps" } : {}),
  },
  scale: SCALES,
  smoothing: named(Array.from({ length: 100 }, (_, i) => String(i / 100))),
  across: named(numbers, word),
  acrossScale: SCALES,
  up: named(numbers, word),
  upScale: SCALES,
  hidden: named(columns.slice(1)),
  compare: named(names),
};
const DEFAULTS = {
  filter: "", sort: "", order: "ascending", show: Object.keys(choices.show)[0] ?? "", metric: metrics[0]?.name ?? "", x: "step", scale: "auto",
  smoothing: "0", across: varied[0] ?? numbers[0], acrossScale: "auto", up: own, upScale: "auto", hidden: [], compare: [],
};
const view = { ...DEFAULTS };
const CONTROLS = ["show", "metric", "x", "scale", "smoothing", "across", "acrossScale", "up", "upScale"];

function named(list, called = (name) => name) {
  return Object.fromEntries(list.map((name) => [name, called(name)]));
}
function readAddress() { // what the page does not know, or what is not said, is as at first
  const said = new URLSearchParams(location.hash.slice(1));
  for (const [key, normal] of Object.entries(DEFAULTS)) {
    const values = said.getAll(key).filter((value) => !choices[key] || Object.hasOwn(choices[key], value));
    view[key] = Array.isArray(normal) ? [...new Set(values)] : values[0] ?? normal;
  }
  view.compare = view.compare.slice(0, 2);
  $("filter").value = view.filter;
  for (const id of CONTROLS) $(id).value = view[id];
}
let writing = 0;
function keepInAddress() { // a browser refuses a hundred changes a second
  clearTimeout(writing);
  writing = setTimeout(() => {
    const said = new URLSearchParams();
    for (const [key, normal] of Object.entries(DEFAULTS)) {
      for (const value of [view[key]].flat()) if (value !== normal) said.append(key, value);
    }
    history.replaceState(null, "", `#${said}`);
  }, 200);
}
function makeControls() {
  for (const id of CONTROLS) {
    const control = $(id);
    if (control.tagName === "SELECT") {
      for (const [value, text] of Object.entries(choices[id])) control.append(new Option(short(text), value));
      control.disabled = control.length < 2;
    }
    control.addEventListener(control.tagName === "SELECT" ? "change" : "input", () => {
      view[id] = control.value;
      keepInAddress();
      requestDrawing();
    });
  }
  $("filter").addEventListener("input", () => {
    view.filter = $("filter").value;
    keepInAddress();
    update();
  });
  addEventListener("hashchange", () => { // a link to a place on the page says nothing about the view
    if (!location.hash.includes("=")) return;
    readAddress();
    showView();
  });
}
