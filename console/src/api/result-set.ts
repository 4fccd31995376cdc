// The rows of a query, kept in the columns that they came in: a million rows of numbers are a few megabytes.

import { DataType, type RecordBatch, type Schema, type Vector } from "apache-arrow";
import { cellText, isNumeric, typeName } from "./cells";

export interface Column {
  readonly name: string;
  /** The type's name in SQL. */
  readonly type: string;
  readonly numeric: boolean;
  readonly temporal: boolean;
}

/** Grows while rows arrive; never changes what it has. */
export class ResultSet {
  readonly columns: readonly Column[];
  rows = 0;
  bytes = 0;
  readonly #types: readonly DataType[];
  readonly #vectors: (readonly Vector[])[] = [];
  /** The first row of each batch. */
  readonly #starts: number[] = [];
  #last = 0;

  constructor(schema: Schema) {
    this.#types = schema.fields.map((field) => field.type as DataType);
    this.columns = schema.fields.map((field) => ({
      name: field.name,
      type: typeName(field.type as DataType),
      numeric: isNumeric(field.type as DataType),
      temporal: DataType.isTimestamp(field.type) || DataType.isDate(field.type),
    }));
  }

  append(batch: RecordBatch): void {
    if (batch.numRows === 0) return;
    this.#starts.push(this.rows);
    this.#vectors.push(this.columns.map((_, index) => batch.getChildAt(index) as Vector));
    this.rows += batch.numRows;
    this.bytes += batch.data.byteLength;
  }

  /** The value as text, or null for NULL. */
  text(row: number, column: number): string | null {
    const type = this.#types[column];
    return type === undefined ? null : cellText(type, this.#value(row, column));
  }

  /** The value as a number: a time is in milliseconds; NaN for what is none. */
  number(row: number, column: number): number {
    const value = this.#value(row, column);
    if (typeof value === "number") return value;
    if (typeof value === "bigint") return Number(value);
    const text = this.text(row, column);
    return text === null || text === "" ? Number.NaN : Number(text);
  }

  #value(row: number, column: number): unknown {
    const batch = this.#batchOf(row);
    return this.#vectors[batch]?.[column]?.get(row - (this.#starts[batch] ?? 0));
  }

  /** Rows are mostly asked for one after the other, so the last batch is looked at first. */
  #batchOf(row: number): number {
    const starts = this.#starts;
    const isIn = (batch: number): boolean => (starts[batch] ?? 0) <= row && row < (starts[batch + 1] ?? this.rows);
    if (isIn(this.#last)) return this.#last;
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= row) low = middle;
      else high = middle - 1;
    }
    this.#last = low;
    return low;
  }
}
