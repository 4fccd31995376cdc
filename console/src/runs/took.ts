// How long runs take, in words.

import { duration } from "../format";

/** Of what goes on, whole seconds: fractions would only flicker. */
export function took(seconds: number, running: boolean): string {
  if (running && seconds < 60) return `${Math.floor(seconds)} s`;
  return seconds === 0 ? "0 s" : duration(seconds * 1000);
}
