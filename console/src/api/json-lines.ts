// JSON lines: one value a line, the last of which may be an error that came after the first rows.

import { ApiError, errorIn } from "./error";

export type Row = Record<string, unknown>;

/** The rows of a whole answer.
 *
 * @throws ApiError if the last line is an error, or a line is not an object.
 */
export function rowsOf(text: string): Row[] {
  const rows: Row[] = [];
  for (const line of text.split("\n")) {
    if (line.trim() === "") continue;
    rows.push(rowOf(line));
  }
  // A table may well have one column `error`; only the last line can be the server's.
  const last = rows.at(-1);
  const error = last !== undefined && Object.keys(last).length === 1 ? errorIn(last) : null;
  if (error !== null) throw error;
  return rows;
}

function rowOf(line: string): Row {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new ApiError("unreachable", "the answer ends in the middle of a row; run the statement again");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ApiError("internal", `a row is not an object: ${line.slice(0, 80)}`);
  }
  return value as Row;
}
