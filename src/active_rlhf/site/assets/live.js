// The study as it is now, asked for every other second.
"use strict";

const EVERY = 2000; // milliseconds
const COLOURS = 7;

function cell(text, number = true) {
  return element("td", number ? { class: "number" } : {}, text);
}

function curve(environment, methods) {
  const [width, height, left, bottom, top] = [560, 240, 64, 24, 10];
  const points = methods.flatMap((method) => method.points);
  const last = Math.max(...points.map(([step]) => step));
  const low = Math.min(...points.map(([, value]) => value));
  const span = Math.max(...points.map(([, value]) => value)) - low || 1;
  const x = (step) => left + ((width - left - 8) * step) / last;
  const y = (value) => height - bottom - ((value - low) / span) * (height - bottom - top);
  const said = methods.map(({ method, points }) => `${method} ${shown(points.at(-1)[1])}`).join(", ");
  const chart = drawn("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": `Return on ${environment} so far: ${said}` });
  chart.append(drawn("line", { x1: left, x2: width, y1: height - bottom, y2: height - bottom, class: "axis" }));
  for (const value of [low, low + span]) chart.append(drawn("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, shown(value)));
  chart.append(drawn("text", { x: width - 8, y: height - 6, "text-anchor": "end" }, `${last.toLocaleString("en")} steps`));
  const legend = element("ul", { class: "legend" });
  methods.forEach(({ method, n, points, place }) => {
    const line = points.map(([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
    const colour = `series-${place % COLOURS}`;
    chart.append(drawn("polyline", { points: line, class: `curve ${colour}` }));
    if (points.length === 1) chart.append(drawn("circle", { cx: x(points[0][0]), cy: y(points[0][1]), r: 3, class: colour }));
    legend.append(element("li", { class: colour }, `${method} (n = ${n})`));
  });
  return element("figure", {}, element("h3", {}, environment), chart, legend);
}

function show(now) {
  document.getElementById("done").value = now.share;
  const left = now.done === now.total ? "finished" : `time left ${now.left ?? "unknown"}`;
  const parts = [`${now.done} of ${now.total} runs`, `${Math.floor(100 * now.share)}% of all steps`, left];
  const summary = [...parts, ...(now.best ? [now.best] : [])].join(", ");
  const status = document.getElementById("summary");
  if (status.textContent !== summary) status.textContent = summary;
  document.getElementById("pages").hidden = !now.pages;
  const failed = document.getElementById("failed");
  failed.hidden = !now.failed.length;
  failed.querySelector("ul").replaceChildren(...now.failed.map(({ run, reason }) => element("li", {}, `${run}: ${reason}`)));
  document.getElementById("running").replaceChildren(
    ...now.running.map((run) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, run.run),
        element("td", {}, run.waits || element("progress", { max: 1, value: run.share, "aria-label": `progress of ${run.run}` })),
        cell(run.steps),
        cell(run.rate),
        cell(run.labels),
        cell(run.last),
      ),
    ),
  );
  const methods = [...new Set(now.curves.map(({ method }) => method))];
  const names = [...new Set(now.curves.map(({ environment }) => environment))];
  const environments = names.map((name) => [name, now.curves.filter(({ environment, points }) => environment === name && points.length)]);
  document.getElementById("curves").replaceChildren(
    ...environments.filter(([, own]) => own.length).map(([environment, own]) =>
      curve(
        environment,
        own.map((one) => ({ ...one, place: methods.indexOf(one.method) })),
      ),
    ),
  );
}

async function look() {
  try {
    const answer = await fetch("/now");
    show(await answer.json());
  } catch {
    document.getElementById("summary").textContent = "the server has ended, or cannot be reached";
  }
  setTimeout(look, EVERY);
}

look();
