// The console: one session on the circle that serves this page.

import init, { type RunningPlay } from "circles";
import { besidePage } from "./address";
import { askFirst, openDialog } from "./dialog";
import { button, byId, element, short, visible } from "./dom";
import { Editor } from "./editor";
import { isCircleError, messageOf, renderError } from "./errors";
import { History, forgetHistory, isPrivateOrigin } from "./history";
import { forgetIdentity, keyRule, knownIdentity } from "./keys";
import { openKeys } from "./keys-dialog";
import { Session } from "./session";
import { startTheme } from "./theme";
import { Entry, note } from "./transcript";
import { renderValue } from "./values";
import { Variables } from "./variables";

/** The error code of a play that needs a key. */
const UNAUTHENTICATED = -32001;

const running = new Set<RunningPlay>();
const session: Session = new Session({
  changed: () => {
    show();
    if (session.state === "connected") void variables.refresh();
  },
  note: (text) => note(visible(text)),
});
const variables = new Variables(() => session.circle, () => void reset());
const inputs = new History();
const editor = new Editor(
  byId("editor"),
  {
    run: (input) => void run(input),
    stop,
    complete: async (input, cursor) => (session.circle ? session.circle.complete(input, cursor).catch(() => null) : null),
    lookup: async (name) => (session.circle ? session.circle.lookup(name) : []),
  },
  inputs,
);

async function run(input: string): Promise<void> {
  if (session.state === "idle") await session.connect();
  const circle = session.circle;
  if (!circle) {
    note("there is no connection to the circle: the input is back in the editor");
    editor.set(input);
    return;
  }
  const entry = new Entry(input);
  let play: RunningPlay | undefined;
  try {
    play = await circle.start(input, undefined, (event) => entry.event(event));
    running.add(play);
    show();
    const result = await play.result();
    entry.end(renderValue(result.json, result.output, result.type));
  } catch (error) {
    entry.end(renderError(error, input, advice(error)));
  } finally {
    if (play) running.delete(play);
    show();
    void variables.refresh();
  }
}

function advice(error: unknown): Node | undefined {
  if (!isCircleError(error)) return undefined;
  if (error.code === UNAUTHENTICATED) return button(keyRule === "none" ? "Why this page takes no key" : "Make or bring a key", keys);
  if (error.kind === "lost") return document.createTextNode("the play may have run: it is not repeated by itself");
  return undefined;
}

/** Stops the plays of this page. Returns false if none runs. */
function stop(): boolean {
  for (const play of running) play.cancel().catch((error: unknown) => note(`cannot stop the play: ${messageOf(error)}`));
  return running.size > 0;
}

async function reset(): Promise<void> {
  const circle = session.circle;
  if (!circle) return;
  askFirst("Reset the session?", ["This deletes its variables and functions. Other sessions keep theirs."], "Reset", () => {
    circle.reset().then(
      () => note("the session is new"),
      (error: unknown) => note(`cannot reset the session: ${messageOf(error)}`),
    ).finally(() => void variables.refresh());
  });
}

function keys(): void {
  openKeys(session.key, async (key) => {
    await session.authenticate(key);
    note(`signed in as ${key.name} (${short(key.key.publicKey)})`);
    void variables.refresh();
    editor.focus();
  }, () => session.signOut());
}

/** Shows the state of the session. */
function show(): void {
  const { description, circle, state } = session;
  const name = description?.name ?? "circles";
  byId("circle-name").textContent = visible(name);
  document.title = `${running.size > 0 ? "● " : ""}${visible(name)} · circles`;
  const you = session.key ? `signed in as ${session.key.name}` : description && !description.you.admitted ? "not signed in" : "no key needed";
  const texts = { connecting: "connecting…", connected: `connected · ${you}`, idle: session.reason, lost: session.reason, refused: session.reason };
  const shown = byId("state");
  // What is written again would be read aloud again.
  if (shown.textContent !== visible(texts[state])) shown.textContent = visible(texts[state]);
  shown.dataset["state"] = state;
  byId<HTMLButtonElement>("stop-button").disabled = running.size === 0;
  byId("key-button").textContent = session.key ? session.key.name : "Key";
  const identity = byId("identity-button");
  identity.hidden = !circle && !hasOtherIdentity();
  if (hasOtherIdentity()) identity.textContent = "Another circle answers";
  if (circle) identity.textContent = `Circle ${short(circle.identity.publicKey)}`;
}

/** Whether the page refused a circle because of its identity. */
function hasOtherIdentity(): boolean {
  return session.state === "refused" && !session.circle && knownIdentity() !== null && session.key === null;
}

function showIdentity(): void {
  const identity = session.circle?.identity;
  if (!identity) {
    const advice = "The operator may have given the circle a new identity; or someone else answers at its address. Compare the new identity with what the operator gives you by another way.";
    askFirst("Another circle answers", [visible(session.reason), advice], "Accept the new identity", () => {
      forgetIdentity();
      void session.connect();
    });
    return;
  }
  const kind = identity.persistent ? "It keeps this identity at this address." : "It is ephemeral: it ends with the circle's process.";
  const rule = keyRule === "kept"
    ? "This browser remembers it, and the page refuses another circle at this address."
    : "Over http, this page cannot remember it: compare it with what the operator gave you (circles status shows it).";
  openDialog("Identity of the circle", () => [
    element("p", {}, "The circle has signed that this is its identity:"),
    element("code", { class: "key" }, identity.publicKey),
    element("p", {}, kind, " ", rule),
  ]);
}

function help(): void {
  const rows: [string, string][] = [
    ["Enter", "run a complete input, continue an incomplete one"],
    ["Shift-Enter", "open a line"],
    ["Ctrl-Enter", "run"],
    ["Tab", "complete; at the start of a line, indent; in an empty editor, leave it"],
    ["↑ ↓", "earlier inputs that begin with the typed text"],
    ["Ctrl-C", "stop the running play; without one, clear the input (with a selection: copy)"],
    ["Ctrl-Space", "complete"],
    ["Esc", "close the completions"],
    ["Esc, then Tab", "leave the editor"],
  ];
  openDialog("Help", () => [
    element("p", {}, "Each input is a Rhai script that runs in your own session on the circle. Its variables stay until you reset or leave."),
    element("table", { class: "keys" }, element("tbody", {}, ...rows.map(([key, text]) => element("tr", {}, element("th", { scope: "row" }, element("kbd", {}, key)), element("td", {}, text))))),
    isPrivateOrigin ? element("p", {}, button("Forget the history", forgetHistory)) : "",
    element("p", {}, "The terminal has more: circles tui, circles repl. The contract of the circle is at ", element("a", { href: besidePage("openrpc.json") }, "openrpc.json"), ". Here are the ", element("a", { href: new URL("licenses.txt", import.meta.url).href }, "licences"), " of its parts."),
  ]);
}

async function start(): Promise<void> {
  startTheme();
  byId("run-button").addEventListener("click", () => {
    editor.run();
    editor.focus();
  });
  byId("stop-button").addEventListener("click", stop);
  byId("key-button").addEventListener("click", keys);
  byId("identity-button").addEventListener("click", showIdentity);
  byId("help-button").addEventListener("click", help);
  document.addEventListener("keydown", (event) => {
    // The editor and the fields have their own meaning for the key.
    if (event.defaultPrevented || event.target === byId("editor") || event.target instanceof HTMLInputElement) return;
    const isCopy = document.getSelection()?.toString() !== "";
    if (event.key === "c" && event.ctrlKey && !event.metaKey && !isCopy && stop()) event.preventDefault();
  });
  addEventListener("beforeunload", (event) => {
    if (running.size > 0) event.preventDefault();
  });
  show();
  try {
    await init({ module_or_path: new URL("client.wasm", import.meta.url) });
  } catch (error) {
    note(`this browser cannot run the console: ${messageOf(error)}. It needs WebAssembly.`);
    return;
  }
  await session.connect();
  void variables.refresh();
  editor.focus();
  document.documentElement.dataset["ready"] = "";
}

start().catch((error: unknown) => note(visible(messageOf(error))));
