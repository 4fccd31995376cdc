// Search over names of tables, columns and models.

import type { Catalog, CatalogColumn, ModelEntry, Relation } from "./store";

export interface Found {
  readonly relations: readonly FoundRelation[];
  readonly models: readonly ModelEntry[];
}

export interface FoundRelation {
  readonly relation: Relation;
  /** The columns that match; all of them where only the table's name does. */
  readonly columns: readonly CatalogColumn[];
  /** Whether a column matches, so that the columns should be shown. */
  readonly byColumn: boolean;
}

/** What matches every word of the search; a word matches inside of names, and of `namespace.table`. */
export function search(catalog: Catalog, text: string): Found {
  const words = text.toLowerCase().split(/[\s.]+/).filter(Boolean);
  if (words.length === 0) {
    const relations = catalog.relations.map((relation) => ({ relation, columns: relation.columns, byColumn: false }));
    return { relations, models: catalog.models };
  }
  const relations: FoundRelation[] = [];
  for (const relation of catalog.relations) {
    const name = `${relation.namespace}.${relation.name}`.toLowerCase();
    const rest = words.filter((word) => !name.includes(word));
    const columns = relation.columns.filter((column) => {
      const lower = column.name.toLowerCase();
      return rest.every((word) => lower.includes(word)) && (rest.length > 0 || words.some((word) => lower.includes(word)));
    });
    if (rest.length === 0) {
      relations.push({ relation, columns: columns.length > 0 ? columns : relation.columns, byColumn: columns.length > 0 });
    } else if (columns.length > 0) {
      relations.push({ relation, columns, byColumn: true });
    }
  }
  const models = catalog.models.filter((model) => {
    const name = `${model.namespace}.${model.name}`.toLowerCase();
    return words.every((word) => name.includes(word));
  });
  return { relations, models };
}

/** A name in pieces, those that match marked. */
export function marked(name: string, text: string): readonly (readonly [piece: string, hit: boolean])[] {
  const words = text.toLowerCase().split(/[\s.]+/).filter(Boolean);
  const lower = name.toLowerCase();
  const hit = words.map((word) => ({ word, at: lower.indexOf(word) })).find(({ at }) => at >= 0);
  if (hit === undefined) return [[name, false]];
  const end = hit.at + hit.word.length;
  const pieces: [string, boolean][] = [
    [name.slice(0, hit.at), false],
    [name.slice(hit.at, end), true],
    [name.slice(end), false],
  ];
  return pieces.filter(([piece]) => piece !== "");
}
