// How long runs take, in words.

import { duration } from "../format";

/** Of what goes on, whole seconds: fractions would only flicker. Nothing if it is not known. */
export function took(seconds: number | null, running: boolean): string {
  if (seconds === null) return "";
  if (running && seconds < 60) return `${Math.floor(seconds)} s`;
  return seconds === 0 ? "0 s" : duration(seconds * 1000);
}
