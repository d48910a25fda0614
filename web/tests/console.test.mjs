// The console in the browser, in Chromium: `node web/tests/console.test.mjs`.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test as nodeTest } from "node:test";
import { fileURLToPath } from "node:url";

import { PATIENCE, PROGRAM, connected, freePort, openPage, run, startBrowser, startCircle, startProxy } from "./rig.mjs";

const AXE = readFileSync(file("web/node_modules/axe-core/axe.min.js"), "utf8");
const PASSPHRASE = "open sesame";

const test = (name, body) => nodeTest(name, { timeout: 3 * PATIENCE }, body);

let browser;

before(async () => {
  browser = await startBrowser();
});

after(() => browser.close());

/** Runs a test with a page of a circle. */
async function withPage(circleOptions, pageOptions, body) {
  const circle = await startCircle(await freePort(), ...circleOptions);
  const { context, page, complaints } = await openPage(browser, circle.url, pageOptions);
  try {
    await body(page, circle, complaints);
  } finally {
    await context.close();
    await circle.stop();
  }
}

test("a play shows its prints and its value, and the browser has nothing to complain about", async () => {
  await withPage([], {}, async (page, _circle, complaints) => {
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
  await withPage([], {}, async (page) => {
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
  await withPage([], {}, async (page) => {
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
  await withPage([], {}, async (page) => {
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
  await withPage([], {}, async (page) => {
    await connected(page);
    await run(page, "fn boom(x) { undefined_thing + x }");
    await run(page, "let a = 1;\nboom(a)");
    const error = page.locator("article .error");
    await error.locator(".place", { hasText: "^" }).waitFor();
    await error.locator(".trace", { hasText: "boom" }).waitFor();
  });
});

test("completions come from the circle, and Tab accepts one", async () => {
  await withPage([], {}, async (page) => {
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
  await withPage([], {}, async (page) => {
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

test("a members circle refuses a play without a key, and takes one of the tab that is a member", async () => {
  const { file, publicKey } = keyFile();
  await withPage(["--member", publicKey], {}, async (page) => {
    await connected(page);
    await run(page, "1");
    await page.locator("article .error", { hasText: "Unauthenticated" }).waitFor();
    await page.getByRole("button", { name: "Make or bring a key" }).click();
    const dialog = page.getByRole("dialog", { name: "Keys" });
    await dialog.getByText("over http").waitFor();
    assert.equal(await dialog.getByText("Keep it in this browser").count(), 0);
    await dialog.getByText("Make a key", { exact: true }).click();
    await dialog.getByRole("button", { name: "Make a key for this tab" }).click();
    await dialog.getByRole("alert").filter({ hasText: /\w/ }).waitFor();
    // The circle has refused it, and its owner can give it to an operator.
    const made = dialog.locator("section", { hasText: "The key of this tab" }).locator("code");
    assert.match(await made.textContent(), /^0[23][0-9a-f]{64}$/);
    await dialog.getByText("Bring a key").click();
    await dialog.getByLabel("Key file (circles keys export)").setInputFiles(file);
    await dialog.getByLabel("Passphrase").fill("wrong");
    await dialog.getByRole("button", { name: "Open and sign in" }).click();
    await dialog.getByText("wrong passphrase").waitFor();
    await dialog.getByLabel("Passphrase").fill(PASSPHRASE);
    await dialog.getByRole("button", { name: "Open and sign in" }).click();
    await page.locator("#state", { hasText: "signed in as ada" }).waitFor();
    await run(page, "CALLER_PUBLIC_KEY");
    await page.locator("article .value", { hasText: publicKey }).waitFor();
    await page.getByRole("button", { name: "ada", exact: true }).click();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.locator("#state", { hasText: "not signed in" }).waitFor();
    await run(page, "2");
    await page.locator("article .error", { hasText: "Unauthenticated" }).nth(1).waitFor();
    // Nothing of the key is left after a reload.
    assert.deepEqual(await page.evaluate(() => Object.keys(localStorage).filter((name) => name.startsWith("circles.key"))), []);
  });
});

test("a page without a key waits once the circle has closed its connection, and signs in later", async () => {
  const { file, publicKey } = keyFile();
  await withPage(["--member", publicKey, "--limit", "login_s=1"], {}, async (page) => {
    await page.locator('#state[data-state="idle"]').waitFor();
    await bringKey(page, file);
    await run(page, "6 * 7");
    await page.locator("article .value", { hasText: "42" }).waitFor();
    assert.equal(await page.locator(".note", { hasText: "connected again" }).count(), 0);
  });
});

test("the page connects again after a restart, signs in, and says what was lost", async () => {
  const { file, publicKey } = keyFile();
  const port = await freePort();
  let circle = await startCircle(port, "--member", publicKey);
  const { context, page } = await openPage(browser, circle.url);
  try {
    await connected(page);
    await bringKey(page, file);
    await circle.stop();
    await page.locator('#state[data-state="lost"]').waitFor();
    circle = await startCircle(port, "--member", publicKey);
    await page.locator(".note", { hasText: "connected again" }).waitFor();
    await run(page, "6 * 7");
    await page.locator("article .value", { hasText: "42" }).waitFor();
  } finally {
    await context.close();
    await circle.stop();
  }
});

test("over https, a kept key survives a reload", async () => {
  const [port, front] = [await freePort(), await freePort()];
  const circle = await startCircle(port, "--hosts", `127.0.0.1:${front}`, "--trusted-proxies", "127.0.0.1");
  const proxy = await startProxy(front, port);
  const { context, page, complaints } = await openPage(browser, proxy.url);
  try {
    await connected(page);
    await page.getByRole("button", { name: "Key", exact: true }).click();
    let dialog = page.getByRole("dialog", { name: "Keys" });
    await dialog.getByText("Make a key", { exact: true }).click();
    await dialog.getByLabel("Name").fill("carol");
    await dialog.getByLabel("Passphrase").first().fill(PASSPHRASE);
    await dialog.getByLabel("Repeat it").fill(PASSPHRASE);
    await dialog.getByRole("button", { name: "Make and keep the key" }).click();
    await page.locator("#state", { hasText: "signed in as carol" }).waitFor();
    const stored = await page.evaluate(() => localStorage.getItem("circles.key.carol"));
    assert.match(stored, /BEGIN AGE ENCRYPTED FILE/);
    await page.reload();
    await connected(page);
    await page.getByRole("button", { name: "Key", exact: true }).click();
    dialog = page.getByRole("dialog", { name: "Keys" });
    const section = dialog.locator("section", { hasText: "carol" });
    await section.getByLabel("Passphrase").fill("wrong");
    await section.getByRole("button", { name: "Unlock and sign in" }).click();
    await section.getByText("wrong passphrase").waitFor();
    await section.getByLabel("Passphrase").fill(PASSPHRASE);
    await section.getByRole("button", { name: "Unlock and sign in" }).click();
    await page.locator("#state", { hasText: "signed in as carol" }).waitFor();
    await run(page, "CALLER_PUBLIC_KEY.len()");
    await page.locator("article .value", { hasText: "66" }).waitFor();
    assert.deepEqual(complaints, []);
  } finally {
    await context.close();
    await proxy.stop();
    await circle.stop();
  }
});

test("over https, another identity at the address is refused until its user accepts it", async () => {
  const [port, front] = [await freePort(), await freePort()];
  const home = mkdtempSync(join(tmpdir(), "circles-identity-"));
  const start = (name) => startCircle(port, "--hosts", `127.0.0.1:${front}`, "--trusted-proxies", "127.0.0.1", "--identity", join(home, name));
  let circle = await start("first");
  const proxy = await startProxy(front, port);
  const { context, page } = await openPage(browser, proxy.url);
  try {
    await connected(page);
    await circle.stop();
    circle = await start("second");
    await page.locator('#state[data-state="refused"]').waitFor();
    await page.getByRole("button", { name: "Another circle answers" }).click();
    await page.getByRole("button", { name: "Accept the new identity" }).click();
    await connected(page);
  } finally {
    await context.close();
    await proxy.stop();
    await circle.stop();
  }
});

test("over http from another machine, the page takes no key", async () => {
  const port = await freePort();
  const circle = await startCircle(port, "--hosts", `circle.test:${port}`);
  const { context, page } = await openPage(browser, `http://circle.test:${port}/`);
  try {
    await connected(page);
    await page.getByRole("button", { name: "Key", exact: true }).click();
    const dialog = page.getByRole("dialog", { name: "Keys" });
    await dialog.getByText("takes no key").waitFor();
    assert.equal(await dialog.locator("input, form").count(), 0);
  } finally {
    await context.close();
    await circle.stop();
  }
});

test("a page of another origin cannot connect", async () => {
  const other = await startCircle(await freePort());
  await withPage([], {}, async (page, circle) => {
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
  await withPage([], {}, async (page) => {
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

for (const [name, options] of Object.entries({
  light: { colorScheme: "light" },
  dark: { colorScheme: "dark" },
  phone: { colorScheme: "light", viewport: { width: 380, height: 720 } },
})) {
  test(`the page is accessible and fits: ${name}`, async () => {
    await withPage([], options, async (page) => {
      await connected(page);
      await run(page, 'fn double(x) { x * 2 }\nlet rates = #{ "EUR": 1.0, "USD": 1.09 };\nprint("a line");\n[#{ name: "ada", age: double(18) }, #{ name: "alan", age: 41 }]');
      await page.locator("article table").waitFor();
      await run(page, "[3, 1, 4, 1, 5, 9, 2, 6]");
      await page.locator("svg").waitFor();
      await run(page, "duble(1)");
      await page.locator("article .error").waitFor();
      if ((await page.locator("#variables").isHidden()) && name !== "phone") await page.getByRole("button", { name: "Variables" }).click();
      if (process.env.SCREENSHOTS) await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`) });
      await check(page);
      await page.getByRole("button", { name: "Key", exact: true }).click();
      await page.getByText("Make a key", { exact: true }).click();
      if (process.env.SCREENSHOTS) await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}-keys.png`) });
      await check(page);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `the page is ${overflow} pixels too wide`);
    });
  });
}

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

/** Returns the path of a file of the repository. */
function file(name) {
  return fileURLToPath(new URL(`../../${name}`, import.meta.url));
}

/** Signs in with the key of a file. */
async function bringKey(page, file) {
  await page.getByRole("button", { name: "Key", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Keys" });
  await dialog.getByText("Bring a key").click();
  await dialog.getByLabel("Key file (circles keys export)").setInputFiles(file);
  await dialog.getByLabel("Passphrase").fill(PASSPHRASE);
  await dialog.getByRole("button", { name: "Open and sign in" }).click();
  await page.locator("#state", { hasText: "signed in as ada" }).waitFor();
}

async function check(page) {
  // As text of a function: the policy of the page forbids scripts in elements.
  await page.evaluate(AXE);
  const violations = await page.evaluate(async () => (await window.axe.run()).violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)]));
  assert.deepEqual(violations, []);
}

/** Makes a key file as the terminal does. */
function keyFile() {
  const home = mkdtempSync(join(tmpdir(), "circles-home-"));
  const env = { ...process.env, HOME: home, XDG_DATA_HOME: join(home, "data"), XDG_CONFIG_HOME: join(home, "config"), CIRCLES_PASSPHRASE: PASSPHRASE };
  const circles = (...args) => {
    const done = spawnSync(PROGRAM, args, { env, encoding: "utf8" });
    assert.equal(done.status, 0, done.stderr);
    return done.stdout.trim();
  };
  circles("keygen", "ada");
  const file = join(home, "ada.json");
  writeFileSync(file, circles("keys", "export", "ada"));
  return { file, publicKey: circles("keys", "show", "ada") };
}
