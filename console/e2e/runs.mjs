// Checks of the pages of runs: one of a real run as it goes, the rest of runs that are canned.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { shows } from "./browser.mjs";
import { answer, canned } from "./canned.mjs";

const REPOSITORY = new URL("../..", import.meta.url).pathname;

/** The runs that the server knows, newest first. */
export async function runsOf(base) {
  const headers = { "Content-Type": "application/json", Accept: "application/x-ndjson" };
  const body = JSON.stringify({ sql: "SHOW RUNS LIMIT 10" });
  const response = await fetch(new URL("/v1/sql", base), { method: "POST", headers, body });
  assert.ok(response.ok, await response.clone().text());
  return (await response.text()).split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

/** Runs the example in the lake that is served, whatever is up to date; resolves with its exit status. */
function runExample({ binary, lake }) {
  const child = spawn(binary, ["--lake", lake, "run", "examples/flights", "--force"], { cwd: REPOSITORY, stdio: "ignore" });
  const ended = new Promise((resolve, reject) => child.on("exit", resolve).on("error", reject));
  return { child, ended };
}

/** Notes from now on whether the page goes back to "Reading ..". */
function noteWaiting(page) {
  return page.evaluate(() => {
    window.waited = 0;
    new MutationObserver(() => {
      if (document.querySelector(".waiting") !== null) window.waited += 1;
    }).observe(document.body, { childList: true, subtree: true });
  });
}

const texts = (page, selector) => page.locator(selector).allTextContents();

export const RUN_CHECKS = {
  async "a run is watched as it goes"({ page, base, lakemill }) {
    if (lakemill === null) return "LAKEMILL_BIN and LAKEMILL_LAKE are not set";
    const old = new Set((await runsOf(base)).map(({ run }) => run));
    const { child, ended } = runExample(lakemill);
    try {
      let found;
      while (found === undefined && child.exitCode === null) {
        await page.waitForTimeout(50);
        found = (await runsOf(base)).find(({ run }) => !old.has(run));
      }
      assert.equal(found?.status, "running");
      await page.goto(`${base}#/runs`);
      const row = page.locator(".runs tbody tr").first();
      await row.locator(".progress").waitFor({ timeout: 5000 });
      await shows(row, /flights.*running.*of 7/);
      await noteWaiting(page);
      await row.getByRole("link").press("Enter");
      await page.waitForFunction((id) => location.hash === `#/run/${id}`, found.run);
      await page.waitForSelector(".timeline-step");
      await page.evaluate(() => (window.waited = 0));
      // The accounts come each second: which statement one finds depends on the machine.
      await page.waitForFunction(() => /CREATE.*so far/.test(document.querySelector(".now")?.textContent ?? ""), null, { timeout: 30_000 });
      assert.equal(await ended, 0);
      await page.waitForSelector('.page-facts .status[data-status="finished"]', { timeout: 5000 });
      assert.equal(await page.locator(".now").count(), 0);
      assert.match((await texts(page, ".timeline-step"))[0], /Acquire.*CREATE TABLE flights.*336,776/);
      assert.equal(await page.evaluate(() => window.waited), 0, "nothing that was shown went away");
      const [done] = await runsOf(base);
      assert.match((await page.locator(".figures").textContent()).replaceAll(",", ""), new RegExp(`Steps done7 of 7Rows written${done.rows}`));
      assert.equal(await page.locator('.timeline-step[data-status="done"]').count(), 7);
      await page.getByRole("link", { name: "CREATE MODEL delay_trees" }).click();
      await page.waitForFunction(() => location.hash === "#/model/main/delay_trees/training");
    } finally {
      child.kill();
    }
  },

  async "training is followed by its iterations and its loss"({ page, base }) {
    await answer(page, canned());
    await page.goto(`${base}#/run/live`);
    const reached = async () => Number((await page.locator(".now").textContent()).match(/iteration ([\d,]+) of at most 200/)[1]);
    await page.waitForSelector(".now");
    const first = await reached();
    await page.waitForFunction(() => (document.querySelector(".now .plot-line")?.getAttribute("d").match(/[ML]/g) ?? []).length >= 3, null, { timeout: 20_000 });
    assert.ok((await reached()) > first);
  },

  async "runs are read each second while one goes on, and now and then otherwise"({ page, base }) {
    const { finished, live } = canned();
    const runs = { finished };
    const asked = await answer(page, runs);
    await page.clock.install();
    await page.goto(`${base}#/runs`);
    await page.reload();
    await page.waitForSelector(".runs tbody tr");
    const asks = async (times, act) => {
      const before = asked.list;
      await act();
      for (let turn = 0; turn < 100 && asked.list < before + times; turn += 1) await page.waitForTimeout(50);
      await page.waitForTimeout(150);
      assert.equal(asked.list - before, times);
    };
    const after = (ms) => () => page.clock.runFor(ms);
    await asks(0, after(9000));
    await asks(1, after(1500));
    // A run that begins is seen, and then followed.
    runs.live = live;
    await asks(1, after(10_000));
    await page.waitForSelector(".runs .progress");
    await asks(1, after(1000));
    await asks(1, after(1000));
    // Nobody looks; then it is read at once.
    await page.evaluate(() => Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true }));
    await asks(0, after(30_000));
    await asks(1, () =>
      page.evaluate(() => {
        delete document.visibilityState;
        document.dispatchEvent(new Event("visibilitychange"));
      }),
    );
  },

  async "a server that falls silent is told of, and what was read stays"({ page, base }) {
    await answer(page, canned());
    await page.goto(`${base}#/run/reads`);
    await page.waitForSelector(".now");
    await noteWaiting(page);
    await page.waitForFunction(() => /about .* left/.test(document.querySelector(".now").textContent), null, { timeout: 8000 });
    await page.route("**/v1/sql", (route) => route.abort());
    await page.waitForSelector(".stale");
    await shows(page.locator(".stale"), /does not answer.*What is shown is of \d\d:\d\d:\d\d UTC/);
    assert.ok((await page.locator(".timeline-step").count()) === 7 && (await page.locator(".now").isVisible()));
    await page.unroute("**/v1/sql");
    await answer(page, canned());
    await page.waitForFunction(() => document.querySelector(".stale") === null, null, { timeout: 5000 });
    assert.equal(await page.evaluate(() => window.waited), 0);
  },

  async "a run that failed says of what and where"({ page, base }) {
    await answer(page, canned());
    await page.goto(`${base}#/runs`);
    const row = page.locator(".runs tbody tr", { hasText: "failed" });
    assert.match(await row.textContent(), /02_prepare\.sql, line 24: unknown column 'arr_delays'/);
    await row.getByRole("link").click();
    await page.waitForSelector(".run-problem");
    await shows(page.locator(".run-problem"), /failed.*unknown column.*02_prepare\.sql line 24, column 11, in the step Prepare/);
    await shows(page.locator('.timeline-statement[data-status="failed"]'), /CREATE TABLE data_quality.*its SQL has changed.*unknown column/);
    assert.deepEqual((await texts(page, '[data-status="not reached"] h3')).length, 5);
  },

  async "runs of one pipeline are chosen"({ page, base }) {
    await answer(page, canned());
    await page.goto(`${base}#/runs`);
    await page.getByLabel("Pipeline").selectOption("journeys");
    await page.waitForFunction(() => location.hash === "#/runs?pipeline=journeys");
    await page.waitForFunction(() => document.querySelectorAll(".runs tbody tr").length === 2);
    await page.goto(`${base}#/run/nothing`);
    await page.getByText("There is no run nothing").waitFor();
    await page.unroute("**/v1/sql");
    await answer(page, {});
    await page.goto(`${base}#/runs`);
    await page.getByText("lakemill run FOLDER").waitFor();
  },
};
