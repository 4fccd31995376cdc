// All models, the newest version of each.

import { catalog, loadCatalog } from "../catalog/store";
import { openText } from "../editor/tabs";
import { ago, count, measure, timestamp } from "../format";
import { goTo, modelHref } from "../route";
import { Empty, Problem, Table, Waiting } from "../ui/parts";
import { measureTitle } from "./metrics";

const EXAMPLE = `CREATE MODEL my_model
OPTIONS (model_type = 'BOOSTED_TREE_CLASSIFIER', input_label_cols = ['label'])
AS SELECT * FROM my_table`;

export function ModelsPage() {
  const state = catalog.value;
  if (state.state === "loading") return <Waiting what="the models" />;
  if (state.state === "failed") return <Problem error={state.error} retry={() => void loadCatalog()} />;
  const { models } = state.catalog;
  // Classifiers and regressors have other measures; a column for each that some model has.
  const measures = [...new Set(models.flatMap((model) => [...model.metrics.keys()]))];
  return (
    <article class="page">
      <header class="page-head">
        <div>
          <h1>Models</h1>
          <p class="page-facts">
            <span>The newest version of each; measures are those of the rows held out from training.</span>
          </p>
        </div>
      </header>
      {models.length === 0 ? (
        <Empty title="No models yet">
          <p>A model is made by a query.</p>
          <button
            type="button"
            class="button"
            onClick={() => {
              openText(EXAMPLE);
              goTo({ page: "sql" });
            }}
          >
            Write one
          </button>
        </Empty>
      ) : (
        <Table label="Models">
          <thead>
            <tr>
              <th scope="col">Model</th>
              <th scope="col" class="right">
                Version
              </th>
              <th scope="col" class="right">
                Rows trained
              </th>
              {measures.map((name) => (
                <th key={name} scope="col" class="right">
                  {measureTitle(name)}
                </th>
              ))}
              <th scope="col">Made</th>
            </tr>
          </thead>
          <tbody>
            {models.map((model) => (
              <tr key={`${model.namespace}.${model.name}`}>
                <th scope="row">
                  <a href={modelHref(model.namespace, model.name)}>{model.name}</a>
                  <span class="muted">
                    {typeTitle(model.type)}, predicts {model.label}
                    {model.namespace !== "main" && `, in ${model.namespace}`}
                  </span>
                </th>
                <td class="right">{model.version}</td>
                <td class="right">{count(model.rowsTrain)}</td>
                {measures.map((name) => {
                  const value = model.metrics.get(name);
                  return (
                    <td key={name} class="right">
                      {value === undefined ? "" : measure(value)}
                    </td>
                  );
                })}
                <td class="nowrap muted" title={`${timestamp(model.created)} UTC`}>
                  {ago(model.created)}
                </td>
              </tr>
            ))}
          </tbody>
        </Table>
      )}
    </article>
  );
}

/** `BOOSTED_TREE_CLASSIFIER` as people say it. */
export function typeTitle(type: string): string {
  const known: Readonly<Record<string, string>> = {
    LINEAR_REG: "Linear regression",
    LOGISTIC_REG: "Logistic regression",
    BOOSTED_TREE_CLASSIFIER: "Boosted trees, classifier",
    BOOSTED_TREE_REGRESSOR: "Boosted trees, regressor",
  };
  return known[type] ?? type;
}
