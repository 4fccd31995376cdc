// Where things come from, and what was made of them, as a graph in layers.

import { query } from "../api/client";
import type { Catalog } from "../catalog/store";
import { relation, splitName } from "../sql/quote";

/** A table or view, a model, or a file outside the lake. */
export interface Thing {
  readonly kind: "relation" | "model" | "file";
  readonly namespace: string;
  readonly name: string;
}

export interface LineageRow {
  readonly kind: string;
  readonly version: number;
  readonly input_kind: string | null;
  readonly input: string | null;
  readonly input_version: string | null;
  readonly statement: string;
  readonly at: string;
}

export interface Node {
  readonly thing: Thing;
  /** table, view, external table, model, file */
  readonly label: string;
  readonly layer: number;
  readonly row: number;
}

export interface Edge {
  readonly from: string;
  readonly to: string;
  /** The version of `from` that was read. */
  readonly version: string | null;
}

export interface Graph {
  readonly nodes: ReadonlyMap<string, Node>;
  readonly edges: readonly Edge[];
  readonly layers: number;
  readonly rows: number;
}

/** Relations whose lineage is read for what was made of a thing; a larger lake shows what it was made from alone. */
export const RELATIONS_MAX = 300;
const AT_ONCE = 6;

export function idOf({ kind, namespace, name }: Thing): string {
  return JSON.stringify(kind === "file" ? [kind, name] : [kind, namespace, name]);
}

export async function lineageOf(thing: Thing, signal: AbortSignal): Promise<LineageRow[]> {
  return query<LineageRow>(`DESCRIBE LINEAGE ${relation(thing.namespace, thing.name)}`, signal);
}

/** The rows of the newest version alone. */
export function newest(rows: readonly LineageRow[]): readonly LineageRow[] {
  const version = Math.max(...rows.map((row) => row.version));
  return rows.filter((row) => row.version === version);
}

export function inputOf(row: LineageRow): Thing | null {
  if (row.input === null || row.input_kind === null) return null;
  if (row.input_kind === "model") return { kind: "model", ...splitName(row.input) };
  if (/table|view/.test(row.input_kind)) return { kind: "relation", ...splitName(row.input) };
  return { kind: "file", namespace: "", name: row.input };
}

type Inputs = ReadonlyMap<string, { readonly thing: Thing; readonly label: string; readonly rows: readonly LineageRow[] }>;

/** Reads the lineage of everything, or, in a large lake, of what the root was made from. */
export async function loadInputs(root: Thing, catalog: Catalog, signal: AbortSignal): Promise<Inputs> {
  const found = new Map<string, { thing: Thing; label: string; rows: readonly LineageRow[] }>();
  const all: Thing[] = [
    ...catalog.relations.map(({ namespace, name }): Thing => ({ kind: "relation", namespace, name })),
    ...catalog.models.map(({ namespace, name }): Thing => ({ kind: "model", namespace, name })),
  ];
  const waiting = all.length <= RELATIONS_MAX ? [root, ...all] : [root];
  const seen = new Set<string>();
  const read = async (): Promise<void> => {
    for (let thing = waiting.shift(); thing !== undefined; thing = waiting.shift()) {
      const id = idOf(thing);
      if (seen.has(id) || thing.kind === "file") continue;
      seen.add(id);
      const rows = newest(await lineageOf(thing, signal).catch(() => []));
      found.set(id, { thing, label: rows[0]?.kind ?? thing.kind, rows });
      for (const row of rows) {
        const input = inputOf(row);
        if (input !== null) waiting.push(input);
      }
    }
  };
  do await Promise.all(Array.from({ length: AT_ONCE }, read));
  while (waiting.length > 0);
  signal.throwIfAborted();
  return found;
}

/** What the root was made from, to the left of it, and what was made of it, to the right. */
export function graphOf(root: Thing, inputs: Inputs): Graph {
  const edges: Edge[] = [];
  const things = new Map<string, { thing: Thing; label: string }>();
  for (const [id, { thing, label, rows }] of inputs) {
    things.set(id, { thing, label });
    for (const row of rows) {
      const input = inputOf(row);
      if (input === null) continue;
      const from = idOf(input);
      if (!things.has(from)) things.set(from, { thing: input, label: row.input_kind ?? input.kind });
      if (from !== id) edges.push({ from, to: id, version: row.input_version });
    }
  }
  const rootId = idOf(root);
  if (!things.has(rootId)) things.set(rootId, { thing: root, label: root.kind });
  const up = reach(rootId, edges, "to", "from");
  const down = reach(rootId, edges, "from", "to");
  const kept = edges.filter(
    ({ from, to }) => (up.has(from) && up.has(to)) || (down.has(from) && down.has(to)),
  );
  const layers = new Map<string, number>([...up].map(([id, depth]) => [id, -depth] as const));
  for (const [id, depth] of down) if (id !== rootId) layers.set(id, depth);
  return place(things, layers, kept);
}

/** How many steps away things are at most; a cycle, which versions allow, is cut. */
function reach(root: string, edges: readonly Edge[], at: "from" | "to", next: "from" | "to"): Map<string, number> {
  const depths = new Map<string, number>();
  const visit = (id: string, depth: number, path: ReadonlySet<string>): void => {
    if (path.has(id) || (depths.get(id) ?? -1) >= depth) return;
    depths.set(id, depth);
    const longer = new Set(path).add(id);
    for (const edge of edges) if (edge[at] === id) visit(edge[next], depth + 1, longer);
  };
  visit(root, 0, new Set());
  return depths;
}

function place(
  things: ReadonlyMap<string, { thing: Thing; label: string }>,
  layers: ReadonlyMap<string, number>,
  edges: readonly Edge[],
): Graph {
  const least = Math.min(0, ...layers.values());
  const columns: string[][] = [];
  for (const [id, layer] of layers) (columns[layer - least] ??= []).push(id);
  const rowOf = new Map<string, number>();
  const number = (): void => columns.forEach((column) => column.forEach((id, row) => rowOf.set(id, row - column.length / 2)));
  columns.forEach((column) => column.sort());
  number();
  // A thing goes beside the middle of its neighbours; four rounds are enough for the eye.
  for (let round = 0; round < 4; round += 1) {
    for (const column of columns) {
      const middle = new Map(column.map((id) => [id, middleOf(id, edges, rowOf)] as const));
      column.sort((a, b) => (middle.get(a) ?? 0) - (middle.get(b) ?? 0));
    }
    number();
  }
  const nodes = new Map<string, Node>();
  columns.forEach((column, layer) =>
    column.forEach((id, row) => {
      const found = things.get(id);
      if (found !== undefined) nodes.set(id, { ...found, layer, row: row - (column.length - 1) / 2 });
    }),
  );
  return { nodes, edges, layers: columns.length, rows: Math.max(1, ...columns.map((column) => column.length)) };
}

function middleOf(id: string, edges: readonly Edge[], rowOf: ReadonlyMap<string, number>): number {
  const near = edges.flatMap(({ from, to }) => (from === id ? [to] : to === id ? [from] : []));
  if (near.length === 0) return rowOf.get(id) ?? 0;
  return near.reduce((sum, each) => sum + (rowOf.get(each) ?? 0), 0) / near.length;
}
