// ---- sorting: numbers before text, blanks always last
const collator = new Intl.Collator("en", { numeric: true });
const FIRST_ROWS = 200; // shown at once; the rest after a click
const TROUBLE = new Set(["failed", "diverged", "dead", "refused", "unreadable", "cancelled", "out of time", "out of memory"]);
let order = rows.map((_, i) => i), matching = order, showAll = false;
function compareCells(a, b) {
  const x = number(a), y = number(b), text = Number.isNaN(x) - Number.isNaN(y);
  return text || (Number.isNaN(x) ? collator.compare(a, b) : x - y);
}
function sortRows() {
  const c = columns.indexOf(view.sort), column = cells[c], sign = view.order === "ascending" ? 1 : -1;
  order = rows.map((_, i) => i);
  if (column) {
    order.sort((i, j) => isBlank(column[i]) - isBlank(column[j]) || (isBlank(column[i]) ? 0 : sign * compareCells(column[i], column[j])) || i - j);
  }
  [...headRow.children].forEach((head, i) => head.setAttribute("aria-sort", i === c ? view.order : "none"));
}
function sortBy(name) {
  view.order = view.sort === name && view.order === "ascending" ? "descending" : "ascending";
  view.sort = name;
  keepInAddress();
  sortRows();
  update();
}

// ---- the list
const headRow = document.querySelector("#list thead tr"), body = document.querySelector("#list tbody");
function makeHead() {
  columns.forEach((name, c) => {
    const head = element("th", undefined, numeric[c] ? "number" : ""), button = element("button", word(name));
    head.title = name;
    button.type = "button";
    button.onclick = () => sortBy(name);
    head.scope = "col";
    head.append(button);
    headRow.append(head);
  });
}
function rowElement(row) {
  const made = element("tr");
  made.dataset.row = row;
  made.tabIndex = -1;
  columns.forEach((name, c) => {
    const value = rows[row][c], text = shown(value, c), cell = element(c ? "td" : "th", text);
    if (!c) {
      cell.scope = "row";
      if (groups.length) cell.prepend(group[row] === null ? element("span", "", "key") : key(group[row]));
      cell.prepend(chooser(row));
    }
    if (numeric[c]) cell.className = "number";
    else if (text.length > 60) cell.className = "long";
    if (name === "status" && TROUBLE.has(value)) cell.className = "bad";
    const pad = numeric[c] ? padding(text, c) : "";
    if (pad) cell.dataset.pad = pad;
    if (typeof value === "number" && text !== String(value)) cell.title = value;
    cell.hidden = view.hidden.includes(name);
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
  const { tests, problems } = parse(view.filter);
  matching = order.filter((row) => tests.every((test) => test(row)));
  $("matches").textContent = tests.length ? `${matching.length.toLocaleString("en")} of ${plural(rows.length, "run")}` : plural(rows.length, "run");
  $("problem").textContent = problems.length ? `Not applied: ${problems.join("; ")}.` : "";
  drawRows();
  requestDrawing();
}

// ---- columns that are hidden
function makeColumnBoxes() {
  for (const name of columns.slice(1)) {
    const label = element("label"), box = checkbox();
    box.value = name;
    box.onchange = () => {
      view.hidden = box.checked ? view.hidden.filter((other) => other !== name) : [...view.hidden, name];
      keepInAddress();
      hideColumns();
      drawRows();
    };
    label.append(box, word(name));
    $("columns").append(label);
  }
}
function hideColumns() {
  [...headRow.children].forEach((head, c) => { head.hidden = view.hidden.includes(columns[c]); });
  for (const box of $("columns").querySelectorAll("input")) box.checked = !view.hidden.includes(box.value);
  $("hidden-columns").textContent = view.hidden.length ? `Columns (${view.hidden.length} hidden)` : "Columns";
}
function checkbox() {
  const box = element("input");
  box.type = "checkbox";
  return box;
}

// ---- the runs that match, as a file
function csvCell(value) { // with an apostrophe before a text that a spreadsheet would run as a formula
  const text = isBlank(value) ? "" : String(value), formula = /^[=+\-@\t\r]/.test(text) && !Number.isFinite(number(value));
  return /[",\r\n]/.test(text) ? `"${formula ? "'" : ""}${text.replaceAll('"', '""')}"` : formula ? `'${text}` : text;
}
function download() {
  const kept = columns.map((_, c) => c).filter((c) => !view.hidden.includes(columns[c]));
  const lines = [columns.map(word), ...matching.map((row) => rows[row])].map((cells) => kept.map((c) => csvCell(cells[c])).join(","));
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "text/csv" }));
  link.download = "runs.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
