// Histograms and thinning of what is too much to draw.

import type { Bin, Point } from "./plot";

/** Equal bins over the values that are numbers. */
export function histogram(values: Float64Array, bins: number): Bin[] {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let whole = true;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < min) min = value;
    if (value > max) max = value;
    if (!Number.isInteger(value)) whole = false;
  }
  if (min > max) return [];
  if (min === max) return [{ x0: min - 0.5, x1: min + 0.5, y: values.filter((value) => value === min).length }];
  // Few whole numbers have a bin each.
  const perValue = whole && max - min < bins;
  const number = perValue ? max - min + 1 : bins;
  const width = perValue ? 1 : (max - min) / bins;
  const start = perValue ? min - 0.5 : min;
  const counts = new Array<number>(number).fill(0);
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    const bin = Math.min(number - 1, Math.floor((value - start) / width));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts.map((y, index) => ({ x0: start + index * width, x1: start + (index + 1) * width, y }));
}

/** At most about `most` points that draw the same line: the least and the greatest of each stretch. */
export function thinned(points: readonly Point[], most: number): readonly Point[] {
  if (points.length <= most) return points;
  const stretch = Math.ceil(points.length / (most / 2));
  const kept: Point[] = [];
  for (let start = 0; start < points.length; start += stretch) {
    let low = start;
    let high = start;
    for (let index = start; index < Math.min(points.length, start + stretch); index += 1) {
      if (points[index]![1] < points[low]![1]) low = index;
      if (points[index]![1] > points[high]![1]) high = index;
    }
    kept.push(points[Math.min(low, high)]!);
    if (low !== high) kept.push(points[Math.max(low, high)]!);
  }
  return kept;
}
