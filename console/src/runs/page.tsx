// One run: how it goes or went, step by step.

import { useEffect, useRef } from "preact/hooks";
import { loadCatalog } from "../catalog/store";
import { ago, count, timestamp } from "../format";
import { href } from "../route";
import { useFollow } from "../ui/follow";
import { Empty, Figure, Section, Waiting } from "../ui/parts";
import { describeRun, failureOf, type DescribedRun, type Run } from "./describe";
import { IDLE_MS, LIVE_MS } from "./list";
import { Now } from "./now";
import { Stale } from "./stale";
import { Status } from "./status";
import { Timeline } from "./timeline";
import { took } from "./took";

export function RunPage({ id }: { readonly id: string }) {
  const { again, ...followed } = useFollow<DescribedRun>(
    (aborted, last) => describeRun(id, last?.run.pipeline ?? null, aborted),
    ({ run }) => nextMs(run),
    [id],
  );
  const { value, error } = followed;
  const running = value?.run.status === "running";
  const ran = useRef(false);
  useEffect(() => {
    // What a run has made is in the catalog once it has ended.
    if (ran.current && !running) void loadCatalog();
    ran.current = running;
  }, [running]);
  if (error?.code === "not_found") {
    return (
      <Empty title={`There is no run ${id}`}>
        <p>
          <a href={href({ page: "runs", pipeline: null })}>All runs</a>
        </p>
      </Empty>
    );
  }
  return (
    <article class="page">
      {value === null ? (
        error === null && <Waiting what="the run" />
      ) : (
        <Head run={value.run} />
      )}
      <Stale followed={followed} again={again} />
      {value !== null && (
        <>
          <How run={value.run} />
          {running && <Now steps={value.steps} readAt={followed.readAt} />}
          <Section title="Steps">
            <Timeline run={value.run} steps={value.steps} />
          </Section>
        </>
      )}
    </article>
  );
}

function nextMs({ status, ended }: Run): number | null {
  if (status === "running") return LIVE_MS;
  // It was not heard of for a while, but may be again; the next run of the pipeline ends it.
  return status === "interrupted" && ended === null ? IDLE_MS : null;
}

function Head({ run }: { readonly run: Run }) {
  const running = run.status === "running";
  return (
    <>
      <header class="page-head">
        <div>
          <p class="page-kind">run of the pipeline</p>
          <h1>{run.pipeline}</h1>
          <p class="page-facts">
            <Status status={run.status} />
            <span>
              began {timestamp(run.started)} UTC, {ago(run.started)}
            </span>
            <a href={href({ page: "runs", pipeline: run.pipeline })}>All runs of this pipeline</a>
          </p>
        </div>
      </header>
      <p class="hidden" role="status">
        {`${run.status}, ${run.stepsDone} of ${run.steps} steps${running && run.step !== null ? `, ${run.step}` : ""}`}
      </p>
      <dl class="figures">
        <Figure name={running ? "Runs for" : "Took"} value={run.seconds === null ? "not known" : took(run.seconds, running)} />
        <Figure name="Steps done" value={`${count(run.stepsDone)} of ${count(run.steps)}`} />
        <Figure name="Rows written" value={count(run.rows)} />
      </dl>
    </>
  );
}

/** What became of a run that did not finish. */
function How({ run }: { readonly run: Run }) {
  const kept = "What it had committed is kept; the next run goes on from there.";
  if (run.error !== null) {
    const { message, place } = failureOf(run.error);
    return (
      <div class="problem run-problem" role="alert">
        <p>
          <strong class="problem-code">{run.status}</strong> {message}
        </p>
        {place !== null && (
          <p class="problem-place" title={place.path}>
            <code>{place.file}</code> line {place.line}, column {place.column}
            {run.step !== null && `, in the step ${run.step}`}
          </p>
        )}
        <p class="muted">{kept}</p>
      </div>
    );
  }
  if (run.status === "cancelled") return <p class="note run-note">It was stopped{inStep(run)}. {kept}</p>;
  if (run.status === "interrupted") {
    return <p class="note run-note">Its process died{inStep(run)}, or has said nothing for a minute. {kept}</p>;
  }
  return null;
}

function inStep({ step }: Run): string {
  return step === null ? "" : ` in the step ${step}`;
}
