// What was run, newest first, kept in this browser.

import { signal } from "@preact/signals";
import { recall, remember } from "../storage";

export interface Past {
  readonly sql: string;
  /** When it began, in milliseconds. */
  readonly at: number;
  readonly ms: number;
  /** done, or an error's code */
  readonly outcome: string;
  readonly rows: number | null;
}

const KEPT_MAX = 200;
/** Longer texts are not kept: browsers give a page some five megabytes. */
const TEXT_MAX = 10_000;

const isHistory = (value: unknown): value is readonly Past[] =>
  Array.isArray(value) && value.every((past: Partial<Past> | null) => typeof past?.sql === "string");

export const history = signal<readonly Past[]>(recall("history", isHistory) ?? []);

export function recordPast(past: Past): void {
  if (past.sql.length > TEXT_MAX) return;
  history.value = [past, ...history.value.filter((other) => other.sql !== past.sql)].slice(0, KEPT_MAX);
  remember("history", history.value);
}

export function clearHistory(): void {
  history.value = [];
  remember("history", []);
}
