// How far what models predicted lately is from what they were trained on: the tables of --log-predictions, compared by
// ML.VALIDATE_DATA_SKEW.

import { useState } from "preact/hooks";
import { query } from "../api/client";
import { catalog, type ModelEntry } from "../catalog/store";
import { counted, measure } from "../format";
import { modelSql } from "../models/describe";
import { Bars } from "../plot/bars";
import { modelHref } from "../route";
import { DEFAULT_NAMESPACE, relation } from "../sql/quote";
import { useLoad } from "../ui/load";
import { Await, Section } from "../ui/parts";

const NAMESPACE = "predictions";

const WINDOWS = [
  ["1 hour", "the last hour"],
  ["1 day", "the last day"],
  ["7 days", "the last 7 days"],
  ["30 days", "the last 30 days"],
] as const;

/** A model, and the table that its predictions are kept in. */
interface Watched {
  readonly model: ModelEntry;
  readonly table: string;
}

/** The models whose predictions are kept. */
export function watched(models: readonly ModelEntry[], tables: ReadonlySet<string>): Watched[] {
  return models
    .map((model) => ({
      model,
      table: model.namespace === DEFAULT_NAMESPACE ? model.name : `${model.namespace}_${model.name}`,
    }))
    .filter(({ table }) => tables.has(table));
}

export function Drift() {
  const [window, setWindow] = useState<string>(WINDOWS[2][0]);
  if (catalog.value.state !== "ready") return null;
  const { models, relations } = catalog.value.catalog;
  const tables = relations.filter(({ namespace }) => namespace === NAMESPACE).map(({ name }) => name);
  const all = watched(models, new Set(tables));
  return (
    <Section
      title="Drift of features"
      note="How far the rows of requests are from those of training: 0 is as in training, 1 is nothing in common. A bar beyond its mark is an anomaly."
    >
      {all.length === 0 ? (
        <p class="note">
          No predictions are kept. <code>lakemill serve --log-predictions 0.1</code> keeps one request in ten.
        </p>
      ) : (
        <>
          <label class="drift-window">
            Requests of{" "}
            <select value={window} onChange={(event) => setWindow(event.currentTarget.value)}>
              {WINDOWS.map(([value, title]) => (
                <option key={value} value={value}>
                  {title}
                </option>
              ))}
            </select>
          </label>
          <div class="columns-2">
            {all.map((each) => (
              <ModelDrift key={each.table} {...each} window={window} />
            ))}
          </div>
        </>
      )}
    </Section>
  );
}

interface Deviation {
  readonly input: string;
  readonly threshold: number;
  readonly value: number | null;
  readonly is_anomaly: boolean | null;
}

function ModelDrift({ model, table, window }: Watched & { readonly window: string }) {
  const full = relation(model.namespace, model.name);
  const loaded = useLoad(
    async (signal) => {
      const rows = `FROM ${relation(NAMESPACE, table)} WHERE predicted_at > now() - INTERVAL '${window}'`;
      const counts = await query<{ rows: number }>(`SELECT count(*) AS rows ${rows}`, signal);
      const deviations = await query<Deviation>(
        `SELECT input, threshold, value, is_anomaly
         FROM ML.VALIDATE_DATA_SKEW(${modelSql(model.namespace, model.name, null)}, (SELECT * ${rows}))
         ORDER BY value DESC NULLS LAST, input`,
        signal,
      );
      return { rows: counts[0]?.rows ?? 0, deviations };
    },
    [full, model.version, window],
  );
  return (
    <div class="drift">
      <h3>
        <a href={modelHref(model.namespace, model.name)}>{full}</a>
      </h3>
      <Await of={loaded} what={`the predictions of ${full}`}>
        {({ rows, deviations }) =>
          rows === 0 ? (
            <p class="note">No requests in this time.</p>
          ) : (
            <>
              <p class="note">
                {counted(rows, "row")}
                {deviations.some((each) => each.is_anomaly === true) ? "" : "; none of the features is far from training"}
              </p>
              <Bars
                label={`Drift of the features of ${full}`}
                max={1}
                bars={deviations.map(({ input, threshold, value, is_anomaly }) => ({
                  name: input,
                  value: value ?? 0,
                  mark: threshold,
                  alarm: is_anomaly === true,
                  text: value === null ? "unknown" : `${measure(value)}${is_anomaly === true ? " anomaly" : ""}`,
                }))}
              />
            </>
          )
        }
      </Await>
    </div>
  );
}
