import { ask, enter } from "/server.js";

const TITLES = { people: "People", pairs: "Who agrees with whom", overall: "All together" };
const TURNED = { people: true, overall: true };
const WORDS = {
  first: "first better",
  second: "second better",
  skipped: "cannot judge",
  practice: "right in practice",
  gold: "right where returns are far apart",
  repeat: "same when repeated",
  mirror: "same when mirrored",
  left: "left, of answers for a side",
  true_return: "for the larger return",
  agreement: "agrees with others",
  alpha: "Krippendorff's alpha",
  kappa: "Cohen's kappa",
};
const element = (tag, ...children) => {
  const made = document.createElement(tag);
  made.append(...children);
  return made;
};
const text = (value) =>
  value === null ? "–" : typeof value === "number" && !Number.isInteger(value) ? value.toFixed(2) : `${value}`;

/** A table in which x stands with its interval x_low to x_high and its number x_n. One of many
    columns and few rows is turned: each column is then a line. */
function table(name, { columns, data }) {
  const at = (column) => columns.indexOf(column);
  const part = /_(low|high|n)$/;
  const shown = columns.filter((column) => !(part.test(column) && at(column.replace(part, "")) >= 0));
  const content = (row, column) => {
    const [value, low, high, n] = [column, `${column}_low`, `${column}_high`, `${column}_n`].map((c) => row[at(c)] ?? null);
    const about = [low !== null && `${text(low)} to ${text(high)}`, value !== null && n !== null && `of ${n}`];
    const said = about.filter(Boolean).join(", ");
    return [text(value), ...(said ? [" ", element("small", said)] : [])];
  };
  const title = (column) => element("th", WORDS[column] ?? column.replaceAll("_", " "));
  let lines = [shown.map(title), ...data.map((row) => shown.map((column) => element("td", ...content(row, column))))];
  if (name in TURNED) lines = lines[0].map((_, i) => lines.map((line) => line[i]));
  const [first, ...others] = lines.map((line) => element("tr", ...line));
  const head = element("thead", first), rows = others;
  const caption = element("caption", TITLES[name] ?? name.replaceAll("_", " "));
  const scrolled = element("div", element("table", caption, head, element("tbody", ...rows)));
  scrolled.className = "wide";
  scrolled.tabIndex = 0;
  scrolled.ariaLabel = caption.textContent;
  scrolled.role = "region";
  return scrolled;
}

const state = document.getElementById("state");
try {
  await enter();
  const tables = await ask("/api/quality");
  const shown = Object.entries(tables).filter(([, { data }]) => data.length);
  state.textContent = shown.length ? "" : "Nobody has answered yet.";
  document.getElementById("tables").replaceChildren(...shown.map(([name, content]) => table(name, content)));
} catch (error) {
  state.textContent = error.message;
}
