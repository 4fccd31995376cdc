// The serving page: what the server does now, read from /metrics every two seconds, and how requests drift.

import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { bytes, count, duration, short } from "../format";
import { Plot, type Series as Line } from "../plot/plot";
import { Figure, Problem, Section, Table, Waiting } from "../ui/parts";
import { Drift } from "./drift";
import { quantile } from "./histogram";
import { EVERY_MS, followMetrics, gauge, labelValues, observed, quantiles, rate, readings, total, type Reading, type Series } from "./readings";

const PLOT_HEIGHT = 190;
/** The least stretch of time that charts show, so that they do not race at the beginning. */
const WINDOW_MS = 60_000;

export function ServingPage() {
  useEffect(followMetrics, []);
  const { list, error } = readings.value;
  const last = list.at(-1);
  return (
    <article class="page">
      <header class="page-head">
        <div>
          <h1>Serving</h1>
          <p class="page-facts">
            <span>Read every {EVERY_MS / 1000} seconds while this page is seen; these readings are counted too.</span>
          </p>
        </div>
      </header>
      {error !== null && <Problem error={error} />}
      {last === undefined ? error === null && <Waiting what="the metrics" /> : <Metrics list={list} last={last} />}
      <Drift />
    </article>
  );
}

function Metrics({ list, last }: { readonly list: readonly Reading[]; readonly last: Reading }) {
  const connections = labelValues(list, "lakemill_connections", "protocol");
  return (
    <>
      <dl class="figures large">
        <Figure name="Requests per second" value={short(latest(rate(list, "lakemill_http_requests_total")), 3)} />
        <Figure name="Statements running" value={count(total(last, "lakemill_statements_running"))} />
        <Figure name="Statements waiting" value={count(total(last, "lakemill_statements_waiting"))} />
        <Figure
          name="Connections"
          value={count(total(last, "lakemill_connections"))}
          note={connections
            .map((protocol) => `${count(total(last, "lakemill_connections", (labels) => labels["protocol"] === protocol))} ${protocol}`)
            .join(", ")}
        />
        <Figure name="Memory of statements" value={bytes(total(last, "lakemill_memory_bytes"))} />
      </dl>
      <div class="columns-2">
        <Requests list={list} />
        <Latency list={list} name="lakemill_statement_seconds" title="Latency of statements" />
        <Section title="Statements">
          <Chart
            label="Statements running and waiting"
            series={[
              line("running", gauge(list, "lakemill_statements_running")),
              line("waiting", gauge(list, "lakemill_statements_waiting")),
            ]}
            format={(value) => short(value)}
            least={4}
          />
        </Section>
        <Section title="Memory of statements">
          <Chart
            label="Memory"
            series={[line("memory", gauge(list, "lakemill_memory_bytes"))]}
            format={bytes}
            least={1_000_000}
          />
        </Section>
        <Predictions list={list} />
        <Latency list={list} name="lakemill_prediction_seconds" title="Latency of :predict" />
      </div>
      <Outcomes last={last} />
    </>
  );
}

function line(name: string, points: Series): Line {
  return { name, mark: "line", points };
}

/** Without what was silent all the time: a line at zero says nothing. */
function active(lines: readonly Line[]): Line[] {
  return lines.filter(({ points }) => points.some(([, value]) => value > 0));
}

function latest(series: Series): number {
  return series.at(-1)?.[1] ?? 0;
}

function Chart({
  label,
  series,
  format,
  least,
  legend = series.length > 1,
}: {
  readonly label: string;
  readonly series: readonly Line[];
  readonly format: (value: number) => string;
  readonly least: number;
  readonly legend?: boolean;
}) {
  const ends = series.flatMap(({ points }) => points.map(([at]) => at));
  const max = ends.length === 0 ? Date.now() : Math.max(...ends);
  const min = Math.min(max - WINDOW_MS, ...ends);
  return (
    <Plot
      label={label}
      series={series}
      height={PLOT_HEIGHT}
      x={{ min, max }}
      xIsTime
      zero
      yLeast={least}
      format={format}
      legend={legend}
    />
  );
}

function Requests({ list }: { readonly list: readonly Reading[] }) {
  const name = "lakemill_http_requests_total";
  const paths = labelValues(list, name, "path");
  return (
    <Section title="HTTP requests per second, by route">
      <Chart
        label="Requests per second by route"
        series={active(paths.map((path) => line(path, rate(list, name, (labels) => labels["path"] === path))))}
        format={(value) => short(value, 3)}
        least={1}
        legend
      />
    </Section>
  );
}

const QUANTILES = [
  [0.5, "p50"],
  [0.95, "p95"],
  [0.99, "p99"],
] as const;

function Latency({ list, name, title }: { readonly list: readonly Reading[]; readonly name: string; readonly title: string }) {
  const all = observed(list, name);
  const sinceStart = QUANTILES.map(([q, label]) => [label, quantile(all, q)] as const);
  const asTime = (seconds: number): string => (seconds === 0 ? "0" : duration(seconds * 1000));
  return (
    <Section title={title}>
      {all.length === 0 ? (
        <Quiet>None yet since the server started.</Quiet>
      ) : (
        <>
          <p class="note">
            Since the start:{" "}
            {sinceStart.map(([label, value]) => `${label} ${value === null ? "none" : asTime(value)}`).join(", ")}
          </p>
          <Chart
            label={title}
            series={QUANTILES.map(([q, label]) => ({ ...line(label, quantiles(list, name, q)), mark: "linedots" as const }))}
            format={asTime}
            least={0.01}
          />
        </>
      )}
    </Section>
  );
}

function Predictions({ list }: { readonly list: readonly Reading[] }) {
  const name = "lakemill_predictions_total";
  const models = labelValues(list, name, "model");
  return (
    <Section title="Predictions per second, by model">
      {models.length === 0 ? (
        <Quiet>None yet since the server started.</Quiet>
      ) : (
        <Chart
          label="Predictions per second by model"
          series={active(models.map((model) => line(model, rate(list, name, (labels) => labels["model"] === model))))}
          format={(value) => short(value, 3)}
          least={1}
          legend
        />
      )}
    </Section>
  );
}

function Quiet({ children }: { readonly children: ComponentChildren }) {
  return (
    <p class="quiet-chart" style={{ height: `${PLOT_HEIGHT}px` }}>
      {children}
    </p>
  );
}

/** Counters since the server started. */
function Outcomes({ last }: { readonly last: Reading }) {
  const statements = last.samples.filter(({ name }) => name === "lakemill_statements_total");
  const requests = last.samples.filter(({ name }) => name === "lakemill_http_requests_total");
  const predictions = last.samples.filter(({ name }) => name === "lakemill_predictions_total");
  return (
    <div class="columns-2">
      <Section title="Statements since the start">
        <Counts
          heads={["Protocol", "Outcome"]}
          rows={statements.map(({ labels, value }) => [labels["protocol"] ?? "", labels["outcome"] ?? "", value])}
        />
      </Section>
      <Section title="HTTP requests since the start">
        <Counts
          heads={["Route", "Status"]}
          rows={requests.map(({ labels, value }) => [labels["path"] ?? "", labels["status"] ?? "", value])}
        />
      </Section>
      {predictions.length > 0 && (
        <Section title="Predictions since the start">
          <Counts heads={["Model", ""]} rows={predictions.map(({ labels, value }) => [labels["model"] ?? "", "", value])} />
        </Section>
      )}
    </div>
  );
}

function Counts({
  heads,
  rows,
}: {
  readonly heads: readonly [string, string];
  readonly rows: readonly (readonly [string, string, number])[];
}) {
  if (rows.length === 0) return <p class="note">None yet.</p>;
  const sorted = [...rows].sort((a, b) => b[2] - a[2]);
  return (
    <Table label={`By ${heads[0].toLowerCase()}`}>
      <thead>
        <tr>
          <th scope="col">{heads[0]}</th>
          <th scope="col">{heads[1]}</th>
          <th scope="col" class="right">
            Number
          </th>
        </tr>
      </thead>
      <tbody>
        {sorted.map(([first, second, value]) => (
          <tr key={`${first} ${second}`}>
            <th scope="row">{first}</th>
            <td>{second.replaceAll("_", " ")}</td>
            <td class="right">{count(value)}</td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}
