// The behaviour of client_ws in Chromium: the tests of client_ws/behaviour, compiled to WebAssembly by `web/build --tests`.
// `tests/client_behaviour.rs` runs the same tests natively. All tests, or those whose names contain a text:
// `node web/tests/client.test.mjs [TEXT]`.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, describe, test } from "node:test";

import { Control } from "./control.mjs";
import { openPage } from "./page.mjs";
import { WAIT_TIMEOUT, startBrowser } from "./rig.mjs";

const BUILT = new URL("../../target/wasm/client_behaviour/", import.meta.url);
const TYPES = { js: "text/javascript", wasm: "application/wasm" };
/** Tests at the same time: most of them wait for processes. */
const CONCURRENCY = 4;

const server = createServer((request, response) => {
  const name = request.url.slice(1);
  response.setHeader("content-type", TYPES[name.split(".").pop()] ?? "text/html");
  response.end(name.startsWith("client_behaviour") ? readFileSync(new URL(name, BUILT)) : "<!doctype html><title>Tests</title>");
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const origin = `http://127.0.0.1:${server.address().port}`;
const browser = await startBrowser();

/** Opens a page that has loaded the tests. */
async function openTests() {
  const opened = await openPage(browser, origin);
  await opened.page.evaluate(async () => {
    window.tests = await import("/client_behaviour.js");
    await window.tests.default();
  });
  return opened;
}

const first = await openTests();
const names = await first.page.evaluate(() => window.tests.names());
await first.context.close();

describe("client_ws in a browser", { concurrency: CONCURRENCY }, () => {
  for (const name of names.filter((name) => name.includes(process.argv[2] ?? ""))) {
    test(name, { timeout: WAIT_TIMEOUT }, () => run(name));
  }
  after(async () => {
    await browser.close();
    server.close();
  });
});

/** Runs a test on a page of its own: after a panic, the page is of no use. */
async function run(name) {
  const { context, page, complaints } = await openTests();
  const control = new Control();
  try {
    await page.exposeFunction("control", (request) => control.call(request));
    const panicked = new Promise((_, reject) => page.on("pageerror", (error) => reject(new Error([...complaints, error].join("\n")))));
    // The failure is a text, which `evaluate` would wrap in an error with its own stack.
    const outcome = page.evaluate(([name, origin]) => window.tests.run(name, origin).then(() => null, String), [name, origin]);
    const failure = await Promise.race([outcome, panicked]);
    if (failure !== null) throw new Error(failure);
  } finally {
    await context.close();
    await control.end();
  }
}
