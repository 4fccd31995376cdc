// What the editor proposes: tables, their columns, models, functions.

import type { Completion, CompletionContext, CompletionResult, CompletionSource } from "@codemirror/autocomplete";
import type { SQLNamespace } from "@codemirror/lang-sql";
import { query } from "../api/client";
import { known, type Catalog } from "../catalog/store";
import { DEFAULT_NAMESPACE, identifier } from "../sql/quote";
import { ML_FUNCTIONS } from "./dialect";

/** Tables and columns in the form that the SQL mode completes after dots and aliases. */
export function namespaceOf(catalog: Catalog): SQLNamespace {
  const schemas: Record<string, Record<string, SQLNamespace>> = {};
  for (const relation of catalog.relations) {
    const schema = (schemas[relation.namespace] ??= {});
    schema[escaped(relation.name)] = {
      self: { label: relation.name, apply: identifier(relation.name), type: "class", detail: relation.kind },
      children: relation.columns.map((column) => ({
        label: column.name,
        apply: identifier(column.name),
        type: "property",
        detail: column.type,
      })),
    };
  }
  return schemas;
}

/** The SQL mode reads dots in names as paths. */
function escaped(name: string): string {
  return name.replaceAll(".", "\\.");
}

let functions: Promise<readonly Completion[]> | null = null;

/** All functions of the server, asked for once. */
function loadFunctions(): Promise<readonly Completion[]> {
  functions ??= query<{ name: string; syntax: string | null; about: string | null; kind: string | null }>(
    `SELECT routine_name AS name, min(syntax_example) AS syntax, min(description) AS about, min(function_type) AS kind
     FROM information_schema.routines GROUP BY routine_name ORDER BY routine_name`,
  ).then(
    (rows) =>
      rows
        .filter((row) => /^[a-z_][a-z0-9_]*$/i.test(row.name))
        .map((row) => ({
          label: row.name,
          apply: `${row.name}(`,
          type: "function",
          detail: row.kind?.toLowerCase() ?? "",
          info: [row.syntax, row.about].filter(Boolean).join("\n\n"),
        })),
    () => {
      // Asked again at the next key; without functions, the rest is still proposed.
      functions = null;
      return [];
    },
  );
  return functions;
}

/** Columns of the tables that the text names, models after MODEL, functions. */
export const completeNames: CompletionSource = async (context): Promise<CompletionResult | null> => {
  const ml = context.matchBefore(/\bML\.\w*/i);
  if (ml !== null) {
    return { from: ml.from, options: mlFunctions(), validFor: /^ML\.\w*$/i };
  }
  const word = context.matchBefore(/[\w$]+/);
  const from = word?.from ?? context.pos;
  const before = context.state.sliceDoc(Math.max(0, from - 200), from);
  if (/\bMODEL\s+$/i.test(before)) return { from, options: models(), validFor: /^\w*$/ };
  if (word === null && !context.explicit) return null;
  if (before.endsWith(".")) return null;
  const options = [...columnsIn(context), ...(await loadFunctions()), ...mlFunctions()];
  return { from, options, validFor: /^\w*$/ };
};

function mlFunctions(): Completion[] {
  return ML_FUNCTIONS.map(([name, form, about]) => ({
    label: name,
    apply: name + form,
    type: "function",
    detail: form,
    info: about,
  }));
}

function models(): Completion[] {
  return known().models.map((model) => ({
    label: model.name,
    apply:
      model.namespace === DEFAULT_NAMESPACE
        ? identifier(model.name)
        : `${identifier(model.namespace)}.${identifier(model.name)}`,
    type: "class",
    detail: model.type,
    boost: 10,
  }));
}

/** Columns of every table whose name stands in the text, the more fitting the fewer there are. */
function columnsIn(context: CompletionContext): Completion[] {
  const words = new Set(context.state.doc.toString().toLowerCase().match(/[\w$]+/g) ?? []);
  const found = new Map<string, Completion>();
  for (const relation of known().relations) {
    if (!words.has(relation.name.toLowerCase())) continue;
    for (const column of relation.columns) {
      if (found.has(column.name)) continue;
      found.set(column.name, {
        label: column.name,
        apply: identifier(column.name),
        type: "property",
        detail: `${column.type} · ${relation.name}`,
        boost: 5,
      });
    }
  }
  return [...found.values()];
}
