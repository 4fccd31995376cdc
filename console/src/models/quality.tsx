// How good a model is on the rows that it has not seen.

import { query } from "../api/client";
import { count, measure, percent } from "../format";
import { Plot, type Series } from "../plot/plot";
import { useLoad } from "../ui/load";
import { Await, Empty, Figure, Section, Table } from "../ui/parts";
import { asks, modelSql } from "./describe";
import { measureTitle } from "./metrics";
import type { ModelProps } from "./page";

export function Quality(props: ModelProps) {
  const { namespace, model } = props;
  const { classifier, binary } = asks(model);
  const source = modelSql(namespace, props.name, model.version);
  if (model.metrics.size === 0) {
    return (
      <Empty title="No rows were held out, so nothing was measured">
        <p>ML.EVALUATE(MODEL {props.name}, TABLE t) measures it on rows of yours.</p>
      </Empty>
    );
  }
  return (
    <>
      <dl class="figures large">
        {[...model.metrics].map(([name, value]) => (
          <Figure key={name} name={measureTitle(name)} value={measure(value)} />
        ))}
      </dl>
      <div class="columns-2">
        {binary && <RocCurve source={source} auc={model.metrics.get("roc_auc")} />}
        {binary && <Calibration source={source} />}
        {classifier && <Confusion source={source} />}
      </div>
      {!classifier && <p class="note below">Curves are of classifiers; a regressor is told by the numbers above.</p>}
    </>
  );
}

const UNIT = { min: 0, max: 1 };

/** Something between 0 and 1 by something between 0 and 1, beside the diagonal. */
function UnitPlot({
  label,
  xTitle,
  yTitle,
  diagonal,
  series,
}: {
  readonly label: string;
  readonly xTitle: string;
  readonly yTitle: string;
  /** What the diagonal means. */
  readonly diagonal: string;
  readonly series: Series;
}) {
  return (
    <Plot
      label={label}
      height={290}
      x={UNIT}
      y={UNIT}
      xTitle={xTitle}
      yTitle={yTitle}
      series={[series, { name: diagonal, mark: "line", reference: true, points: [[0, 0], [1, 1]] }]}
    />
  );
}

function RocCurve({ source, auc }: { readonly source: string; readonly auc: number | undefined }) {
  const loaded = useLoad(
    (signal) =>
      query<{ recall: number; false_positive_rate: number }>(
        `SELECT recall, false_positive_rate FROM ML.ROC_CURVE(${source}) ORDER BY false_positive_rate, recall`,
        signal,
      ),
    [source],
  );
  return (
    <Section title="ROC curve" note={auc === undefined ? undefined : `The area below it is ${measure(auc)}; the diagonal's is 0.5.`}>
      <Await of={loaded} what="the ROC curve">
        {(rows) => (
          <UnitPlot
            label="ROC curve: recall by false positive rate"
            xTitle="false positive rate"
            yTitle="recall"
            diagonal="chance"
            series={{
              name: "recall",
              mark: "line",
              points: [[0, 0], ...rows.map((row) => [row.false_positive_rate, row.recall] as const), [1, 1]],
            }}
          />
        )}
      </Await>
    </Section>
  );
}

function Calibration({ source }: { readonly source: string }) {
  const loaded = useLoad(
    (signal) =>
      query<{ rows: number; mean_predicted: number | null; fraction_positive: number | null }>(
        `SELECT rows, mean_predicted, fraction_positive FROM ML.CALIBRATION(${source}) ORDER BY bin_start`,
        signal,
      ),
    [source],
  );
  return (
    <Section title="Calibration" note="How often what was predicted with a probability came true; on the diagonal, as often as it said.">
      <Await of={loaded} what="the calibration">
        {(rows) => (
          <UnitPlot
            label="Calibration: fraction of positives by mean predicted probability"
            xTitle="predicted probability"
            yTitle="came true"
            diagonal="as predicted"
            series={{
              name: "came true",
              mark: "linedots",
              points: rows
                .filter((row) => row.rows > 0)
                .map((row) => [row.mean_predicted ?? Number.NaN, row.fraction_positive ?? Number.NaN] as const),
            }}
          />
        )}
      </Await>
    </Section>
  );
}

function Confusion({ source }: { readonly source: string }) {
  const loaded = useLoad(
    (signal) => query<Record<string, unknown>>(`SELECT * FROM ML.CONFUSION_MATRIX(${source})`, signal),
    [source],
  );
  return (
    <Section title="Confusion matrix" note="Rows are what was true, columns what was predicted; shares are of the row.">
      <Await of={loaded} what="the confusion matrix">
        {(rows) => {
          const classes = Object.keys(rows[0] ?? {}).filter((key) => key !== "expected_label");
          return (
            <Table label="Confusion matrix" kind="confusion">
              <thead>
                <tr>
                  <th scope="col">True</th>
                  {classes.map((each) => (
                    <th key={each} scope="col" class="right">
                      predicted {each}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {rows.map((row) => {
                  const total = classes.reduce((sum, each) => sum + Number(row[each]), 0);
                  const label = String(row["expected_label"]);
                  return (
                    <tr key={label}>
                      <th scope="row">{label}</th>
                      {classes.map((each) => {
                        const share = total === 0 ? 0 : Number(row[each]) / total;
                        return (
                          <td
                            key={each}
                            class="right"
                            data-right={each === label}
                            style={{ "--share": String(Math.round(share * 60)) + "%" }}
                          >
                            {count(Number(row[each]))} <span>{percent(share)}</span>
                          </td>
                        );
                      })}
                    </tr>
                  );
                })}
              </tbody>
            </Table>
          );
        }}
      </Await>
    </Section>
  );
}
