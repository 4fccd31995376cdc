// A script that is running: its rows as they arrive, until it ends, fails, is cancelled, or has given enough.

import { RecordBatchReader } from "apache-arrow";
import { ARROW_STREAM, JSON_LINES, startSql } from "./client";
import { ApiError, asApiError, errorIn } from "./error";
import { Pieces } from "./pieces";
import { ResultSet } from "./result-set";

/** Beyond these the console stops to read: a tab of a browser has a few gigabytes at most. */
export const ROWS_MAX = 5_000_000;
export const BYTES_MAX = 1_000_000_000;

export interface Done {
  readonly message: string;
  readonly rows: number | null;
  readonly details: Readonly<Record<string, string>>;
}

/** How a run has ended. */
export type End =
  | { readonly kind: "rows"; readonly capped: boolean }
  | { readonly kind: "done"; readonly done: Done }
  /** The rows stop before their end; why, only JSON lines can say. */
  | { readonly kind: "cut" };

/** Runs a script. `onRows` is called with the same growing set after each batch.
 *
 * @throws ApiError; `cancelled` if the signal was aborted.
 */
export async function run(sql: string, signal: AbortSignal, onRows: (rows: ResultSet) => void): Promise<End> {
  const enough = new AbortController();
  const either = AbortSignal.any([signal, enough.signal]);
  const response = await startSql(sql, ARROW_STREAM, either);
  if (!(response.headers.get("content-type") ?? "").startsWith(ARROW_STREAM)) {
    return { kind: "done", done: (await response.json()) as Done };
  }
  if (response.body === null) throw new ApiError("internal", "the answer has no body");
  const pieces = new Pieces(response.body);
  try {
    const reader = await RecordBatchReader.from(pieces);
    await reader.open();
    const rows = new ResultSet(reader.schema);
    onRows(rows);
    for await (const batch of reader) {
      rows.append(batch);
      onRows(rows);
      if (rows.rows >= ROWS_MAX || rows.bytes >= BYTES_MAX) {
        enough.abort();
        return { kind: "rows", capped: true };
      }
    }
  } catch (thrown) {
    // What the reader says of a stream that broke off is told below.
    if (pieces.failure === null) throw asApiError(thrown);
  }
  if (signal.aborted) throw new ApiError("cancelled", "cancelled");
  return pieces.complete ? { kind: "rows", capped: false } : { kind: "cut" };
}

/** Runs a script again for the error that cut it off; null if it ends well this time. Keeps no rows. */
export async function findError(sql: string, signal: AbortSignal): Promise<ApiError | null> {
  const response = await startSql(sql, JSON_LINES, signal);
  if (response.body === null) return null;
  let tail = "";
  try {
    for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
      const text = tail + piece;
      // The error is the last line, so what stands before the line break before it is done with.
      tail = text.slice(text.lastIndexOf("\n", text.length - 2) + 1);
    }
    return errorIn(JSON.parse(tail));
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return null;
    throw asApiError(thrown);
  }
}
