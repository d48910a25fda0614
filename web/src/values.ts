// Values: tables, trees that fold, charts.

import { button, element, visible } from "./dom";
import { Digits, isMap, parse, type Json } from "./json";

/** Rows and items that are shown at first; a button shows as many more. */
const STEP = 100;
const MAX_COLUMNS = 50;
/** Numbers beside a chart that are shown at once. */
const OPEN_ITEMS = 20;
/** Characters of a text that are shown. */
const MAX_TEXT = 20_000;
/** Points of a chart; longer arrays are thinned out. */
const MAX_POINTS = 600;

/** Renders a result: its text, or its structure. */
export function renderValue(json: string, output: string, type: string): HTMLElement | null {
  if (type === "()") return null;
  if (type === "array" || type === "map") {
    try {
      const value = parse(json);
      if (Array.isArray(value) || isMap(value)) return structure(value);
    } catch {
      // The text below is the value, too.
    }
  }
  const text = type === "string" ? `"${output.replace(/[\\"]/g, "\\$&").replace(/\n/g, "\\n").replace(/\t/g, "\\t")}"` : output;
  return element("pre", { class: `value ${isNumber(type) ? "number" : type === "string" ? "string" : ""}` }, visible(cut(text)));
}

/** Returns what is shown of a text. */
function cut(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}… (${text.length.toLocaleString("en")} characters)`;
}

function isNumber(type: string): boolean {
  return ["i64", "f64", "decimal"].includes(type);
}

function structure(value: Json[] | { [name: string]: Json }): HTMLElement {
  if (!Array.isArray(value)) return element("div", { class: "value" }, tree(value, true));
  const rows = value.filter(isMap);
  if (rows.length > 0 && rows.length === value.length) return table(rows);
  const numbers = numbersOf(value);
  return element("div", { class: "value" }, numbers && chart(numbers), tree(value, !numbers || value.length <= OPEN_ITEMS));
}

function numbersOf(value: Json[]): number[] | null {
  if (value.length < 3) return null;
  const numbers = value.map((item) => (item instanceof Digits ? Number(item.text) : NaN));
  return numbers.every(Number.isFinite) ? numbers : null;
}

function scalar(value: Json): HTMLElement {
  if (value instanceof Digits) return element("span", { class: "number" }, value.text);
  if (typeof value === "string") return element("span", { class: "string" }, visible(cut(JSON.stringify(value))));
  return element("span", { class: "atom" }, value === null ? "()" : String(value));
}

/** A cell shows a text without quotes, and a nested value folded. */
function cell(value: Json | undefined): HTMLElement {
  if (value === undefined) return element("td", {});
  if (typeof value === "string") return element("td", {}, visible(cut(value)));
  if (Array.isArray(value) || isMap(value)) return element("td", {}, tree(value, false));
  return element("td", { class: value instanceof Digits ? "number" : "atom" }, scalar(value));
}

function table(rows: { [name: string]: Json }[]): HTMLElement {
  const names = new Set<string>();
  for (const row of rows) for (const name of Object.keys(row)) names.add(name);
  const columns = [...names].slice(0, MAX_COLUMNS);
  const head = element("thead", {}, element("tr", {}, ...columns.map((name) => element("th", { scope: "col" }, visible(name)))));
  const body = element("tbody");
  const size = `${rows.length} ${rows.length === 1 ? "row" : "rows"}, ${names.size} ${names.size === 1 ? "column" : "columns"}`;
  const more = names.size > columns.length ? `; the first ${columns.length} columns are shown` : "";
  const scrolled = element(
    "div",
    { class: "table", tabindex: "0", role: "region", "aria-label": `Table: ${size}` },
    element("table", {}, element("caption", {}, size + more), head, body),
  );
  const shown = element("div", { class: "value" }, scrolled);
  const numeric = columns.find((name) => rows.length > 2 && rows.every((row) => Object.hasOwn(row, name) && row[name] instanceof Digits));
  if (numeric !== undefined) {
    const drawn = element("div", {});
    const toggle = button(`Chart of ${visible(numeric)}`, () => {
      const numbers = numbersOf(rows.map((row) => row[numeric]!));
      if (numbers) replaceFocused(toggle, drawn.appendChild(chart(numbers)));
    });
    shown.append(toggle, drawn);
  }
  steps(shown, rows.length, (index) => {
    const row = element("tr", {}, ...columns.map((name) => cell(Object.hasOwn(rows[index]!, name) ? rows[index]![name] : undefined)));
    return body.appendChild(row);
  });
  return shown;
}

/** Shows the first items, and a button for more. */
function steps(where: HTMLElement, count: number, show: (index: number) => HTMLElement): void {
  let shown = 0;
  const next = () => {
    const first = show(shown++);
    for (const end = Math.min(count, shown + STEP - 1); shown < end; shown++) show(shown);
    more.textContent = `Show more (${count - shown} left)`;
    if (shown === count) replaceFocused(more, first);
  };
  const more = button("", next, { class: "more" });
  where.append(more);
  next();
}

/** Removes a button. If it has the focus, what the button has brought gets the focus, so that the keyboard goes on there. */
function replaceFocused(gone: HTMLElement, brought: HTMLElement): void {
  const isFocused = document.activeElement === gone;
  gone.remove();
  if (!isFocused) return;
  brought.tabIndex = -1;
  brought.focus();
}

function tree(value: Json[] | { [name: string]: Json }, isOpen: boolean): HTMLElement {
  const entries: [string, Json][] = Array.isArray(value)
    ? value.map((item, index) => [String(index), item])
    : Object.entries(value);
  const [open, close] = Array.isArray(value) ? ["[", "]"] : ["#{", "}"];
  if (entries.length === 0) return element("span", {}, open + close);
  const items = element("ul", {});
  const details = element(
    "details",
    { class: "tree" },
    element("summary", {}, `${open} ${entries.length} ${entries.length === 1 ? "item" : "items"} ${close}`),
  );
  let isFilled = false;
  const fill = () => {
    if (isFilled) return;
    isFilled = true;
    details.append(items);
    steps(details, entries.length, (index) => {
      const [name, item] = entries[index]!;
      const nested = Array.isArray(item) || isMap(item);
      return items.appendChild(element("li", {}, element("span", { class: "name" }, `${visible(name)}: `), nested ? tree(item, false) : scalar(item)));
    });
  };
  // A tree is filled when it opens: a deep value costs what is looked at.
  details.addEventListener("toggle", fill);
  if (isOpen) {
    details.open = true;
    fill();
  }
  return details;
}

const SVG = "http://www.w3.org/2000/svg";

/** Draws numbers as a line. */
function chart(numbers: number[]): HTMLElement {
  const [low, high] = numbers.reduce(([least, most], number) => [Math.min(least, number), Math.max(most, number)], [Infinity, -Infinity]);
  const every = Math.max(1, Math.ceil(numbers.length / MAX_POINTS));
  const points: string[] = [];
  for (let index = 0; index < numbers.length; index += every) {
    const x = (index / Math.max(1, numbers.length - 1)) * 600;
    const y = high === low ? 60 : 115 - ((numbers[index]! / 2 - low / 2) / (high / 2 - low / 2)) * 110;
    points.push(`${x.toFixed(1)},${y.toFixed(1)}`);
  }
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 600 120");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `Line chart of ${numbers.length} numbers from ${low} to ${high}`);
  const line = document.createElementNS(SVG, "polyline");
  line.setAttribute("points", points.join(" "));
  svg.append(line);
  const figure = element("figure", { class: "chart" });
  figure.append(svg, element("figcaption", {}, `${numbers.length} numbers, ${low} to ${high}${every > 1 ? `, every ${every}th shown` : ""}`));
  return figure;
}
