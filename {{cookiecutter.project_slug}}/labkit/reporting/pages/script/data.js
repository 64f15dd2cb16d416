"use strict";
// Text from the runs is only ever set as textContent, never as markup.
const $ = (id) => document.getElementById(id);
const DATA = JSON.parse($("data").textContent);
const { columns, rows, groups, metrics, steps, epochs } = DATA;
const words = new Map(DATA.words), word = (text) => words.get(text) ?? text; // what people call a column or a setting
const group = DATA.setting.map((s) => (s !== null && s < groups.length ? s : null)); // only runs with results make one

const isBlank = (value) => value === null || value === "";
const fold = (value) => String(value).normalize("NFC").toLowerCase();
const plural = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
const short = (text) => (text.length > 200 ? `${text.slice(0, 200)}…` : text);
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
const isSetting = columns.map((name) => DATA.settings.includes(name));
function shown(value, c) {
  if (isBlank(value)) return "";
  return typeof value === "number" && decimals[c] <= 12 ? value.toFixed(decimals[c]) : String(isSetting[c] ? word(value) : value);
}
function padding(text, c) { // in place of the decimals that the number lacks, so that points stand below each other
  const missing = decimals[c] - places(text);
  return text && missing > 0 && missing <= 8 ? "\u2007".repeat(missing) + (text.includes(".") ? "" : "\u2008") : "";
}

// ---- curves: of every run its values at its steps, or null
let begin = 0;
const begins = DATA.at.map((s) => { const here = begin; begin += s === null ? 0 : steps[s].length; return here; });
const decoded = new Map();
function curvesOf(name) {
  if (!decoded.has(name)) {
    const all = decode(metrics.find((metric) => metric.name === name).values);
    const of = (s, row) => (s === null ? null : all.subarray(begins[row], begins[row] + steps[s].length));
    decoded.set(name, DATA.at.map(of).map((curve) => (curve?.some(Number.isFinite) ? curve : null)));
  }
  return decoded.get(name);
}
function decode(text) { // three bytes a value: the upper ones of a float of 32 bits
  const bytes = atob(text), bits = new Uint32Array(bytes.length / 3), byte = (i) => bytes.charCodeAt(i);
  for (let i = 0, k = 0; i < bits.length; i++, k += 3) bits[i] = byte(k) << 8 | byte(k + 1) << 16 | byte(k + 2) << 24;
  return new Float32Array(bits.buffer);
}
