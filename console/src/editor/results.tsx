// What a run gave: rows as a grid or a plot, a message, or an error.

import { useState } from "preact/hooks";
import { ROWS_MAX } from "../api/run";
import { known } from "../catalog/store";
import { bytes, count, counted, duration } from "../format";
import { csvPieces } from "../grid/csv";
import { Grid } from "../grid/grid";
import { relation } from "../sql/quote";
import { Empty, Problem } from "../ui/parts";
import { saveCsv } from "../ui/save";
import { ResultPlot } from "./result-plot";
import { explainCut, type Run } from "./runs";
import { openText } from "./tabs";

/** More rows than this are downloaded, not put on the clipboard. */
const COPY_ROWS_MAX = 100_000;

interface Props {
  readonly tab: string;
  readonly title: string;
  readonly run: Run | null;
}

export function Results({ tab, title, run }: Props) {
  const [view, setView] = useState<"rows" | "plot">("rows");
  const [said, setSaid] = useState("");
  if (run === null) {
    return (
      <Empty title="No result yet">
        <p>
          Write a statement and press <kbd>Ctrl</kbd> <kbd>Enter</kbd>. With a part selected, only that part runs.
        </p>
        <Starters />
      </Empty>
    );
  }
  const { rows, error, end } = run;
  const copy = async (): Promise<void> => {
    if (rows === null) return;
    if (rows.rows > COPY_ROWS_MAX) {
      setSaid(`${count(rows.rows)} rows are more than one copy takes (${count(COPY_ROWS_MAX)}); download them`);
      return;
    }
    await navigator.clipboard.writeText([...csvPieces(rows)].join(""));
    setSaid(`Copied ${counted(rows.rows, "row")} as CSV`);
  };
  const hasRows = rows !== null && rows.columns.length > 0;
  return (
    <div class="results">
      {hasRows && (
        <div class="results-bar">
          <div class="segments" role="group" aria-label="Show the result as">
            <button type="button" aria-pressed={view === "rows"} onClick={() => setView("rows")}>
              Rows
            </button>
            <button type="button" aria-pressed={view === "plot"} onClick={() => setView("plot")}>
              Plot
            </button>
          </div>
          <span class="results-said" role="status">
            {said}
          </span>
          <button type="button" class="button quiet" onClick={() => void copy()}>
            Copy CSV
          </button>
          <button type="button" class="button quiet" onClick={() => saveCsv(rows, title)} disabled={run.running}>
            Download CSV
          </button>
        </div>
      )}
      {end?.kind === "rows" && end.capped && (
        <p class="banner" role="status">
          Stopped at {count(rows?.rows ?? 0)} rows: the console keeps {count(ROWS_MAX)} at most, or 1 GB. For all of
          them ask the API for an Arrow stream, or COPY them to a file.
        </p>
      )}
      {end?.kind === "cut" && (
        <p class="banner" role="status">
          The server ended the rows early, after {count(rows?.rows ?? 0)}. The reason did not come with them.{" "}
          <button type="button" class="button" disabled={run.running} onClick={() => void explainCut(tab)}>
            Run again for the reason
          </button>
        </p>
      )}
      {error !== null && error.code !== "cancelled" && <Problem error={error} placed />}
      {error?.code === "cancelled" && (
        <p class="banner" role="status">
          Cancelled after {duration(run.ms)}
          {hasRows ? `; these are the ${counted(rows.rows, "row")} that had come by then.` : "."}
        </p>
      )}
      {end?.kind === "done" && <DoneMessage run={run} />}
      {hasRows &&
        (view === "plot" ? (
          <ResultPlot key={run.startedAt} rows={rows} version={run.version} />
        ) : rows.rows === 0 && !run.running ? (
          <NoRows run={run} />
        ) : (
          <Grid key={run.startedAt} rows={rows} length={rows.rows} label={`Result of ${title}`} onSay={setSaid} />
        ))}
    </div>
  );
}

/** Statements to begin with, over what this lake has. */
function Starters() {
  const { relations, models } = known();
  const table = relations.find(({ kind }) => kind === "table");
  const model = models[0];
  const statements = [
    ...(table === undefined ? [] : [`SELECT * FROM ${relation(table.namespace, table.name)} LIMIT 100`]),
    ...(model === undefined ? [] : [`SELECT * FROM ML.EVALUATE(MODEL ${relation(model.namespace, model.name)})`]),
  ];
  if (statements.length === 0) return null;
  return (
    <ul class="starters" aria-label="Statements to begin with">
      {statements.map((statement) => (
        <li key={statement}>
          <button type="button" class="button quiet" onClick={() => openText(statement)}>
            <code>{statement}</code>
          </button>
        </li>
      ))}
    </ul>
  );
}

function NoRows({ run }: { readonly run: Run }) {
  return (
    <Empty title="No rows">
      <p class="muted">{run.rows?.columns.map((column) => `${column.name} ${column.type}`).join(", ")}</p>
    </Empty>
  );
}

function DoneMessage({ run }: { readonly run: Run }) {
  if (run.end?.kind !== "done") return null;
  const { message, rows, details } = run.end.done;
  const entries = Object.entries(details);
  return (
    <div class="done" role="status">
      <p class="done-message">{message}</p>
      {rows !== null && <p class="muted">{counted(rows, "row")}</p>}
      {entries.length > 0 && (
        <dl class="pairs">
          {entries.map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      )}
    </div>
  );
}

/** One line: how far the run is, or how it went. */
export function RunStatus({ run }: { readonly run: Run | null }) {
  if (run === null) return null;
  const rows = run.rows !== null ? `${counted(run.rows.rows, "row")}` : null;
  const parts = [
    run.running ? "Running" : run.error?.code === "cancelled" ? "Cancelled" : run.error !== null ? "Failed" : "Done",
    rows,
    duration(run.ms),
    run.rows !== null && run.rows.bytes > 1_000_000 ? bytes(run.rows.bytes) : null,
  ];
  return (
    <span class="run-status" data-state={run.running ? "running" : run.error !== null ? "failed" : "done"}>
      {parts.filter((part) => part !== null).join(" · ")}
    </span>
  );
}
