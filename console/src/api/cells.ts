// Arrow's types and values as the text that SQL would show.

import { DataType, Precision, TimeUnit, type StructRow, type Vector } from "apache-arrow";

export function isNumeric(type: DataType): boolean {
  return DataType.isInt(type) || DataType.isFloat(type) || DataType.isDecimal(type);
}

export function typeName(type: DataType): string {
  if (DataType.isInt(type)) {
    const name = { 8: "TINYINT", 16: "SMALLINT", 32: "INT", 64: "BIGINT" }[type.bitWidth as 8 | 16 | 32 | 64];
    return type.isSigned ? name : `${name} UNSIGNED`;
  }
  if (DataType.isFloat(type)) return type.precision === Precision.DOUBLE ? "DOUBLE" : "FLOAT";
  if (DataType.isDecimal(type)) return `DECIMAL(${type.precision}, ${type.scale})`;
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type)) return "VARCHAR";
  if (DataType.isBool(type)) return "BOOLEAN";
  if (DataType.isDate(type)) return "DATE";
  if (DataType.isTimestamp(type)) return type.timezone ? "TIMESTAMP WITH TIME ZONE" : "TIMESTAMP";
  if (DataType.isTime(type)) return "TIME";
  if (DataType.isInterval(type) || DataType.isDuration(type)) return "INTERVAL";
  if (DataType.isBinary(type) || DataType.isLargeBinary(type)) return "BLOB";
  if (DataType.isNull(type)) return "NULL";
  if (DataType.isList(type) || DataType.isFixedSizeList(type)) return `ARRAY<${typeName(type.children[0]!.type)}>`;
  if (DataType.isStruct(type)) {
    return `STRUCT<${type.children.map((child) => `${child.name} ${typeName(child.type)}`).join(", ")}>`;
  }
  return String(type);
}

/** A value as text; null for NULL. */
export function cellText(type: DataType, value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (DataType.isTimestamp(type)) return timestampText(Number(value), type.unit, type.timezone ?? null);
  if (DataType.isDate(type)) return new Date(Number(value)).toISOString().slice(0, 10);
  if (DataType.isDecimal(type)) return decimalText(value as Uint32Array, type.scale);
  if (DataType.isBinary(type) || DataType.isLargeBinary(type)) return hex(value as Uint8Array);
  if (isNested(type)) return nestedText(type, value);
  return String(value);
}

function isNested(type: DataType): boolean {
  return DataType.isList(type) || DataType.isFixedSizeList(type) || DataType.isStruct(type);
}

/** A value as JSON text, with whole numbers beyond 2^53 as they are. */
function nestedText(type: DataType, value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (DataType.isList(type) || DataType.isFixedSizeList(type)) {
    const item = type.children[0]!.type as DataType;
    return `[${Array.from(value as Vector, (each) => nestedText(item, each)).join(",")}]`;
  }
  if (DataType.isStruct(type)) {
    const fields = (value as StructRow).toJSON() as Record<string, unknown>;
    const parts = type.children.map(({ name, type: each }) => `${JSON.stringify(name)}:${nestedText(each, fields[name])}`);
    return `{${parts.join(",")}}`;
  }
  const text = cellText(type, value) ?? "null";
  return isNumeric(type) || DataType.isBool(type) ? text : JSON.stringify(text);
}

/** Arrow hands out milliseconds, with microseconds as their fraction. */
function timestampText(ms: number, unit: TimeUnit, zone: string | null): string {
  const wholeMs = Math.floor(ms);
  const date = new Date(wholeMs);
  if (Number.isNaN(date.getTime())) return String(ms);
  const [day = "", time = ""] = date.toISOString().replace("Z", "").split("T");
  const micros = unit >= TimeUnit.MICROSECOND ? Math.round((ms - wholeMs) * 1000) : 0;
  const fraction = `${time.slice(9, 12)}${String(micros).padStart(3, "0")}`.replace(/0+$/, "");
  const clock = fraction === "" ? time.slice(0, 8) : `${time.slice(0, 8)}.${fraction}`;
  return `${day} ${clock}${zone === null ? "" : "Z"}`;
}

/** Little-endian words of a two's complement whole number, with a decimal point. */
export function decimalText(words: Uint32Array, scale: number): string {
  let unscaled = 0n;
  for (let index = words.length - 1; index >= 0; index -= 1) {
    unscaled = (unscaled << 32n) | BigInt(words[index] ?? 0);
  }
  unscaled = BigInt.asIntN(words.length * 32, unscaled);
  const sign = unscaled < 0n ? "-" : "";
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, "0");
  if (scale <= 0) return sign + digits;
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
