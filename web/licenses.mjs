// Prints the licences of the Rust crates in client.wasm, with their texts: node web/licenses.mjs

import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const PACKAGE = "circles-web-client";
const TARGET = "wasm32-unknown-unknown";

/** The licences among which this file chooses, where a crate offers a choice, and what the names of their files contain. */
const CHOICES = [
  ["MIT", /mit/i],
  ["Apache-2.0", /apache/i],
];
/** The names of files with licences, and with what has to accompany them. */
const IS_LICENCE = /^(licen[cs]e|copying|copyright|notice|unlicense)/i;
/** The names of files with one of several licences of a crate. */
const IS_ALTERNATIVE = /mit|apache|bsd|gpl|unlicense|zlib|boost/i;
/** Folders that are no part of a library. */
const IS_SKIPPED = /^(\.|target$|tests?$|benches$|examples$|fuzz$)/;

/** The licence of crates without a text that offer MIT, and of the standard library. */
const mit = (holders) => `Copyright (c) ${holders}

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.`;

function cargo(...args) {
  const done = spawnSync("cargo", args, { encoding: "utf8", maxBuffer: 1 << 28 });
  if (done.status !== 0) throw new Error(`cargo ${args[0]}: ${done.stderr}`);
  return done.stdout;
}

/** The crates of the library, as `name version`. Procedural macros and build scripts run in the compiler only. */
function linkedCrates() {
  const tree = cargo("tree", "--locked", "-p", PACKAGE, "--target", TARGET, "-e", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}");
  return new Set(tree.trim().split("\n").map((line) => line.split(" ").slice(0, 2).join(" ").replace(" v", " ")));
}

function filesIn(directory) {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return IS_SKIPPED.test(entry.name) ? [] : filesIn(path);
    return IS_LICENCE.test(entry.name) && !/\.(rs|html)$/.test(entry.name) ? [path] : [];
  });
}

/** The files with the licence of a crate: of one licence, if the crate offers a choice. */
function licenceFiles(directory, licence) {
  const files = filesIn(directory).map((path) => relative(directory, path)).sort(compare);
  const offered = /\bAND\b|\(/.test(licence) ? [] : licence.split(/\s+OR\s+|\s*\/\s*/);
  for (const [name, pattern] of CHOICES) {
    if (!offered.includes(name) || !files.some((file) => pattern.test(file))) continue;
    return files.filter((file) => pattern.test(file) || !IS_ALTERNATIVE.test(file));
  }
  return files;
}

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

const linked = linkedCrates();
const { packages } = JSON.parse(cargo("metadata", "--locked", "--format-version", "1", "--filter-platform", TARGET));
const crates = packages
  .map(({ name, version, license, authors, manifest_path }) => ({ label: `${name} ${version}`, licence: license ?? "", authors, directory: dirname(manifest_path) }))
  .filter(({ label }) => linked.has(label))
  .sort((a, b) => compare(a.label, b.label));

/** The crates and files that have a text, by text. */
const texts = new Map();
const add = (text, name) => texts.set(text, [...(texts.get(text) ?? []), name]);
for (const { label, licence, authors, directory } of crates) {
  // The crates of this repository have the licence of the repository.
  const isOwn = label.startsWith("circles-");
  const files = isOwn ? ["LICENSE-MIT"] : licenceFiles(directory, licence);
  for (const file of files) {
    const text = readFileSync(isOwn ? file : join(directory, file), "utf8");
    add(text.replace(/\r\n/g, "\n").replace(/[ \t]+$/gm, "").replace(/^\n+|\n+$/g, ""), `${label}: ${file}`);
  }
  if (files.length > 0) continue;
  if (!/\bMIT\b/.test(licence)) throw new Error(`${label} has no text of its licence, ${licence}: add the text to web/licenses.mjs`);
  const holders = authors.map((author) => author.replace(/ <.*>/, "")).join(", ");
  add(mit(holders || `the authors of ${label.split(" ")[0]}`), `${label}: MIT, its source has no text`);
}
add(mit("The Rust Project Contributors"), "the standard library of Rust: MIT");

const list = crates.map(({ label, licence }) => `${label}  ${licence}\n`).join("");
const parts = [...texts].map(([text, names]) => `${"-".repeat(80)}\n${names.join("\n")}\n\n${text}\n`);
process.stdout.write(`client.wasm consists of these crates of Rust:\n\n${list}the standard library of Rust  MIT OR Apache-2.0\n\n${parts.join("\n")}`);
