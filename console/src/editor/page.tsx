// The SQL page: tabs, the editor, and below it what the last run gave.

import { useEffect, useRef, useState } from "preact/hooks";
import { recall, remember } from "../storage";
import { Code, type Chosen } from "./code";
import { HistoryDialog } from "./history-dialog";
import { Results, RunStatus } from "./results";
import { cancel, forget, runOf, start } from "./runs";
import { activate, activeId, activeTab, addTab, closeTab, rename, setText, tabs } from "./tabs";

const HEIGHT_MIN = 80;
const HEIGHT_DEFAULT = 220;
const isHeight = (value: unknown): value is number => typeof value === "number" && value >= HEIGHT_MIN;

export function SqlPage() {
  const tab = activeTab();
  const run = runOf(tab.id).value;
  const [height, setHeight] = useState(() => recall("editor-height", isHeight) ?? HEIGHT_DEFAULT);
  const [showsHistory, setShowsHistory] = useState(false);
  const begin = ({ sql, offset }: Chosen): void => {
    if (sql.trim() !== "") void start(tab.id, sql, offset);
  };
  const resize = (next: number): void => {
    const kept = Math.round(Math.min(Math.max(HEIGHT_MIN, next), innerHeight - 220));
    setHeight(kept);
    remember("editor-height", kept);
  };
  useTabKeys();
  const error = run?.error?.code === "cancelled" ? null : (run?.error ?? null);

  return (
    <div class="sql-page">
      <h1 class="hidden">SQL</h1>
      <TabStrip onHistory={() => setShowsHistory(true)} />
      <div class="code-frame" style={{ height: `${height}px` }}>
        <Code
          id={tab.id}
          text={tab.text}
          error={error}
          errorOffset={run?.offset ?? { line: 0, column: 0 }}
          onText={(text) => setText(tab.id, text)}
          onRun={begin}
        />
      </div>
      <Separator height={height} onResize={resize} />
      <div class="run-bar">
        {run?.running ? (
          <button type="button" class="button" onClick={() => cancel(tab.id)}>
            Cancel <kbd>Esc</kbd>
          </button>
        ) : (
          <button
            type="button"
            class="button primary"
            disabled={tab.text.trim() === ""}
            onClick={() => begin({ sql: tab.text, offset: { line: 0, column: 0 } })}
          >
            Run <kbd>Ctrl ⏎</kbd>
          </button>
        )}
        <RunStatus run={run} />
      </div>
      <div class="result-frame">
        <Results key={tab.id} tab={tab.id} title={tab.title} run={run} />
      </div>
      {showsHistory && <HistoryDialog onClose={() => setShowsHistory(false)} />}
    </div>
  );
}

function TabStrip({ onHistory }: { readonly onHistory: () => void }) {
  const [renaming, setRenaming] = useState<string | null>(null);
  return (
    <div class="tab-strip">
      <div class="tabs" role="tablist" aria-label="Statements">
        {tabs.value.map((tab) => {
          const active = tab.id === activeId.value;
          return (
            <div key={tab.id} class="tab" data-active={active} role="presentation">
              {renaming === tab.id ? (
                <input
                  class="tab-name"
                  aria-label="Name of the tab"
                  value={tab.title}
                  ref={(element) => element?.select()}
                  onBlur={(event) => {
                    rename(tab.id, event.currentTarget.value);
                    setRenaming(null);
                  }}
                  onKeyDown={(event) => {
                    if (event.key === "Enter" || event.key === "Escape") event.currentTarget.blur();
                  }}
                />
              ) : (
                <button
                  type="button"
                  role="tab"
                  aria-selected={active}
                  title="Double-click to rename"
                  onClick={() => activate(tab.id)}
                  onDblClick={() => setRenaming(tab.id)}
                >
                  {runOf(tab.id).value?.running && <span class="waiting-dot" aria-label="running" />}
                  {tab.title}
                </button>
              )}
              <button type="button" class="tab-close" aria-label={`Close ${tab.title}`} onClick={() => close(tab.id)}>
                ×
              </button>
            </div>
          );
        })}
      </div>
      <button type="button" class="icon-button" aria-label="New tab" title="New tab (Alt N)" onClick={() => addTab()}>
        +
      </button>
      <span class="spring" />
      <button type="button" class="button quiet" onClick={onHistory}>
        History
      </button>
    </div>
  );
}

function close(id: string): void {
  forget(id);
  closeTab(id);
}

function useTabKeys(): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (!event.altKey || event.ctrlKey || event.metaKey) return;
      // By the key's place: with Alt, some keyboards write other letters.
      if (event.code === "KeyN") addTab();
      else if (event.code === "KeyW") close(activeId.value);
      else if (/^Digit[1-9]$/.test(event.code)) {
        const tab = tabs.value[Number(event.code.slice(5)) - 1];
        if (tab !== undefined) activate(tab.id);
      } else return;
      event.preventDefault();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}

/** Moves the border between text and result, by pointer or arrow keys. */
function Separator({ height, onResize }: { readonly height: number; readonly onResize: (height: number) => void }) {
  const from = useRef<{ y: number; height: number } | null>(null);
  return (
    <div
      class="separator"
      role="separator"
      tabIndex={0}
      aria-orientation="horizontal"
      aria-label="Height of the editor"
      aria-valuenow={height}
      aria-valuemin={HEIGHT_MIN}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        from.current = { y: event.clientY, height };
      }}
      onPointerMove={(event) => {
        if (from.current !== null) onResize(from.current.height + event.clientY - from.current.y);
      }}
      onPointerUp={() => {
        from.current = null;
      }}
      onKeyDown={(event) => {
        if (event.key === "ArrowUp") onResize(height - 20);
        else if (event.key === "ArrowDown") onResize(height + 20);
        else return;
        event.preventDefault();
      }}
    />
  );
}
