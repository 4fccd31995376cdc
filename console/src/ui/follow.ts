// Data that a page reads again and again while it is looked at. What was read last stays until the next is there, and if
// the server falls silent: a page that follows never goes back to "loading".

import { useEffect, useState } from "preact/hooks";
import { ApiError, asApiError } from "../api/error";

export interface Followed<T> {
  /** What was read last; null before the first time. */
  readonly value: T | null;
  /** When that was, in milliseconds. */
  readonly readAt: number;
  /** Why the last attempt failed; null if it did not. */
  readonly error: ApiError | null;
}

/** The next attempt after one that failed. */
export const RETRY_MS = 2000;
/** A server that takes longer is as good as silent. */
const ANSWER_MS_MAX = 15_000;

/** Errors that the next attempt would meet again. */
const LASTING: ReadonlySet<string> = new Set([
  "invalid",
  "not_found",
  "permission_denied",
  "unauthenticated",
  "unsupported",
]);

/** Whether it is of no use to try again unasked. */
export function lasts(error: ApiError): boolean {
  return LASTING.has(error.code);
}

/** Reads, tells, and waits as long as `everyMs` says of what was read (null: this was the last time), until the returned
 * function is called. While the page is hidden it waits on. */
export function follow<T>(
  read: (signal: AbortSignal, last: T | null) => Promise<T>,
  everyMs: (value: T) => number | null,
  tell: (followed: Followed<T>) => void,
): () => void {
  const controller = new AbortController();
  const { signal } = controller;
  let now: Followed<T> = { value: null, readAt: 0, error: null };
  const attempt = async (): Promise<number | null> => {
    try {
      const value = await read(AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS_MAX)]), now.value);
      now = { value, readAt: Date.now(), error: null };
      return everyMs(value);
    } catch (thrown) {
      const error = silence(thrown);
      now = { ...now, error };
      return lasts(error) ? null : RETRY_MS;
    }
  };
  const go = async (): Promise<void> => {
    for (;;) {
      const waitMs = await attempt();
      if (signal.aborted) return;
      tell(now);
      if (waitMs === null) return;
      await pause(waitMs, signal);
      await seen(signal);
      if (signal.aborted) return;
    }
  };
  void go();
  return () => controller.abort();
}

function silence(thrown: unknown): ApiError {
  if (thrown instanceof DOMException && thrown.name === "TimeoutError") {
    return new ApiError("unreachable", `the server has not answered for ${ANSWER_MS_MAX / 1000} seconds`);
  }
  return asApiError(thrown);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return until(signal, (done) => {
    const timer = setTimeout(done, ms);
    return () => clearTimeout(timer);
  });
}

/** Resolves once the page can be seen. */
function seen(signal: AbortSignal): Promise<void> {
  return until(signal, (done) => {
    const look = (): void => {
      if (document.visibilityState === "visible") done();
    };
    document.addEventListener("visibilitychange", look);
    look();
    return () => document.removeEventListener("visibilitychange", look);
  });
}

/** Resolves when `wait` says so or the signal is aborted, and then takes its listeners away. */
async function until(signal: AbortSignal, wait: (done: () => void) => () => void): Promise<void> {
  if (signal.aborted) return;
  let stop = (): void => {};
  let resolved = (): void => {};
  await new Promise<void>((resolve) => {
    resolved = resolve;
    signal.addEventListener("abort", resolved, { once: true });
    stop = wait(resolve);
  });
  stop();
  signal.removeEventListener("abort", resolved);
}

/** Follows until the page goes away; begins anew when `keys` change, or `again` is called. */
export function useFollow<T>(
  read: (signal: AbortSignal, last: T | null) => Promise<T>,
  everyMs: (value: T) => number | null,
  keys: readonly unknown[],
): Followed<T> & { readonly again: () => void } {
  const [round, setRound] = useState(0);
  const [followed, setFollowed] = useState<Followed<T>>({ value: null, readAt: 0, error: null });
  useEffect(() => follow(read, everyMs, setFollowed), [...keys, round]);
  return { ...followed, again: () => setRound((last) => last + 1) };
}
