// ---- the filter
const OPERATORS = {
  "=": (a, b) => a === b, "!=": (a, b) => a !== b, "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b,
};
const texts = rows.map((row) => fold(row.filter((v) => !isBlank(v)).flatMap((v) => (words.has(v) ? [v, word(v)] : [v])).join("\n")));
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
  const whole = all.filter((c) => [columns[c], word(columns[c])].map(fold).includes(wanted));
  return whole.length ? whole : all.filter((c) => fold(columns[c]).endsWith("." + wanted) || fold(columns[c]).endsWith("/" + wanted));
}
