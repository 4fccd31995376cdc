// A table's columns with their statistics, which fill in as they are computed.

import { useEffect, useState } from "preact/hooks";
import { asApiError, type ApiError } from "../api/error";
import type { CatalogColumn } from "../catalog/store";
import { count, counted, percent, short } from "../format";
import { family } from "../sql/types";
import { Empty, Problem, Table } from "../ui/parts";
import { groups, loadDistribution, loadNumbers, type ColumnNumbers, type Distribution } from "./statistics";

/** Larger tables are measured only when asked for. */
const ROWS_UNASKED_MAX = 20_000_000;

interface Props {
  readonly table: string;
  readonly columns: readonly (CatalogColumn & { readonly nullable: boolean })[];
  readonly rows: number | null;
}

export function Columns({ table, columns, rows }: Props) {
  const [asked, setAsked] = useState(false);
  const measures = asked || (rows !== null && rows <= ROWS_UNASKED_MAX);
  const { numbers, distributions, error } = useStatistics(table, columns, measures);
  if (columns.length === 0) return <Empty title="No columns" />;
  return (
    <>
      {error !== null && <Problem error={error} />}
      {!measures && rows !== null && (
        <p class="banner">
          The table has {count(rows)} rows; its statistics read all of them.{" "}
          <button type="button" class="button" onClick={() => setAsked(true)}>
            Compute statistics
          </button>
        </p>
      )}
      <Table label="Columns" kind="facts columns-table">
        <thead>
          <tr>
            <th scope="col">Column</th>
            <th scope="col">Type</th>
            <th scope="col" class="right">
              Nulls
            </th>
            <th scope="col" class="right" title="Estimated to about 2 %">
              Distinct
            </th>
            <th scope="col">Least</th>
            <th scope="col">Greatest</th>
            <th scope="col">Distribution</th>
          </tr>
        </thead>
        <tbody>
          {columns.map((column, index) => (
            <tr key={column.name}>
              <th scope="row" title={column.name}>
                {column.name}
              </th>
              <td class="mono muted">
                {column.type}
                {!column.nullable && " NOT NULL"}
              </td>
              <NumberCells numbers={numbers.get(index) ?? null} column={column} />
              <td>
                <DistributionCell
                  distribution={distributions.get(index) ?? null}
                  rows={numbers.get(index)?.rows ?? 0}
                  name={column.name}
                  waits={measures && error === null}
                />
              </td>
            </tr>
          ))}
        </tbody>
      </Table>
    </>
  );
}

interface Statistics {
  readonly numbers: ReadonlyMap<number, ColumnNumbers>;
  readonly distributions: ReadonlyMap<number, Distribution>;
  readonly error: ApiError | null;
}

const NOTHING: Statistics = { numbers: new Map(), distributions: new Map(), error: null };

function useStatistics(table: string, columns: readonly CatalogColumn[], measures: boolean): Statistics {
  const [found, setFound] = useState<Statistics>(NOTHING);
  useEffect(() => {
    if (!measures) return;
    const controller = new AbortController();
    const { signal } = controller;
    setFound(NOTHING);
    const indexed = columns.map((column, index) => ({ ...column, index }));
    const measure = async (): Promise<void> => {
      for (const group of groups(indexed)) {
        const numbers = await loadNumbers(table, group, signal);
        setFound((last) => ({
          ...last,
          numbers: new Map([...last.numbers, ...group.map((column, at) => [column.index, numbers[at]!] as const)]),
        }));
        // One after the other: a page must not take the server's places from others.
        for (const [at, column] of group.entries()) {
          const distribution = await loadDistribution(table, column, numbers[at]!, signal);
          setFound((last) => ({
            ...last,
            distributions: new Map(last.distributions).set(column.index, distribution),
          }));
        }
      }
    };
    measure().catch((thrown: unknown) => {
      if (!signal.aborted) setFound((last) => ({ ...last, error: asApiError(thrown) }));
    });
    return () => controller.abort();
  }, [table, columns, measures]);
  return found;
}

function NumberCells({ numbers, column }: { readonly numbers: ColumnNumbers | null; readonly column: CatalogColumn }) {
  if (numbers === null) {
    return (
      <>
        <td class="right muted">·</td>
        <td class="right muted">·</td>
        <td class="muted">·</td>
        <td class="muted">·</td>
      </>
    );
  }
  const isExact = family(column.type) === "boolean" || (numbers.distinct ?? 0) <= 1;
  const share = numbers.rows === 0 ? 0 : numbers.nulls / numbers.rows;
  return (
    <>
      <td class="right" title={counted(numbers.nulls, "row")}>
        {numbers.nulls === 0 ? <span class="muted">none</span> : percent(share)}
      </td>
      <td class="right">{numbers.distinct === null ? "" : `${isExact ? "" : "≈ "}${count(numbers.distinct)}`}</td>
      <td class="mono">
        <EndValue text={numbers.min} column={column} />
      </td>
      <td class="mono">
        <EndValue text={numbers.max} column={column} />
      </td>
    </>
  );
}

function EndValue({ text, column }: { readonly text: string | null; readonly column: CatalogColumn }) {
  if (text === null) return null;
  const kind = family(column.type);
  const shown =
    kind === "time"
      ? text.replace("T", " ").replace(" 00:00:00", "")
      : kind === "number" && text.includes(".")
        ? short(Number(text), 6)
        : text;
  return (
    <span class="clip" title={text}>
      {shown}
    </span>
  );
}

const SPARK_WIDTH = 132;
const SPARK_HEIGHT = 24;

function DistributionCell({
  distribution,
  rows,
  name,
  waits,
}: {
  readonly distribution: Distribution | null;
  readonly rows: number;
  readonly name: string;
  readonly waits: boolean;
}) {
  if (distribution === null) return <span class="muted">{waits ? "·" : ""}</span>;
  if (distribution.kind === "none") return <span class="muted">{distribution.why}</span>;
  if (distribution.kind === "bins") {
    const { counts, from, to } = distribution;
    const most = Math.max(1, ...counts);
    const width = SPARK_WIDTH / counts.length;
    return (
      <svg
        class="spark"
        width={SPARK_WIDTH}
        height={SPARK_HEIGHT}
        role="img"
        aria-label={`Histogram of ${name} from ${from} to ${to}`}
      >
        <line x1="0" x2={SPARK_WIDTH} y1={SPARK_HEIGHT - 0.5} y2={SPARK_HEIGHT - 0.5} />
        {counts.map((each, index) => {
          // What is there is seen, however little.
          const height = each === 0 ? 0 : Math.max(1.5, (each / most) * (SPARK_HEIGHT - 2));
          return (
            <rect
              key={index}
              x={index * width + 0.5}
              y={SPARK_HEIGHT - 1 - height}
              width={Math.max(1, width - 1)}
              height={height}
            >
              <title>{counted(each, "row")}</title>
            </rect>
          );
        })}
      </svg>
    );
  }
  const { values } = distribution;
  if ((values[0]?.rows ?? 0) <= 1) return <span class="muted">all different</span>;
  return (
    <span class="tops">
      {values.slice(0, 3).map(({ value, rows: each }) => (
        <span key={value} class="top" title={`${value}: ${counted(each, "row")}`}>
          <span class="top-bar" style={{ width: `${(each / Math.max(1, rows)) * 100}%` }} />
          <span class="top-name">{value === "" ? "(empty)" : value}</span>
          <span class="top-share">{percent(each / Math.max(1, rows))}</span>
        </span>
      ))}
    </span>
  );
}
