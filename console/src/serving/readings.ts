// Readings of /metrics over the last minutes, and what they say of each interval.

import { signal } from "@preact/signals";
import { metricsText } from "../api/client";
import type { ApiError } from "../api/error";
import { follow } from "../ui/follow";
import { between, buckets, quantile, type Bucket } from "./histogram";
import { parseMetrics, type Labels, type Sample } from "./prometheus";

export const EVERY_MS = 2000;
/** Five minutes. */
const KEPT = 150;

export interface Reading {
  /** In milliseconds. */
  readonly at: number;
  readonly samples: readonly Sample[];
}

export interface Readings {
  readonly list: readonly Reading[];
  readonly error: ApiError | null;
}

export const readings = signal<Readings>({ list: [], error: null });

/** Reads now and then, while the page is seen, until the returned function is called. */
export function followMetrics(): () => void {
  const read = async (signal: AbortSignal): Promise<Reading> => {
    const samples = parseMetrics(await metricsText(signal));
    return { at: Date.now(), samples };
  };
  return follow(read, () => EVERY_MS, ({ value, error }) => {
    const { list } = readings.value;
    readings.value = { list: error === null && value !== null ? [...list, value].slice(-KEPT) : list, error };
  });
}

export type Series = readonly (readonly [at: number, value: number])[];

/** The sum of a gauge or counter over the labels that `matches` takes. */
export function total({ samples }: Reading, name: string, matches: (labels: Labels) => boolean = () => true): number {
  return samples.reduce((sum, each) => (each.name === name && matches(each.labels) ? sum + each.value : sum), 0);
}

/** The values of a label that a metric has had. */
export function labelValues(list: readonly Reading[], name: string, label: string): string[] {
  const last = list.at(-1);
  if (last === undefined) return [];
  const values = last.samples.flatMap((each) => (each.name === name ? [each.labels[label] ?? ""] : []));
  return [...new Set(values)].sort();
}

export function gauge(list: readonly Reading[], name: string): Series {
  return list.map((reading) => [reading.at, total(reading, name)] as const);
}

/** A counter's growth per second in each interval. */
export function rate(list: readonly Reading[], name: string, matches?: (labels: Labels) => boolean): Series {
  return pairs(list).map(([before, after]) => {
    const grown = total(after, name, matches) - total(before, name, matches);
    // A server that was started anew counts from zero.
    return [after.at, Math.max(0, grown) / ((after.at - before.at) / 1000)] as const;
  });
}

/** A quantile of what was observed in each interval; gaps where nothing was. */
export function quantiles(list: readonly Reading[], name: string, q: number): Series {
  return pairs(list).map(([before, after]) => {
    const found = between(buckets(before.samples, name), buckets(after.samples, name));
    return [after.at, quantile(found, q) ?? Number.NaN] as const;
  });
}

/** What was observed over all readings. */
export function observed(list: readonly Reading[], name: string, matches?: (labels: Labels) => boolean): readonly Bucket[] {
  const last = list.at(-1);
  return last === undefined ? [] : buckets(last.samples, name, matches);
}

function pairs(list: readonly Reading[]): (readonly [Reading, Reading])[] {
  return list.slice(1).map((after, index) => [list[index]!, after] as const);
}
