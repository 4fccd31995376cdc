// Families of SQL types, as the server names them.

export type Family = "number" | "time" | "boolean" | "text" | "nested" | "other";

export function family(type: string): Family {
  const name = type.toUpperCase();
  if (/^(ARRAY|STRUCT|MAP|LIST)\b/.test(name)) return "nested";
  if (/^(TINYINT|SMALLINT|INT|INTEGER|BIGINT|FLOAT|REAL|DOUBLE|DECIMAL|NUMERIC|HUGEINT)\b/.test(name)) return "number";
  if (/\bUNSIGNED\b/.test(name)) return "number";
  if (/^(DATE|TIMESTAMP)\b/.test(name)) return "time";
  if (/^BOOL/.test(name)) return "boolean";
  if (/^(VARCHAR|TEXT|STRING|CHAR)\b/.test(name)) return "text";
  return "other";
}

/** Whether values are whole numbers. */
export function isWhole(type: string): boolean {
  return /^(TINYINT|SMALLINT|INT|INTEGER|BIGINT)\b/i.test(type);
}
