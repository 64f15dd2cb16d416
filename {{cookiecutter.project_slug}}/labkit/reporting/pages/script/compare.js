// ---- two runs beside each other
body.addEventListener("change", (event) => choose(Number(event.target.closest("tr").dataset.row)));
function chooser(row) {
  const box = checkbox();
  box.tabIndex = -1; // the space bar does it for the row that has the focus
  box.checked = view.compare.includes(names[row]);
  box.setAttribute("aria-label", `Compare ${names[row]}`);
  return box;
}
function choose(row) { // a third run takes the place of the first
  const others = view.compare.filter((name) => name !== names[row]);
  view.compare = others.length < view.compare.length ? others : [...others.slice(-1), names[row]];
  keepInAddress();
  drawComparison();
  if (view.compare.length === 2) $("comparison").scrollIntoView({ block: "nearest" });
}
function drawComparison() {
  const two = view.compare.map((name) => names.indexOf(name));
  for (const row of body.rows) row.querySelector("input").checked = view.compare.includes(names[row.dataset.row]);
  $("comparison").hidden = two.length < 2;
  $("choice").textContent = two.length === 1 ? `Choose a second run beside ${names[two[0]]}.` : "";
  if (two.length < 2) return;
  const listed = (c) => ({ name: word(columns[c]), raw: two.map((row) => rows[row][c]), texts: two.map((row) => shown(rows[row][c], c)) });
  const unlisted = ({ key, values, of }) => {
    const raw = two.map((row) => values[of[DATA.setting[row]]] ?? "");
    return { name: word(key), raw, texts: raw.map(word) };
  };
  const all = columns.map((_, c) => c).slice(1);
  const differing = [...all.filter((c) => isSetting[c]).map(listed), ...DATA.unlisted.map(unlisted)].filter(({ raw: [one, other] }) => one !== other);
  const outcome = all.filter((c) => !isSetting[c]).map(listed).filter(({ texts }) => texts.some(Boolean));
  const table = $("comparison").querySelector("table");
  table.querySelector("thead tr").replaceChildren(element("td"), ...two.map((row) => heading("col", names[row])));
  table.tBodies[0].replaceChildren(...differing.map(comparisonRow));
  table.tBodies[1].replaceChildren(...outcome.map(comparisonRow));
  $("difference").textContent = differing.length ? `They differ in ${plural(differing.length, "setting")}; below these, what came of it.`
    : "No setting that a result depends on differs between them.";
}
function heading(scope, text) {
  const made = element("th", text);
  made.scope = scope;
  return made;
}
function comparisonRow({ name, texts }) {
  const made = element("tr");
  made.append(heading("row", name), ...texts.map((text) => element("td", text)));
  return made;
}
