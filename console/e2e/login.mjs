// Checks that the console asks who comes, against a server with --auth required and the user ann.
//
//     node e2e/login.mjs http://127.0.0.1:8000/console/ PASSWORD [SCREENSHOT]

import assert from "node:assert/strict";
import { launch } from "./browser.mjs";
import { lowContrast, nameless, overflow } from "./checks.mjs";

const [base, password, screenshot] = process.argv.slice(2);
const browser = await launch();
try {
  const context = await browser.newContext({ viewport: { width: 390, height: 800 } });
  const page = await context.newPage();
  const enter = async (user, secret) => {
    await page.getByLabel("User").fill(user);
    await page.getByLabel("Password").fill(secret);
    await page.getByRole("button", { name: "Log in" }).click();
  };
  await page.goto(base);
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  if (screenshot !== undefined) await page.screenshot({ path: screenshot });
  assert.deepEqual([await lowContrast(page), await nameless(page), await overflow(page)], [[], [], 0]);
  await enter("ann", "wrong");
  await page.getByText("password authentication failed").waitFor();
  await enter("ann", password);
  await page.getByRole("button", { name: "Log ann out" }).waitFor();
  await page.getByRole("button", { name: "Catalog", exact: true }).click();
  await page.locator(".catalog-list a").first().waitFor();
  const tables = await page.locator(".catalog-list a .catalog-name").allTextContents();
  assert.deepEqual(tables, ["open"], "what ann may read, and nothing else");
  // Runs name tables of all, so they are for administrators.
  await page.goto(`${base}#/runs`);
  await page.getByText("is for users with the role admin").waitFor();
  assert.deepEqual([await lowContrast(page), await nameless(page), await overflow(page)], [[], [], 0]);
  // The tab remembers; another does not.
  await page.reload();
  await page.getByRole("button", { name: "Log ann out" }).waitFor();
  const other = await context.newPage();
  await other.goto(base);
  await other.getByRole("heading", { name: "Log in" }).waitFor();
  const kept = await page.evaluate(() => JSON.parse(sessionStorage.getItem("lakemill.session")).token);
  await page.getByRole("button", { name: "Log ann out" }).click();
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.getItem("lakemill.session")), null);
  const refused = await fetch(new URL("/v1/session", base), { headers: { Authorization: `Bearer ${kept}` } });
  assert.equal(refused.status, 401, "the token ends with the session");
} finally {
  await browser.close();
}
