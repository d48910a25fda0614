// Keys: where the page may have them, and the encrypted store on https.

import { Key, keyFilePublicKey } from "circles";
import { pagePath } from "./address";
import { isPrivateOrigin } from "./history";
import { forgetStored, store, stored, storedNames } from "./store";
import type { KeyAnswer, KeyTask } from "./worker";

const STORED = "circles.key.";
/** Circles below several paths of one origin share what the browser stores, but each has its own identity. */
const IDENTITY = `circles.identity${pagePath}`;
const NAME = /^[A-Za-z0-9._-]{1,64}$/;
/** Largest key file, as in the keystore of the terminal. */
const MAX_FILE = 64 * 1024;

/** How long keys of this page live. */
export type KeyRule = "kept" | "tab" | "none";

/**
 * https: keys are kept, encrypted. http on this machine: a key lives for the tab, because another program that serves
 * this address later would get what was stored. http elsewhere: none, because anybody on the way can change the page.
 */
export const keyRule: KeyRule = isPrivateOrigin ? "kept" : isLoopback(location.hostname) ? "tab" : "none";

function isLoopback(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** A key that the page has unlocked. */
export interface NamedKey {
  name: string;
  key: Key;
}

/** Returns the names and the public keys of the kept keys; damaged files have none. */
export function keptKeys(): { name: string; publicKey: string | null }[] {
  if (keyRule !== "kept") return [];
  const names = storedNames().filter((name) => name.startsWith(STORED));
  return names.sort().map((file) => {
    let publicKey: string | null = null;
    try {
      publicKey = keyFilePublicKey(stored(file) ?? "");
    } catch {
      // The list shows the file as damaged.
    }
    return { name: file.slice(STORED.length), publicKey };
  });
}

/** Checks a name for a kept key. Returns what is wrong with it. */
export function nameProblem(name: string): string | null {
  if (!NAME.test(name)) return "a name has up to 64 letters, digits, dots, dashes and underscores";
  const taken = keptKeys().some((kept) => kept.name.toLowerCase() === name.toLowerCase());
  return taken ? `there is a key ${name} already: choose another name` : null;
}

/** Encrypts a key and keeps it in this browser. */
export async function keep(name: string, key: Key, passphrase: string): Promise<void> {
  const problem = nameProblem(name);
  if (problem) throw new Error(problem);
  const text = await inWorker({ task: "seal", secret: key.exportSecret(), passphrase });
  write(name, text);
}

/** Decrypts a kept key. */
export async function unlock(name: string, passphrase: string): Promise<NamedKey> {
  return { name, key: await open(stored(STORED + name) ?? "", passphrase) };
}

/** Keeps a key file that was brought. It stays encrypted as it is. */
export function keepFile(name: string, text: string): void {
  const publicKey = keyFilePublicKey(text);
  if (keptKeys().some((kept) => kept.name === name && kept.publicKey === publicKey)) return;
  const problem = nameProblem(name);
  if (problem) throw new Error(problem);
  write(name, text);
}

function write(name: string, text: string): void {
  if (!store(STORED + name, text)) throw new Error("the browser does not let this page store anything: allow it, and try again");
}

/** Forgets the identity of the circle, so that the next one is accepted. */
export function forgetIdentity(): void {
  forgetStored(IDENTITY);
}

/** Returns the file of a kept key, still encrypted. */
export function exportKey(name: string): string {
  return stored(STORED + name) ?? "";
}

export function forget(name: string): void {
  forgetStored(STORED + name);
}

/** Decrypts the text of a key file. */
export async function open(text: string, passphrase: string): Promise<Key> {
  if (text.length > MAX_FILE) throw new Error("this is not a key file: it is too large");
  keyFilePublicKey(text);
  return Key.fromSecret(await inWorker({ task: "open", text, passphrase }));
}

/** Returns the identity that this circle had on the last visit; only https remembers. */
export function knownIdentity(): string | null {
  return keyRule === "kept" ? stored(IDENTITY) : null;
}

export function rememberIdentity(publicKey: string): void {
  if (keyRule === "kept") store(IDENTITY, publicKey);
}

function inWorker(task: KeyTask): Promise<string> {
  const worker = new Worker(scriptUrl(new URL("worker.js", import.meta.url)), { type: "module" });
  return new Promise<string>((resolve, reject) => {
    worker.addEventListener("message", (message: MessageEvent<KeyAnswer>) => {
      if ("result" in message.data) resolve(message.data.result);
      else reject(new Error(message.data.failure));
    });
    worker.addEventListener("error", () => reject(new Error("the browser could not start the worker that opens keys: reload the page")));
    worker.postMessage(task);
  }).finally(() => worker.terminate());
}

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): string };
}

let policy: { createScriptURL(url: string): string } | undefined;

/** Marks an address of this page's own files as trusted, as the page's policy requires. */
function scriptUrl(url: URL): string {
  const types = (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes;
  policy ??= types?.createPolicy("circles", { createScriptURL: (own) => own });
  return policy ? policy.createScriptURL(url.href) : url.href;
}
