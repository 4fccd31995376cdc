import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../src/api/error";
import { failureOf, runOf, settled, stepsOf, utc, type DescribedRow, type Progress, type Run, type Statement, type Step } from "../src/runs/describe";
import { scaleOf } from "../src/runs/spans";
import { hrefOf } from "../src/runs/things";
import { took } from "../src/runs/took";
import { about, currentOf, leftMs, look, shareOf, type Seen } from "../src/runs/watch";
import { follow, RETRY_MS, type Followed } from "../src/ui/follow";

const row = (given: Partial<DescribedRow>): DescribedRow => ({
  number: 1, step: "01_load", title: "Load", step_status: "done", step_seconds: 1, step_rows: 0,
  line: null, statement: null, reason: null, status: null, seconds: null, rows: null, message: null,
  phase: null, rows_done: null, rows_total: null, iteration: null, iterations: null, loss: null,
  ...given,
});
const progress = (given: Partial<Progress>): Progress => ({
  phase: "training", rowsDone: 0, rowsTotal: null, iteration: null, iterations: null, loss: null, ...given,
});
const statement = (given: Partial<Statement>): Statement => ({
  line: 1, label: "CREATE TABLE t", reason: "", status: "done", seconds: 1, rows: null, message: "", progress: null, ...given,
});
const step = (given: Partial<Step>): Step => ({
  number: 1, id: "01", title: "Load", status: "done", seconds: null, rows: 0, statements: [], ...given,
});
const runFor = (seconds: number | null): Run => ({
  id: "r", pipeline: "p", status: "running", started: "", ended: null, seconds, steps: 2, stepsDone: 0, step: null, rows: 0, error: null,
});

describe("what the server says of runs", () => {
  it("has steps with their statements, and steps without any", () => {
    const steps = stepsOf([
      row({ line: 3, statement: "CREATE TABLE a", status: "done", seconds: 0.5, rows: 7, message: "7 rows" }),
      row({ line: 9, statement: "SELECT", status: "running", phase: "reading", rows_done: 5 }),
      row({ number: 2, step: "02_clean", title: "", step_status: "waiting", step_seconds: null, step_rows: null }),
    ]);
    expect(steps.map(({ number, title, status }) => [number, title, status])).toEqual([[1, "Load", "done"], [2, "02_clean", "waiting"]]);
    expect(steps[0]!.statements.map(({ label, line }) => [label, line])).toEqual([["CREATE TABLE a", 3], ["SELECT", 9]]);
    expect(steps[0]!.statements[0]!.progress).toBeNull();
    expect(steps[0]!.statements[1]!.progress).toEqual({
      phase: "reading", rowsDone: 5, rowsTotal: null, iteration: null, iterations: null, loss: null,
    });
    expect(steps[1]!.statements).toEqual([]);
    expect(steps[1]!.rows).toBe(0);
  });

  it("is in UTC, whether it says so or not", () => {
    expect(utc("2026-11-23T12:45:54.979705204")).toBe("2026-11-23T12:45:54.979705204Z");
    expect(utc("2026-11-23 12:45:54")).toBe("2026-11-23T12:45:54Z");
    expect(utc("2026-11-23T12:45:54Z")).toBe("2026-11-23T12:45:54Z");
    expect(utc("2026-11-23T12:45:54+01:00")).toBe("2026-11-23T12:45:54+01:00");
    const old = { run: "1", pipeline: "p", status: "failed", started: "2026-01-01T00:00:00", ended: null, seconds: null, steps: null, steps_done: null, step: "", rows: null, error: "no" };
    expect(runOf(old)).toMatchObject({ id: "1", started: "2026-01-01T00:00:00Z", seconds: null, steps: 0, step: null, rows: 0, error: "no" });
  });

  it("does not wait for steps of a run that died", () => {
    const steps = [step({ status: "interrupted" }), step({ number: 2, status: "waiting" })];
    expect(settled({ ...runFor(null), status: "interrupted" }, steps).map(({ status }) => status)).toEqual(["interrupted", "not reached"]);
    expect(settled(runFor(1), steps)).toBe(steps);
  });

  it("tells where a run failed", () => {
    expect(failureOf("/srv/a b/02_clean.sql:3:11: unknown column 'yy'; known: x")).toEqual({
      message: "unknown column 'yy'; known: x",
      place: { path: "/srv/a b/02_clean.sql", file: "02_clean.sql", line: 3, column: 11 },
    });
    expect(failureOf("C:\\p\\01.sql:1:2: it: broke\nthere").place).toEqual({ path: "C:\\p\\01.sql", file: "01.sql", line: 1, column: 2 });
    expect(failureOf("C:\\p\\01.sql:1:2: it: broke\nthere").message).toBe("it: broke\nthere");
    expect(failureOf("the disk is full: 12:13: no room")).toEqual({ message: "the disk is full: 12:13: no room", place: null });
  });
});

describe("the scale of time", () => {
  it("puts each after the one before it", () => {
    const scale = scaleOf(runFor(10), [
      step({ seconds: 4, statements: [statement({ seconds: 1 }), statement({ seconds: 2.5 })] }),
      step({ number: 2, status: "up to date" }),
      step({ number: 3, status: "running", statements: [statement({ seconds: null, status: "running" })] }),
      step({ number: 4, status: "waiting" }),
    ]);
    expect(scale).toEqual({
      seconds: 10,
      steps: [
        { step: { start: 0, seconds: 4 }, statements: [{ start: 0, seconds: 1 }, { start: 1, seconds: 2.5 }] },
        { step: null, statements: [] },
        { step: { start: 4, seconds: 6 }, statements: [{ start: 4, seconds: 6 }] },
        { step: null, statements: [] },
      ],
    });
  });

  it("is never shorter than what is drawn on it", () => {
    expect(scaleOf(runFor(1), [step({ seconds: 1.2 })]).seconds).toBe(1.2);
    const scale = scaleOf(runFor(null), [step({ status: "failed", statements: [statement({ seconds: null, status: "failed" })] })]);
    expect(scale).toEqual({ seconds: 0, steps: [{ step: { start: 0, seconds: 0 }, statements: [{ start: 0, seconds: 0 }] }] });
  });
});

describe("what is seen of the statement that runs", () => {
  const at = (given: Partial<Progress>, label = "CREATE MODEL m") => {
    const found = currentOf([step({}), step({ number: 2, statements: [statement({}), statement({ label, status: "running", progress: progress(given) })] })]);
    return found!;
  };

  it("is how much of iterations, else of rows", () => {
    expect(shareOf(progress({ iteration: 3, iterations: 20, rowsDone: 5, rowsTotal: 9 }))).toEqual({ done: 3, total: 20, of: "iterations" });
    expect(shareOf(progress({ rowsDone: 5, rowsTotal: 9 }))).toEqual({ done: 5, total: 9, of: "rows" });
    expect(shareOf(progress({ rowsDone: 12, rowsTotal: 9 }))).toEqual({ done: 12, total: 12, of: "rows" });
    expect(shareOf(progress({ rowsDone: 5 }))).toBeNull();
    expect(currentOf([step({})])).toBeNull();
  });

  it("is a curve of losses, each iteration once", () => {
    let seen: Seen | null = null;
    const looks: readonly Partial<Progress>[] = [
      { phase: "reading", rowsDone: 4, rowsTotal: 8 },
      { iteration: 1, iterations: 9, loss: 0.7 },
      { iteration: 1, iterations: 9, loss: 0.7 },
      { iteration: 4, iterations: 9, loss: 0.5 },
    ];
    looks.forEach((each, index) => (seen = look(seen, at(each), index * 1000)));
    expect(seen!.losses).toEqual([[1, 0.7], [4, 0.5]]);
    // Another model of the same statement, and another statement.
    expect(look(seen, at({ iteration: 1, iterations: 9, loss: 0.9 }), 9000).losses).toEqual([[1, 0.9]]);
    expect(look(seen, at({ iteration: 5, iterations: 9, loss: 0.4 }, "CREATE MODEL n"), 9000).losses).toEqual([[5, 0.4]]);
  });

  it("gives the time that is left at the pace of its phase", () => {
    let seen = look(null, at({ phase: "reading", rowsDone: 0, rowsTotal: 1000 }), 0);
    expect(leftMs(seen, 1000)).toBeNull();
    seen = look(seen, at({ phase: "reading", rowsDone: 100, rowsTotal: 1000 }), 1000);
    expect(leftMs(seen, 1000)).toBeNull();
    seen = look(seen, at({ phase: "reading", rowsDone: 200, rowsTotal: 1000 }), 2000);
    expect(leftMs(seen, 1000)).toBe(8000);
    // A standstill is no pace, and neither is the one of another phase.
    seen = look(seen, at({ phase: "writing", rowsDone: 500, rowsTotal: 1000 }), 3000);
    expect(leftMs(seen, 1000)).toBeNull();
    seen = look(seen, at({ phase: "writing", rowsDone: 500, rowsTotal: 1000 }), 9000);
    expect(leftMs(seen, 1000)).toBeNull();
  });

  it("goes by the last readings", () => {
    let seen: Seen | null = null;
    for (let second = 0; second < 60; second += 1) {
      const done = second < 30 ? second : 30 + (second - 30) * 10;
      seen = look(seen, at({ phase: "reading", rowsDone: done, rowsTotal: 1000 }), second * 1000);
    }
    expect(leftMs(seen!, 1000)).toBeCloseTo((1000 - 320) * 100);
  });

  it("is said in round words", () => {
    expect([400, 7400, 12_000, 59_000, 200_000, 7_200_000, 8_100_000].map(about)).toEqual([
      "about 1 s", "about 7 s", "about 15 s", "about 60 s", "about 3 min", "about 2 h", "about 2 h 15 min",
    ]);
    expect([took(7.8, true), took(7.8, false), took(0, false), took(null, false), took(75, true), took(4500, false)]).toEqual([
      "7 s", "7.80 s", "0 s", "", "1 min 15 s", "1 h 15 min",
    ]);
  });
});

describe("statements lead to what they made", () => {
  const relation = (namespace: string, name: string) => ({ namespace, name, kind: "table", columns: [] });
  const model = { namespace: "main", name: "m", version: 1, type: "", label: "", rowsTrain: 0, rowsEval: 0, metrics: new Map<string, number>(), created: "" };
  const catalog = { relations: [relation("main", "t"), relation("main", "twice"), relation("raw", "twice")], models: [model] };

  it("if there is one thing of that name", () => {
    expect(hrefOf("CREATE TABLE t", catalog)).toBe("#/table/main/t");
    expect(hrefOf("INSERT INTO MAIN t", catalog)).toBe("#/table/main/t");
    expect(hrefOf("CREATE MODEL m", catalog)).toBe("#/model/main/m/training");
    for (const label of ["CREATE TABLE twice", "CREATE TABLE gone", "CREATE TABLE m", "DROP TABLE t", "SELECT", ""]) {
      expect(hrefOf(label, catalog)).toBeNull();
    }
  });
});

describe("following", () => {
  const page = Object.assign(new EventTarget(), { visibilityState: "visible" });
  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal("document", page);
    page.visibilityState = "visible";
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it("reads again as often as what was read asks for, and stops when it says so", async () => {
    const told: (number | null)[] = [];
    let reads = 0;
    follow(async () => (reads += 1), (value) => (value < 3 ? 1000 : null), ({ value }) => told.push(value));
    await vi.advanceTimersByTimeAsync(999);
    expect(told).toEqual([1]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(told).toEqual([1, 2, 3]);
  });

  it("asks nothing while the page is hidden, and at once when it is seen again", async () => {
    let reads = 0;
    const stop = follow(async () => (reads += 1), () => 1000, () => {});
    await vi.advanceTimersByTimeAsync(0);
    page.visibilityState = "hidden";
    await vi.advanceTimersByTimeAsync(10_000);
    expect(reads).toBe(1);
    page.visibilityState = "visible";
    page.dispatchEvent(new Event("visibilitychange"));
    await vi.advanceTimersByTimeAsync(0);
    expect(reads).toBe(2);
    stop();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(reads).toBe(2);
  });

  it("keeps what it has when the server falls silent, and goes on when it answers", async () => {
    const told: Followed<string>[] = [];
    let answer = async (): Promise<string> => "first";
    const stop = follow(() => answer(), () => 1000, (followed) => told.push(followed));
    await vi.advanceTimersByTimeAsync(0);
    answer = () => Promise.reject(new TypeError("Failed to fetch"));
    await vi.advanceTimersByTimeAsync(1000);
    expect(told.at(-1)).toMatchObject({ value: "first", error: { code: "unreachable" } });
    answer = async () => "second";
    await vi.advanceTimersByTimeAsync(RETRY_MS);
    expect(told.at(-1)).toMatchObject({ value: "second", error: null });
    stop();
  });

  it("does not ask again for what it may not have", async () => {
    const told: Followed<never>[] = [];
    follow(() => Promise.reject(new ApiError("permission_denied", "no")), () => 1000, (followed) => told.push(followed));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(told).toHaveLength(1);
    expect(told[0]).toMatchObject({ value: null, error: { message: "no" } });
  });
});
