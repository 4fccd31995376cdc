// What SHOW RUNS and DESCRIBE RUN say, in the parts that pages show.

import { query } from "../api/client";
import { ApiError } from "../api/error";
import { text } from "../sql/quote";

export interface Run {
  readonly id: string;
  readonly pipeline: string;
  /** running, finished, failed, cancelled or interrupted */
  readonly status: string;
  /** The server's times, UTC, with a zone that JavaScript reads as such. */
  readonly started: string;
  readonly ended: string | null;
  /** So far, of one that runs; null of one that was interrupted, since nobody knows. */
  readonly seconds: number | null;
  readonly steps: number;
  readonly stepsDone: number;
  /** The title of the step that is under way, or where the run ended. */
  readonly step: string | null;
  readonly rows: number;
  readonly error: string | null;
}

interface RunRow {
  readonly run: string;
  readonly pipeline: string;
  readonly status: string;
  readonly started: string;
  readonly ended: string | null;
  readonly seconds: number | null;
  readonly steps: number | null;
  readonly steps_done: number | null;
  readonly step: string | null;
  readonly rows: number | null;
  readonly error: string | null;
}

/** The newest runs of a pipeline, or of all. */
export async function loadRuns(pipeline: string | null, limit: number, signal: AbortSignal): Promise<Run[]> {
  const of = pipeline === null ? "" : ` OF ${text(pipeline)}`;
  return (await query<RunRow>(`SHOW RUNS${of} LIMIT ${limit}`, signal)).map(runOf);
}

export function runOf(row: RunRow): Run {
  return {
    id: row.run,
    pipeline: row.pipeline,
    status: row.status,
    started: utc(row.started),
    ended: row.ended === null ? null : utc(row.ended),
    seconds: row.seconds,
    steps: row.steps ?? 0,
    stepsDone: row.steps_done ?? 0,
    // Runs of older versions know their steps by their ids alone.
    step: row.step === "" ? null : row.step,
    rows: row.rows ?? 0,
    error: row.error,
  };
}

/** A TIMESTAMP is in UTC and does not say so; JavaScript would take it for local time. */
export function utc(timestamp: string): string {
  const iso = timestamp.replace(" ", "T");
  return /(Z|[+-]\d\d:?\d\d)$/.test(iso) ? iso : `${iso}Z`;
}

export interface Step {
  /** From 1. */
  readonly number: number;
  /** Its file without the ending. */
  readonly id: string;
  readonly title: string;
  /** waiting, running, done, up to date, not selected, failed, stopped, not reached or interrupted */
  readonly status: string;
  readonly seconds: number | null;
  readonly rows: number;
  readonly statements: readonly Statement[];
}

export interface Statement {
  readonly line: number;
  /** `CREATE TABLE flights` */
  readonly label: string;
  /** Why it runs. */
  readonly reason: string;
  /** running, done, failed, stopped or interrupted */
  readonly status: string;
  readonly seconds: number | null;
  /** Rows written; null for one that writes none. */
  readonly rows: number | null;
  readonly message: string;
  readonly progress: Progress | null;
}

/** How far a statement is. */
export interface Progress {
  readonly phase: string;
  readonly rowsDone: number;
  readonly rowsTotal: number | null;
  /** The iteration reached and the most there can be, in training. */
  readonly iteration: number | null;
  readonly iterations: number | null;
  readonly loss: number | null;
}

export interface DescribedRow {
  readonly number: number;
  readonly step: string;
  readonly title: string | null;
  readonly step_status: string;
  readonly step_seconds: number | null;
  readonly step_rows: number | null;
  readonly line: number | null;
  readonly statement: string | null;
  readonly reason: string | null;
  readonly status: string | null;
  readonly seconds: number | null;
  readonly rows: number | null;
  readonly message: string | null;
  readonly phase: string | null;
  readonly rows_done: number | null;
  readonly rows_total: number | null;
  readonly iteration: number | null;
  readonly iterations: number | null;
  readonly loss: number | null;
}

/** The steps of a run in order, each with the statements that ran. */
export function stepsOf(rows: readonly DescribedRow[]): Step[] {
  const numbers = [...new Set(rows.map((row) => row.number))].sort((a, b) => a - b);
  return numbers.map((number) => {
    const own = rows.filter((row) => row.number === number);
    const first = own[0]!;
    return {
      number,
      id: first.step,
      title: first.title === null || first.title === "" ? first.step : first.title,
      status: first.step_status,
      seconds: first.step_seconds,
      rows: first.step_rows ?? 0,
      statements: own.filter((row) => row.statement !== null).map(statementOf),
    };
  });
}

function statementOf(row: DescribedRow): Statement {
  const { phase, iteration, iterations, loss } = row;
  return {
    line: row.line ?? 0,
    label: row.statement ?? "",
    reason: row.reason ?? "",
    status: row.status ?? "",
    seconds: row.seconds,
    rows: row.rows,
    message: row.message ?? "",
    progress:
      phase === null
        ? null
        : { phase, rowsDone: row.rows_done ?? 0, rowsTotal: row.rows_total, iteration, iterations, loss },
  };
}

export interface DescribedRun {
  readonly run: Run;
  readonly steps: readonly Step[];
}

/** Where a run is looked for: among the newest of its pipeline while it is watched, then among all. */
const NEAR = 10;
const FAR = 100;
const ALL = 1_000_000;

/** @throws ApiError `not_found` */
export async function describeRun(id: string, pipeline: string | null, signal: AbortSignal): Promise<DescribedRun> {
  // One after the other: the steps are then at least as far as the run, and those of a run that has ended are final.
  const run = await findRun(id, pipeline, signal);
  return { run, steps: settled(run, stepsOf(await query<DescribedRow>(`DESCRIBE RUN ${text(id)}`, signal))) };
}

/** In a run whose process died, nobody could write down that the rest will not be reached. */
export function settled(run: Run, steps: Step[]): Step[] {
  if (run.status !== "interrupted") return steps;
  return steps.map((step) => (step.status === "waiting" ? { ...step, status: "not reached" } : step));
}

async function findRun(id: string, pipeline: string | null, signal: AbortSignal): Promise<Run> {
  for (const limit of pipeline === null ? [FAR, ALL] : [NEAR, ALL]) {
    const runs = await loadRuns(pipeline, limit, signal);
    const found = runs.find((run) => run.id === id);
    if (found !== undefined) return found;
    if (runs.length < limit) break;
  }
  throw new ApiError("not_found", `there is no run ${id}`);
}

/** What a run failed of, and where: the server writes `path/02_clean.sql:3:11: unknown column ..`. */
export interface Failure {
  readonly message: string;
  readonly place: { readonly path: string; readonly file: string; readonly line: number; readonly column: number } | null;
}

export function failureOf(error: string): Failure {
  const found = /^([^\n]*?[^\n:]):(\d+):(\d+): ([\s\S]+)$/.exec(error);
  const [, path, line, column, message] = found ?? [];
  if (path === undefined || message === undefined) return { message: error, place: null };
  const file = path.split(/[/\\]/).at(-1) ?? path;
  return { message, place: { path, file, line: Number(line), column: Number(column) } };
}
