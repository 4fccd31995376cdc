// Readings of /metrics over the last minutes, and what they say of each interval.

import { signal } from "@preact/signals";
import { metricsText } from "../api/client";
import { asApiError, type ApiError } from "../api/error";
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

/** Reads now and then until the returned function is called. */
export function follow(): () => void {
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const read = async (): Promise<void> => {
    try {
      const samples = parseMetrics(await metricsText(controller.signal));
      readings.value = { list: [...readings.value.list, { at: Date.now(), samples }].slice(-KEPT), error: null };
    } catch (thrown) {
      if (!controller.signal.aborted) readings.value = { ...readings.value, error: asApiError(thrown) };
    }
    // A page that is not looked at asks nothing.
    if (!controller.signal.aborted) timer = setTimeout(() => void readWhenSeen(), EVERY_MS);
  };
  const readWhenSeen = (): Promise<void> | void => {
    if (document.visibilityState === "visible") return read();
    document.addEventListener("visibilitychange", () => void readWhenSeen(), { once: true, signal: controller.signal });
  };
  void read();
  return () => {
    controller.abort();
    clearTimeout(timer);
  };
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
