import { ask, enter } from "/server.js";

const TITLES = { people: "People", pairs: "Who agrees with whom", overall: "All together" };
const element = (tag, ...children) => {
  const made = document.createElement(tag);
  made.append(...children);
  return made;
};
const text = (value) =>
  value === null ? "–" : typeof value === "number" && !Number.isInteger(value) ? value.toFixed(2) : `${value}`;

/** A table whose columns x, x_low, x_high and x_n are one: x, with its interval and number. */
function table(name, { columns, data }) {
  const at = (column) => columns.indexOf(column);
  const part = /_(low|high|n)$/;
  const shown = columns.filter((column) => !(part.test(column) && at(column.replace(part, "")) >= 0));
  const cell = (row, column) => {
    const [value, low, high, n] = [column, `${column}_low`, `${column}_high`, `${column}_n`].map((c) => row[at(c)] ?? null);
    const made = element("td", text(value));
    const about = [low !== null && `${text(low)} to ${text(high)}`, value !== null && n !== null && `of ${n}`];
    const said = about.filter(Boolean).join(", ");
    if (said) made.append(" ", element("small", said));
    return made;
  };
  const head = element("tr", ...shown.map((column) => element("th", column.replaceAll("_", " "))));
  const rows = data.map((row) => element("tr", ...shown.map((column) => cell(row, column))));
  const caption = element("caption", TITLES[name] ?? name.replaceAll("_", " "));
  const scrolled = element("div", element("table", caption, element("thead", head), element("tbody", ...rows)));
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
