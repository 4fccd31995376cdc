// What the lake holds, as information_schema and SHOW tell it. Loaded once and again after statements that may have
// changed it.

import { signal } from "@preact/signals";
import { query } from "../api/client";
import { asApiError, type ApiError } from "../api/error";

export interface CatalogColumn {
  readonly name: string;
  readonly type: string;
}

export interface Relation {
  readonly namespace: string;
  readonly name: string;
  /** table, external table or view */
  readonly kind: string;
  readonly columns: readonly CatalogColumn[];
}

export interface ModelEntry {
  readonly namespace: string;
  readonly name: string;
  readonly version: number;
  readonly type: string;
  readonly label: string;
  readonly rowsTrain: number;
  readonly rowsEval: number;
  readonly metrics: ReadonlyMap<string, number>;
  readonly created: string;
}

export interface Catalog {
  readonly relations: readonly Relation[];
  readonly models: readonly ModelEntry[];
}

export type CatalogState =
  | { readonly state: "loading" }
  | { readonly state: "failed"; readonly error: ApiError }
  | { readonly state: "ready"; readonly catalog: Catalog };

export const catalog = signal<CatalogState>({ state: "loading" });

/** What is known of the catalog now; nothing while it loads. */
export function known(): Catalog {
  return catalog.value.state === "ready" ? catalog.value.catalog : { relations: [], models: [] };
}

/** Reads the catalog; what was known stays until it is there. */
export async function loadCatalog(): Promise<void> {
  try {
    const namespaces = await query<{ namespace: string }>("SHOW SCHEMAS");
    const [relations, models] = await Promise.all([
      loadRelations(namespaces.map((row) => row.namespace)),
      loadModels(),
    ]);
    catalog.value = { state: "ready", catalog: { relations, models } };
  } catch (thrown) {
    catalog.value = { state: "failed", error: asApiError(thrown) };
  }
}

async function loadRelations(namespaces: readonly string[]): Promise<Relation[]> {
  const wanted = new Set(namespaces);
  const [tables, columns] = await Promise.all([
    query<{ table_schema: string; table_name: string; table_type: string }>(
      "SELECT table_schema, table_name, table_type FROM information_schema.tables ORDER BY 1, 2",
    ),
    query<{ table_schema: string; table_name: string; column_name: string; data_type: string }>(
      `SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns
       ORDER BY table_schema, table_name, ordinal_position`,
    ),
  ]);
  const byTable = new Map<string, CatalogColumn[]>();
  for (const { table_schema, table_name, column_name, data_type } of columns) {
    const key = JSON.stringify([table_schema, table_name]);
    const list = byTable.get(key) ?? [];
    list.push({ name: column_name, type: data_type });
    byTable.set(key, list);
  }
  return tables
    .filter((table) => wanted.has(table.table_schema))
    .map(({ table_schema, table_name, table_type }) => ({
      namespace: table_schema,
      name: table_name,
      kind: table_type === "VIEW" ? "view" : "table",
      columns: byTable.get(JSON.stringify([table_schema, table_name])) ?? [],
    }));
}

interface ShownModel {
  readonly namespace: string;
  readonly model: string;
  readonly version: number;
  readonly model_type: string;
  readonly label: string;
  readonly rows_train: number;
  readonly rows_eval: number;
  readonly metrics: string | null;
  readonly created: string;
}

async function loadModels(): Promise<ModelEntry[]> {
  const models = await query<ShownModel>("SHOW MODELS");
  return models.map((model) => ({
    namespace: model.namespace,
    name: model.model,
    version: model.version,
    type: model.model_type,
    label: model.label,
    rowsTrain: model.rows_train,
    rowsEval: model.rows_eval,
    metrics: metricsOf(model.metrics ?? ""),
    created: model.created,
  }));
}

/** `precision=0.6399, recall=0.1164` as a map. */
export function metricsOf(text: string): Map<string, number> {
  const metrics = new Map<string, number>();
  for (const part of text.split(",")) {
    const [name = "", value = ""] = part.split("=");
    if (name.trim() !== "" && value.trim() !== "") metrics.set(name.trim(), Number(value));
  }
  return metrics;
}
