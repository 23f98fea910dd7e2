/* Answers on their way. Each is kept in the browser, on disk, until the server has it on its own;
   they are sent in the order in which they were given. An answer's id is made here, so that one that
   is sent twice counts once. */

import { ask } from "/server.js";

const AGAIN = 2000; // milliseconds until a server that failed is tried again
const STORE = "answers";

/** A random UUID; crypto.randomUUID is missing where a page comes by http from another machine. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

export class Outbox {
  #database = null;
  #entries = []; // {answer, key (of the database), kept, settle}
  #working = false;

  /** onchange: called when anything was added, kept, sent or not. */
  constructor(onchange) {
    this.onchange = onchange;
    this.failure = null; // why the last attempt to send failed
  }

  /** What an earlier page left unsent is sent first. */
  async open() {
    try {
      const opening = indexedDB.open("answers", 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { autoIncrement: true });
      this.#database = await done(opening);
      const store = this.#database.transaction(STORE).objectStore(STORE);
      const [keys, answers] = await Promise.all([done(store.getAllKeys()), done(store.getAll())]);
      this.#entries = answers.map((answer, i) => ({ answer, key: keys[i], kept: true, settle: () => {} }));
    } catch (error) {
      console.warn("answers are kept in memory only:", error); // browsers that forbid storage
    }
    this.#work();
  }

  /** How many answers the server does not have yet, which, and how many would survive a crash. */
  get unsent() {
    return this.#entries.length;
  }
  get answers() {
    return this.#entries.map((entry) => entry.answer);
  }
  get kept() {
    return this.#entries.filter((entry) => entry.kept).length;
  }

  /** Resolves to what the server said, or to {refused: why}. */
  add(answer) {
    return new Promise((settle) => {
      const entry = { answer, key: null, kept: false, settle };
      this.#entries.push(entry);
      entry.keeping = this.#keep(entry);
      this.onchange();
      this.#work();
    });
  }

  #change(action) {
    const transaction = this.#database.transaction(STORE, "readwrite", { durability: "strict" });
    const request = action(transaction.objectStore(STORE));
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    });
  }

  async #keep(entry) {
    if (!this.#database) return;
    try {
      entry.key = await this.#change((store) => store.add(entry.answer));
      entry.kept = true;
      this.onchange();
    } catch (error) {
      console.warn("an answer is kept in memory only:", error);
    }
  }

  async #remove(entry) {
    this.#entries = this.#entries.filter((other) => other !== entry);
    if (entry.key !== null) await this.#change((store) => store.delete(entry.key)).catch(console.warn);
  }

  async #work() {
    if (this.#working) return;
    this.#working = true;
    for (let entry; (entry = this.#entries.find((one) => !one.elsewhere)); ) {
      await entry.keeping;
      try {
        const said = await ask("/api/answer", entry.answer);
        this.failure = null;
        await this.#remove(entry);
        entry.settle(said);
      } catch (error) {
        this.failure = error;
        if (error.status === 404) {
          entry.elsewhere = true; // of a study that another server serves; kept until it is back
        } else if (error.status >= 400 && error.status < 500 && ![401, 408, 429].includes(error.status)) {
          this.failure = null;
          await this.#remove(entry);
          entry.settle({ refused: error.message });
        } else {
          this.onchange();
          await new Promise((resolve) => setTimeout(resolve, AGAIN));
        }
      }
      this.onchange();
    }
    this.#working = false;
  }
}
