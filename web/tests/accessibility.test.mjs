// The console in the browser for people with assistive technology, and on small screens: `node web/tests/accessibility.test.mjs`.
// With SCREENSHOTS=DIRECTORY, the tests take pictures.

import assert from "node:assert/strict";
import { after, before } from "node:test";

import { check, connected, picture, run, test, withPage } from "./page.mjs";
import { startBrowser } from "./rig.mjs";

let browser;

before(async () => {
  browser = await startBrowser();
});

after(() => browser.close());

test("the focus goes to the new content when its button disappears", async () => {
  await withPage(browser, [], {}, async (page) => {
    await connected(page);
    const focused = () => page.evaluate(() => document.activeElement.outerHTML);
    await run(page, 'let rows = []; for n in 0..150 { rows.push(#{ n: n, name: `row ${n}` }) } rows');
    await page.getByRole("button", { name: "Show more (50 left)" }).press("Enter");
    assert.match(await focused(), /^<tr .*row 100/);
    await page.getByRole("button", { name: "Chart of n" }).press("Enter");
    assert.match(await focused(), /^<figure /);
    await run(page, "let list = []; for n in 0..250 { list.push(`item ${n}`) } list");
    const more = page.getByRole("button", { name: /Show more/ });
    await more.press("Enter");
    // The button is still there.
    assert.match(await focused(), /^<button .*50 left/);
    await more.press("Enter");
    assert.match(await focused(), /^<li .*item 200/);
    assert.equal(await more.count(), 0);
  });
});

for (const [name, options] of Object.entries({
  light: { colorScheme: "light" },
  dark: { colorScheme: "dark" },
  phone: { colorScheme: "light", viewport: { width: 380, height: 720 } },
})) {
  test(`the page is accessible and fits: ${name}`, async () => {
    await withPage(browser, [], options, async (page) => {
      await connected(page);
      await run(page, 'fn double(x) { x * 2 }\nlet rates = #{ "EUR": 1.0, "USD": 1.09 };\nprint("a line");\n[#{ name: "ada", age: double(18) }, #{ name: "alan", age: 41 }]');
      await page.locator("article table").waitFor();
      await run(page, "[3, 1, 4, 1, 5, 9, 2, 6]");
      await page.locator("svg").waitFor();
      await run(page, "duble(1)");
      await page.locator("article .error").waitFor();
      if ((await page.locator("#variables").isHidden()) && name !== "phone") await page.getByRole("button", { name: "Variables" }).click();
      await picture(page, name);
      await check(page);
      await page.getByRole("button", { name: "Key", exact: true }).click();
      await page.getByText("Make a key", { exact: true }).click();
      await picture(page, `${name}-keys`);
      await check(page);
      await page.getByRole("button", { name: "Close" }).click();
      await page.getByRole("button", { name: "Help" }).click();
      await picture(page, `${name}-help`);
      await check(page);
      await page.getByRole("button", { name: "Close" }).click();
      if (await page.locator("#variables").isHidden()) await page.getByRole("button", { name: "Variables" }).click();
      await page.getByRole("button", { name: "Reset the session" }).click();
      await picture(page, `${name}-reset`);
      await check(page);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `the page is ${overflow} pixels too wide`);
    });
  });
}
