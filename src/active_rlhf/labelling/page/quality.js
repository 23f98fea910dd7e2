import { ask, enter } from "/server.js";

const TITLES = { people: "People", pairs: "Pairs of people" };
const element = (tag, ...children) => {
  const made = document.createElement(tag);
  made.append(...children);
  return made;
};
const words = (name) => name.replaceAll("_", " ");
const text = (value) => (value === null ? "–" : typeof value === "number" && !Number.isInteger(value) ? value.toFixed(2) : `${value}`);

function table(name, { columns, data }) {
  const head = element("tr", ...columns.map((column) => element("th", words(column))));
  const rows = data.map((row) => element("tr", ...row.map((value) => element("td", text(value)))));
  const made = element("table", element("caption", TITLES[name] ?? words(name)), element("thead", head), element("tbody", ...rows));
  const scrolled = element("div", made);
  scrolled.className = "wide";
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
