// The table or model that a statement makes, if the lake has it.

import type { Catalog } from "../catalog/store";
import { modelHref, tableHref } from "../route";

/** The page of what `CREATE TABLE flights` or `INSERT INTO flights` writes. A label has no namespace, so a name that
 * several namespaces have leads nowhere. */
export function hrefOf(label: string, { relations, models }: Catalog): string | null {
  const words = label.split(" ");
  const name = words.at(-1);
  if (words.length < 2 || name === undefined || /^(DROP|SELECT|SHOW|DESCRIBE|EXPLAIN)$/.test(words[0] ?? "")) return null;
  const isModel = words.includes("MODEL");
  const found = (isModel ? models : relations).filter((each) => each.name === name);
  const [only] = found;
  if (only === undefined || found.length > 1) return null;
  return isModel ? modelHref(only.namespace, only.name, "training") : tableHref(only.namespace, only.name);
}
