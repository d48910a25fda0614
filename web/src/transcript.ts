// The transcript: inputs, what they print, their values and errors.

import { highlightCode } from "@lezer/highlight";

import type { PlayEvent } from "circles";
import { byId, element, visible } from "./dom";
import { highlighter, rhai } from "./rhai";

/** Entries that are kept. */
const MAX_ENTRIES = 200;
/** Characters of output that an entry keeps: the newest. */
const MAX_OUTPUT = 200_000;

const transcript = byId("transcript");

/** A play in the transcript. */
export class Entry {
  private readonly output = element("pre", { class: "output" });
  private readonly status = element("p", { class: "progress", "aria-live": "off" });
  private readonly article: HTMLElement;
  private waiting = "";
  private dropped = 0;
  private isPlanned = false;

  constructor(readonly input: string) {
    const code = element("pre", { class: "input" });
    highlight(input, code);
    this.article = element("article", { "aria-label": "Play" }, code, this.output, this.status);
    add(this.article);
  }

  /** Shows an event. Prints are drawn once a frame, so that a flood does not stop the page. */
  event(event: PlayEvent): void {
    if (event.kind === "dropped") {
      this.waiting += `… ${event.count} prints came faster than this page could take them, and are lost\n`;
      return this.plan();
    }
    if (event.kind === "output") {
      this.waiting += event.stream === "debug" ? `debug: ${event.text}\n` : `${event.text}\n`;
      // What would be cut anyway is not kept until the next frame.
      if (this.waiting.length > 2 * MAX_OUTPUT) this.cutWaiting();
      this.plan();
      return;
    }
    const seconds = (event.elapsedUs / 1e6).toFixed(1);
    const known = event.total !== null && event.total > 0 && event.done !== null;
    this.status.replaceChildren(
      known ? element("progress", { max: String(event.total), value: String(event.done), "aria-label": "Progress" }) : "",
      ` ${event.text ? `${visible(event.text)} · ` : ""}${seconds} s · ${event.operations.toLocaleString("en")} operations`,
    );
    follow();
  }

  /** Ends the entry with a value, an error or nothing. */
  end(result: HTMLElement | null): void {
    this.flush();
    this.status.remove();
    if (result) this.article.append(result);
    follow();
  }

  private cutWaiting(): void {
    const cut = this.waiting.length - MAX_OUTPUT;
    this.dropped += cut;
    this.waiting = this.waiting.slice(cut);
  }

  private plan(): void {
    if (this.isPlanned) return;
    this.isPlanned = true;
    const flush = () => this.flush();
    // A hidden tab draws no frames.
    if (document.hidden) setTimeout(flush, 200);
    else requestAnimationFrame(flush);
  }

  private flush(): void {
    this.isPlanned = false;
    if (this.waiting.length > MAX_OUTPUT) this.cutWaiting();
    if (this.waiting) this.output.append(visible(this.waiting));
    this.waiting = "";
    let length = this.output.textContent?.length ?? 0;
    while (length > MAX_OUTPUT && this.output.firstChild && this.output.childNodes.length > 1) {
      const first = this.output.firstChild;
      this.dropped += first.textContent?.length ?? 0;
      length -= first.textContent?.length ?? 0;
      first.remove();
    }
    if (this.dropped > 0) this.output.dataset["dropped"] = `${this.dropped.toLocaleString("en")} earlier characters are not kept`;
    follow();
  }
}

/** Adds a message of the console itself. */
export function note(...children: (Node | string)[]): void {
  add(element("p", { class: "note" }, ...children));
}

function add(entry: HTMLElement): void {
  const isAtEnd = atEnd();
  transcript.append(entry);
  while (transcript.childElementCount > MAX_ENTRIES) transcript.firstElementChild?.remove();
  if (isAtEnd) follow(true);
}

let wasAtEnd = true;
transcript.addEventListener("scroll", () => (wasAtEnd = atEnd()), { passive: true });

function atEnd(): boolean {
  return transcript.scrollHeight - transcript.scrollTop - transcript.clientHeight < 40;
}

/** Keeps the newest line in view, unless the user has scrolled up. */
function follow(always = false): void {
  if (always || wasAtEnd) transcript.scrollTop = transcript.scrollHeight;
}

function highlight(code: string, into: HTMLElement): void {
  highlightCode(
    code,
    rhai.parser.parse(code),
    highlighter,
    (text, classes) => into.append(classes ? element("span", { class: classes }, visible(text)) : visible(text)),
    () => into.append("\n"),
  );
}
