// What a page has seen of the statement that runs: its losses, and how fast it goes.

import type { Point } from "../plot/plot";
import type { Progress, Statement, Step } from "./describe";

/** The statement that runs, and its step. */
export interface Current {
  readonly step: Step;
  readonly statement: Statement;
}

export function currentOf(steps: readonly Step[]): Current | null {
  for (const step of steps) {
    const statement = step.statements.find(({ status }) => status === "running");
    if (statement !== undefined) return { step, statement };
  }
  return null;
}

/** How much of how much is done: of iterations where there are some, else of rows. */
export interface Share {
  readonly done: number;
  readonly total: number;
  readonly of: "iterations" | "rows";
}

export function shareOf({ rowsDone, rowsTotal, iteration, iterations }: Progress): Share | null {
  if (iteration !== null && iterations !== null && iterations > 0) return { done: iteration, total: iterations, of: "iterations" };
  // The total is an estimate, which the rows may have passed.
  if (rowsTotal !== null && rowsTotal > 0) return { done: rowsDone, total: Math.max(rowsTotal, rowsDone), of: "rows" };
  return null;
}

/** What was seen of one statement. */
export interface Seen {
  /** The statement, and the phase that it is in. */
  readonly statement: string;
  readonly phase: string;
  /** How much of the phase was done when. */
  readonly pace: readonly { readonly atMs: number; readonly done: number }[];
  /** Iteration and loss. */
  readonly losses: readonly Point[];
}

/** Readings that the pace is taken from: it changes, so the last ones count. */
const PACE_READINGS = 20;

/** What has been seen after a further look. */
export function look(before: Seen | null, { step, statement }: Current, atMs: number): Seen {
  const name = `${step.number}:${statement.line}:${statement.label}`;
  const { progress } = statement;
  const same = before?.statement === name ? before : null;
  if (progress === null) return same ?? { statement: name, phase: "", pace: [], losses: [] };
  const share = shareOf(progress);
  const phase = `${progress.phase} ${share?.of ?? ""}`;
  const pace = same?.phase === phase && share !== null && share.done >= (same.pace.at(-1)?.done ?? 0) ? same.pace : [];
  return {
    statement: name,
    phase,
    pace: share === null ? [] : [...pace, { atMs, done: share.done }].slice(-PACE_READINGS),
    losses: withLoss(same?.losses ?? [], progress),
  };
}

function withLoss(losses: readonly Point[], { iteration, loss }: Progress): readonly Point[] {
  if (iteration === null || loss === null) return losses;
  const last = losses.at(-1)?.[0] ?? Number.NEGATIVE_INFINITY;
  if (iteration === last) return losses;
  // Iterations that begin again are those of another model.
  return iteration < last ? [[iteration, loss]] : [...losses, [iteration, loss]];
}

/** Less was not seen for long enough to say anything. */
const PACE_MS_MIN = 1500;

/** How long the rest takes at the pace that was seen; null if there is none yet. */
export function leftMs({ pace }: Seen, total: number): number | null {
  const first = pace[0];
  const last = pace.at(-1);
  if (first === undefined || last === undefined) return null;
  const spentMs = last.atMs - first.atMs;
  const done = last.done - first.done;
  if (spentMs < PACE_MS_MIN || done <= 0) return null;
  return ((total - last.done) / done) * spentMs;
}

/** A time that is an estimate: about 40 s, about 3 min. */
export function about(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000));
  if (seconds < 10) return `about ${seconds} s`;
  if (seconds < 60) return `about ${Math.ceil(seconds / 5) * 5} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `about ${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return minutes % 60 === 0 ? `about ${hours} h` : `about ${hours} h ${minutes % 60} min`;
}
