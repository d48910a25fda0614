// Earlier inputs. On https they are kept in the browser; over http, whoever serves this address next could read them.

import { forgetStored, store, stored } from "./store";

const STORED = "circles.history";
const MAX = 500;
const MAX_CHARACTERS = 200_000;

/** Whether this origin keeps what the page stores to itself. */
export const isPrivateOrigin = location.protocol === "https:";

export class History {
  private readonly inputs: string[] = load();
  private at = this.inputs.length;
  private typed = "";

  add(input: string): void {
    if (this.inputs[this.inputs.length - 1] !== input) this.inputs.push(input);
    while (this.inputs.length > MAX || this.inputs.join().length > MAX_CHARACTERS) this.inputs.shift();
    this.at = this.inputs.length;
    if (isPrivateOrigin) {
      // A full store loses the history of the next visit, not this one's.
      store(STORED, JSON.stringify(this.inputs.filter(isKept)));
    }
  }

  /** Returns the input before the present one that begins with what was typed. */
  older(present: string): string | null {
    if (this.at === this.inputs.length) this.typed = present;
    for (let at = this.at - 1; at >= 0; at--) {
      if (this.inputs[at]!.startsWith(this.typed) && this.inputs[at] !== present) {
        this.at = at;
        return this.inputs[at]!;
      }
    }
    return null;
  }

  /** Returns the input after the present one, at last what was typed. */
  newer(): string | null {
    if (this.at === this.inputs.length) return null;
    for (this.at++; this.at < this.inputs.length; this.at++) {
      if (this.inputs[this.at]!.startsWith(this.typed)) return this.inputs[this.at]!;
    }
    return this.typed;
  }

  /** Begins anew after the user has typed. */
  edited(): void {
    this.at = this.inputs.length;
  }
}

/** Whether an input may be kept: none that begins with a space or contains a secret key, as in the terminal. */
function isKept(input: string): boolean {
  return !input.startsWith(" ") && !input.split(/[^0-9a-fA-F]/).some((digits) => digits.length === 64);
}

/** Removes what the browser keeps of the history. */
export function forgetHistory(): void {
  forgetStored(STORED);
}

function load(): string[] {
  if (!isPrivateOrigin) return [];
  try {
    const inputs: unknown = JSON.parse(stored(STORED) ?? "[]");
    return Array.isArray(inputs) ? inputs.filter((input) => typeof input === "string") : [];
  } catch {
    return [];
  }
}
