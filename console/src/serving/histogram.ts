// Percentiles from a histogram's buckets.

import type { Labels, Sample } from "./prometheus";

export interface Bucket {
  /** Upper bound, included. */
  readonly le: number;
  /** Observations up to it, all smaller buckets included. */
  readonly count: number;
}

/** The buckets of a histogram, added up over the labels that `matches` takes. */
export function buckets(samples: readonly Sample[], name: string, matches: (labels: Labels) => boolean = () => true): Bucket[] {
  const counts = new Map<number, number>();
  for (const { name: each, labels, value } of samples) {
    if (each !== `${name}_bucket` || !matches(labels)) continue;
    const le = labels["le"] === "+Inf" ? Number.POSITIVE_INFINITY : Number(labels["le"]);
    counts.set(le, (counts.get(le) ?? 0) + value);
  }
  return [...counts].map(([le, count]) => ({ le, count })).sort((a, b) => a.le - b.le);
}

/** What came in between two readings; a server that was started anew begins at zero. */
export function between(before: readonly Bucket[], after: readonly Bucket[]): readonly Bucket[] {
  const old = new Map(before.map(({ le, count }) => [le, count]));
  const found = after.map(({ le, count }) => ({ le, count: count - (old.get(le) ?? 0) }));
  return found.some(({ count }) => count < 0) ? after : found;
}

/** A quantile from 0 to 1, by straight lines within buckets as Prometheus does; null without observations. */
export function quantile(found: readonly Bucket[], q: number): number | null {
  const total = found.at(-1)?.count ?? 0;
  if (total <= 0) return null;
  const rank = q * total;
  const index = found.findIndex(({ count }) => count >= rank);
  const bucket = found[index];
  if (bucket === undefined) return null;
  const lower = index === 0 ? 0 : found[index - 1]!.le;
  // Beyond the last bound nothing is known but that.
  if (bucket.le === Number.POSITIVE_INFINITY) return lower;
  const below = index === 0 ? 0 : found[index - 1]!.count;
  if (bucket.count === below) return bucket.le;
  return lower + ((bucket.le - lower) * (rank - below)) / (bucket.count - below);
}
