// Highlighting of Rhai.

import { StreamLanguage, type StreamParser } from "@codemirror/language";
import { tagHighlighter, tags } from "@lezer/highlight";

const KEYWORDS = new Set(
  ("let const fn private if else switch do while until loop for in break continue return throw try catch import " +
    "export as global this true false is_def_var is_def_fn Fn call curry type_of print debug eval").split(" "),
);
const ATOMS = new Set(["true", "false", "this"]);

interface State {
  /** The kind of text or comment that goes on in the next line. */
  inside: "comment" | "`" | null;
  depth: number;
  /** The number of open brackets. */
  open: number;
}

const parser: StreamParser<State> = {
  name: "rhai",
  startState: () => ({ inside: null, depth: 0, open: 0 }),
  token(stream, state) {
    if (state.inside === "comment") {
      while (!stream.eol()) {
        if (stream.match("*/")) {
          if (--state.depth === 0) {
            state.inside = null;
            return "comment";
          }
        } else if (stream.match("/*")) state.depth++;
        else stream.next();
      }
      return "comment";
    }
    if (state.inside === "`") return text(stream, state);
    if (stream.eatSpace()) return null;
    if (stream.match("//")) {
      stream.skipToEnd();
      return "comment";
    }
    if (stream.match("/*")) {
      state.inside = "comment";
      state.depth = 1;
      return "comment";
    }
    if (stream.match("`")) {
      state.inside = "`";
      return text(stream, state);
    }
    if (stream.match(/^"(?:[^"\\]|\\.)*"?/) || stream.match(/^'(?:[^'\\]|\\.)*'?/)) return "string";
    if (stream.match(/^(?:#?\{|\[|\()/)) {
      state.open++;
      return "punctuation";
    }
    if (stream.match(/^[}\])]/)) {
      state.open = Math.max(0, state.open - 1);
      return "punctuation";
    }
    if (stream.match(/^0[xX][\da-fA-F_]+|^0[bB][01_]+|^0[oO][0-7_]+|^\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?/)) return "number";
    const word = stream.match(/^[\p{L}_][\p{L}\p{N}_]*/u);
    if (Array.isArray(word)) {
      const name = word[0]!;
      if (ATOMS.has(name)) return "atom";
      if (KEYWORDS.has(name)) return "keyword";
      return stream.match(/^\s*\(/, false) ? "variableName.function" : "variableName";
    }
    if (stream.match(/^[-+*/%=!<>&|^~?.:]+/)) return "operator";
    stream.next();
    return "punctuation";
  },
  languageData: {
    commentTokens: { line: "//", block: { open: "/*", close: "*/" } },
    closeBrackets: { brackets: ["(", "[", "{", '"', "`"] },
    indentOnInput: /^\s*[}\])]$/,
  },
  indent(state, after, { unit }) {
    return Math.max(0, state.open - (/^\s*[}\])]/.test(after) ? 1 : 0)) * unit;
  },
};

function text(stream: { eol(): boolean; next(): string | void }, state: State): string {
  while (!stream.eol()) {
    const character = stream.next();
    if (character === "\\") stream.next();
    else if (character === "`") {
      state.inside = null;
      break;
    }
  }
  return "string";
}

export const rhai = StreamLanguage.define(parser);

/** The classes of highlighted text, in the editor and in the transcript. */
export const highlighter = tagHighlighter([
  { tag: [tags.keyword, tags.atom], class: "tok-keyword" },
  { tag: tags.string, class: "tok-string" },
  { tag: tags.number, class: "tok-number" },
  { tag: tags.comment, class: "tok-comment" },
  { tag: tags.function(tags.variableName), class: "tok-function" },
]);

/** Whether an input is complete: no bracket, text or comment is open. */
export function isComplete(input: string): boolean {
  const open: string[] = [];
  for (let index = 0; index < input.length; index++) {
    const rest = input.slice(index);
    const comment = /^\/\/[^\n]*/.exec(rest);
    if (comment) {
      index += comment[0].length - 1;
    } else if (rest.startsWith("/*")) {
      let depth = 0;
      let at = index;
      do {
        if (input.startsWith("/*", at)) [depth, at] = [depth + 1, at + 2];
        else if (input.startsWith("*/", at)) [depth, at] = [depth - 1, at + 2];
        else at++;
      } while (depth > 0 && at < input.length);
      if (depth > 0) return false;
      index = at - 1;
    } else if (input[index] === '"' || input[index] === "'" || input[index] === "`") {
      const end = endOfText(input, index);
      if (end === null) return input[index] === "'";
      index = end;
    } else if ("([{".includes(input[index]!)) open.push(input[index]!);
    else if (")]}".includes(input[index]!)) open.pop();
  }
  return open.length === 0;
}

function endOfText(input: string, start: number): number | null {
  for (let index = start + 1; index < input.length; index++) {
    if (input[index] === "\\" && input[start] !== "`") index++;
    else if (input[index] === input[start]) return index;
  }
  return null;
}
