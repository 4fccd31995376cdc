// Numbers, durations, sizes and times as people read them.

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export function count(value: number | bigint): string {
  return whole.format(value);
}

/** A count with its noun. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** A number in few digits: 0.6835, 1,234.5, 1.2e-7. */
export function short(value: number, digits = 4): string {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e15 || size < 1e-4) return value.toExponential(2);
  if (Number.isInteger(value)) return whole.format(value);
  const decimals = Math.max(0, digits - Math.max(1, Math.ceil(Math.log10(size + 1e-12))));
  return new Intl.NumberFormat("en-US", { maximumFractionDigits: Math.min(decimals, 8) }).format(value);
}

/** A measure of a model: four decimals, so that versions line up. */
export function measure(value: number): string {
  if (!Number.isFinite(value)) return "none";
  return Math.abs(value) < 10 ? value.toFixed(4) : short(value, 6);
}

/** For axes: 1,200,000 is 1.2M. */
export function compact(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e12) return value.toExponential(1);
  if (size >= 1e9) return `${trim(value / 1e9)}G`;
  if (size >= 1e6) return `${trim(value / 1e6)}M`;
  if (size >= 1e4) return `${trim(value / 1e3)}k`;
  return short(value);
}

function trim(value: number): string {
  return String(Number(value.toFixed(2)));
}

export function percent(share: number): string {
  if (share > 0 && share < 0.001) return "<0.1%";
  const hundredths = share * 100;
  return `${hundredths.toFixed(hundredths < 9.95 && hundredths % 1 !== 0 ? 1 : 0)}%`;
}

export function duration(ms: number): string {
  if (ms < 1) return `${(ms * 1000).toFixed(0)} µs`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${ms.toFixed(0)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(2)} s`;
  const seconds = Math.floor(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${String(seconds % 60).padStart(2, "0")} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

export function bytes(value: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let size = value;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? size : size.toFixed(size < 10 ? 1 : 0)} ${units[unit]}`;
}

/** A time of the server, in UTC as the lake keeps it: 2026-11-22 23:30:47. */
export function timestamp(iso: string): string {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? iso : date.toISOString().slice(0, 19).replace("T", " ");
}

/** How long ago, roughly. */
export function ago(iso: string, now = Date.now()): string {
  const seconds = Math.round((now - new Date(iso).getTime()) / 1000);
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 60) return "just now";
  const steps: readonly [number, string][] = [
    [86_400 * 365, "year"],
    [86_400 * 30, "month"],
    [86_400, "day"],
    [3600, "hour"],
    [60, "minute"],
  ];
  for (const [size, unit] of steps) {
    if (seconds >= size) return `${counted(Math.floor(seconds / size), unit)} ago`;
  }
  return "just now";
}
