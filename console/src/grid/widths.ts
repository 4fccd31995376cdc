// How wide columns are: as wide as their names and first values, within reason, until a person says otherwise.

import type { ResultSet } from "../api/result-set";
import { count } from "../format";

const CHARACTER_PX = 7.3;
const PADDING_PX = 22;
const WIDTH_MIN = 56;
const WIDTH_MAX = 340;
const ROWS_LOOKED_AT = 100;

export class Widths {
  /** Room for the rows' numbers. */
  readonly gutter: number;
  readonly total: number;
  readonly #starts: number[] = [];
  readonly #widths: number[] = [];

  constructor(rows: ResultSet, chosen: ReadonlyMap<number, number>) {
    this.gutter = Math.max(44, count(Math.max(rows.rows, 1000)).length * CHARACTER_PX + 18);
    let start = 0;
    rows.columns.forEach((column, index) => {
      const width = chosen.get(index) ?? fitting(rows, index, Math.max(column.name.length, column.type.length * 0.95));
      this.#starts.push(start);
      this.#widths.push(width);
      start += width;
    });
    this.total = start;
  }

  start(column: number): number {
    return this.#starts[column] ?? 0;
  }

  width(column: number): number {
    return this.#widths[column] ?? 0;
  }

  /** The columns between two offsets, as a half-open range. */
  seen(left: number, width: number): [number, number] {
    let from = 0;
    while (from < this.#starts.length - 1 && this.start(from) + this.width(from) < left) from += 1;
    let to = from;
    while (to < this.#starts.length && this.start(to) < left + width) to += 1;
    return [from, to];
  }
}

function fitting(rows: ResultSet, column: number, least: number): number {
  let characters = least;
  for (let row = 0; row < Math.min(rows.rows, ROWS_LOOKED_AT); row += 1) {
    characters = Math.max(characters, rows.text(row, column)?.length ?? 4);
  }
  return Math.round(Math.min(WIDTH_MAX, Math.max(WIDTH_MIN, characters * CHARACTER_PX + PADDING_PX)));
}
