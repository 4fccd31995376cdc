// What a page that follows says when an attempt to read has failed: nothing is hidden, but it is no longer new.

import { lasts, RETRY_MS, type Followed } from "../ui/follow";
import { Problem } from "../ui/parts";

/** Shown beside what was read last; with nothing read yet, the error alone. */
export function Stale({ followed, again }: { readonly followed: Followed<unknown>; readonly again: () => void }) {
  const { error, value, readAt } = followed;
  if (error === null) return null;
  if (value === null) return <Problem error={error} retry={again} />;
  return (
    <div class="problem stale" role="alert">
      <p>
        <strong class="problem-code">{error.code.replaceAll("_", " ")}</strong> {error.message}
      </p>
      <p class="muted">
        What is shown is of {new Date(readAt).toISOString().slice(11, 19)} UTC.
        {!lasts(error) && ` The page tries again every ${RETRY_MS / 1000} seconds.`}
      </p>
      {lasts(error) && (
        <button type="button" class="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}
