// How a model came to be: loss by iteration, and what it learnt from which column.

import { query } from "../api/client";
import { count, duration, short } from "../format";
import { Bars, type Bar } from "../plot/bars";
import { Plot } from "../plot/plot";
import { useLoad } from "../ui/load";
import { Await, Empty, Section, Table } from "../ui/parts";
import { asks, modelSql } from "./describe";
import type { ModelProps } from "./page";

/** Bars beyond these say little. */
const BARS_MAX = 24;

export function Training({ namespace, name, model }: ModelProps) {
  const source = modelSql(namespace, name, model.version);
  return (
    <>
      <div class="columns-2">
        <Loss source={source} />
        {asks(model).trees ? <Importance source={source} /> : <Weights source={source} />}
      </div>
      <Features source={source} />
    </>
  );
}

interface Iteration {
  readonly iteration: number;
  readonly loss: number;
  readonly eval_loss: number | null;
  readonly duration_ms: number;
}

function Loss({ source }: { readonly source: string }) {
  const loaded = useLoad(
    (signal) =>
      query<Iteration>(
        `SELECT iteration, loss, eval_loss, duration_ms FROM ML.TRAINING_INFO(${source}) ORDER BY iteration`,
        signal,
      ),
    [source],
  );
  return (
    <Section title="Loss by iteration">
      <Await of={loaded} what="the training">
        {(rows) => {
          const spent = rows.reduce((sum, row) => sum + row.duration_ms, 0);
          const last = rows.at(-1);
          if (last === undefined) return <Empty title="No iterations were recorded" />;
          const facts = `${count(rows.length)} ${rows.length === 1 ? "iteration" : "iterations"} in ${duration(spent)}; the last loss was ${short(last.loss)}${last.eval_loss === null ? "" : `, on held-out rows ${short(last.eval_loss)}`}.`;
          const heldOut = rows.filter((row) => row.eval_loss !== null);
          return (
            <>
              <p class="note">{facts}</p>
              {rows.length > 1 && (
                <Plot
                  label="Loss by iteration"
                  height={300}
                  xTitle="iteration"
                  series={[
                    { name: "training", mark: mark(rows), points: rows.map((row) => [row.iteration, row.loss] as const) },
                    ...(heldOut.length === 0
                      ? []
                      : [
                          {
                            name: "held out",
                            mark: mark(rows),
                            points: heldOut.map((row) => [row.iteration, row.eval_loss ?? Number.NaN] as const),
                          },
                        ]),
                  ]}
                />
              )}
            </>
          );
        }}
      </Await>
    </Section>
  );
}

function mark(rows: readonly unknown[]): "line" | "linedots" {
  return rows.length < 30 ? "linedots" : "line";
}

function Importance({ source }: { readonly source: string }) {
  const loaded = useLoad(
    (signal) =>
      query<{ feature: string; importance_gain: number; importance_weight: number }>(
        `SELECT feature, importance_gain, importance_weight FROM ML.FEATURE_IMPORTANCE(${source})
         ORDER BY importance_gain DESC`,
        signal,
      ),
    [source],
  );
  return (
    <Section title="Feature importance" note="The mean gain of the splits that use a feature, and how many there are.">
      <Await of={loaded} what="the importance">
        {(rows) => (
          <Bars
            label="Feature importance by gain"
            bars={rows.slice(0, BARS_MAX).map((row) => ({
              name: row.feature,
              value: row.importance_gain,
              text: (
                <span class="importance">
                  {short(row.importance_gain)} <span class="muted">{count(row.importance_weight)} splits</span>
                </span>
              ),
            }))}
          />
        )}
      </Await>
    </Section>
  );
}

interface Weight {
  readonly processed_input: string;
  readonly weight: number | null;
  readonly category_weights: readonly { readonly category: string; readonly weight: number }[] | null;
}

function Weights({ source }: { readonly source: string }) {
  const loaded = useLoad(
    (signal) => query<Weight>(`SELECT * FROM ML.WEIGHTS(${source}, STRUCT(TRUE AS standardize))`, signal),
    [source],
  );
  return (
    <Section title="Weights" note={`Standardised, so that they compare; the ${BARS_MAX} largest. Categories have a weight each.`}>
      <Await of={loaded} what="the weights">
        {(rows) => <Bars label="Weights, the largest first" bars={weightBars(rows)} />}
      </Await>
    </Section>
  );
}

function weightBars(rows: readonly Weight[]): Bar[] {
  const all = rows.flatMap(({ processed_input, weight, category_weights }) =>
    category_weights === null
      ? [{ name: processed_input, value: weight ?? 0 }]
      : category_weights.map((each) => ({ name: `${processed_input} = ${each.category}`, value: each.weight })),
  );
  return all
    .filter(({ name }) => name !== "__INTERCEPT__")
    .sort((a, b) => Math.abs(b.value) - Math.abs(a.value))
    .slice(0, BARS_MAX)
    .map(({ name, value }) => ({ name, value, text: Math.abs(value) < 1000 ? value.toFixed(3) : short(value) }));
}

interface FeatureInfo {
  readonly input: string;
  readonly min: number | null;
  readonly max: number | null;
  readonly mean: number | null;
  readonly median: number | null;
  readonly stddev: number | null;
  readonly category_count: number | null;
  readonly null_count: number | null;
}

function Features({ source }: { readonly source: string }) {
  const loaded = useLoad(
    (signal) => query<FeatureInfo>(`SELECT * FROM ML.FEATURE_INFO(${source})`, signal),
    [source],
  );
  const cell = (value: number | null) => <td class="right">{value === null ? "" : short(value, 6)}</td>;
  return (
    <Section title="Features as training saw them">
      <Await of={loaded} what="the features">
        {(rows) => (
          <Table label="Features">
            <thead>
              <tr>
                <th scope="col">Feature</th>
                {["Least", "Median", "Mean", "Greatest", "Std. deviation", "Categories", "Nulls"].map((title) => (
                  <th key={title} scope="col" class="right">
                    {title}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={row.input}>
                  <th scope="row">{row.input}</th>
                  {cell(row.min)}
                  {cell(row.median)}
                  {cell(row.mean)}
                  {cell(row.max)}
                  {cell(row.stddev)}
                  <td class="right">{row.category_count === null ? "" : count(row.category_count)}</td>
                  <td class="right">
                    {row.null_count === null ? "" : row.null_count === 0 ? <span class="muted">none</span> : count(row.null_count)}
                  </td>
                </tr>
              ))}
            </tbody>
          </Table>
        )}
      </Await>
    </Section>
  );
}
