// JSON whose numbers keep their digits: integers of a circle have 64 bits, and `JSON.parse` would round them.

/** A number as it is written. */
export class Digits {
  constructor(readonly text: string) {}
}

export type Json = null | boolean | string | Digits | Json[] | { [name: string]: Json };

/** Parses the JSON of a circle, which is valid. Browsers without the source of a number round large ones. */
export function parse(text: string): Json {
  const keep = (_name: string, value: unknown, context?: { source?: string }): unknown =>
    typeof value === "number" ? new Digits(context?.source ?? String(value)) : value;
  return JSON.parse(text, keep as (name: string, value: unknown) => unknown) as Json;
}

export function isMap(value: Json | undefined): value is { [name: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Digits);
}
