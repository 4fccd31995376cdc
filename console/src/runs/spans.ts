// Where the bars of a run stand on its scale of time. Steps and statements run one after the other, so each begins where
// the one before it has ended.

import type { Run, Statement, Step } from "./describe";

export interface Span {
  /** Seconds since the run began. */
  readonly start: number;
  readonly seconds: number;
}

export interface StepSpans {
  /** Null for a step that took no time in this run. */
  readonly step: Span | null;
  /** One for each statement. */
  readonly statements: readonly Span[];
}

export interface Scale {
  /** Seconds that the whole width stands for. */
  readonly seconds: number;
  readonly steps: readonly StepSpans[];
}

export function scaleOf(run: Run, steps: readonly Step[]): Scale {
  const now = run.seconds ?? 0;
  let end = 0;
  const spans = steps.map((step) => {
    const start = end;
    const statements = statementSpans(step.statements, start, now);
    const inside = (statements.at(-1)?.start ?? start) + (statements.at(-1)?.seconds ?? 0) - start;
    const began = step.status === "running" || step.statements.length > 0 || (step.seconds ?? 0) > 0;
    const seconds = step.seconds ?? (step.status === "running" ? Math.max(inside, now - start) : inside);
    end = start + seconds;
    return { step: began ? { start, seconds } : null, statements };
  });
  return { seconds: Math.max(now, end), steps: spans };
}

function statementSpans(statements: readonly Statement[], from: number, now: number): Span[] {
  let end = from;
  return statements.map(({ seconds, status }) => {
    const start = end;
    const own = seconds ?? (status === "running" ? Math.max(0, now - start) : 0);
    end = start + own;
    return { start, seconds: own };
  });
}
