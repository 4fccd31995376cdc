// The runs of pipelines, newest first; those that go on are followed.

import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { ago, count, timestamp } from "../format";
import { goTo, href } from "../route";
import { useFollow } from "../ui/follow";
import { Empty, Table, Waiting } from "../ui/parts";
import { failureOf, loadRuns, type Run } from "./describe";
import { Stale } from "./stale";
import { Progress, Status } from "./status";
import { took } from "./took";

/** While something runs. */
export const LIVE_MS = 1000;
/** Otherwise, so that a run that begins is seen. */
export const IDLE_MS = 10_000;

/** Runs to begin with; each "Show more" shows so many times as many. */
const LIMIT = 100;
const MORE = 10;

/** The pipelines that runs were seen of, for the choice of one. */
const pipelines = signal<readonly string[]>([]);

export function RunsPage({ pipeline }: { readonly pipeline: string | null }) {
  const [limit, setLimit] = useState(LIMIT);
  const { again, ...followed } = useFollow(
    (aborted) => loadRuns(pipeline, limit, aborted),
    (runs) => (runs.some(({ status }) => status === "running") ? LIVE_MS : IDLE_MS),
    [pipeline, limit],
  );
  const runs = followed.value;
  useEffect(() => {
    const all = [...new Set([...pipelines.value, ...(runs ?? []).map((run) => run.pipeline)])].sort();
    if (all.length > pipelines.value.length) pipelines.value = all;
  }, [runs]);
  return (
    <article class="page">
      <header class="page-head">
        <div>
          <h1>Runs</h1>
          <p class="page-facts">
            <span>Runs of pipelines, newest first. One that goes on is followed.</span>
          </p>
        </div>
        <Choice pipeline={pipeline} />
      </header>
      <Stale followed={followed} again={again} />
      {runs === null ? (
        followed.error === null && <Waiting what="the runs" />
      ) : runs.length === 0 ? (
        <NoRuns pipeline={pipeline} />
      ) : (
        <>
          <Runs runs={runs} />
          {runs.length >= limit && (
            <p class="note below">
              The newest {count(limit)} are shown.{" "}
              <button type="button" class="button quiet" onClick={() => setLimit(limit * MORE)}>
                Show more
              </button>
            </p>
          )}
        </>
      )}
    </article>
  );
}

function NoRuns({ pipeline }: { readonly pipeline: string | null }) {
  return (
    <Empty title={pipeline === null ? "No runs yet" : `No runs of ${pipeline}`}>
      <p>
        A pipeline is a folder of numbered .sql files. <code>lakemill run FOLDER</code> runs it, and the run is seen here as it goes.
      </p>
    </Empty>
  );
}

function Choice({ pipeline }: { readonly pipeline: string | null }) {
  const known = pipelines.value;
  const names = pipeline === null || known.includes(pipeline) ? known : [...known, pipeline];
  if (names.length < 2 && pipeline === null) return null;
  return (
    <label class="version-choice">
      Pipeline
      <select
        value={pipeline ?? ""}
        onChange={(event) => goTo({ page: "runs", pipeline: event.currentTarget.value === "" ? null : event.currentTarget.value })}
      >
        <option value="">all</option>
        {names.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

function Runs({ runs }: { readonly runs: readonly Run[] }) {
  return (
    <Table label="Runs" kind="facts runs">
      <thead>
        <tr>
          <th scope="col">Pipeline</th>
          <th scope="col">Status</th>
          <th scope="col">Began</th>
          <th scope="col" class="right">
            Took
          </th>
          <th scope="col">Steps</th>
          <th scope="col" class="right">
            Rows written
          </th>
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => (
          <tr key={run.id}>
            <th scope="row">
              <a href={href({ page: "run", id: run.id })} aria-label={`${run.pipeline}, run of ${timestamp(run.started)}`}>
                {run.pipeline}
              </a>
              <Line run={run} />
            </th>
            <td class="run-state">
              <Status status={run.status} />
            </td>
            <td class="nowrap muted run-began" title={`${timestamp(run.started)} UTC`}>
              {ago(run.started)}
            </td>
            <td class="right nowrap run-took">{took(run.seconds, run.status === "running")}</td>
            <td class="nowrap run-steps">
              <span class="run-of">
                {count(run.stepsDone)} of {count(run.steps)}
                <span class="unit"> steps</span>
              </span>
              {run.status === "running" && <Progress done={run.stepsDone} total={run.steps} label={`Steps of ${run.pipeline}`} />}
            </td>
            <td class="right run-rows">
              {count(run.rows)}
              <span class="unit"> {run.rows === 1 ? "row" : "rows"}</span>
            </td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

/** In one line: why it failed, what it is at, or where it ended. */
function Line({ run }: { readonly run: Run }) {
  if (run.error !== null) {
    const { message, place } = failureOf(run.error);
    return (
      <span class="run-line bad" title={run.error}>
        {place === null ? "" : `${place.file}, line ${place.line}: `}
        {message}
      </span>
    );
  }
  if (run.status === "finished" || run.step === null) return null;
  return <span class="run-line muted">{run.status === "running" ? run.step : `ended in ${run.step}`}</span>;
}
