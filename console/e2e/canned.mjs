// Runs that the checks and pictures need and that a server cannot be asked for: one that goes on for ever, one that
// failed, one that died. The page is answered in the server's place; all other statements go through.

const STEPS = [
  ["01_acquire", "Acquire", [
    [11, "CREATE EXTERNAL TABLE raw_flights", 0.123, null, "created external table raw_flights over data/flights/"],
    [17, "CREATE EXTERNAL TABLE raw_weather", 0.003, null, "created external table raw_weather over data/weather.csv.gz"],
    [59, "CREATE TABLE flights", 0.531, 336776, "created flights with 336776 rows (version 3)"],
    [68, "CREATE TABLE weather", 0.082, 26115, "created weather with 26115 rows (version 3)"],
  ]],
  ["02_prepare", "Prepare", [
    [6, "CREATE TABLE journeys", 0.763, 336776, "created journeys with 336776 rows (version 3)"],
    [24, "CREATE TABLE data_quality", 0.032, 7, "created data_quality with 7 rows (version 3)"],
    [61, "SELECT", 0.003, null, "7 rows"],
  ]],
  ["03_features", "Features", [[9, "CREATE TABLE features", 0.455, 336776, "created features with 336776 rows (version 3)"]]],
  ["04_train", "Train", [
    [8, "CREATE MODEL delay_linear", 1.612, 327346, "created model delay_linear (version 4): LOGISTIC_REG, 273355 rows to train, 53991 to evaluate, 5 iterations, log_loss 0.5162, roc_auc 0.7001"],
    [29, "CREATE MODEL delay_trees", 4.26, 327346, "created model delay_trees (version 4): BOOSTED_TREE_CLASSIFIER, 273355 rows to train, 53991 to evaluate, 200 iterations, log_loss 0.5248, roc_auc 0.6835"],
  ]],
  ["05_select", "Select", [[6, "CREATE TABLE evaluation", 0.025, 2, "created evaluation with 2 rows (version 3)"]]],
  ["06_score", "Score", [[5, "CREATE TABLE december_predictions", 0.096, 28135, "created december_predictions with 28135 rows (version 3)"]]],
  ["07_findings", "Findings", [[4, "CREATE TABLE late_by_hour", 0.03, 19, "created late_by_hour with 19 rows (version 3)"]]],
];

const NO_PROGRESS = { phase: null, rows_done: null, rows_total: null, iteration: null, iterations: null, loss: null };

/** The rows of DESCRIBE RUN. `last` is the place of the statement where the run is, or ended, as `status` says. */
function described({ last = [7, 0], status = "done", seconds = null, progress = {}, reason = "table raw_flights has changed", upToDate = 0 }) {
  const [step, statement] = last;
  const rows = [];
  STEPS.forEach(([id, title, statements], index) => {
    const whole = { number: index + 1, step: id, title };
    const empty = { line: null, statement: null, reason: null, status: null, seconds: null, rows: null, message: null, ...NO_PROGRESS };
    const still = (step_status) => rows.push({ ...whole, step_status, step_seconds: null, step_rows: 0, ...empty });
    if (index < upToDate) return still("up to date");
    if (index > step) return still(["running", "interrupted"].includes(status) ? "waiting" : "not reached");
    const own = statements.slice(0, index === step ? statement + 1 : statements.length).map(([line, label, took, written, said], at) => {
      const done = { line, statement: label, reason, status: "done", seconds: took, rows: written, message: said, ...NO_PROGRESS };
      if (index !== step || at !== statement) return done;
      return { ...done, status, seconds, rows: null, message: null, ...progress };
    });
    const sum = (key) => own.reduce((total, each) => total + (each[key] ?? 0), 0);
    const step_status = index === step ? status : "done";
    for (const each of own) rows.push({ ...whole, step_status, step_seconds: step_status === "interrupted" ? null : sum("seconds"), step_rows: sum("rows"), ...each });
  });
  return rows;
}

const before = (seconds) => new Date(Date.now() - seconds * 1000).toISOString().slice(0, 23);
const ERROR = "/srv/pipelines/flights/02_prepare.sql:24:11: unknown column 'arr_delays'; known: arr_delay, dep_delay, carrier, origin, dest, distance";

/** Runs by id. Each look at `live` finds it a second further on. */
export function canned() {
  let looks = 0;
  const progressOf = () => {
    const iteration = Math.min(199, 30 + 13 * looks);
    return { phase: "training", rows_done: 0, rows_total: null, iteration, iterations: 200, loss: 0.49 + 0.2 * Math.exp(-iteration / 60) };
  };
  return {
    live: {
      row: () => ({ pipeline: "flights", status: "running", started: before(10 + looks), ended: null, seconds: 7 + looks, steps: 7, steps_done: 3, step: "Train", rows: 1_363_796, error: null }),
      steps: () => {
        looks += 1;
        return described({ last: [3, 1], status: "running", seconds: 2 + looks, progress: progressOf() });
      },
    },
    reads: {
      row: () => ({ pipeline: "journeys", status: "running", started: before(95), ended: null, seconds: 94.2, steps: 7, steps_done: 1, step: "Prepare", rows: 362_891, error: null }),
      steps: () => described({
        last: [1, 0], status: "running", seconds: 93,
        progress: { phase: "writing", rows_done: 21_400_000 + 230_000 * (looks += 1), rows_total: 48_000_000 },
      }),
    },
    failed: {
      row: () => ({ pipeline: "flights", status: "failed", started: before(3600), ended: before(3597), seconds: 2.31, steps: 7, steps_done: 1, step: "Prepare", rows: 362_891, error: ERROR }),
      steps: () => described({ last: [1, 1], status: "failed", seconds: 0.002, reason: "its SQL has changed" }),
    },
    finished: {
      row: () => ({ pipeline: "flights", status: "finished", started: before(7300), ended: before(7292), seconds: 8.31, steps: 7, steps_done: 7, step: null, rows: 1_724_154, error: null }),
      steps: () => described({ upToDate: 1 }),
    },
    died: {
      row: () => ({ pipeline: "journeys", status: "interrupted", started: before(90_000), ended: null, seconds: null, steps: 7, steps_done: 3, step: "Train", rows: 1_000_329, error: null }),
      steps: () => described({ last: [3, 0], status: "interrupted", seconds: null, reason: "the last run did not finish it" }),
    },
    stopped: {
      row: () => ({ pipeline: "flights", status: "cancelled", started: before(200_000), ended: before(199_000), seconds: 1.9, steps: 7, steps_done: 2, step: "Features", rows: 699_674, error: null }),
      steps: () => described({ last: [2, 0], status: "stopped", seconds: 0.2, reason: "never ran" }),
    },
  };
}

/** Answers the page with these runs; `asked` counts its statements. */
export async function answer(page, runs, asked = { list: 0, steps: 0 }) {
  await page.route("**/v1/sql", async (route) => {
    const { sql } = route.request().postDataJSON();
    const lines = (rows) => route.fulfill({ contentType: "application/x-ndjson", body: rows.map((row) => JSON.stringify(row)).join("\n") });
    const list = /^SHOW RUNS(?: OF '(\w+)')? LIMIT/.exec(sql);
    const one = /^DESCRIBE RUN '(\w+)'/.exec(sql);
    if (list !== null) {
      asked.list += 1;
      const rows = Object.entries(runs).map(([run, { row }]) => ({ run, ...row() }));
      return lines(rows.filter(({ pipeline }) => list[1] === undefined || pipeline === list[1]));
    }
    if (one === null) return route.fallback();
    asked.steps += 1;
    return lines(runs[one[1]].steps());
  });
  return asked;
}
