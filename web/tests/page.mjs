// What the tests of the console share: pages of circles, and what their user does.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test as nodeTest } from "node:test";

import { PROGRAM, WAIT_TIMEOUT, file, freePort, startCircle } from "./rig.mjs";

const AXE = readFileSync(file("web/node_modules/axe-core/axe.min.js"), "utf8");
export const PASSPHRASE = "open sesame";

/** Defines a test. */
export const test = (name, body) => nodeTest(name, { timeout: 3 * WAIT_TIMEOUT }, body);

/** Opens a page, and collects everything that the browser complains about. */
export async function openPage(browser, url, options = {}) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1100, height: 760 }, ...options });
  context.setDefaultTimeout(WAIT_TIMEOUT);
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(url);
  return { context, page, complaints };
}

/** Types an input and runs it. */
export async function run(page, input) {
  const editor = page.getByRole("textbox", { name: "Input" });
  await editor.click();
  await page.keyboard.insertText(input);
  await page.getByRole("button", { name: "Run", exact: true }).click();
}

/** Waits until the session is connected. */
export function connected(page) {
  return page.waitForSelector('html[data-ready] #state[data-state="connected"]');
}

/** Runs a test with a page of a circle. */
export async function withPage(browser, circleOptions, pageOptions, body) {
  const circle = await startCircle(await freePort(), ...circleOptions);
  const { context, page, complaints } = await openPage(browser, circle.url, pageOptions);
  try {
    await body(page, circle, complaints);
  } finally {
    await context.close();
    await circle.stop();
  }
}

/** Signs in with the key of a file. */
export async function bringKey(page, file) {
  await page.getByRole("button", { name: "Key", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Keys" });
  await dialog.getByText("Bring a key").click();
  await dialog.getByLabel("Key file (circles keys export)").setInputFiles(file);
  await dialog.getByLabel("Passphrase").fill(PASSPHRASE);
  await dialog.getByRole("button", { name: "Open and sign in" }).click();
  await page.locator("#state", { hasText: "signed in as ada" }).waitFor();
}

/** Makes and keeps a key in the open dialog. */
export async function makeKey(page, name) {
  const dialog = page.getByRole("dialog", { name: "Keys" });
  await dialog.getByText("Make a key", { exact: true }).click();
  await dialog.getByLabel("Name").fill(name);
  await dialog.getByLabel("Passphrase").first().fill(PASSPHRASE);
  await dialog.getByLabel("Repeat it").fill(PASSPHRASE);
  await dialog.getByRole("button", { name: "Make and keep the key" }).click();
  await page.locator("#state", { hasText: `signed in as ${name}` }).waitFor();
}

/** Takes a picture if the variable SCREENSHOTS names a directory. */
export async function picture(page, name) {
  if (process.env.SCREENSHOTS) await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`) });
}

/** Checks that the page as it is now is accessible. */
export async function check(page) {
  // As text of a function: the policy of the page forbids scripts in elements.
  await page.evaluate(AXE);
  const violations = await page.evaluate(async () => (await window.axe.run()).violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)]));
  assert.deepEqual(violations, []);
}

/** Makes a key file as the terminal does. */
export function keyFile() {
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
