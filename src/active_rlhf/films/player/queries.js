import { Player } from "./player.js";

const by = (id) => document.getElementById(id);
const { queries, stages, answers } = JSON.parse(by("page").textContent);
const player = new Player(by("player"), [], { keysFrom: document });
window.player = player;

/** Films are unpacked when they are looked at. */
function film(id) {
  const found = JSON.parse(by(`film-${id}`).textContent);
  return found.kind === "bodies" ? { ...found, stage: stages[found.stage] } : found;
}

let listed = [], shown = null, revealed = false;
const option = (value, text) => Object.assign(document.createElement("option"), { value, textContent: text });
for (const [value, text] of Object.entries(answers)) by("answer").append(option(value, text));
for (const session of new Set(queries.map((query) => query.session)))
  by("session").append(option(session, session));

function list() {
  const [answer, session] = [by("answer").value, by("session").value];
  listed = queries.filter(
    (query) => (!answer || query.answer === answer) && (session === "" || query.session === +session),
  );
  by("count").textContent = `${listed.length} of ${queries.length} queries`;
  by("list").replaceChildren(
    ...listed.map((query) => {
      const item = document.createElement("li"), button = document.createElement("button");
      button.type = "button";
      button.dataset.query = query.number;
      button.append(`${query.number}`, Object.assign(document.createElement("span"), { textContent: answers[query.answer] }));
      button.addEventListener("click", () => show(query));
      item.append(button);
      return item;
    }),
  );
  if (!listed.includes(shown)) show(listed[0] ?? null);
  else mark();
}

function mark() {
  for (const button of by("list").querySelectorAll("button")) {
    const now = shown && +button.dataset.query === shown.number;
    button.setAttribute("aria-current", Boolean(now));
    if (now) button.scrollIntoView({ block: "nearest" });
  }
  const at = listed.indexOf(shown);
  by("previous").disabled = at <= 0;
  by("next").disabled = at < 0 || at === listed.length - 1;
}

function say() {
  const text = shown && revealed ? shown.returns.map((value) => value.toFixed(2)).join(" and ") : "hidden";
  by("returns").textContent = text;
  by("reveal").textContent = revealed ? "Hide" : "Show";
  by("reveal").setAttribute("aria-pressed", revealed);
}

function show(query) {
  shown = query;
  mark();
  say();
  if (!query) {
    by("which").textContent = "No query";
    by("given").textContent = by("probability").textContent = "";
    return player.load([]);
  }
  by("which").textContent =
    `Query ${query.number}, session ${query.session}${query.heldOut ? ", held out" : ""}`;
  by("given").textContent = answers[query.answer];
  by("probability").textContent = query.probability.toFixed(3);
  history.replaceState(null, "", `#${query.number}`);
  return player.load(query.pair.map(film), ["First", "Second"]);
}

const go = (by) => {
  const next = listed[listed.indexOf(shown) + by];
  if (next) show(next);
};
by("previous").addEventListener("click", () => go(-1));
by("next").addEventListener("click", () => go(1));
by("reveal").addEventListener("click", () => {
  revealed = !revealed;
  say();
});
for (const id of ["answer", "session"]) by(id).addEventListener("change", list);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || ["SELECT", "INPUT"].includes(event.target.tagName)) return;
  if (event.key === "n") go(1);
  if (event.key === "p") go(-1);
});
shown = queries.find((query) => `#${query.number}` === location.hash) ?? queries[0] ?? null;
list();
show(shown);
