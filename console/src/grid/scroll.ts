// Scrolling over more rows than a browser can lay out.
//
// Browsers cap an element's height (Firefox at 17.8 million pixels). Beyond EXTENT_MAX the native scrollbar is shorter
// than the rows: small movements are followed pixel by pixel, jumps go to the same share of the way.

/** Safe in every browser. */
export const EXTENT_MAX = 8_000_000;

export interface Geometry {
  /** How far the native scrollbar goes, in pixels. */
  readonly native: number;
  /** How far the rows go, in pixels. */
  readonly virtual: number;
  /** Height of what is seen, in pixels. */
  readonly view: number;
}

export interface Position {
  readonly native: number;
  readonly virtual: number;
}

export function geometry(contentPx: number, viewPx: number): Geometry {
  const virtual = Math.max(0, contentPx - viewPx);
  return { native: Math.max(0, Math.min(contentPx, EXTENT_MAX) - viewPx), virtual, view: viewPx };
}

/** Where the rows are after the scrollbar has moved. */
export function follow(from: Position, native: number, { native: nativeMax, virtual, view }: Geometry): Position {
  if (nativeMax === virtual) return { native, virtual: native };
  // A pixel of slack: scroll offsets are fractions on screens with scaling.
  if (native < 1) return { native, virtual: 0 };
  if (native > nativeMax - 1) return { native, virtual };
  const moved = native - from.native;
  if (Math.abs(moved) > 3 * view) return { native, virtual: (native / nativeMax) * virtual };
  return { native, virtual: Math.min(virtual, Math.max(0, from.virtual + moved)) };
}

/** Where the scrollbar belongs when the rows are at `virtual`. */
export function nativeFor(virtual: number, { native: nativeMax, virtual: virtualMax }: Geometry): number {
  if (nativeMax === virtualMax || virtualMax === 0) return virtual;
  if (virtual <= 0) return 0;
  if (virtual >= virtualMax) return nativeMax;
  // Not at an end, which would pull the rows there.
  return Math.min(nativeMax - 2, Math.max(2, (virtual / virtualMax) * nativeMax));
}
