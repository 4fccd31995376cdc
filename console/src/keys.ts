// Keys that work on every page. Those of the editor and the grid are with them; `KEYS` describes all.

import { goTo, type Route } from "./route";

type Key = readonly [key: string, meaning: string];
type Group = readonly [title: string, keys: readonly Key[]];

export const KEYS: readonly Group[] = [
  [
    "Everywhere",
    [
      ["/", "search tables and columns"],
      ["g q", "SQL"],
      ["g m", "models"],
      ["g r", "runs"],
      ["g s", "serving"],
      ["e", "to the SQL editor's text"],
      ["?", "these keys"],
      ["Esc", "close, cancel, or leave a field"],
    ],
  ],
  [
    "SQL editor",
    [
      ["Ctrl Enter", "run the text, or what is selected"],
      ["Esc", "cancel the statement that runs"],
      ["Ctrl Space", "complete"],
      ["Ctrl /", "comment"],
      ["Alt N", "new tab"],
      ["Alt W", "close the tab"],
      ["Alt 1 … 9", "go to a tab"],
    ],
  ],
  [
    "Result grid",
    [
      ["↑ ↓ ← →", "move; with Shift select; with Ctrl to the end"],
      ["Ctrl Home, End", "first and last row"],
      ["Ctrl A", "select all"],
      ["Ctrl C", "copy what is selected"],
    ],
  ],
];

export interface Actions {
  readonly search: () => void;
  readonly editor: () => void;
  readonly help: () => void;
  readonly escape: () => void;
}

/** A second key of `g ..` must come within this time. */
const CHORD_MS = 1200;

/** Listens until the returned function is called. */
export function listen(actions: Actions): () => void {
  let chordSince = Number.NEGATIVE_INFINITY;
  const onKey = (event: KeyboardEvent): void => {
    if (event.key === "Escape" && !event.defaultPrevented) {
      actions.escape();
      return;
    }
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const inChord = performance.now() - chordSince < CHORD_MS;
    chordSince = Number.NEGATIVE_INFINITY;
    const done = inChord ? second(event.key) : first(event.key, actions);
    if (!inChord && event.key === "g") chordSince = performance.now();
    if (done) event.preventDefault();
  };
  addEventListener("keydown", onKey);
  return () => removeEventListener("keydown", onKey);
}

function first(key: string, actions: Actions): boolean {
  if (key === "/") actions.search();
  else if (key === "?") actions.help();
  else if (key === "e") actions.editor();
  else return false;
  return true;
}

const SECOND: ReadonlyMap<string, Route> = new Map<string, Route>([
  ["q", { page: "sql" }],
  ["m", { page: "models" }],
  ["r", { page: "runs", pipeline: null }],
  ["s", { page: "serving" }],
]);

function second(key: string): boolean {
  const to = SECOND.get(key);
  if (to === undefined) return false;
  goTo(to);
  return true;
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}
