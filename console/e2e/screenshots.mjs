// Pictures of every page: wide in both themes, and narrow.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { open, run } from "./browser.mjs";
import { answer, canned } from "./canned.mjs";

const LOOKS = [
  { name: "light", width: 1280, height: 800, theme: "light" },
  { name: "dark", width: 1280, height: 800, theme: "dark" },
  { name: "narrow", width: 390, height: 844, theme: "light" },
];

const QUERY = `-- Late arrivals by carrier
SELECT a.name, count(*) AS flights, round(avg(f.arr_delay), 1) AS mean_delay,
       sum(CASE WHEN f.arr_delay > 15 THEN 1 ELSE 0 END) AS late
FROM flights f JOIN airlines a ON a.carrier = f.carrier
WHERE f.month = 7
GROUP BY a.name
ORDER BY flights DESC`;

export async function screenshots(browser, base, folder) {
  await mkdir(folder, { recursive: true });
  for (const look of LOOKS) {
    const { page, context } = await open(browser, base, look);
    const shoot = async (name) => {
      await page.waitForFunction(() => document.querySelector(".waiting") === null);
      await page.waitForTimeout(350);
      await page.screenshot({ path: join(folder, `${name}-${look.name}.png`) });
    };
    const visit = async (hash, name, wait) => {
      await page.goto(`${base}#${hash}`);
      if (wait !== undefined) await page.waitForSelector(wait, { timeout: 20_000 });
      await shoot(name);
    };
    await shoot("sql-empty");
    await run(page, QUERY);
    await shoot("sql");
    await page.getByRole("button", { name: "Plot", exact: true }).click();
    await shoot("sql-plot");
    await page.getByRole("button", { name: "Rows", exact: true }).click();
    await run(page, "SELECT carrier, count(*)\nFROM flights\nWHERE mont = 7\nGROUP BY carrier");
    await shoot("sql-error");
    await run(page, "SELECT * FROM flights");
    await shoot("sql-wide");
    await page.getByRole("button", { name: "History", exact: true }).click();
    await shoot("sql-history");
    await page.keyboard.press("Escape");
    await visit("/table/main/flights", "table-columns", ".columns-table tr:last-child .spark, .columns-table tr:last-child .tops");
    for (const view of ["rows", "versions", "definition"]) await visit(`/table/main/flights/${view}`, `table-${view}`);
    await visit("/table/main/features/lineage", "table-lineage", ".lineage");
    await visit("/models", "models");
    await visit("/model/main/delay_trees", "model-quality", ".plot-line");
    for (const view of ["training", "versions", "options"]) await visit(`/model/main/delay_trees/${view}`, `model-${view}`);
    await visit("/model/main/delay_linear/training", "model-weights");
    await visit("/model/main/delay_trees/lineage", "model-lineage", ".lineage");
    await visit("/model/main/delay_trees/predict", "model-predict", ".predict-field");
    await page.getByRole("button", { name: "Predict", exact: true }).click();
    await page.waitForSelector(".predicted");
    await shoot("model-predict");
    await visit("/table/main/nothing", "table-missing");
    await page.goto(`${base}#/serving`);
    await page.waitForTimeout(9000);
    await shoot("serving");
    await answer(page, canned());
    await visit("/runs", "runs", ".runs");
    await page.goto(`${base}#/run/live`);
    await page.waitForTimeout(8000);
    await shoot("run-live");
    for (const id of ["reads", "failed", "finished", "died"]) await visit(`/run/${id}`, `run-${id}`, ".timeline");
    await page.unroute("**/v1/sql");
    await page.goto(`${base}#/serving`);
    await page.keyboard.press("?");
    await shoot("keys");
    await page.keyboard.press("Escape");
    if (look.width < 800) {
      await page.getByRole("button", { name: "Catalog", exact: true }).click();
      await shoot("drawer");
    }
    await context.close();
  }
}
