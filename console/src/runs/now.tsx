// The statement that runs: how far it is, how long it still takes, and its loss so far.

import { useEffect, useState } from "preact/hooks";
import { count, counted, percent, short } from "../format";
import { Plot } from "../plot/plot";
import type { Step } from "./describe";
import { Progress } from "./status";
import { took } from "./took";
import { about, currentOf, leftMs, look, shareOf, type Current, type Seen, type Share } from "./watch";

const CURVE_HEIGHT = 150;

/** `steps` as they were read at `readAt`, in milliseconds. */
export function Now({ steps, readAt }: { readonly steps: readonly Step[]; readonly readAt: number }) {
  const [seen, setSeen] = useState<Seen | null>(null);
  const current = currentOf(steps);
  useEffect(() => {
    if (current !== null) setSeen((before) => look(before, current, readAt));
  }, [readAt]);
  return (
    <section class="now" aria-label="What runs now">
      {current === null ? <Between steps={steps} /> : <Running current={current} seen={seen} of={steps.length} />}
    </section>
  );
}

/** One statement has ended and the next has not begun. */
function Between({ steps }: { readonly steps: readonly Step[] }) {
  const step = steps.find(({ status }) => status === "running");
  return (
    <div class="now-text">
      <h2>{step === undefined ? "Between steps" : step.title}</h2>
      <p class="muted">What has to run is being found out.</p>
    </div>
  );
}

function Running({ current, seen, of }: { readonly current: Current; readonly seen: Seen | null; readonly of: number }) {
  const { step, statement } = current;
  const { progress } = statement;
  const share = progress === null ? null : shareOf(progress);
  const losses = seen?.losses ?? [];
  return (
    <>
      <div class="now-text">
        <h2>
          <code>{statement.label}</code>
        </h2>
        <p class="muted">
          {step.title}, step {step.number} of {of} · line {statement.line}
          {statement.seconds === null ? "" : ` · ${took(statement.seconds, true)} so far`}
        </p>
        {progress === null ? (
          <p class="now-phase">Begins.</p>
        ) : (
          <>
            <p class="now-phase">
              <span>{progress.phase}</span>
              <span class="muted">{leftOf(seen, share)}</span>
            </p>
            {share !== null && <Progress done={share.done} total={share.total} label={`${progress.phase}, ${share.of}`} />}
            <p class="now-counts">
              <span>{share === null ? rowsOnly(progress.rowsDone) : countsOf(share)}</span>
              {progress.loss !== null && (
                <span>
                  loss <b>{short(progress.loss)}</b>
                </span>
              )}
            </p>
          </>
        )}
      </div>
      {progress?.loss !== null && progress !== null && losses.length > 0 && (
        <div class="now-curve">
          <Plot
            label={`Loss of the iterations that this page has seen, the last ${short(losses.at(-1)?.[1] ?? 0)}`}
            height={CURVE_HEIGHT}
            series={[{ name: "loss", mark: losses.length < 30 ? "linedots" : "line", points: losses }]}
            x={{ min: Math.min(1, losses[0]?.[0] ?? 1), max: Math.max(2, progress.iterations ?? 2) }}
          />
        </div>
      )}
    </>
  );
}

function countsOf({ done, total, of }: Share): string {
  // Training may stop before the last iteration, where it no longer helps.
  if (of === "iterations") return `iteration ${count(done)} of at most ${count(total)}`;
  return `${count(done)} of ${counted(total, "row")} · ${percent(done / total)}`;
}

function rowsOnly(done: number): string {
  return done === 0 ? "" : counted(done, "row");
}

function leftOf(seen: Seen | null, share: Share | null): string {
  const ms = seen === null || share === null ? null : leftMs(seen, share.total);
  if (ms === null || share === null) return "";
  return `${about(ms)} left${share.of === "iterations" ? " at most" : ""}`;
}
