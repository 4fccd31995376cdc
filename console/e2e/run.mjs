// Checks the console in a browser, against a server that serves the lake of examples/flights.
//
//     node e2e/run.mjs http://127.0.0.1:8000/console/ [--screenshots FOLDER] [--only PART OF A NAME]
//
// With LAKEMILL_BIN and LAKEMILL_LAKE, a program and the lake that is served, it also watches a run of the example.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { launch, open, run, shows, write } from "./browser.mjs";
import { answer, canned } from "./canned.mjs";
import { lowContrast, nameless, overflow } from "./checks.mjs";
import { RUN_CHECKS, runsOf } from "./runs.mjs";
import { screenshots } from "./screenshots.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { screenshots: { type: "string" }, only: { type: "string" } },
});
const [base] = positionals;
if (base === undefined) {
  console.error("usage: node e2e/run.mjs URL [--screenshots FOLDER] [--only NAME]");
  process.exit(2);
}

const { LAKEMILL_BIN: binary, LAKEMILL_LAKE: lake } = process.env;
const lakemill = binary === undefined || lake === undefined ? null : { binary, lake };

const HASHES = [
  "/sql",
  "/table/main/flights",
  "/table/main/flights/rows",
  "/table/main/flights/versions",
  "/table/main/features/lineage",
  "/table/main/flights/definition",
  "/table/main/nothing",
  "/models",
  "/model/main/delay_trees",
  "/model/main/delay_trees/predict",
  "/model/main/delay_trees/training",
  "/model/main/delay_linear/training",
  "/model/main/delay_trees/versions",
  "/model/main/delay_trees/lineage",
  "/model/main/delay_trees/options",
  "/runs",
  "/serving",
];

/** Pages of runs that are canned. */
const RUNS = ["/runs", "/runs?pipeline=nothing", "/run/live", "/run/reads", "/run/failed", "/run/finished", "/run/died", "/run/nothing"];

/** The text of a cell that is drawn, by row and column from 0. */
const cell = (page, row, column) => page.locator(`#cell-${row}-${column}`).textContent();

const settled = (page) =>
  page.waitForFunction(() => document.querySelector(".waiting") === null && document.querySelector("h1, .empty") !== null);

const CHECKS = {
  async "search finds a table and a column"({ page }) {
    await page.keyboard.press("Escape");
    await page.locator("body").click({ position: { x: 700, y: 20 } });
    await page.keyboard.press("/");
    await page.keyboard.type("wind_gust");
    await page.waitForSelector(".catalog-columns mark");
    const tables = await page.locator(".catalog-row a .catalog-name").allTextContents();
    assert.ok(tables.includes("weather") && tables.includes("features"), tables.join());
    assert.ok(!tables.includes("airlines"));
    await shows(page.locator(".catalog-columns mark").first(), "wind_gust");
    await page.keyboard.press("Enter");
    await page.waitForSelector(".page h1");
  },

  async "a query runs and its rows are right"({ page }) {
    const status = await run(page, "SELECT origin, count(*) AS flights FROM flights WHERE month = 7 GROUP BY origin ORDER BY origin");
    assert.match(status, /^Done · 3 rows/);
    assert.deepEqual([await cell(page, 0, 0), await cell(page, 0, 1)], ["EWR", "10475"]);
    assert.deepEqual([await cell(page, 2, 0), await cell(page, 2, 1)], ["LGA", "8927"]);
  },

  async "rows that come a few bytes at a time are drawn"({ page }) {
    // A slow line: the grid stands, without rows, long before its rows are there.
    await page.evaluate(() => {
      const fetched = window.fetch;
      window.fetch = async (...request) => {
        const response = await fetched(...request);
        const bytes = new Uint8Array(await response.arrayBuffer());
        const trickle = new ReadableStream({
          async start(stream) {
            for (let at = 0; at < bytes.length; at += 64) {
              stream.enqueue(bytes.slice(at, at + 64));
              await new Promise((resolve) => setTimeout(resolve, 50));
            }
            stream.close();
          },
        });
        return new Response(trickle, response);
      };
    });
    assert.match(await run(page, "SELECT origin FROM flights GROUP BY origin ORDER BY origin"), /^Done · 3 rows/);
    await page.waitForSelector("#cell-2-0", { timeout: 5000 });
    assert.equal(await cell(page, 2, 0), "LGA");
  },

  async "values keep their digits and types"({ page }) {
    await run(page, `SELECT 9007199254740993 AS big, CAST(1.50 AS DECIMAL(10, 2)) AS d, [1, 2] AS list, {'a': 1} AS s,
      DATE '2020-01-02' AS day, CAST('2020-01-01T00:00:00.123456' AS TIMESTAMP) AS t, NULL AS nothing, -12.25 AS f`);
    const row = [];
    for (let column = 0; column < 8; column += 1) row.push(await cell(page, 0, column));
    assert.deepEqual(row, ["9007199254740993", "1.50", "[1,2]", '{"a":1}', "2020-01-02", "2020-01-01 00:00:00.123456", "NULL", "-12.25"]);
    assert.match(await run(page, "SELECT * FROM flights WHERE 1 = 0"), /0 rows/);
    await shows(page.locator(".empty"), /No rows.*time_hour TIMESTAMP/);
  },

  async "a million rows scroll to their end"({ page }) {
    const status = await run(page, "SELECT value AS n, value * 2 AS twice FROM generate_series(1, 1000000) ORDER BY n");
    assert.match(status, /1,000,000 rows/);
    const grid = page.locator(".grid");
    await grid.focus();
    await page.keyboard.press("Control+End");
    await page.waitForSelector("#cell-999999-1");
    assert.equal(await cell(page, 999_999, 1), "2000000");
    const box = await grid.boundingBox();
    const last = await page.locator("#cell-999999-1").boundingBox();
    assert.ok(last.y + last.height <= box.y + box.height + 1, "the last row is seen");
    await page.keyboard.press("Control+Home");
    await page.waitForSelector("#cell-0-0");
    // By the scrollbar: to the end, the middle, and row by row.
    const scrollTo = (share) =>
      grid.evaluate((element, to) => {
        element.scrollTop = (element.scrollHeight - element.clientHeight) * to;
      }, share);
    await scrollTo(1);
    await page.waitForSelector("#cell-999999-0");
    await scrollTo(0.5);
    await page.waitForFunction(() => Number(document.querySelector(".grid-cell")?.id.split("-")[1]) > 499_000);
    const first = () => page.locator(".grid-row").first().getAttribute("aria-rowindex").then(Number);
    await page.waitForTimeout(300);
    const before = await first();
    await page.mouse.move(box.x + 200, box.y + 200);
    for (let turn = 0; turn < 5; turn += 1) await page.mouse.wheel(0, 48);
    await page.waitForTimeout(400);
    assert.equal((await first()) - before, 10, "five turns of 48 pixels are ten rows");
    const frames = await grid.evaluate(async (element) => {
      const times = [];
      for (let frame = 0; frame < 40; frame += 1) {
        const begin = performance.now();
        element.scrollTop += 120;
        await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
        times.push(performance.now() - begin);
      }
      return times.sort((a, b) => a - b)[20];
    });
    assert.ok(frames < 100, `a step of scrolling takes ${frames.toFixed(0)} ms`);
  },

  async "cancel stops a long query"({ page }) {
    const long = "SELECT count(*) FROM flights a JOIN flights b ON a.month = b.month WHERE a.distance * b.distance % 7 = 3";
    await write(page, long);
    await page.keyboard.press("Control+Enter");
    await page.waitForSelector('.run-status[data-state="running"]');
    await page.waitForTimeout(500);
    await page.keyboard.press("Escape");
    await page.waitForFunction(() => document.querySelector(".run-status")?.textContent.startsWith("Cancelled"), null, { timeout: 3000 });
    await write(page, long);
    await page.keyboard.press("Control+Enter");
    await page.getByRole("button", { name: /^Cancel/ }).click();
    await page.waitForFunction(() => document.querySelector(".run-status")?.textContent.startsWith("Cancelled"));
    // The server is free again.
    await page.waitForFunction(
      async () => /lakemill_statements_running 0/.test(await (await fetch("/metrics")).text()),
      null,
      { timeout: 20_000, polling: 500 },
    );
  },

  async "an error is marked at its line"({ page }) {
    const status = await run(page, "SELECT carrier\nFROM flights\nWHERE mont = 7");
    assert.match(status, /^Failed/);
    await shows(page.locator(".problem"), /unknown column 'mont'.*line 3, column 7/);
    const marked = page.locator(".cm-lintRange-error");
    await shows(marked, "mont");
    const line = await marked.evaluate((element) => {
      const own = element.closest(".cm-line");
      return [...own.parentElement.querySelectorAll(".cm-line")].indexOf(own) + 1;
    });
    assert.equal(line, 3);
  },

  async "a selection runs alone, and its error is at the right place"({ page }) {
    await write(page, "SELECT 1;\nSELECT mont FROM flights");
    await page.keyboard.press("Shift+Home");
    await page.keyboard.press("Control+Enter");
    await page.waitForSelector(".cm-lintRange-error");
    await shows(page.locator(".cm-lintRange-error"), "mont");
  },

  async "rows that are cut off are said to be, and why can be asked"({ page }) {
    await run(page, "SELECT 1 / (value - 500000) AS x FROM generate_series(1, 1000000)");
    await page.getByRole("button", { name: "Run again for the reason" }).click();
    await page.waitForSelector(".problem");
    await shows(page.locator(".problem"), /zero/i);
  },

  async "names are completed"({ page }) {
    await write(page, "SELECT count(*) FROM flig");
    await page.waitForSelector(".cm-tooltip-autocomplete");
    await page.waitForTimeout(150);
    await page.keyboard.press("Enter");
    await shows(page.locator(".cm-line").first(), "SELECT count(*) FROM flights");
    await write(page, "SELECT sched_d FROM flights");
    for (let step = 0; step < " FROM flights".length; step += 1) await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("Control+Space");
    await page.waitForSelector(".cm-tooltip-autocomplete");
    await shows(page.locator(".cm-tooltip-autocomplete li").first(), /^sched_dep_time/);
    await page.keyboard.press("Escape");
  },

  async "tabs and history are kept over a reload"({ page }) {
    await run(page, "SELECT 'kept' AS word");
    await page.keyboard.press("Alt+n");
    await write(page, "SELECT 2 AS second");
    await page.reload();
    await page.waitForSelector(".cm-content");
    assert.equal(await page.locator(".tab").count(), 2);
    await shows(page.locator(".cm-content"), /second/);
    await page.getByRole("button", { name: "History", exact: true }).click();
    await page.getByText("SELECT 'kept' AS word").click();
    await shows(page.locator(".cm-content"), /kept/);
  },

  async "a result is copied, saved and plotted"({ page }) {
    await run(page, `SELECT 'a,b' AS "x""y", 1 AS n UNION ALL SELECT NULL, 2 ORDER BY n`);
    await page.getByRole("button", { name: "Copy CSV" }).click();
    await page.waitForFunction(() => /Copied/.test(document.querySelector(".results-said").textContent));
    const expected = '"x""y",n\r\n"a,b",1\r\n,2\r\n';
    // Clipboards of some systems write their own line breaks.
    assert.equal((await page.evaluate(() => navigator.clipboard.readText())).replace(/\r?\n/g, "\r\n"), expected);
    const waiting = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download CSV" }).click();
    assert.equal(await readFile(await (await waiting).path(), "utf8"), expected);
    await page.locator("#cell-0-0").click();
    await page.keyboard.press("Shift+ArrowRight");
    await page.keyboard.press("Control+c");
    await page.waitForFunction(() => /Copied 2 cells/.test(document.querySelector(".results-said").textContent));
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "a,b\t1");
    await run(page, "SELECT month, count(*) AS flights FROM flights GROUP BY month ORDER BY month");
    await page.getByRole("button", { name: "Plot", exact: true }).click();
    for (const kind of ["line", "bar", "scatter", "histogram"]) {
      await page.getByRole("button", { name: kind, exact: true }).click();
      await page.waitForSelector(kind === "bar" ? ".bars li" : ".plot svg");
    }
    await page.getByRole("button", { name: "Rows", exact: true }).click();
  },

  async "a table's statistics are right"({ page }) {
    await page.goto(`${base}#/table/main/flights`);
    const row = page.locator(".columns-table tbody tr", { hasText: "arr_delay" });
    await row.locator("svg.spark").waitFor({ timeout: 20_000 });
    const cells = await row.locator("td").allTextContents();
    assert.deepEqual([cells[1], cells[3], cells[4]], ["2.8%", "-86", "1272"]);
    await page.goto(`${base}#/table/main/flights/versions`);
    assert.ok((await page.locator(".facts tbody tr").count()) >= 1);
  },

  async "lineage leads on"({ page }) {
    await page.goto(`${base}#/table/main/features/lineage`);
    await page.waitForSelector(".lineage svg a");
    const names = await page.locator(".lineage-name").allTextContents();
    for (const name of ["journeys", "features", "delay_trees"]) assert.ok(names.includes(name), names.join());
    await page.locator(".lineage a", { hasText: "delay_trees" }).click();
    await page.waitForFunction(() => location.hash.includes("/model/main/delay_trees/lineage"));
  },

  async "a model is judged and predicts"({ page }) {
    await page.goto(`${base}#/model/main/delay_trees`);
    await page.waitForSelector(".confusion");
    await shows(page.locator(".figures.large"), /ROC AUC0\.\d{4}/);
    assert.ok((await page.locator(".plot-line").count()) >= 3);
    await page.goto(`${base}#/model/main/delay_trees/predict`);
    await page.waitForSelector(".predict-field");
    assert.notEqual(await page.getByLabel(/^carrier/).inputValue(), "", "filled with a training row");
    await page.getByRole("button", { name: "Predict", exact: true }).click();
    await page.waitForSelector(".predicted-value");
    await shows(page.locator(".predicted-value"), /^(true|false)$/);
    const shares = await page.locator(".predicted .bars-value").allTextContents();
    assert.ok(Math.abs(shares.reduce((sum, share) => sum + Number.parseFloat(share), 0) - 100) < 1.5, shares.join());
    await page.goto(`${base}#/model/main/delay_trees/versions`);
    await page.waitForSelector(".compared");
    await shows(page.locator(".compared").first(), /version 1/);
  },

  async "serving shows what is counted"({ page }) {
    await page.goto(`${base}#/serving`);
    await page.waitForFunction(() => document.querySelectorAll(".plot-line").length > 4, null, { timeout: 15_000 });
    await shows(page.locator(".figures.large"), /Requests per second/);
    await page.waitForFunction(() => /\/metrics200/.test(document.querySelector("main").textContent.replaceAll(/\s/g, "")));
  },

  async "serving shows how far requests are from training"({ page }) {
    await page.goto(`${base}#/serving`);
    await page.waitForSelector("text=No predictions are kept");
    const kept = `CREATE SCHEMA predictions;
      CREATE TABLE predictions.delay_trees AS
      SELECT now() AS predicted_at, * REPLACE (distance + 2000 AS distance) FROM features WHERE month = 12 LIMIT 5000`;
    const headers = { "Content-Type": "application/sql" };
    assert.ok((await fetch(new URL("/v1/sql", base), { method: "POST", headers, body: kept })).ok);
    try {
      await page.reload();
      await page.waitForSelector(".drift .bars li");
      await shows(page.locator(".drift"), /5,000 rows/);
      await shows(page.locator(".drift .bars li").first(), /^distance(0\.\d+|1) anomaly$/);
      await page.getByLabel("Requests of").selectOption("1 hour");
      await page.waitForSelector(".drift .bars li");
    } finally {
      await fetch(new URL("/v1/sql", base), { method: "POST", headers, body: "DROP TABLE predictions.delay_trees; DROP SCHEMA predictions" });
    }
  },

  async "keys lead everywhere"({ page }) {
    await page.goto(`${base}#/serving`);
    await page.waitForSelector("h1");
    await page.keyboard.press("g");
    await page.keyboard.press("m");
    await page.waitForFunction(() => location.hash === "#/models");
    await page.keyboard.press("g");
    await page.keyboard.press("r");
    await page.waitForFunction(() => location.hash === "#/runs");
    await page.keyboard.press("?");
    await page.waitForSelector("dialog[open]");
    await page.keyboard.press("Escape");
    await page.waitForFunction(() => document.querySelector("dialog") === null);
    await page.keyboard.press("e");
    await page.waitForFunction(() => document.activeElement?.classList.contains("cm-content"));
  },

  async "names and values are text, whatever they hold"({ page, noted }) {
    const evil = "<img src=x onerror=alert(1)>";
    const script = "<script>alert(2)</script>";
    // The server refuses such names for tables today; the page must not depend on it.
    await page.route("**/v1/sql", async (route) => {
      const sql = route.request().postDataJSON().sql;
      const lines = (...rows) => route.fulfill({ contentType: "application/x-ndjson", body: rows.map((row) => JSON.stringify(row)).join("\n") });
      if (/information_schema\.tables/.test(sql)) return lines({ table_schema: "main", table_name: evil, table_type: "BASE TABLE" });
      if (/information_schema\.columns/.test(sql)) {
        return lines({ table_schema: "main", table_name: evil, column_name: script, data_type: evil });
      }
      if (/^DESCRIBE "/.test(sql)) return lines({ column_name: script, data_type: evil, is_nullable: "YES" });
      if (sql.includes("img")) return lines({ error: { code: "invalid", message: evil, line: 1, column: 1 } });
      return route.continue();
    });
    await page.reload();
    await page.getByText(evil).first().click();
    await page.waitForSelector(".columns-table");
    await shows(page.locator("h1"), evil);
    await shows(page.locator(".columns-table tbody th").first(), script);
    for (const view of ["lineage", "definition", "rows", "versions"]) {
      await page.locator(".views a", { hasText: new RegExp(view, "i") }).click();
      await page.waitForTimeout(150);
    }
    await page.unroute("**/v1/sql");
    await page.goto(`${base}#/sql`);
    await page.reload();
    await run(page, `SELECT '${evil}' AS "${script}", '${script}' AS v`);
    assert.equal(await cell(page, 0, 0), evil);
    assert.equal(await page.locator("img, #app script").count(), 0);
    assert.deepEqual(noted.dialogs, []);
  },
};

const browser = await launch();
const failures = [];
const report = (name, error, left) => {
  console.log(left === undefined ? `${error === null ? "ok  " : "FAIL"} ${name}` : `left ${name}: ${left}`);
  if (error !== null) {
    console.log(`     ${String(error.stack ?? error).split("\n").slice(0, 6).join("\n     ")}`);
    failures.push(name);
  }
};
const wanted = (name) => values.only === undefined || name.includes(values.only);
const attempt = async (name, body) => {
  if (!wanted(name)) return;
  await body().then(
    (left) => report(name, null, left),
    (error) => report(name, error),
  );
};

try {
  for (const [name, check] of Object.entries({ ...CHECKS, ...RUN_CHECKS })) {
    await attempt(name, async () => {
      const opened = await open(browser, base);
      try {
        const left = await check({ ...opened, base, lakemill });
        assert.deepEqual(opened.noted.errors, [], "nothing went wrong in the page");
        assert.deepEqual(opened.noted.foreign, [], "nothing was asked of another host");
        return left;
      } finally {
        await opened.context.close();
      }
    });
  }
  for (const look of [
    { name: "wide and light", width: 1280, height: 800, theme: "light" },
    { name: "wide and dark", width: 1280, height: 800, theme: "dark" },
    { name: "narrow and light", width: 390, height: 844, theme: "light" },
  ]) {
    await attempt(`every page is readable, ${look.name}`, async () => {
      const { page, noted, context } = await open(browser, base, look);
      const found = [];
      const readable = async (hash, waitMs) => {
        await page.goto(`${base}#${hash}`);
        if (hash === "/sql") await run(page, "SELECT * FROM flights LIMIT 50");
        await settled(page);
        await page.waitForTimeout(waitMs);
        for (const text of await lowContrast(page)) found.push(`${hash}: contrast ${text}`);
        for (const control of await nameless(page)) found.push(`${hash}: no name: ${control}`);
        const wider = await overflow(page);
        if (wider > 0) found.push(`${hash}: ${wider} px wider than the window`);
      };
      const [newest] = await runsOf(base);
      for (const hash of [...HASHES, `/run/${newest.run}`]) await readable(hash, hash === "/serving" ? 4500 : 250);
      await answer(page, canned());
      for (const hash of RUNS) await readable(hash, hash === "/run/live" ? 3500 : 250);
      assert.deepEqual(found, []);
      assert.deepEqual(noted.errors, []);
      assert.deepEqual(noted.foreign, []);
      await context.close();
    });
  }
  if (values.screenshots !== undefined) await screenshots(browser, base, values.screenshots);
} finally {
  await browser.close();
}
if (failures.length > 0) {
  console.log(`${failures.length} failed`);
  process.exit(1);
}
