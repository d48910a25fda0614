// The editor of the input.

import {
  acceptCompletion,
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
  completionStatus,
  moveCompletionSelection,
  selectedCompletionIndex,
  startCompletion,
  type Completion,
  type CompletionContext,
  type CompletionResult,
} from "@codemirror/autocomplete";
import { defaultKeymap, history as undo, historyKeymap, indentLess, insertNewlineAndIndent } from "@codemirror/commands";
import { bracketMatching, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { EditorState, Prec } from "@codemirror/state";
import { EditorView, drawSelection, keymap, placeholder } from "@codemirror/view";

import type { Completions, FunctionDoc } from "circles";
import { element, visible } from "./dom";
import type { History } from "./history";
import { highlighter, isComplete, rhai } from "./rhai";

/** What the editor needs of the session. */
export interface EditorHost {
  run(input: string): void;
  /** Stops the running play. Returns false if there is none. */
  stop(): boolean;
  complete(input: string, cursor: number): Promise<Completions | null>;
  lookup(name: string): Promise<FunctionDoc[]>;
}

const TYPES: Record<string, string> = {
  function: "function",
  method: "method",
  variable: "variable",
  property: "property",
  keyword: "keyword",
  module: "namespace",
  constant: "constant",
};

const theme = EditorView.theme({
  "&": { fontSize: "inherit", color: "var(--text)", backgroundColor: "transparent" },
  "&.cm-focused": { outline: "none" },
  ".cm-content": { fontFamily: "var(--mono)", caretColor: "var(--accent)", padding: "0.5rem 0" },
  ".cm-cursor": { borderLeftColor: "var(--accent)", borderLeftWidth: "2px" },
  ".cm-selectionBackground, &.cm-focused .cm-selectionBackground": { backgroundColor: "var(--selection) !important" },
  ".cm-scroller": { maxHeight: "40vh", overflow: "auto", lineHeight: "1.5" },
  ".cm-placeholder": { color: "var(--quiet)" },
  ".cm-matchingBracket": { backgroundColor: "var(--selection)", outline: "1px solid var(--line)" },
  ".cm-tooltip": { backgroundColor: "var(--raised)", color: "var(--text)", border: "1px solid var(--line)", borderRadius: "6px" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", maxHeight: "14em" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "0.15rem 0.5rem" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
  ".cm-completionDetail": { fontStyle: "normal", color: "var(--quiet)" },
  "li[aria-selected] .cm-completionDetail": { color: "inherit" },
  ".cm-completionMatchedText": { textDecoration: "none", fontWeight: "bold" },
  ".cm-completionInfo": { whiteSpace: "pre-wrap", maxWidth: "30rem" },
  ".tok-keyword": { color: "var(--keyword)" },
  ".tok-string": { color: "var(--string)" },
  ".tok-number": { color: "var(--number)" },
  ".tok-comment": { color: "var(--quiet)", fontStyle: "italic" },
  ".tok-function": { color: "var(--function)" },
});

export class Editor {
  private readonly view: EditorView;

  constructor(where: HTMLElement, private readonly host: EditorHost, private readonly inputs: History) {
    // In a shadow root the styles of the editor are style sheets of the document object, which no policy has to allow.
    const root = where.attachShadow({ mode: "open" });
    const parent = element("div", {});
    root.append(parent);
    this.view = new EditorView({
      root,
      parent,
      state: EditorState.create({
        extensions: [
          Prec.highest(keymap.of(this.keys())),
          undo(),
          rhai,
          indentUnit.of("    "),
          syntaxHighlighting(highlighter),
          bracketMatching(),
          closeBrackets(),
          drawSelection(),
          autocompletion({
            override: [(context) => this.completions(context)],
            icons: false,
            // Enter runs what is typed; Tab takes the first completion.
            selectOnOpen: false,
            interactionDelay: 0,
          }),
          keymap.of([...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...defaultKeymap]),
          placeholder("type Rhai, for example 40 + 2"),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ "aria-label": "Input", autocapitalize: "off", autocorrect: "off", spellcheck: "false" }),
          EditorView.updateListener.of((update) => {
            const isTyped = update.transactions.some((transaction) => transaction.isUserEvent("input") || transaction.isUserEvent("delete"));
            if (isTyped) this.inputs.edited();
          }),
          theme,
        ],
      }),
    });
  }

  focus(): void {
    this.view.focus();
  }

  /** Runs the input, and clears the editor. */
  run(): void {
    const input = this.view.state.doc.toString();
    if (input.trim() === "") return;
    this.inputs.add(input);
    this.set("");
    this.host.run(input);
  }

  /** Replaces the input. */
  set(text: string): void {
    this.view.dispatch({ changes: { from: 0, to: this.view.state.doc.length, insert: text }, selection: { anchor: text.length }, scrollIntoView: true });
  }

  text(): string {
    return this.view.state.doc.toString();
  }

  private keys() {
    const show = (text: string | null) => {
      if (text === null) return false;
      this.set(text);
      return true;
    };
    const isOpen = () => completionStatus(this.view.state) === "active";
    return [
      {
        key: "Enter",
        run: (view: EditorView) => {
          if (isOpen() && selectedCompletionIndex(view.state) !== null && acceptCompletion(view)) return true;
          const { doc, selection } = view.state;
          const head = selection.main.head;
          // An input goes on where its user is, whatever closing brackets the editor has added behind the cursor.
          const isBetween = ["{}", "[]", "()"].includes(view.state.sliceDoc(head - 1, head + 1));
          const isOpenHere = !isComplete(doc.sliceString(0, doc.lineAt(head).to)) || !isComplete(doc.toString());
          if (isBetween || isOpenHere) return insertNewlineAndIndent(view);
          this.run();
          return true;
        },
        shift: insertNewlineAndIndent,
      },
      { key: "Mod-Enter", run: () => (this.run(), true) },
      {
        key: "Ctrl-c",
        run: (view: EditorView) => {
          // With a selection the key copies, as everywhere.
          if (!view.state.selection.main.empty) return false;
          if (!this.host.stop()) this.set("");
          return true;
        },
      },
      {
        key: "ArrowUp",
        run: (view: EditorView) =>
          !isOpen() && view.state.doc.lineAt(view.state.selection.main.head).number === 1 && show(this.inputs.older(this.text())),
      },
      {
        key: "ArrowDown",
        run: (view: EditorView) =>
          !isOpen() &&
          view.state.doc.lineAt(view.state.selection.main.head).number === view.state.doc.lines &&
          show(this.inputs.newer()),
      },
      {
        key: "Tab",
        run: (view: EditorView) => {
          if (isOpen()) {
            if (selectedCompletionIndex(view.state) === null) moveCompletionSelection(true)(view);
            return acceptCompletion(view);
          }
          const head = view.state.selection.main.head;
          const line = view.state.doc.lineAt(head);
          // In an empty editor, Tab leaves it: nobody is caught here.
          if (view.state.doc.length === 0) return false;
          if (line.text.slice(0, head - line.from).trim() === "") {
            view.dispatch(view.state.replaceSelection("    "));
            return true;
          }
          return startCompletion(view);
        },
        shift: (view: EditorView) => view.state.doc.lines > 1 && indentLess(view),
      },
    ];
  }

  private async completions(context: CompletionContext): Promise<CompletionResult | null> {
    const word = context.matchBefore(/[\p{L}\p{N}_.:]+$/u);
    if (!context.explicit && (!word || !/[\p{L}_.:]/u.test(word.text))) return null;
    const input = context.state.doc.toString();
    // The circle counts scalar values, the editor UTF-16 units.
    const found = await this.host.complete(input, [...input.slice(0, context.pos)].length);
    if (!found || context.aborted) return null;
    const from = [...input].slice(0, found.start).join("").length;
    const options = found.candidates.map((candidate): Completion => {
      const option: Completion = { label: candidate.text, displayLabel: visible(candidate.text), detail: visible(candidate.detail), type: TYPES[candidate.kind] ?? "text" };
      if (candidate.kind === "function" || candidate.kind === "method") option.info = () => this.documentation(candidate.text);
      return option;
    });
    return { from, options, validFor: /^[\p{L}\p{N}_]*$/u };
  }

  private async documentation(name: string): Promise<Node | null> {
    const docs = await this.host.lookup(name.replace(/\(.*$/, "")).catch(() => []);
    const texts = docs.slice(0, 8).map((doc) => `${doc.signature}${doc.doc ? `\n${doc.doc.replace(/^\/\/\/ ?/gm, "")}` : ""}`);
    return texts.length === 0 ? null : element("div", {}, visible(texts.join("\n\n")));
  }
}
