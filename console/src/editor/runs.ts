// The run of each tab: one at a time, going on while other tabs and pages are looked at.

import { signal, type Signal } from "@preact/signals";
import { asApiError, type ApiError } from "../api/error";
import type { ResultSet } from "../api/result-set";
import { findError, run, type End } from "../api/run";
import { loadCatalog } from "../catalog/store";
import { recordPast } from "./history";

export interface Run {
  readonly sql: string;
  /** Where the text begins in the tab, counted from 0, when a selection was run. */
  readonly offset: { readonly line: number; readonly column: number };
  readonly startedAt: number;
  readonly ms: number;
  readonly running: boolean;
  readonly rows: ResultSet | null;
  /** Grows with each batch, since the set of rows stays the same object. */
  readonly version: number;
  readonly end: End | null;
  readonly error: ApiError | null;
}

/** How often rows that arrive are shown, in milliseconds. */
const SHOW_EVERY_MS = 100;

/** A script that ends with a query may have made something before. */
const CHANGES = /\b(create|drop|alter)\b/i;

const runs = new Map<string, Signal<Run | null>>();
const controllers = new Map<string, AbortController>();

export function runOf(tab: string): Signal<Run | null> {
  let found = runs.get(tab);
  if (found === undefined) {
    found = signal<Run | null>(null);
    runs.set(tab, found);
  }
  return found;
}

export function cancel(tab: string): boolean {
  const controller = controllers.get(tab);
  controller?.abort();
  return controller !== undefined;
}

/** Forgets a tab that was closed. */
export function forget(tab: string): void {
  cancel(tab);
  runs.delete(tab);
}

/** Runs a text in a tab; one that is under way there is cancelled. */
export async function start(tab: string, sql: string, offset: Run["offset"]): Promise<void> {
  cancel(tab);
  const controller = new AbortController();
  controllers.set(tab, controller);
  const state = runOf(tab);
  const startedAt = Date.now();
  const begin = performance.now();
  const first: Run = {
    sql, offset, startedAt, ms: 0, running: true, rows: null, version: 0, end: null, error: null,
  };
  state.value = first;
  // A later run of the tab has its own state, which this one must not touch.
  const update = (change: Partial<Run>): void => {
    if (controllers.get(tab) === controller && state.value !== null) {
      state.value = { ...state.value, ms: performance.now() - begin, version: state.value.version + 1, ...change };
    }
  };
  let shownAt = 0;
  let latest: ResultSet | null = null;
  const clock = setInterval(() => update({}), SHOW_EVERY_MS);
  try {
    const end = await run(sql, controller.signal, (rows) => {
      latest = rows;
      if (performance.now() - shownAt < SHOW_EVERY_MS) return;
      shownAt = performance.now();
      update({ rows });
    });
    update({ running: false, rows: latest, end });
    note(sql, startedAt, performance.now() - begin, "done", latest);
    if (end.kind === "done" || CHANGES.test(sql)) void loadCatalog();
  } catch (thrown) {
    const error = asApiError(thrown);
    update({ running: false, rows: latest, error });
    note(sql, startedAt, performance.now() - begin, error.code, latest);
  } finally {
    clearInterval(clock);
    if (controllers.get(tab) === controller) controllers.delete(tab);
  }
}

function note(sql: string, at: number, ms: number, outcome: string, rows: ResultSet | null): void {
  recordPast({ sql, at, ms, outcome, rows: rows === null ? null : rows.rows });
}

/** Runs a text again that was cut off, for its error. */
export async function explainCut(tab: string): Promise<void> {
  const state = runOf(tab);
  const past = state.value;
  if (past === null || past.end?.kind !== "cut") return;
  const controller = new AbortController();
  controllers.set(tab, controller);
  state.value = { ...past, running: true };
  try {
    const error = await findError(past.sql, controller.signal);
    state.value = error === null ? { ...past, running: false } : { ...past, running: false, end: null, error };
  } catch (thrown) {
    state.value = { ...past, running: false, error: asApiError(thrown) };
  } finally {
    if (controllers.get(tab) === controller) controllers.delete(tab);
  }
}
