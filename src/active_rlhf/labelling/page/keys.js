/* Which key does what; a person can change that, for this browser. */

export const ACTIONS = {
  left: { does: "Left is better", keys: ["ArrowLeft", "1"] },
  right: { does: "Right is better", keys: ["ArrowRight", "2"] },
  equal: { does: "Equally good", keys: ["ArrowUp", "0"] },
  skipped: { does: "Cannot judge", keys: ["ArrowDown", "x"] },
  undo: { does: "Undo", keys: ["z"] },
  help: { does: "Help", keys: ["?"] },
  toggle: { does: "Play, pause", keys: [" "] },
  back: { does: "One frame back", keys: [","] },
  forward: { does: "One frame forward", keys: ["."] },
  slower: { does: "Slower", keys: ["-"] },
  faster: { does: "Faster", keys: ["+", "="] },
  loop: { does: "Loop", keys: ["l"] },
};
const NAMES = { " ": "space", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" };
const KEPT = "keys";

export const nameOf = (key) => NAMES[key] ?? (key.length === 1 ? key.toUpperCase() : key);
export const keyOf = (event) => (event.key.length === 1 ? event.key.toLowerCase() : event.key);

/** {action: [key, ...]}, as the person left them. */
export function keys() {
  const usual = Object.fromEntries(Object.entries(ACTIONS).map(([action, { keys }]) => [action, keys]));
  try {
    return { ...usual, ...JSON.parse(localStorage.getItem(KEPT) ?? "{}") };
  } catch {
    return usual;
  }
}

/** Make a key do this and nothing else; the action's former first key does nothing then. */
export function setKey(action, key) {
  const now = keys();
  for (const other of Object.keys(now)) now[other] = now[other].filter((one) => one !== key);
  now[action] = [key, ...now[action].slice(1)];
  localStorage.setItem(KEPT, JSON.stringify(now));
}

export const usualKeys = () => localStorage.removeItem(KEPT);
