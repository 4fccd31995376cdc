// The versions of a model side by side: measures, and the options that differ.

import { count, measure } from "../format";
import { modelHref } from "../route";
import { useLoad } from "../ui/load";
import { Await, Section, Table } from "../ui/parts";
import { describeModel, type DescribedModel } from "./describe";
import { bestOf, measureTitle } from "./metrics";

/** More do not fit side by side; the newest are shown. */
const VERSIONS_MAX = 8;

interface Props {
  readonly namespace: string;
  readonly name: string;
  readonly versions: number;
}

export function Versions({ namespace, name, versions }: Props) {
  const loaded = useLoad(
    (signal) =>
      Promise.all(
        Array.from({ length: Math.min(versions, VERSIONS_MAX) }, (_, index) =>
          describeModel(namespace, name, versions - index, signal),
        ),
      ),
    [namespace, name, versions],
  );
  return (
    <Await of={loaded} what="the versions">
      {(models) => (
        <>
          <Section title="Measures on held-out rows" note={noteOn(versions)}>
            <Compared namespace={namespace} name={name} models={models} rows={measureRows(models)} />
          </Section>
          <Section title="Training and options that differ">
            <Compared namespace={namespace} name={name} models={models} rows={differingRows(models)} />
          </Section>
        </>
      )}
    </Await>
  );
}

function noteOn(versions: number): string {
  const shown = versions > VERSIONS_MAX ? ` The newest ${VERSIONS_MAX} of ${versions} are shown.` : "";
  return `The better value of a row is in bold. Versions may have held out other rows: compare with care.${shown}`;
}

interface ComparedRow {
  readonly title: string;
  readonly cells: readonly string[];
  readonly best: number | null;
}

function measureRows(models: readonly DescribedModel[]): ComparedRow[] {
  const names = [...new Set(models.flatMap((model) => [...model.metrics.keys()]))];
  return names.map((name) => {
    const values = models.map((model) => model.metrics.get(name));
    return {
      title: measureTitle(name),
      cells: values.map((value) => (value === undefined ? "" : measure(value))),
      best: bestOf(name, values),
    };
  });
}

const FACTS: readonly (readonly [fact: string, title: string])[] = [
  ["rows_train", "Rows trained on"],
  ["rows_eval", "Rows held out"],
  ["iterations", "Iterations"],
  ["transform", "Transform"],
];

/** Numbers with their thousands apart, other texts as they are. */
function factText(text: string): string {
  return /^\d+$/.test(text) ? count(Number(text)) : text;
}

function differingRows(models: readonly DescribedModel[]): ComparedRow[] {
  const facts = FACTS.map(([fact, title]) => ({
    title,
    cells: models.map((model) => factText(model.facts.get(fact) ?? "")),
    best: null,
  }));
  const names = [...new Set(models.flatMap((model) => model.options.map((option) => option.name)))];
  const options = names.map((option) => ({
    title: option,
    cells: models.map((model) => model.options.find((each) => each.name === option)?.value ?? ""),
    best: null,
  }));
  const queries = { title: "Query", cells: models.map((model) => model.query ?? ""), best: null };
  return [...facts, ...options, queries].filter(({ title, cells }) => new Set(cells).size > 1 || title === "Rows trained on");
}

function Compared({
  namespace,
  name,
  models,
  rows,
}: {
  readonly namespace: string;
  readonly name: string;
  readonly models: readonly DescribedModel[];
  readonly rows: readonly ComparedRow[];
}) {
  return (
    <Table label="Versions compared" kind="facts compared">
      <thead>
        <tr>
          <td />
          {models.map(({ version }) => (
            <th key={version} scope="col" class="right">
              <a href={modelHref(namespace, name, "quality", version)}>version {version}</a>
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map(({ title, cells, best }) => (
          <tr key={title}>
            <th scope="row">{title}</th>
            {cells.map((cell, index) => (
              <td key={index} class="right" data-best={index === best}>
                {cell}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </Table>
  );
}
