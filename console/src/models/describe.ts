// What DESCRIBE MODEL says, in the parts that pages show.

import { query } from "../api/client";
import type { Field } from "../api/client";
import { relation } from "../sql/quote";

export interface DescribedOption {
  readonly name: string;
  readonly value: string;
  readonly isDefault: boolean;
}

export interface DescribedModel {
  readonly version: number;
  readonly versions: number;
  readonly type: string;
  readonly label: string;
  /** Everything of the section `model`, in the server's order. */
  readonly facts: ReadonlyMap<string, string>;
  readonly features: readonly Field[];
  readonly options: readonly DescribedOption[];
  readonly metrics: ReadonlyMap<string, number>;
  /** The query that gave the training rows. */
  readonly query: string | null;
}

interface DescribeRow {
  readonly section: string;
  readonly name: string;
  readonly value: string;
}

/** `MODEL m VERSION AS OF 2`, or the newest one. */
export function modelSql(namespace: string, name: string, version: number | null): string {
  return `MODEL ${relation(namespace, name)}${version === null ? "" : ` VERSION AS OF ${version}`}`;
}

export async function describeModel(
  namespace: string,
  name: string,
  version: number | null,
  signal?: AbortSignal,
): Promise<DescribedModel> {
  return fromRows(await query<DescribeRow>(`DESCRIBE ${modelSql(namespace, name, version)}`, signal));
}

export function fromRows(rows: readonly DescribeRow[]): DescribedModel {
  const section = (wanted: string): DescribeRow[] => rows.filter((row) => row.section === wanted);
  const facts = new Map(section("model").map(({ name, value }) => [name, value] as const));
  const [version = 0, versions = 0] = (facts.get("version") ?? "").split(" of ").map(Number);
  return {
    version,
    versions,
    type: facts.get("type") ?? "",
    label: facts.get("label") ?? "",
    facts,
    features: section("feature").map(({ name, value }) => ({ name, type: value })),
    options: section("option").map(({ name, value }) => {
      const isDefault = value.endsWith(" (default)");
      return { name, value: isDefault ? value.slice(0, -" (default)".length) : value, isDefault };
    }),
    metrics: new Map(section("held-out metric").map(({ name, value }) => [name, Number(value)] as const)),
    query: section("lineage").find(({ name }) => name === "query")?.value ?? null,
  };
}

/** What models of this type can be asked. */
export function asks(model: DescribedModel): {
  readonly classifier: boolean;
  readonly binary: boolean;
  readonly trees: boolean;
} {
  const classifier = /CLASSIFIER|LOGISTIC/.test(model.type);
  const classes = (model.facts.get("classes") ?? "").split(", ").length;
  return { classifier, binary: classifier && classes === 2, trees: model.type.startsWith("BOOSTED_TREE") };
}
