// Tables that sort, filter, page and can be taken along; and two methods seed by seed.
// Every page reads without this; nothing is fetched.
"use strict";

const ROWS = 50; // of a table on one page

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function drawn(tag, attributes = {}, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  return made;
}

function choice(label, options, changed, first = null) {
  const select = element("select", { onchange: () => changed(select.value) });
  if (first !== null) select.append(element("option", { value: "" }, first));
  for (const option of options) select.append(element("option", { value: option }, option));
  return { label: element("label", {}, label, select), select };
}

// --- tables --------------------------------------------------------------------------------------

const text = (cell) => cell.textContent.trim();
const order = new Intl.Collator("en", { numeric: true });

class Listing {
  constructor(section) {
    this.name = section.dataset.name;
    this.table = section.querySelector("table");
    this.body = this.table.tBodies[0];
    this.heads = [...this.table.tHead.rows[0].cells];
    this.rows = [...this.body.rows];
    this.names = this.heads.map(text);
    this.wanted = new Map(); // column -> text
    this.sorted = null; // column and direction
    this.page = 0;
    this.count = element("p", { class: "count", role: "status" });
    this.before = this.button("Previous", () => this.turn(-1));
    this.after = this.button("Next", () => this.turn(1));
    const tools = element("div", { class: "tools" }, ...this.filters(), this.count);
    if (this.rows.length > ROWS) tools.append(this.before, this.after);
    for (const format of Object.keys(FORMATS)) {
      tools.append(this.button(format, () => this.take(format), `Download these rows as ${format}`));
    }
    section.prepend(tools);
    this.heads.forEach((head, column) => {
      const sort = element("button", { type: "button", onclick: () => this.sort(column) }, ...head.childNodes);
      head.replaceChildren(sort);
    });
    this.show();
  }

  button(label, clicked, described = label) {
    const attributes = { type: "button", class: "tool", onclick: clicked, "aria-label": `${described}, table ${this.name}` };
    return element("button", attributes, label);
  }

  filters() {
    const made = [];
    this.heads.forEach((head, column) => {
      if (!head.hasAttribute("data-filter")) return;
      const found = [...new Set(this.rows.map((row) => text(row.cells[column])))];
      if (found.length < 2) return;
      const changed = (value) => {
        if (value) this.wanted.set(column, value);
        else this.wanted.delete(column);
        this.page = 0;
        this.show();
      };
      made.push(choice(this.names[column], found.sort(order.compare), changed, "all").label);
    });
    return made;
  }

  sort(column) {
    const down = this.sorted?.column === column && !this.sorted.down;
    this.sorted = { column, down };
    this.heads.forEach((head, i) => {
      if (i === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    const numeric = this.heads[column].classList.contains("number");
    const sign = down ? -1 : 1;
    const key = (row) => (numeric ? row.cells[column].dataset.value : text(row.cells[column]));
    const keyed = this.rows.map((row) => [key(row), row]);
    keyed.sort(([a], [b]) => {
      if (!numeric) return sign * order.compare(a, b);
      if (a === undefined || b === undefined) return (a === undefined) - (b === undefined); // last
      return sign * (Number(a) - Number(b));
    });
    this.rows = keyed.map(([, row]) => row);
    this.page = 0;
    this.show();
  }

  turn(by) {
    this.page += by;
    this.show();
  }

  chosen() {
    return this.rows.filter((row) => [...this.wanted].every(([column, value]) => text(row.cells[column]) === value));
  }

  show() {
    const chosen = this.chosen();
    const pages = Math.max(1, Math.ceil(chosen.length / ROWS));
    this.body.replaceChildren(...chosen.slice(this.page * ROWS, (this.page + 1) * ROWS));
    const of = chosen.length === this.rows.length ? "" : ` of ${this.rows.length}`;
    const where = pages > 1 ? `, page ${this.page + 1} of ${pages}` : "";
    this.count.textContent = `${chosen.length}${of} rows${where}`;
    this.before.disabled = this.page === 0;
    this.after.disabled = this.page + 1 >= pages;
  }

  take(format) {
    const rows = this.chosen().map((row) => [...row.cells].map((cell) => cell.dataset.value ?? text(cell)));
    const { type, suffix, written } = FORMATS[format];
    const numeric = this.heads.map((head) => head.classList.contains("number"));
    const file = new Blob([written(this.names, rows, numeric)], { type });
    const link = element("a", { href: URL.createObjectURL(file), download: `${this.name.replaceAll(" ", "_")}.${suffix}` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
}

const LATEX = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "−": "$-$", "±": "$\\pm$", "∞": "$\\infty$" };
const latex = (value) => value.replace(/[\\~^−±∞]|[{}$&#%_]/g, (c) => LATEX[c] ?? `\\${c}`);
const quoted = (value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
const piped = (value) => value.replace(/[\\|`*_<]/g, "\\$&");
const FORMATS = {
  CSV: {
    type: "text/csv",
    suffix: "csv",
    written: (names, rows) => [names, ...rows].map((row) => row.map(quoted).join(",")).join("\n") + "\n",
  },
  Markdown: {
    type: "text/markdown",
    suffix: "md",
    written: (names, rows, numeric) =>
      [names.map(piped), numeric.map((right) => (right ? "---:" : "---")), ...rows.map((row) => row.map(piped))]
        .map((row) => `| ${row.join(" | ")} |`)
        .join("\n") + "\n",
  },
  LaTeX: {
    type: "application/x-tex",
    suffix: "tex",
    written: (names, rows, numeric) =>
      [
        `\\begin{tabular}{${numeric.map((right) => (right ? "r" : "l")).join("")}}`,
        "\\toprule",
        `${names.map(latex).join(" & ")} \\\\`,
        "\\midrule",
        ...rows.map((row) => `${row.map(latex).join(" & ")} \\\\`),
        "\\bottomrule",
        "\\end{tabular}",
      ].join("\n") + "\n",
  },
};

// --- two methods, seed by seed -------------------------------------------------------------------

function seedBySeed(place, values) {
  const has = (name) => values.some((one) => one[name]);
  const keys = ["variant", "environment", "endpoint"].filter(has);
  const chosen = {};
  const result = element("div");
  const tools = element("div", { class: "tools" });
  const selects = {};

  const matching = (upTo) => values.filter((one) => keys.slice(0, upTo).every((key) => one[key] === chosen[key]));

  function fill(select, options, wanted) {
    select.replaceChildren(...options.map((option) => element("option", { value: option }, option)));
    select.value = options.includes(wanted) ? wanted : options[0];
    return select.value;
  }

  function update() {
    keys.forEach((key, i) => {
      const options = [...new Set(matching(i).map((one) => one[key]))];
      chosen[key] = fill(selects[key], options, chosen[key]);
    });
    const [one] = matching(keys.length);
    const methods = Object.keys(one.methods);
    chosen.first = fill(selects.first, methods, chosen.first);
    chosen.second = fill(selects.second, methods, chosen.second ?? methods[1]);
    result.replaceChildren(...paired(one, chosen.first, chosen.second));
  }

  for (const key of [...keys, "first", "second"]) {
    const made = choice(key === "first" ? "first method" : key === "second" ? "second method" : key, [], (value) => {
      chosen[key] = value;
      update();
    });
    selects[key] = made.select;
    tools.append(made.label);
  }
  place.append(tools, result);
  update();
}

const shown = (value) => value.toPrecision(4).replace(/e\+?/, "e").replace("-", "−");

function paired(one, first, second) {
  const [a, b] = [one.methods[first], one.methods[second]];
  const seeds = Object.keys(a).filter((seed) => seed in b);
  if (!seeds.length) return [element("p", {}, `${first} and ${second} have no seed in common.`)];
  const differences = seeds.map((seed) => a[seed] - b[seed]);
  const better = (difference) => (one.lower ? difference < 0 : difference > 0);
  const wins = differences.filter(better).length;
  const ties = differences.filter((difference) => difference === 0).length;
  const mean = differences.reduce((sum, value) => sum + value, 0) / seeds.length;
  const said = `${first} is better than ${second} in ${wins} of ${seeds.length} seeds${ties ? `, equal in ${ties}` : ""}; mean difference ${shown(mean)} (n = ${seeds.length}, no test here). ${one.meaning}.`;
  const head = element("tr", {}, ...["seed", first, second, "difference"].map((name, i) => element("th", { scope: "col", class: i ? "number" : false }, name)));
  const rows = seeds.map((seed, i) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, seed),
      ...[a[seed], b[seed], differences[i]].map((value) => element("td", { class: "number" }, shown(value))),
    ),
  );
  const table = element("table", {}, element("caption", {}, said), element("thead", {}, head), element("tbody", {}, ...rows));
  return [pairedChart(seeds, a, b, better, first, second), element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "values seed by seed" }, table)];
}

function pairedChart(seeds, a, b, better, first, second) {
  const [width, height, left, top] = [440, 200, 60, 24];
  const all = seeds.flatMap((seed) => [a[seed], b[seed]]);
  const low = Math.min(...all);
  const span = Math.max(...all) - low || 1;
  const y = (value) => height - 20 - ((value - low) / span) * (height - 20 - top);
  const x = [left + 80, width - 100];
  const chart = drawn("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart paired", role: "img", "aria-label": `${first} and ${second}, a line for each seed; the table that follows has the values` });
  for (const value of [low, low + span]) chart.append(drawn("text", { x: left, y: y(value) + 4, "text-anchor": "end" }, shown(value)));
  [first, second].forEach((name, i) => chart.append(drawn("text", { x: x[i], y: 12, "text-anchor": "middle" }, name)));
  for (const seed of seeds) {
    chart.append(drawn("line", { x1: x[0], x2: x[1], y1: y(a[seed]), y2: y(b[seed]), class: "pair" }));
    [a, b].forEach((values, i) => {
      const point = drawn("circle", { cx: x[i], cy: y(values[seed]), r: 3.5, class: better(a[seed] - b[seed]) ? "good" : "bad" });
      point.append(drawn("title", {}, `seed ${seed}: ${shown(values[seed])}`));
      chart.append(point);
    });
  }
  return chart;
}

document.querySelectorAll("section.listing").forEach((section) => new Listing(section));
const place = document.getElementById("seeds");
if (place) seedBySeed(place, JSON.parse(document.getElementById("values").textContent));
