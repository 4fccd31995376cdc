// The text editor: CodeMirror with Lakemill's SQL, the console's colours, and the error of the last run marked.

import { autocompletion, closeBrackets, closeBracketsKeymap, closeCompletion, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { schemaCompletionSource, keywordCompletionSource, sql } from "@codemirror/lang-sql";
import { bracketMatching, HighlightStyle, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState, type Extension } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "preact/hooks";
import type { ApiError } from "../api/error";
import { catalog, known } from "../catalog/store";
import { DEFAULT_NAMESPACE } from "../sql/quote";
import { completeNames, namespaceOf } from "./completion";
import { dialect } from "./dialect";
import { rangeAt } from "./place";

export interface Chosen {
  readonly sql: string;
  readonly offset: { readonly line: number; readonly column: number };
}

interface Props {
  readonly id: string;
  /** Looked at when the id is new; from then on the editor's own text counts. */
  readonly text: string;
  readonly error: ApiError | null;
  readonly errorOffset: Chosen["offset"];
  readonly onText: (text: string) => void;
  readonly onRun: (chosen: Chosen) => void;
}

const completion = new Compartment();

export function Code({ id, text, error, errorOffset, onText, onRun }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  // CodeMirror keeps its handlers; these lead to those of the latest drawing.
  const latest = useRef({ onText, onRun });
  latest.current = { onText, onRun };
  const states = useRef(new Map<string, EditorState>());
  const shown = useRef(id);

  useEffect(() => {
    const editor = new EditorView({ parent: host.current!, state: states.current.get(id) ?? fresh(text, latest) });
    view.current = editor;
    editor.focus();
    return () => editor.destroy();
  }, []);

  useEffect(() => {
    const editor = view.current;
    if (editor === null || shown.current === id) return;
    states.current.set(shown.current, editor.state);
    shown.current = id;
    editor.setState(states.current.get(id) ?? fresh(text, latest));
    editor.dispatch({ effects: completion.reconfigure(sources()) });
    editor.focus();
  }, [id]);

  useEffect(() => {
    view.current?.dispatch({ effects: completion.reconfigure(sources()) });
  }, [catalog.value]);

  useEffect(() => {
    const editor = view.current;
    if (editor === null) return;
    const place = error?.place ?? null;
    if (error === null || place === null) {
      editor.dispatch(setDiagnostics(editor.state, []));
      return;
    }
    const range = rangeAt(editor.state.doc, place, errorOffset);
    editor.dispatch(setDiagnostics(editor.state, [{ ...range, severity: "error", message: error.message }]));
    editor.dispatch({ effects: EditorView.scrollIntoView(range.from) });
  }, [id, error]);

  return <div class="code" ref={host} />;
}

/** What runs: the selection if there is one, else all. */
export function chosen(state: EditorState): Chosen {
  const { from, to, empty } = state.selection.main;
  if (empty) return { sql: state.doc.toString(), offset: { line: 0, column: 0 } };
  const line = state.doc.lineAt(from);
  return { sql: state.sliceDoc(from, to), offset: { line: line.number - 1, column: from - line.from } };
}

type Handlers = { readonly current: Pick<Props, "onText" | "onRun"> };

function fresh(text: string, handlers: Handlers): EditorState {
  const runNow = (editor: EditorView): boolean => {
    closeCompletion(editor);
    handlers.current.onRun(chosen(editor.state));
    return true;
  };
  return EditorState.create({
    doc: text,
    extensions: [
      keymap.of([{ key: "Mod-Enter", run: runNow, preventDefault: true }]),
      lineNumbers(),
      lintGutter(),
      history(),
      drawSelection(),
      highlightActiveLine(),
      highlightSelectionMatches(),
      bracketMatching(),
      closeBrackets(),
      indentUnit.of("  "),
      EditorState.allowMultipleSelections.of(true),
      EditorView.lineWrapping,
      sql({ dialect, upperCaseKeywords: true }),
      completion.of(sources()),
      syntaxHighlighting(highlight),
      placeholder("SELECT …   runs with Ctrl Enter"),
      keymap.of([
        ...closeBracketsKeymap,
        ...completionKeymap,
        ...searchKeymap,
        ...historyKeymap,
        ...defaultKeymap,
        indentWithTab,
      ]),
      EditorView.contentAttributes.of({ "aria-label": "SQL", spellcheck: "false", autocapitalize: "off" }),
      EditorView.updateListener.of((update) => {
        if (update.docChanged) handlers.current.onText(update.state.doc.toString());
      }),
      look,
    ],
  });
}

function sources(): Extension {
  const config = { dialect, schema: namespaceOf(known()), defaultSchema: DEFAULT_NAMESPACE };
  return autocompletion({
    override: [completeNames, schemaCompletionSource(config), keywordCompletionSource(dialect, true)],
    icons: false,
    maxRenderedOptions: 60,
  });
}

const highlight = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--code-keyword)", fontWeight: "600" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--code-string)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--code-number)" },
  { tag: tags.comment, color: "var(--muted)", fontStyle: "italic" },
  { tag: [tags.typeName, tags.standard(tags.name)], color: "var(--code-type)" },
  { tag: [tags.operator, tags.punctuation], color: "var(--muted)" },
]);

const look = EditorView.theme({
  "&": { height: "100%", fontSize: "13px", color: "var(--ink)", backgroundColor: "var(--surface)" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "20px" },
  ".cm-content": { padding: "8px 0", caretColor: "var(--accent)" },
  ".cm-cursor": { borderLeftColor: "var(--accent)", borderLeftWidth: "2px" },
  ".cm-gutters": { backgroundColor: "var(--surface)", color: "var(--muted)", border: "none" },
  ".cm-gutter-lint": { width: "14px" },
  ".cm-lint-marker": { width: "8px", height: "8px", margin: "6px 3px", borderRadius: "50%", background: "var(--bad)" },
  ".cm-lint-marker-error": { content: "none" },
  ".cm-activeLine": { backgroundColor: "var(--active-line)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "var(--selection)",
  },
  ".cm-selectionMatch": { backgroundColor: "var(--selection-match)" },
  ".cm-matchingBracket, &.cm-focused .cm-matchingBracket": { backgroundColor: "var(--selection)", color: "inherit" },
  ".cm-placeholder": { color: "var(--muted)" },
  ".cm-lintRange-error": {
    backgroundImage: "none",
    textDecoration: "underline wavy var(--bad)",
    textUnderlineOffset: "3px",
    backgroundColor: "var(--bad-wash)",
  },
  ".cm-tooltip": {
    backgroundColor: "var(--raised)",
    border: "1px solid var(--line-strong)",
    borderRadius: "6px",
    boxShadow: "var(--shadow)",
    overflow: "hidden",
  },
  ".cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", fontSize: "12px", maxHeight: "16em" },
  ".cm-tooltip-autocomplete > ul > li": { padding: "2px 10px", display: "flex", gap: "12px" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected] .cm-completionDetail": { color: "inherit" },
  ".cm-completionLabel": { flex: "1" },
  ".cm-completionMatchedText": { textDecoration: "none", fontWeight: "700" },
  ".cm-completionDetail": { color: "var(--muted)", fontStyle: "normal", margin: "0" },
  ".cm-completionInfo": { padding: "8px 10px", maxWidth: "320px", whiteSpace: "pre-wrap", fontSize: "12px" },
  ".cm-diagnostic": { padding: "6px 10px", borderLeft: "3px solid var(--bad)", whiteSpace: "pre-wrap" },
  ".cm-panels": { backgroundColor: "var(--raised)", color: "var(--ink)" },
  ".cm-panels.cm-panels-bottom": { borderTop: "1px solid var(--line)" },
  ".cm-textfield": { backgroundColor: "var(--surface)", border: "1px solid var(--line-strong)", color: "var(--ink)" },
  ".cm-button": { backgroundImage: "none", backgroundColor: "var(--surface)", border: "1px solid var(--line-strong)", color: "var(--ink)" },
});
