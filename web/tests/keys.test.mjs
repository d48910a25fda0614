// Keys, identities and connections of the console in the browser, in Chromium: `node web/tests/keys.test.mjs`.

import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";

import { PASSPHRASE, bringKey, check, connected, keyFile, makeKey, openPage, picture, run, test, withPage } from "./page.mjs";
import { freePort, startBrowser, startCircle, startProxy } from "./rig.mjs";

let browser;

before(async () => {
  browser = await startBrowser();
});

after(() => browser.close());

test("a members circle refuses a play without a key, and takes one of the tab that is a member", async () => {
  const { file, publicKey } = keyFile();
  await withPage(browser, ["--member", publicKey], {}, async (page) => {
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
  await withPage(browser, ["--member", publicKey, "--limit", "login_s=1"], {}, async (page) => {
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
  const proxy = await startProxy(front, { "/": port });
  const { context, page, complaints } = await openPage(browser, proxy.url);
  try {
    await connected(page);
    await page.getByRole("button", { name: "Key", exact: true }).click();
    await makeKey(page, "carol");
    const stored = await page.evaluate(() => localStorage.getItem("circles.key.carol"));
    assert.match(stored, /BEGIN AGE ENCRYPTED FILE/);
    await page.reload();
    await connected(page);
    await page.getByRole("button", { name: "Key", exact: true }).click();
    const dialog = page.getByRole("dialog", { name: "Keys" });
    await check(page);
    const section = dialog.locator("section", { hasText: "carol" });
    await section.getByLabel("Passphrase").fill("wrong");
    await section.getByRole("button", { name: "Unlock and sign in" }).click();
    await section.getByText("wrong passphrase").waitFor();
    await section.getByLabel("Passphrase").fill(PASSPHRASE);
    await section.getByRole("button", { name: "Unlock and sign in" }).click();
    await page.locator("#state", { hasText: "signed in as carol" }).waitFor();
    await run(page, "CALLER_PUBLIC_KEY.len()");
    await page.locator("article .value", { hasText: "66" }).waitFor();
    await page.getByRole("button", { name: "carol", exact: true }).click();
    await dialog.getByText("Make a key", { exact: true }).click();
    await dialog.getByText("Bring a key").click();
    await picture(page, "https-keys");
    await check(page);
    await dialog.getByRole("button", { name: "Forget…" }).click();
    await page.getByRole("dialog", { name: "Forget carol?" }).waitFor();
    await picture(page, "forget");
    await check(page);
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
  const proxy = await startProxy(front, { "/": port });
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

test("circles below paths of one origin have their own identities and share the keys of their user", async () => {
  const [port, teamPort, front] = [await freePort(), await freePort(), await freePort()];
  const home = mkdtempSync(join(tmpdir(), "circles-paths-"));
  const start = (port, name) =>
    startCircle(port, "--name", name, "--hosts", `127.0.0.1:${front}`, "--trusted-proxies", "127.0.0.1", "--identity", join(home, name));
  const circles = [await start(port, "lab"), await start(teamPort, "team")];
  const proxy = await startProxy(front, { "/": port, "/team/": teamPort });
  const { context, page, complaints } = await openPage(browser, proxy.url);
  const circle = async () => [await page.locator("#circle-name").textContent(), await page.locator("#identity-button").textContent()];
  try {
    await connected(page);
    const [name, identity] = await circle();
    assert.equal(name, "lab");
    await page.getByRole("button", { name: "Key", exact: true }).click();
    await makeKey(page, "carol");
    // The proxy redirects to the path with its slash.
    await page.goto(`${proxy.url}team`);
    await connected(page);
    assert.equal(page.url(), `${proxy.url}team/`);
    const [otherName, otherIdentity] = await circle();
    assert.equal(otherName, "team");
    assert.notEqual(otherIdentity, identity);
    await run(page, "6 * 7");
    await page.locator("article .value", { hasText: "42" }).waitFor();
    await page.getByRole("button", { name: "Key", exact: true }).click();
    await page.getByRole("dialog", { name: "Keys" }).locator("section", { hasText: "carol" }).waitFor();
    await page.getByRole("button", { name: "Close" }).click();
    await page.getByRole("button", { name: "Help" }).click();
    for (const link of ["openrpc.json", "licences"]) {
      const url = await page.getByRole("link", { name: link }).evaluate((link) => link.href);
      assert.ok(url.startsWith(`${proxy.url}team/`), url);
      assert.equal(await page.evaluate(async (url) => (await fetch(url)).status, url), 200);
    }
    assert.deepEqual(complaints, []);
    // Each page remembers the identity of its own circle.
    const stored = await page.evaluate(() => Object.keys(localStorage).filter((name) => name.startsWith("circles.identity")).sort());
    assert.deepEqual(stored, ["circles.identity/", "circles.identity/team/"]);
    await page.goto(proxy.url);
    await connected(page);
    assert.equal((await circle())[1], identity);
  } finally {
    await context.close();
    await proxy.stop();
    for (const circle of circles) await circle.stop();
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
