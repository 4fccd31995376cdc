// From values to pixels, and the ticks of an axis.

export interface Extent {
  readonly min: number;
  readonly max: number;
}

/** The least and the greatest of the values that are numbers, or null if none is. */
export function extentOf(values: Iterable<number>): Extent | null {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return min <= max && Number.isFinite(min) && Number.isFinite(max) ? { min, max } : null;
}

/** An extent with some width, even around a single value. */
export function padded({ min, max }: Extent, share = 0.04): Extent {
  if (min === max) {
    const around = min === 0 ? 1 : Math.abs(min) * 0.1;
    return { min: min - around, max: max + around };
  }
  const room = (max - min) * share;
  return { min: min - room, max: max + room };
}

export function linear({ min, max }: Extent, from: number, to: number): (value: number) => number {
  const slope = max === min ? 0 : (to - from) / (max - min);
  return (value) => from + (value - min) * slope;
}

/** Ticks from which a scale can be read: with one alone nobody knows how far it is to anywhere. */
export function readable(extent: Extent, wanted: number): number[] {
  let found = ticks(extent, wanted);
  for (let more = wanted + 1; found.length < 2 && more <= 4 * wanted; more += 1) found = ticks(extent, more);
  return found;
}

/** Round values within the extent, about `wanted` of them: steps of 1, 2 or 5. */
export function ticks({ min, max }: Extent, wanted: number): number[] {
  if (!(max > min) || wanted < 1) return [min];
  const raw = (max - min) / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= raw * 0.9999) ?? 10);
  const found: number[] = [];
  for (let index = Math.ceil(min / step - 1e-9); index * step <= max + step * 1e-9; index += 1) {
    // Rounded, or 3 * 0.1 would be 0.30000000000000004.
    found.push(Number((index * step).toPrecision(12)));
  }
  return found;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const TIME_STEPS = [
  SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 61 * DAY, 91 * DAY,
  182 * DAY, 365 * DAY,
];

/** Round times within the extent, in milliseconds, UTC. */
export function timeTicks({ min, max }: Extent, wanted: number): number[] {
  const raw = (max - min) / Math.max(1, wanted);
  const step = TIME_STEPS.find((each) => each >= raw) ?? Math.ceil(raw / (365 * DAY)) * 365 * DAY;
  const found: number[] = [];
  for (let at = Math.ceil(min / step) * step; at <= max && found.length < 100; at += step) found.push(at);
  return found;
}

/** A time as an axis of this width in time needs it. */
export function timeLabel(ms: number, { min, max }: Extent): string {
  const iso = new Date(ms).toISOString();
  if (max - min > 2 * DAY) return iso.slice(0, 10);
  if (max - min > 10 * MINUTE) return iso.slice(11, 16);
  return iso.slice(11, 19);
}
