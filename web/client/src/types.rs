//! The TypeScript types of the values that cross the boundary as JSON.

use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** The identity of a circle, verified by its signature. */
export interface Identity {
  /** The circle's public key, 33 bytes compressed, as hex. */
  publicKey: string;
  /** Whether the circle keeps the key at this address. An ephemeral identity ends with the circle's process. */
  persistent: boolean;
}

/** The result of a play. */
export interface PlayResult {
  /** The value as text, as `print` would show it; empty for `()`. */
  output: string;
  /** Rhai's name for the value's type. */
  type: string;
  /** The value as JSON text: integers have up to 64 bits, which `JSON.parse` would round. */
  json: string;
  /** The duration in microseconds, including time spent waiting. */
  elapsedUs: number;
  /** The number of operations, as Rhai counts them. */
  operations: number;
}

/** What a running play reports. */
export type PlayEvent =
  | { kind: "output"; text: string; stream: "print" | "debug" }
  | { kind: "dropped"; count: number }
  | { kind: "progress"; operations: number; elapsedUs: number; done: number | null; total: number | null; text: string | null };

/** The settings of a play. */
export interface PlayOptions {
  /** A name of the script for tracebacks. */
  name?: string;
  /** A time limit in milliseconds that can shorten the circle's own. */
  timeoutMs?: number;
  /** The name of a variable to which the circle also assigns the value. */
  bind?: string;
}

/** The candidates for the text at a cursor. */
export interface Completions {
  /** Where the word begins, in Unicode scalar values. */
  start: number;
  candidates: { text: string; kind: string; detail: string }[];
}

/** The variables and script functions of the session. */
export interface Scope {
  variables: { name: string; type: string; output?: string; length?: number; constant: boolean }[];
  functions: { name: string; params: string[] }[];
}

/** The documentation of a function. */
export interface FunctionDoc {
  signature: string;
  doc: string;
  origin: string;
}

/** A circle's description of itself. */
export interface Description {
  name: string;
  description?: string;
  version: string;
  protocol: number;
  access: string;
  you: { public_key?: string; admitted: boolean };
  /** True if the circle itself serves TLS. */
  tls?: boolean;
  limits: Record<string, number>;
}

/** The error that a rejected promise has. */
export interface CircleError extends Error {
  name: "CircleError";
  /** What failed: the connection could not be made or was refused, it ended, the circle's identity or the key was not
   * accepted, the circle answered with an error, or the call was wrong. */
  kind: "unreachable" | "lost" | "identity" | "credentials" | "rpc" | "usage";
  /** The error code of the circle's answer. */
  code?: number;
  /** The `data` of the circle's answer. */
  data?: any;
}
"#;
