// Statistics of columns, by SQL: one query for the numbers of many columns, one for each column's distribution.

import { query } from "../api/client";
import type { Row } from "../api/json-lines";
import type { CatalogColumn } from "../catalog/store";
import { identifier } from "../sql/quote";
import { family, isWhole } from "../sql/types";

/** Columns that one query measures. */
const COLUMNS_PER_QUERY = 24;
const BINS = 24;
const TOP_VALUES = 6;
/** Values of a column with more different ones are not counted one by one. */
const DISTINCT_MAX = 200_000;

export interface ColumnNumbers {
  readonly rows: number;
  readonly nulls: number;
  /** Approximate (HyperLogLog), except for booleans; null where values cannot be told apart so. */
  readonly distinct: number | null;
  readonly min: string | null;
  readonly max: string | null;
}

export type Distribution =
  | { readonly kind: "bins"; readonly counts: readonly number[]; readonly from: string; readonly to: string }
  | { readonly kind: "values"; readonly values: readonly { readonly value: string; readonly rows: number }[] }
  | { readonly kind: "none"; readonly why: string };

/** Columns in groups that one query can measure. */
export function groups<T>(columns: readonly T[]): readonly (readonly T[])[] {
  const found: T[][] = [];
  for (let start = 0; start < columns.length; start += COLUMNS_PER_QUERY) {
    found.push(columns.slice(start, start + COLUMNS_PER_QUERY));
  }
  return found;
}

export function numbersSql(table: string, columns: readonly CatalogColumn[]): string {
  const parts = columns.flatMap(({ name, type }, index) => {
    const column = identifier(name);
    const measures = [`count(${column}) AS n${index}`];
    const kind = family(type);
    if (kind === "boolean") measures.push(`count(DISTINCT ${column}) AS d${index}`);
    // The server estimates no floats, but their texts.
    else if (kind === "number" && !isWhole(type)) {
      measures.push(`approx_distinct(CAST(${column} AS VARCHAR)) AS d${index}`);
    } else if (kind === "number" || kind === "time" || kind === "text") {
      measures.push(`approx_distinct(${column}) AS d${index}`);
    }
    // As text, so that whole numbers beyond 2^53 stay what they are.
    if (kind === "number" || kind === "time" || kind === "text") {
      measures.push(`CAST(min(${column}) AS VARCHAR) AS lo${index}`, `CAST(max(${column}) AS VARCHAR) AS hi${index}`);
    }
    return measures;
  });
  return `SELECT count(*) AS total, ${parts.join(", ")} FROM ${table}`;
}

export async function loadNumbers(
  table: string,
  columns: readonly CatalogColumn[],
  signal: AbortSignal,
): Promise<ColumnNumbers[]> {
  const [row = {}] = await query<Row>(numbersSql(table, columns), signal);
  const total = Number(row["total"] ?? 0);
  const textOf = (value: unknown): string | null => (value === null || value === undefined ? null : String(value));
  return columns.map((_, index) => {
    const distinct = row[`d${index}`];
    const there = Number(row[`n${index}`] ?? 0);
    return {
      rows: total,
      nulls: total - there,
      // An estimate may be a little above what is possible.
      distinct: typeof distinct === "number" ? Math.min(distinct, there) : null,
      min: textOf(row[`lo${index}`]),
      max: textOf(row[`hi${index}`]),
    };
  });
}

export async function loadDistribution(
  table: string,
  column: CatalogColumn,
  numbers: ColumnNumbers,
  signal: AbortSignal,
): Promise<Distribution> {
  const kind = family(column.type);
  if (numbers.rows === numbers.nulls) return { kind: "none", why: "no values" };
  if (kind === "number" || kind === "time") return loadBins(table, column, numbers, signal);
  if (kind !== "text" && kind !== "boolean") return { kind: "none", why: "" };
  const distinct = numbers.distinct ?? 0;
  if (distinct > DISTINCT_MAX) return { kind: "none", why: "too many different values" };
  const name = identifier(column.name);
  const values = await query<{ value: string; n: number }>(
    `SELECT CAST(${name} AS VARCHAR) AS value, count(*) AS n FROM ${table} WHERE ${name} IS NOT NULL
     GROUP BY 1 ORDER BY n DESC, value LIMIT ${TOP_VALUES}`,
    signal,
  );
  return { kind: "values", values: values.map(({ value, n }) => ({ value, rows: n })) };
}

async function loadBins(
  table: string,
  { name, type }: CatalogColumn,
  { min, max }: ColumnNumbers,
  signal: AbortSignal,
): Promise<Distribution> {
  const isTime = family(type) === "time";
  const low = edge(min, isTime);
  const high = edge(max, isTime);
  if (min === null || max === null || !Number.isFinite(low) || !Number.isFinite(high)) {
    return { kind: "none", why: "no finite ends" };
  }
  const whole = isWhole(type) && high - low < BINS;
  const bins = whole ? high - low + 1 : low === high ? 1 : BINS;
  const width = whole || low === high ? 1 : (high - low) / bins;
  const column = identifier(name);
  const value = isTime ? `date_part('epoch', ${column})` : column;
  const rows = await query<{ bin: number; n: number }>(
    `SELECT bin, count(*) AS n FROM (
       SELECT least(${bins - 1}, greatest(0, CAST(floor((CAST(${value} AS DOUBLE) - (${low})) / ${width}) AS BIGINT))) AS bin
       FROM ${table} WHERE ${column} IS NOT NULL
     ) GROUP BY bin`,
    signal,
  );
  const counts = new Array<number>(bins).fill(0);
  for (const { bin, n } of rows) counts[bin] = n;
  return { kind: "bins", counts, from: min, to: max };
}

/** An end of a column as a number; a time in seconds, UTC. */
function edge(text: string | null, isTime: boolean): number {
  if (text === null) return Number.NaN;
  if (!isTime) return Number(text);
  return Date.parse(/[zZ]$|[+-]\d\d:?\d\d$/.test(text) ? text : `${text.replace(" ", "T")}${text.length > 10 ? "Z" : ""}`) / 1000;
}
