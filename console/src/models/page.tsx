// One model: how good it is, a prediction to try, its training, versions, lineage and options.

import { catalog } from "../catalog/store";
import { ago, count, timestamp } from "../format";
import { Lineage } from "../lineage/page";
import { goTo, MODEL_VIEWS, modelHref, type Route } from "../route";
import { useLoad } from "../ui/load";
import { Await, Empty, Figure, ViewLinks } from "../ui/parts";
import { describeModel, type DescribedModel } from "./describe";
import { typeTitle } from "./list";
import { Options } from "./options";
import { Predict } from "./predict";
import { Quality } from "./quality";
import { Training } from "./training";
import { Versions } from "./versions";

type ModelRoute = Extract<Route, { page: "model" }>;

export function ModelPage({ route }: { readonly route: ModelRoute }) {
  const { namespace, name, version } = route;
  const loaded = useLoad((signal) => describeModel(namespace, name, version, signal), [namespace, name, version]);
  return (
    <article class="page">
      {loaded.state === "failed" && loaded.error.code === "not_found" ? (
        <Empty title={`There is no model ${name}${version === null ? "" : ` of version ${version}`} in ${namespace}`}>
          <p>It may have been dropped. The catalog lists what there is.</p>
        </Empty>
      ) : (
        <Await of={loaded} what={`the model ${name}`}>
          {(model) => <Described route={route} model={model} />}
        </Await>
      )}
    </article>
  );
}

function Described({ route, model }: { readonly route: ModelRoute; readonly model: DescribedModel }) {
  const { namespace, name, view } = route;
  const state = catalog.value;
  const entry =
    state.state === "ready"
      ? state.catalog.models.find((each) => each.namespace === namespace && each.name === name)
      : undefined;
  const rows = (fact: string): string => count(Number(model.facts.get(fact) ?? 0));
  const isNewest = model.version === model.versions;
  return (
    <>
      <header class="page-head">
        <div>
          <p class="page-kind">model in {namespace}</p>
          <h1>{name}</h1>
          <p class="page-facts">
            <span>{typeTitle(model.type)}</span>
            <span>
              predicts <code>{model.label}</code>
            </span>
            {isNewest && entry !== undefined && (
              <span title={`${timestamp(entry.created)} UTC`}>made {ago(entry.created)}</span>
            )}
          </p>
        </div>
        <label class="version-choice">
          Version
          <select
            value={model.version}
            onChange={(event) => {
              const chosen = Number(event.currentTarget.value);
              goTo({ ...route, version: chosen === model.versions ? null : chosen });
            }}
          >
            {Array.from({ length: model.versions }, (_, index) => model.versions - index).map((each) => (
              <option key={each} value={each}>
                {each === model.versions ? `${each} (newest)` : each}
              </option>
            ))}
          </select>
        </label>
      </header>
      <dl class="figures">
        <Figure name="Rows trained on" value={rows("rows_train")} />
        <Figure name="Rows held out" value={rows("rows_eval")} />
        <Figure name="Iterations" value={rows("iterations")} />
        <Figure name="Features" value={String(model.features.length)} />
      </dl>
      <ViewLinks
        label={`Views of ${name}`}
        current={view}
        links={MODEL_VIEWS.map((each) => ({
          view: each,
          title: each[0]!.toUpperCase() + each.slice(1),
          href: modelHref(namespace, name, each, route.version),
        }))}
      />
      {view === "quality" && <Quality key={model.version} namespace={namespace} name={name} model={model} />}
      {view === "predict" && <Predict key={model.version} namespace={namespace} name={name} model={model} />}
      {view === "training" && <Training key={model.version} namespace={namespace} name={name} model={model} />}
      {view === "versions" && <Versions namespace={namespace} name={name} versions={model.versions} />}
      {view === "lineage" && <Lineage root={{ kind: "model", namespace, name }} />}
      {view === "options" && <Options model={model} />}
    </>
  );
}

/** What the views of a model are given. */
export interface ModelProps {
  readonly namespace: string;
  readonly name: string;
  readonly model: DescribedModel;
}
