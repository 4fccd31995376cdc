// Rows as CSV (RFC 4180) and as tab-separated text for spreadsheets.

import type { ResultSet } from "../api/result-set";

/** A field; NULL is empty, and so an empty text is quoted. */
export function csvField(value: string | null): string {
  if (value === null) return "";
  return value === "" || /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}

/** Tabs and line breaks would move cells, so they become blanks. */
export function tsvField(value: string | null): string {
  return (value ?? "").replace(/[\t\r\n]+/g, " ");
}

/** Pieces of a whole result, header first; each a few thousand rows long. */
export function* csvPieces(rows: ResultSet, rowsPerPiece = 5000): Generator<string> {
  const columns = rows.columns.map((_, index) => index);
  yield `${rows.columns.map((column) => csvField(column.name)).join(",")}\r\n`;
  for (let start = 0; start < rows.rows; start += rowsPerPiece) {
    let piece = "";
    for (let row = start; row < Math.min(rows.rows, start + rowsPerPiece); row += 1) {
      piece += `${columns.map((column) => csvField(rows.text(row, column))).join(",")}\r\n`;
    }
    yield piece;
  }
}

export interface Range {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

/** A rectangle of cells, both ends included. */
export function tsv(rows: ResultSet, { top, left, bottom, right }: Range): string {
  const lines: string[] = [];
  for (let row = top; row <= bottom; row += 1) {
    const cells: string[] = [];
    for (let column = left; column <= right; column += 1) cells.push(tsvField(rows.text(row, column)));
    lines.push(cells.join("\t"));
  }
  return lines.join("\n");
}
