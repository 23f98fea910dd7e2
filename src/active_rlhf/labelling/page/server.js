/* Asking the server. */

/** A request that failed. status: the server's, 0 if it could not be reached. */
export class Failed extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The server's answer; with a body, it is posted. Throws Failed. */
export async function ask(path, body) {
  const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, { ...(body ? post : {}), signal: AbortSignal.timeout(path === "/api/quality" ? 120e3 : 15e3) });
    if (response.ok) return await response.json();
  } catch {
    throw new Failed(0, "The server cannot be reached.");
  }
  const said = await response.json().catch(() => ({}));
  throw new Failed(response.status, said.error ?? `The server answers with ${response.status}.`);
}

/** Give the server the token in the page's address, if there is one, and take it out of there. */
export async function enter() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  await ask("/api/enter", { token });
  history.replaceState(null, "", location.pathname);
}
