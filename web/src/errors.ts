// Errors of plays: the place, the traceback, the hint.

import type { CircleError } from "circles";
import { element, visible } from "./dom";

interface Frame {
  source: string;
  name?: string;
  number?: number;
  function?: string;
  line?: number;
  column?: number;
  text?: string;
  repeats?: number;
  omitted?: number;
}

/** Whether this is an error of the client, and not of the page. */
export function isCircleError(error: unknown): error is CircleError {
  return error instanceof Error && error.name === "CircleError";
}

/** Returns the message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function place(line: number | undefined, column: number | undefined, text: string | undefined): string {
  if (line === undefined || text === undefined) return "";
  const margin = `${line} | `;
  const before = visible([...text].slice(0, (column ?? 1) - 1).join("")).replace(/[^\t]/gu, " ");
  const caret = column === undefined ? "" : `\n${" ".repeat(margin.length)}${before}^`;
  return `${margin}${visible(text)}${caret}\n`;
}

function frameText(frame: Frame): string {
  const position = frame.line === undefined ? "" : `:${frame.line}${frame.column === undefined ? "" : `:${frame.column}`}`;
  const source = frame.name ?? (frame.source === "play" ? "input" : frame.source);
  const more = frame.repeats ? ` (and ${frame.repeats} times more)` : "";
  const omitted = frame.omitted ? `\n  … ${frame.omitted} frames are left out` : "";
  return `  ${frame.function ? `in ${frame.function}, ` : ""}${source}${position}${more}${omitted}`;
}

/** Renders the error of a play. `advice` says what the user can do. */
export function renderError(error: unknown, input: string, advice?: Node): HTMLElement {
  const shown = element("div", { class: "error" });
  const data = (isCircleError(error) ? error.data : undefined) ?? {};
  const frames: Frame[] = Array.isArray(data.trace) ? data.trace : [];
  const innermost = frames[0];
  const where = innermost?.text !== undefined
    ? place(innermost.line, innermost.column, innermost.text)
    : frames.length <= 1
      ? place(data.line, data.column, input.split("\n")[(data.line ?? 0) - 1])
      : "";
  if (where) shown.append(element("pre", { class: "place", tabindex: "0" }, where));
  const limit = typeof data.setting === "string" && data.setting !== "timeout_ms" ? `; the operator can raise ${data.setting}` : "";
  shown.append(element("p", {}, element("strong", {}, "error: "), visible(messageOf(error) + limit)));
  if (frames.length > 1) shown.append(element("pre", { class: "trace" }, visible(frames.map(frameText).join("\n"))));
  if (typeof data.hint === "string") shown.append(element("p", { class: "hint" }, element("span", {}, "hint: "), visible(data.hint)));
  if (advice) shown.append(element("p", { class: "hint" }, advice));
  return shown;
}
