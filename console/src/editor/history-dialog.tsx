// What was run before, to be opened again.

import { useState } from "preact/hooks";
import { ago, counted, duration } from "../format";
import { Dialog } from "../ui/dialog";
import { Empty } from "../ui/parts";
import { clearHistory, history } from "./history";
import { openText } from "./tabs";

export function HistoryDialog({ onClose }: { readonly onClose: () => void }) {
  const [text, setText] = useState("");
  const wanted = text.trim().toLowerCase();
  const found = history.value.filter((past) => past.sql.toLowerCase().includes(wanted));
  return (
    <Dialog title="History" onClose={onClose}>
      <div class="history-bar">
        <input
          type="search"
          placeholder="Search what was run"
          aria-label="Search what was run"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <button type="button" class="button quiet" disabled={history.value.length === 0} onClick={clearHistory}>
          Forget all
        </button>
      </div>
      {found.length === 0 ? (
        <Empty title={wanted === "" ? "Nothing was run yet in this browser" : "Nothing that was run holds this text"} />
      ) : (
        <ul class="history">
          {found.map((past) => (
            <li key={past.at}>
              <button
                type="button"
                onClick={() => {
                  openText(past.sql);
                  onClose();
                }}
              >
                <code>{past.sql.length > 400 ? `${past.sql.slice(0, 400)}…` : past.sql}</code>
                <span class="history-facts">
                  <span>{ago(new Date(past.at).toISOString())}</span>
                  <span>{duration(past.ms)}</span>
                  {past.rows !== null && <span>{counted(past.rows, "row")}</span>}
                  {past.outcome !== "done" && <span class="bad">{past.outcome.replaceAll("_", " ")}</span>}
                </span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </Dialog>
  );
}
