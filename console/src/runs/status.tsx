// The states of runs, steps and statements: a mark that differs in shape as well as in colour, and the word.

/** Paths in a box of 12. */
const MARKS: Readonly<Record<string, string>> = {
  finished: "M2.5 6.5 5 9l4.5-6",
  done: "M2.5 6.5 5 9l4.5-6",
  "up to date": "M2.5 6.5 5 9l4.5-6",
  failed: "M3 3l6 6M9 3l-6 6",
  cancelled: "M3 3h6v6h-6z",
  stopped: "M3 3h6v6h-6z",
  interrupted: "M6 2v5M6 9.5v.1",
  "not selected": "M3.5 6h5",
};

/** Not begun, or not known. */
const CIRCLE = "M6 3.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z";

export function Mark({ status }: { readonly status: string }) {
  return (
    <span class="mark" data-status={status} aria-hidden="true">
      {status === "running" ? (
        <span class="waiting-dot" />
      ) : (
        <svg viewBox="0 0 12 12">
          <path d={MARKS[status] ?? CIRCLE} />
        </svg>
      )}
    </span>
  );
}

export function Status({ status }: { readonly status: string }) {
  return (
    <span class="status" data-status={status}>
      <Mark status={status} />
      {status}
    </span>
  );
}

/** A bar that fills, with its numbers for those who do not see it. */
export function Progress({ done, total, label }: { readonly done: number; readonly total: number; readonly label: string }) {
  return (
    <span class="progress" role="progressbar" aria-label={label} aria-valuemin={0} aria-valuemax={total} aria-valuenow={done}>
      <span style={{ width: `${total > 0 ? Math.min(100, (done / total) * 100) : 0}%` }} />
    </span>
  );
}
