// Names and values as SQL text.

/** Words that mean something else when they stand without quotes. */
const RESERVED = new Set(
  `all and any array as asc between both by case cast check collate column constraint create cross current_date
   current_time current_timestamp desc distinct drop else end except exists false fetch for foreign from full grant
   group having in inner insert intersect interval into is join lateral leading left like limit model natural not null
   offset on only or order outer over partition primary references right select set some struct table then to trailing
   true union unique update user using values when where window with`
    .split(/\s+/),
);

/** A name, in double quotes if it needs them: unquoted names are turned to lower case. */
export function identifier(name: string): string {
  if (/^[a-z_][a-z0-9_]*$/.test(name) && !RESERVED.has(name)) return name;
  return `"${name.replaceAll('"', '""')}"`;
}

/** `namespace.name`; the default namespace is left out. */
export function relation(namespace: string, name: string): string {
  return namespace === DEFAULT_NAMESPACE ? identifier(name) : `${identifier(namespace)}.${identifier(name)}`;
}

export const DEFAULT_NAMESPACE = "main";

export function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

/** Splits `namespace.name` as the server prints it; a bare name is in the default namespace. */
export function splitName(full: string): { namespace: string; name: string } {
  const dot = full.indexOf(".");
  if (dot < 0) return { namespace: DEFAULT_NAMESPACE, name: full };
  return { namespace: full.slice(0, dot), name: full.slice(dot + 1) };
}
