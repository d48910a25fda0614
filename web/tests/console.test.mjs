// The console in the browser, in Chromium: `node web/tests/console.test.mjs`.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before } from "node:test";

import { connected, openPage, run, test, withPage } from "./page.mjs";
import { file, freePort, startBrowser, startCircle } from "./rig.mjs";

let browser;

before(async () => {
  browser = await startBrowser();
});

after(() => browser.close());

test("a play shows its prints and its value, and the browser has nothing to complain about", async () => {
  await withPage(browser, [], {}, async (page, _circle, complaints) => {
    await connected(page);
    await run(page, 'print("hello"); 40 + 2');
    await page.locator("article .output", { hasText: "hello" }).waitFor();
    await page.locator("article .value", { hasText: "42" }).waitFor();
    assert.equal(await page.locator("#circle-name").textContent(), "lab");
    assert.match(await page.locator("#identity-button").textContent(), /^Circle [0-9a-f]{8}…/);
    assert.deepEqual(complaints, []);
  });
});

test("prints come while the play runs, and Stop ends it", async () => {
  await withPage(browser, [], {}, async (page) => {
    await connected(page);
    await run(page, 'print("begun"); loop {}');
    await page.locator("article .output", { hasText: "begun" }).waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await page.locator("article .error", { hasText: "Cancelled" }).waitFor();
    // The session is as before.
    await run(page, "1 + 1");
    await page.locator("article .value", { hasText: "2" }).waitFor();
  });
});

test("Ctrl-C stops a play from the keyboard", async () => {
  await withPage(browser, [], {}, async (page) => {
    await connected(page);
    await page.getByRole("textbox", { name: "Input" }).click();
    await page.keyboard.insertText("loop {}");
    await page.keyboard.press("Enter");
    await page.locator("#stop-button:not([disabled])").waitFor();
    await page.keyboard.press("Control+c");
    await page.locator("article .error", { hasText: "Cancelled" }).waitFor();
  });
});

test("values are tables, trees and charts, with all digits", async () => {
  await withPage(browser, [], {}, async (page) => {
    await connected(page);
    await run(page, '[#{ name: "ada", age: 36 }, #{ name: "<b>alan</b>", age: 41 }]');
    await page.locator("article table td", { hasText: "<b>alan</b>" }).waitFor();
    await run(page, "#{ big: 9007199254740993, list: [1, [2]] }");
    await page.locator(".tree .number", { hasText: "9007199254740993" }).waitFor();
    await run(page, "[3, 1, 4, 1, 5]");
    await page.locator('svg[aria-label="Line chart of 5 numbers from 1 to 5"]').waitFor();
  });
});

test("an error shows its place, its traceback and its hint", async () => {
  await withPage(browser, [], {}, async (page) => {
    await connected(page);
    await run(page, "fn boom(x) { undefined_thing + x }");
    await run(page, "let a = 1;\nboom(a)");
    const error = page.locator("article .error");
    await error.locator(".place", { hasText: "^" }).waitFor();
    await error.locator(".trace", { hasText: "boom" }).waitFor();
  });
});

test("completions come from the circle, and Tab accepts one", async () => {
  await withPage(browser, [], {}, async (page) => {
    await connected(page);
    await run(page, 'let temperature = 21; "known"');
    await page.locator("article .value", { hasText: "known" }).waitFor();
    await page.getByRole("textbox", { name: "Input" }).click();
    await page.keyboard.type("tempe");
    await page.locator(".cm-tooltip-autocomplete li", { hasText: "temperature" }).waitFor();
    await page.keyboard.press("Tab");
    await page.locator(".cm-tooltip-autocomplete").waitFor({ state: "detached" });
    await page.keyboard.press("Enter");
    await page.locator("article .value", { hasText: "21" }).waitFor();
  });
});

test("several lines are one input, and Up brings it back", async () => {
  await withPage(browser, [], {}, async (page) => {
    await connected(page);
    await page.getByRole("textbox", { name: "Input" }).click();
    await page.keyboard.type("fn f(x) {");
    await page.keyboard.press("Enter");
    await page.keyboard.type("let y = x;");
    await page.keyboard.press("Enter");
    await page.keyboard.type("y * 2");
    // Past the bracket that the editor has closed.
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("End");
    await page.keyboard.press("Enter");
    await page.locator("article").waitFor();
    assert.equal(await page.locator("article .input").innerText(), "fn f(x) {\n    let y = x;\n    y * 2\n}");
    await run(page, "f(4)");
    await page.locator("article .value", { hasText: "8" }).waitFor();
    await page.keyboard.press("Control+Home");
    await page.getByRole("textbox", { name: "Input" }).click();
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("Control+Enter");
    await page.locator("article .value", { hasText: "8" }).nth(1).waitFor();
  });
});

test("a page of another origin cannot connect", async () => {
  const other = await startCircle(await freePort());
  await withPage(browser, [], {}, async (page, circle) => {
    await page.goto(other.url);
    const answer = await page.evaluate(
      (port) =>
        new Promise((resolve) => {
          const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
          socket.onopen = () => resolve("open");
          socket.onerror = () => resolve("refused");
        }).catch(String),
      circle.port,
    );
    assert.equal(answer, "refused");
  });
  await other.stop();
});

test("the policy of the page forbids requests, frames and markup of others", async () => {
  await withPage(browser, [], {}, async (page) => {
    await connected(page);
    const directives = ["connect-src", "frame-src", "img-src", "require-trusted-types-for"];
    const missing = await page.evaluate(async (directives) => {
      const missing = new Set(directives);
      const violated = new Promise((resolve) => {
        document.addEventListener("securitypolicyviolation", (event) => {
          missing.delete(event.effectiveDirective);
          if (missing.size === 0) resolve();
        });
      });
      const [image, frame] = [document.createElement("img"), document.createElement("iframe")];
      image.src = "https://circles.invalid/x.png";
      frame.src = "https://circles.invalid/";
      document.body.append(image, frame);
      await fetch("https://circles.invalid/").catch(() => {});
      try {
        frame.innerHTML = "<b>text</b>";
      } catch {
        // As it should.
      }
      await violated;
      return [...missing];
    }, directives);
    assert.deepEqual(missing, []);
  });
});

test("the page of docs/browser.md plays", async () => {
  const page = readFileSync(file("docs/browser.md"), "utf8").match(/```html\n(.*?)```/s)[1];
  const [port, circlePort] = [await freePort(), await freePort()];
  const types = { js: "text/javascript", wasm: "application/wasm" };
  const server = createServer((request, response) => {
    const name = request.url.slice(1);
    response.setHeader("content-type", types[name.split(".").pop()] ?? "text/html");
    response.end(["circles.js", "client.wasm"].includes(name) ? readFileSync(file(`web/dist/${name}`)) : page.replace("9001", circlePort));
  });
  server.listen(port, "127.0.0.1");
  const circle = await startCircle(circlePort, "--origins", `http://127.0.0.1:${port}`);
  const { context, page: shown, complaints } = await openPage(browser, `http://127.0.0.1:${port}/`);
  try {
    await shown.getByRole("button", { name: "Roll" }).click();
    const result = shown.locator("#result");
    // The page listens to the button once it is connected.
    while (!/^42 in/.test(await result.textContent())) await shown.getByRole("button", { name: "Roll" }).click();
    assert.deepEqual(complaints.filter((text) => !text.includes("favicon")), []);
  } finally {
    await context.close();
    await circle.stop();
    server.close();
  }
});
