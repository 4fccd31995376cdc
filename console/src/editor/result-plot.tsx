// A result as a simple plot: which kind, and which columns.

import { useMemo, useState } from "preact/hooks";
import type { Column, ResultSet } from "../api/result-set";
import { count } from "../format";
import { histogram, thinned } from "../plot/bins";
import { Bars } from "../plot/bars";
import { Plot, type Point, type Series } from "../plot/plot";
import { short } from "../format";
import { Empty } from "../ui/parts";

const KINDS = ["line", "bar", "scatter", "histogram"] as const;
type Kind = (typeof KINDS)[number];

const LINE_POINTS_MAX = 2000;
const DOTS_MAX = 5000;
const BARS_MAX = 60;
const SERIES_MAX = 6;
const BINS = 40;

interface Choice {
  readonly kind: Kind;
  readonly x: number;
  readonly ys: readonly number[];
}

/** What these columns look like at first: lines over time or numbers, bars over names. */
function firstChoice(columns: readonly Column[]): Choice | null {
  const numbers = columns.flatMap((column, index) => (column.numeric ? [index] : []));
  const first = numbers[0];
  if (first === undefined) return null;
  const time = columns.findIndex((column) => column.temporal);
  if (time >= 0) return { kind: "line", x: time, ys: [first] };
  const name = columns.findIndex((column) => !column.numeric);
  if (name >= 0) return { kind: "bar", x: name, ys: [first] };
  const second = numbers[1];
  return second === undefined ? { kind: "histogram", x: first, ys: [first] } : { kind: "line", x: first, ys: [second] };
}

export function ResultPlot({ rows, version }: { readonly rows: ResultSet; readonly version: number }) {
  const [chosen, setChosen] = useState<Choice | null>(null);
  const choice = chosen ?? firstChoice(rows.columns);
  if (choice === null) {
    return (
      <Empty title="Nothing to plot">
        <p>A plot needs a column of numbers. CAST a text that holds numbers, or count something.</p>
      </Empty>
    );
  }
  const numbers = rows.columns.flatMap((column, index) => (column.numeric ? [{ column, index }] : []));
  const set = (change: Partial<Choice>): void => setChosen({ ...choice, ...change });
  const xs = rows.columns
    .map((column, index) => ({ column, index }))
    .filter(({ column }) => choice.kind !== "scatter" || column.numeric || column.temporal);
  return (
    <div class="result-plot">
      <form class="plot-form" aria-label="Plot">
        <div class="segments" role="group" aria-label="Kind of plot">
          {KINDS.map((kind) => (
            <button
              key={kind}
              type="button"
              aria-pressed={choice.kind === kind}
              onClick={() => set({ kind })}
            >
              {kind}
            </button>
          ))}
        </div>
        {choice.kind !== "histogram" && (
          <label>
            x
            <select value={choice.x} onChange={(event) => set({ x: Number(event.currentTarget.value) })}>
              {xs.map(({ column, index }) => (
                <option key={index} value={index}>
                  {column.name}
                </option>
              ))}
            </select>
          </label>
        )}
        {choice.kind === "line" ? (
          <fieldset>
            <legend>y</legend>
            {numbers.slice(0, 24).map(({ column, index }) => (
              <label key={index} class="check">
                <input
                  type="checkbox"
                  checked={choice.ys.includes(index)}
                  disabled={!choice.ys.includes(index) && choice.ys.length >= SERIES_MAX}
                  onChange={() => set({ ys: toggled(choice.ys, index) })}
                />
                {column.name}
              </label>
            ))}
          </fieldset>
        ) : (
          <label>
            {choice.kind === "histogram" ? "of" : "y"}
            <select value={choice.ys[0]} onChange={(event) => set({ ys: [Number(event.currentTarget.value)] })}>
              {numbers.map(({ column, index }) => (
                <option key={index} value={index}>
                  {column.name}
                </option>
              ))}
            </select>
          </label>
        )}
      </form>
      <Drawn rows={rows} version={version} choice={choice} />
    </div>
  );
}

function toggled(ys: readonly number[], index: number): readonly number[] {
  if (!ys.includes(index)) return [...ys, index].sort((a, b) => a - b);
  return ys.length > 1 ? ys.filter((each) => each !== index) : ys;
}

function Drawn({ rows, version, choice }: { readonly rows: ResultSet; readonly version: number; readonly choice: Choice }) {
  const { kind, x, ys } = choice;
  const name = (index: number): string => rows.columns[index]?.name ?? "";
  const first = ys[0] ?? 0;
  const drawn = useMemo(() => prepare(rows, choice), [rows, version, choice]);
  const label = `${kind} of ${ys.map(name).join(", ")}${kind === "histogram" ? "" : ` by ${name(x)}`}`;
  return (
    <>
      {drawn.kind === "bars" && <Bars label={label} bars={drawn.bars} />}
      {drawn.kind === "bins" && (
        <Plot label={label} bins={drawn.bins} height={320} xTitle={name(first)} yTitle="rows" />
      )}
      {drawn.kind === "series" && (
        <Plot
          label={label}
          series={drawn.series}
          height={320}
          xTitle={name(x)}
          {...(ys.length === 1 ? { yTitle: name(first) } : {})}
          xIsTime={rows.columns[x]?.temporal ?? false}
          {...(drawn.names !== undefined ? { xNames: drawn.names } : {})}
        />
      )}
      {drawn.note !== null && <p class="note">{drawn.note}</p>}
    </>
  );
}

type Prepared = { readonly note: string | null } & (
  | { readonly kind: "bars"; readonly bars: { name: string; value: number; text: string }[] }
  | { readonly kind: "bins"; readonly bins: ReturnType<typeof histogram> }
  | { readonly kind: "series"; readonly series: Series[]; readonly names?: readonly string[] }
);

function prepare(rows: ResultSet, { kind, x, ys }: Choice): Prepared {
  const first = ys[0] ?? 0;
  if (kind === "histogram") {
    const values = new Float64Array(rows.rows);
    for (let row = 0; row < rows.rows; row += 1) values[row] = rows.number(row, first);
    const missing = values.reduce((sum, value) => sum + (Number.isFinite(value) ? 0 : 1), 0);
    return {
      kind: "bins",
      bins: histogram(values, BINS),
      note: missing > 0 ? `${count(missing)} of ${count(rows.rows)} rows have no number here.` : null,
    };
  }
  if (kind === "bar") {
    const shown = Math.min(rows.rows, BARS_MAX);
    const bars = Array.from({ length: shown }, (_, row) => {
      const value = rows.number(row, first);
      return {
        name: rows.text(row, x) ?? "NULL",
        value: Number.isFinite(value) ? value : 0,
        text: Number.isFinite(value) ? short(value, 6) : "NULL",
      };
    });
    return {
      kind: "bars",
      bars,
      note: shown < rows.rows ? `The first ${shown} of ${count(rows.rows)} rows; aggregate or ORDER BY to see others.` : null,
    };
  }
  const column = rows.columns[x];
  const named = column !== undefined && !column.numeric && !column.temporal;
  // Lines of names have one place for each row; more cannot be told apart anyway.
  const length = named ? Math.min(rows.rows, LINE_POINTS_MAX) : rows.rows;
  const step = kind === "scatter" ? Math.max(1, Math.ceil(length / DOTS_MAX)) : 1;
  const series = ys.slice(0, kind === "scatter" ? 1 : SERIES_MAX).map((y): Series => {
    const points: Point[] = [];
    for (let row = 0; row < length; row += step) {
      points.push([named ? row : rows.number(row, x), rows.number(row, y)]);
    }
    if (kind === "scatter") return { name: rows.columns[y]?.name ?? "", mark: "dots", points };
    if (!named) points.sort((a, b) => a[0] - b[0]);
    const kept = thinned(points, LINE_POINTS_MAX);
    return { name: rows.columns[y]?.name ?? "", mark: kept.length < 30 ? "linedots" : "line", points: kept };
  });
  const note =
    step > 1
      ? `Every ${step}th of ${count(rows.rows)} rows.`
      : kind === "line" && length > LINE_POINTS_MAX
        ? `${count(length)} rows, drawn by the least and greatest of each stretch.`
        : length < rows.rows
          ? `The first ${count(length)} of ${count(rows.rows)} rows.`
          : null;
  const names = named ? Array.from({ length }, (_, row) => rows.text(row, x) ?? "NULL") : undefined;
  return names === undefined ? { kind: "series", series, note } : { kind: "series", series, names, note };
}
