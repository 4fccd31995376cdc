// Places in a text: the server counts lines and columns from 1, the editor characters from 0.

import type { Text } from "@codemirror/state";
import type { Place } from "../api/error";

/** The range that an error at a place is marked on: the word there, or one character. `offset` is where the text that
 * ran begins in the editor. */
export function rangeAt(text: Text, place: Place, offset: { line: number; column: number }): { from: number; to: number } {
  const number = Math.min(text.lines, Math.max(1, place.line + offset.line));
  const line = text.line(number);
  const start = place.line === 1 ? offset.column : 0;
  const from = Math.min(line.to, line.from + start + codeUnits(line.text.slice(start), place.column - 1));
  const word = /^("[^"]*"|'[^']*'|[\w$.]+)/.exec(line.text.slice(from - line.from));
  const to = Math.min(line.to, from + Math.max(1, word?.[0].length ?? 1));
  return from === to ? { from: Math.max(line.from, from - 1), to } : { from, to };
}

/** The server's columns are characters; a character beyond the basic plane is two of JavaScript's units. */
function codeUnits(text: string, characters: number): number {
  return [...text].slice(0, characters).join("").length;
}
