/* The page on which people compare clips. It holds the pair on screen and the next ones, decoded, so
   that an answer takes no waiting; answers go through the outbox. */

import { decode, Player } from "/player.js";
import { ACTIONS, keyOf, keys, nameOf, setKey, usualKeys } from "/keys.js";
import { Outbox, uuid } from "/outbox.js";
import { ask, enter, Failed } from "/server.js";

const AHEAD = 3; // pairs that are ready besides the one on screen
const MOST = 16; // pairs that the server gives at once
const BLINK = 200; // milliseconds in which a second press is part of the first
const OFTEN = 2e3, SELDOM = 20e3; // milliseconds between looks at the server, without and with a pair
const AWAY = 180e3; // milliseconds after which nobody is there, and others may have the pairs

const by = (id) => document.getElementById(id);
const buttons = Object.fromEntries([...document.querySelectorAll("[data-answer]")].map((b) => [b.dataset.answer, b]));
const player = new Player(by("player"), [], {
  keysFrom: document,
  speed: +localStorage.getItem("speed") || 1,
  onframe: ({ speed }) => +localStorage.getItem("speed") !== speed && localStorage.setItem("speed", speed),
});
window.player = player;

let annotator = localStorage.getItem("annotator") ?? "";
let held = []; // pairs on this person's screen: the first is shown, the others come next
let shown = null, since = 0; // the pair that is drawn, and from when
let runs = []; // what the server says about runs
let active = performance.now(); // when the person last did something
let mine = 0;
const past = []; // {pair, answer}: what can be taken back
const answered = new Set();
const outbox = new Outbox(tellSaved);

// --- pairs ----------------------------------------------------------------------------------------

let asking = false, again = false, unreachable = null, timer = 0;

/** Get what the server has for this person, and its word on the runs; keeps the leases. */
async function look() {
  again = true;
  if (asking) return; // and looks again when it has what it asked for
  clearTimeout(timer);
  asking = true;
  try {
    while (again) {
      again = false;
      await lookOnce();
    }
  } finally {
    asking = false;
  }
  timer = setTimeout(idle, shown && !unreachable ? SELDOM : OFTEN);
}

const idle = () => {
  const away = held.length && performance.now() - active > AWAY;
  if (away) timer = setTimeout(idle, OFTEN);
  else look();
};

async function lookOnce() {
  if (!annotator) return;
  try {
    const count = Math.min(MOST, 1 + AHEAD + outbox.unsent);
    const said = await ask("/api/next", { annotator, count });
    unreachable = null;
    runs = said.runs;
    const listed = new Map(said.showings.map((pair) => [pair.id, pair]));
    held = held.filter((pair) => listed.has(pair.id) || pair.undone);
    for (const pair of held) listed.delete(pair.id);
    for (const pair of listed.values()) if (!answered.has(pair.id)) held.push(pair);
    for (const pair of held.slice(0, 2 + AHEAD)) await load(pair);
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    unreachable = error;
  }
  if (!feedback) showNext();
  tell();
}

const cache = new Map(); // decoded films by digest
async function load(pair) {
  pair.clips ??= await Promise.all(
    pair.films.map(async (digest) => {
      if (!cache.has(digest)) cache.set(digest, await decode(await ask(`/api/film/${pair.run}/${digest}`)));
      return cache.get(digest);
    }),
  );
  if (cache.size > 64) for (const digest of [...cache.keys()].slice(0, 32)) cache.delete(digest);
}

/** Show the first pair, unless it is there already or not ready. */
async function showNext() {
  const next = held.find((pair) => pair.clips) ?? null;
  if (next === shown) return;
  shown = next;
  for (const [side, button] of Object.entries(buttons)) button.toggleAttribute("data-former", side === next?.undone);
  await player.load(next ? next.clips : [], ["Left", "Right"]);
  since = performance.now();
  document.body.dataset.pair = next?.id ?? "";
  if (performance.getEntriesByName("answer").length)
    requestAnimationFrame(() => setTimeout(() => performance.measure("next pair", "answer")));
  tell();
}

// --- answers --------------------------------------------------------------------------------------

function answer(side) {
  if (feedback) return goOn();
  const pair = shown, now = performance.now();
  if (!pair || now - since < BLINK) return;
  performance.clearMarks("answer");
  performance.mark("answer");
  const seconds = Math.round(now - since) / 1000;
  held = held.filter((one) => one !== pair);
  past.push({ pair, answer: side });
  if (past.length > 50) past.shift();
  answered.add(pair.id);
  pair.undone = null;
  mine += !pair.practice;
  say("");
  const said = outbox.add({ annotator, run: pair.run, showing: pair.id, id: uuid(), answer: side, seconds });
  said.then(({ refused }) => refused && say(`An answer does not count: ${refused}.`));
  if (pair.practice) explain(side, said);
  else showNext();
  look();
}

function undo() {
  const last = past.pop();
  if (!last) return say("There is nothing to take back.");
  const { pair } = last;
  feedback = null;
  pair.undone = last.answer;
  held.unshift(pair);
  answered.delete(pair.id);
  mine -= !pair.practice;
  const withdrawal = { annotator, run: pair.run, showing: pair.id, id: uuid(), answer: "withdrawn", seconds: null };
  outbox.add(withdrawal).then(({ refused }) => {
    if (!refused) return;
    say("That answer stands: the trainer has learned from it already.");
    held = held.filter((one) => one !== pair);
    answered.add(pair.id);
    mine += !pair.practice;
    showNext();
  });
  say("Your answer is taken back. Give another one.");
  showNext();
  tell();
}

// Practice: what was right is said before the next pair.

let feedback = null;
async function explain(side, said) {
  const turn = (feedback = {});
  const late = new Promise((resolve) => setTimeout(() => resolve({}), 3000));
  const { better } = await Promise.race([said, late]);
  if (feedback !== turn) return;
  const verdict = { left: "the left one does better", right: "the right one does better", equal: "both are equally good" }[better];
  if (!verdict) return goOn();
  by("verdict").textContent = side === better ? `Yes, ${verdict}.` : `Look again: ${verdict}.`;
  by("feedback").dataset.right = side === better;
  tell();
  by("go-on").focus();
}

function goOn() {
  feedback = null;
  showNext();
  tell();
}

// --- what the page says ---------------------------------------------------------------------------

const number = (value) => value.toLocaleString("en", { maximumFractionDigits: 1 });

function doing(run) {
  if (run.doing === "waiting") return `waits for ${run.waiting}`;
  if (run.doing === "training") return `trains: step ${number(run.step)} of ${number(run.total_steps)}`;
  if (run.doing === "stopped") return "is stopped; answers are kept until it goes on";
  return { beginning: "begins", finished: "is finished" }[run.doing];
}

const labels = (run) => `${run.answered} of ${run.budget} given, ${Math.max(0, run.budget - run.answered)} left`;
const returned = (run) => (run.last_return === null ? "none yet" : number(run.last_return));

function emptiness() {
  if (unreachable) return unreachable.status ? unreachable.message : "The server cannot be reached. This page goes on when it is back.";
  if (!annotator) return "";
  if (!runs.length) return "No run asks yet. Pairs will appear here by themselves.";
  if (runs.every((run) => run.doing === "finished")) return "All runs are finished. Thank you!";
  if (held.length) return "Loading…";
  return "Nothing to answer just now: the trainer is at work. The next pairs will appear here by themselves.";
}

function tell() {
  const run = runs.find((one) => one.run === shown?.run) ?? runs.find((one) => one.doing !== "finished") ?? runs[0];
  const explained = Boolean(feedback && by("verdict").textContent);
  if (run) {
    text("question", run.question);
    text("task", run.environment);
    text("labels", labels(run));
    text("trainer", doing(run));
    text("return", returned(run));
    by("bar").value = run.budget ? run.answered / run.budget : 0;
  }
  text("mine", `${mine}`);
  text("who", annotator);
  by("who").hidden = !annotator;
  by("progress").hidden = !run;
  by("player").hidden = !shown;
  by("answers").hidden = !shown || explained;
  by("empty").hidden = Boolean(shown);
  text("empty", shown ? "" : emptiness());
  by("practice").hidden = !shown?.practice;
  by("feedback").hidden = !explained;
  if (!feedback) by("verdict").textContent = "";
  by("undo").disabled = !past.length;
  by("others").hidden = runs.length < 2;
  const cells = runs.map((one) => [one.environment, one.seed, labels(one), doing(one), returned(one)]);
  const rows = cells.map((row) => {
    const made = document.createElement("tr");
    made.append(...row.map((cell) => Object.assign(document.createElement("td"), { textContent: cell })));
    return made;
  });
  by("runs").replaceChildren(...rows);
  document.title = shown ? `(${held.length}) Compare` : "Compare";
  tellSaved();
}

/** Screen readers read what changes, so what does not is left alone. */
function text(id, content) {
  if (by(id).textContent !== content) by(id).textContent = content;
}

function tellSaved() {
  const { unsent, kept, failure } = outbox;
  const waiting = unsent === 1 ? "1 answer is" : `${unsent} answers are`;
  const held = failure ? `${waiting} kept in this browser and will be sent.` : "Saving…";
  text("saved", unsent ? held : mine || past.length ? "All answers are saved." : "");
  Object.assign(document.body.dataset, { unsent, kept });
  by("saved").dataset.state = !unsent ? "saved" : failure ? "kept" : "sending";
}

const say = (words) => text("said", words);

// --- keys and buttons -----------------------------------------------------------------------------

function tellKeys() {
  const now = keys();
  player.options.keys = Object.fromEntries(Object.entries(now).filter(([action]) => !(action in DO)));
  for (const [action, button] of [...Object.entries(buttons), ["undo", by("undo")]]) {
    button.querySelector("kbd").textContent = now[action].map(nameOf).join(" ");
    button.setAttribute("aria-keyshortcuts", now[action].join(" "));
  }
  const rows = Object.entries(ACTIONS).map(([action, { does }]) => {
    const row = document.createElement("tr"), button = document.createElement("button");
    button.type = "button";
    button.textContent = now[action].map(nameOf).join(" or ") || "none";
    button.setAttribute("aria-label", `${does}: ${button.textContent}. Change`);
    button.addEventListener("click", () => {
      button.textContent = "press a key";
      button.addEventListener("keydown", (event) => {
        if (["Shift", "Control", "Alt", "Meta", "Tab"].includes(event.key)) return;
        event.preventDefault();
        if (event.key !== "Escape") setKey(action, keyOf(event));
        tellKeys();
      });
      button.addEventListener("blur", tellKeys, { once: true });
    }, { once: true });
    const cells = [does, button].map((content) => {
      const cell = document.createElement("td");
      cell.append(content);
      return cell;
    });
    row.append(...cells);
    return row;
  });
  by("keys").replaceChildren(...rows);
}

const help = () => (by("help").open ? by("help").close() : by("help").showModal());
const DO = { undo, help, ...Object.fromEntries(Object.keys(buttons).map((side) => [side, () => answer(side)])) };

function pressed(event) {
  active = performance.now();
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName)) return; // arrows move the slider
  const now = keys(), key = keyOf(event);
  const action = Object.keys(DO).find((one) => now[one].includes(key));
  if (!action) return;
  event.preventDefault();
  if (!event.repeat) DO[action]();
}

function listen() {
  document.addEventListener("keydown", pressed, { capture: true }); // before the player
  document.addEventListener("pointerdown", () => {
    if (performance.now() - active > AWAY) look();
    active = performance.now();
  });
  document.addEventListener("click", (event) => {
    // What was clicked gets no keys: space then plays, and arrows answer.
    const selects = event.target.tagName === "SELECT"; // and would close its list
    if (event.detail && !selects && !document.querySelector("dialog[open]")) document.activeElement?.blur();
  });
  document.addEventListener("change", (event) => event.target.tagName === "SELECT" && event.target.blur());
  for (const [side, button] of Object.entries(buttons)) button.addEventListener("click", () => answer(side));
  by("undo").addEventListener("click", undo);
  by("go-on").addEventListener("click", goOn);
  by("open-help").addEventListener("click", help);
  by("usual-keys").addEventListener("click", () => {
    usualKeys();
    tellKeys();
  });
  by("who").addEventListener("click", () => askName());
  document.addEventListener("visibilitychange", () => document.hidden || look());
  window.addEventListener("beforeunload", (event) => outbox.unsent > outbox.kept && event.preventDefault());
}

function askName() {
  const dialog = by("name"), given = by("name-given");
  given.value = annotator;
  dialog.showModal();
  dialog.addEventListener("cancel", (event) => annotator || event.preventDefault());
  dialog.addEventListener("close", () => {
    const name = given.value.trim();
    if (!name || name === annotator) return;
    annotator = name;
    localStorage.setItem("annotator", name);
    held = [];
    past.length = mine = 0;
    look();
  }, { once: true });
}

// --- begin ----------------------------------------------------------------------------------------

async function begin() {
  tellKeys();
  listen();
  try {
    await enter();
  } catch (error) {
    unreachable = error;
  }
  await outbox.open();
  for (const { showing, answer } of outbox.answers) // by an earlier page; not to be asked again
    if (answer === "withdrawn") answered.delete(showing);
    else answered.add(showing);
  tell();
  if (annotator) look();
  else askName();
}

/** One page of a browser at a time: another would show the same pairs. */
if (navigator.locks) {
  const turn = () => navigator.locks.request("label", () => (begin(), new Promise(() => {})));
  navigator.locks.request("label", { ifAvailable: true }, (lock) => {
    if (lock) return begin(), new Promise(() => {});
    by("empty").hidden = false;
    by("player").hidden = by("answers").hidden = true;
    text("empty", "This page is open in another tab. Close that one to go on here.");
    turn();
  });
} else begin();
