// Steps and their statements under a common scale of time.

import { known } from "../catalog/store";
import { count } from "../format";
import { failureOf, type Run, type Statement, type Step } from "./describe";
import { scaleOf, type Scale, type Span, type StepSpans } from "./spans";
import { Mark } from "./status";
import { hrefOf } from "./things";
import { took } from "./took";

export function Timeline({ run, steps }: { readonly run: Run; readonly steps: readonly Step[] }) {
  const scale = scaleOf(run, steps);
  const error = run.error === null ? "" : failureOf(run.error).message;
  return (
    <div class="timeline">
      <div class="timeline-head timeline-row" aria-hidden="true">
        <span />
        <span>Step</span>
        <span class="timeline-scale">
          <span>0</span>
          <span>{took(scale.seconds, run.status === "running")}</span>
        </span>
        <span class="right timeline-took">Took</span>
        <span class="right timeline-rows">Rows</span>
      </div>
      <ol aria-label="Steps">
        {steps.map((step, index) => (
          <StepItem key={step.number} step={step} spans={scale.steps[index]!} scale={scale} error={error} />
        ))}
      </ol>
    </div>
  );
}

interface StepProps {
  readonly step: Step;
  readonly spans: StepSpans;
  readonly scale: Scale;
  /** What the run failed of. */
  readonly error: string;
}

function StepItem({ step, spans, scale, error }: StepProps) {
  const idle = spans.step === null;
  return (
    <li class="timeline-step" data-status={step.status} data-idle={idle}>
      <div class="timeline-row">
        <Mark status={step.status} />
        <h3 class="timeline-name" title={step.id}>
          {step.number}. {step.title}
          <span class={step.status === "done" ? "hidden" : "timeline-status"}>{step.status}</span>
        </h3>
        <Bar span={spans.step} scale={scale} status={step.status} />
        <span class="right timeline-took">{spans.step === null ? "" : tookOf(step, spans.step)}</span>
        <span class="right timeline-rows">{step.rows === 0 ? "" : rowsText(step.rows)}</span>
      </div>
      {step.statements.length > 0 && (
        <ol class="timeline-statements" aria-label={`Statements of ${step.title}`}>
          {step.statements.map((statement, index) => (
            <StatementItem
              key={`${statement.line} ${index}`}
              statement={statement}
              span={spans.statements[index]!}
              scale={scale}
              error={error}
            />
          ))}
        </ol>
      )}
    </li>
  );
}

interface StatementProps {
  readonly statement: Statement;
  readonly span: Span;
  readonly scale: Scale;
  readonly error: string;
}

function StatementItem({ statement, span, scale, error }: StatementProps) {
  const { label, line, reason, status, rows } = statement;
  const message = status === "failed" && statement.message === "" ? error : statement.message;
  const to = hrefOf(label, known());
  return (
    <li class="timeline-statement" data-status={status}>
      <div class="timeline-row">
        {status === "done" ? <span /> : <Mark status={status} />}
        <span class="timeline-name">
          <code>{to === null || status !== "done" ? label : <a href={to}>{label}</a>}</code>{" "}
          <span class="muted nowrap">line {line}</span>
          <span class={status === "done" ? "hidden" : "timeline-status"}>{status}</span>
        </span>
        <Bar span={span} scale={scale} status={status} />
        <span class="right timeline-took">{tookOf(statement, span)}</span>
        <span class="right timeline-rows">{rows === null ? "" : rowsText(rows)}</span>
      </div>
      {(reason !== "" || message !== "") && (
        <p class="timeline-why">
          {reason !== "" && <span>why: {reason}</span>}
          {message !== "" && <span class={status === "failed" ? "bad" : undefined}>{message}</span>}
        </p>
      )}
    </li>
  );
}

/** Of what was interrupted nobody knows. */
function tookOf({ seconds, status }: Step | Statement, span: Span): string {
  return status === "running" ? took(span.seconds, true) : took(seconds, false);
}

function rowsText(rows: number) {
  return (
    <>
      {count(rows)}
      <span class="unit"> {rows === 1 ? "row" : "rows"}</span>
    </>
  );
}

function Bar({ span, scale, status }: { readonly span: Span | null; readonly scale: Scale; readonly status: string }) {
  const share = (seconds: number): string => `${scale.seconds > 0 ? (seconds / scale.seconds) * 100 : 0}%`;
  return (
    <span class="timeline-track" aria-hidden="true">
      {span !== null && (
        <span class="timeline-bar" data-status={status} style={{ left: share(span.start), width: share(span.seconds) }} />
      )}
    </span>
  );
}
