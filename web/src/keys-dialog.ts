// The dialog for keys: make one, bring one, unlock one, show the public key.

import { Key } from "circles";
import { askFirst, field, form, openDialog } from "./dialog";
import { button, element, visible } from "./dom";
import * as keys from "./keys";
import type { NamedKey } from "./keys";

const RULES: Record<keys.KeyRule, string> = {
  kept: "Keys are kept in this browser, encrypted with their passphrases.",
  tab: "This page came over http, so a key lives in this tab only and is gone after a reload: another program that serves this address later could read what the browser keeps. Over https, the browser can keep keys.",
  none: "This page came over http from another machine, so it takes no key: anybody on the way can change the page. Use https, or circles repl.",
};

/** Opens the dialog. `use` authenticates with a key and throws if the circle refuses it. */
export function openKeys(present: NamedKey | null, use: (key: NamedKey) => Promise<void>, signOut: () => Promise<void>): void {
  const dialog = openDialog("Keys", (close) => {
    const signIn = async (key: NamedKey) => {
      // A user who has closed the dialog does not want the key any more.
      if (!dialog.isConnected) return;
      await use(key);
      close();
    };
    const parts: Node[] = [element("p", {}, RULES[keys.keyRule])];
    if (present) {
      const leave = button("Sign out", () => {
        close();
        void signOut();
      });
      parts.push(publicKey(`You are ${present.name}`, present), element("p", {}, leave));
    }
    if (keys.keyRule === "none") return parts;
    for (const kept of keys.keptKeys()) {
      const isPresent = kept.publicKey !== null && kept.publicKey === present?.key.publicKey;
      parts.push(keptKey(kept, isPresent, signIn, close, () => openKeys(present, use, signOut)));
    }
    parts.push(makeKey(signIn), bringKey(signIn));
    return parts;
  });
}

function publicKey(title: string, { key }: NamedKey): HTMLElement {
  const text = key.publicKey;
  const copied = element("span", { role: "status" });
  const copy = button("Copy", () => {
    navigator.clipboard.writeText(text).then(
      () => (copied.textContent = "copied"),
      () => (copied.textContent = "the browser does not allow it: select the text"),
    );
  });
  return element(
    "section",
    {},
    element("h3", {}, visible(title)),
    element("p", {}, "Your public key, for an operator who adds you as a member:"),
    element("code", { class: "key" }, text),
    element("p", {}, copy, " ", copied),
  );
}

function keptKey(
  kept: { name: string; publicKey: string | null },
  isPresent: boolean,
  signIn: (key: NamedKey) => Promise<void>,
  close: () => void,
  again: () => void,
): HTMLElement {
  const title = element("h3", {}, visible(kept.name));
  const forget = button("Forget…", () => {
    close();
    askFirst(`Forget ${visible(kept.name)}?`, ["This removes the key from this browser. Without another copy of its file, nobody can use this key again."], "Forget the key", () => {
      keys.forget(kept.name);
      again();
    });
  });
  const section = element("section", {}, title);
  if (isPresent) section.append(element("p", {}, "You are signed in with this key."));
  else section.append(element("code", { class: "key" }, kept.publicKey ?? "damaged file"));
  if (kept.publicKey && !isPresent) {
    const passphrase = field("Passphrase", { type: "password", autocomplete: "current-password", required: true });
    section.append(form("Unlock and sign in", [passphrase.row], async () => signIn(await keys.unlock(kept.name, passphrase.input.value))));
  }
  if (kept.publicKey) {
    section.append(button("Export", () => download(`${kept.name}.json`, keys.exportKey(kept.name))), " ");
  }
  section.append(forget);
  return section;
}

function makeKey(signIn: (key: NamedKey) => Promise<void>): HTMLElement {
  const details = element("details", {}, element("summary", {}, "Make a key"));
  let made: NamedKey | undefined;
  const signInAs = async (name: string, title: string, keep?: (key: Key) => Promise<void>) => {
    if (made?.name !== name) {
      const key = Key.generate();
      await keep?.(key);
      made = { name, key };
      // A new key is no member yet: its owner needs it before the circle accepts it.
      details.append(publicKey(title, made));
    }
    await signIn(made);
  };
  if (keys.keyRule === "tab") {
    details.append(form("Make a key for this tab", [], () => signInAs("a key of this tab", "The key of this tab")));
    return details;
  }
  const name = field("Name", { required: true, autocomplete: "username", maxlength: "64" });
  const passphrase = field("Passphrase", { type: "password", autocomplete: "new-password", required: true });
  const repeat = field("Repeat it", { type: "password", autocomplete: "new-password", required: true });
  details.append(form("Make and keep the key", [name.row, passphrase.row, repeat.row], async () => {
    if (passphrase.input.value !== repeat.input.value) throw new Error("the passphrases differ: type them again");
    const chosen = name.input.value;
    await signInAs(chosen, `The key ${chosen}`, (key) => keys.keep(chosen, key, passphrase.input.value));
  }));
  return details;
}

function bringKey(signIn: (key: NamedKey) => Promise<void>): HTMLElement {
  const file = field("Key file (circles keys export)", { type: "file", accept: ".json,application/json", required: true });
  // Over http, the browser's own store of passwords is no safer than the page's.
  const autocomplete = keys.keyRule === "kept" ? "current-password" : "off";
  const passphrase = field("Passphrase", { type: "password", autocomplete, required: true });
  const keep = field("Keep it in this browser", { type: "checkbox" });
  const rows = keys.keyRule === "kept" ? [file.row, passphrase.row, keep.row] : [file.row, passphrase.row];
  return element(
    "details",
    {},
    element("summary", {}, "Bring a key"),
    form("Open and sign in", rows, async () => {
      const chosen = file.input.files?.[0];
      if (!chosen) throw new Error("choose the file of a key");
      const name = chosen.name.replace(/\.json$/, "").replace(/[^\w.-]+/g, "-").slice(0, 64);
      const text = await chosen.slice(0, 65 * 1024).text();
      const key = await keys.open(text, passphrase.input.value);
      if (keep.input.checked) keys.keepFile(name, text);
      await signIn({ name, key });
    }),
  );
}

function download(name: string, text: string): void {
  const link = element("a", { download: name, href: `data:application/json;charset=utf-8,${encodeURIComponent(text)}` });
  link.click();
}
