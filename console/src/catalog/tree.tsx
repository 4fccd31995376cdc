// The catalog beside every page: namespaces, tables with their columns, models.

import { useState } from "preact/hooks";
import { session } from "../api/session";
import { href, modelHref, route, tableHref } from "../route";
import { family } from "../sql/types";
import { Problem, Waiting } from "../ui/parts";
import { marked, search, type FoundRelation } from "./search";
import { catalog, loadCatalog, type Catalog, type ModelEntry } from "./store";

export const SEARCH_ID = "catalog-search";

interface Props {
  /** Called when a link has been followed. */
  readonly onLeave: () => void;
}

export function CatalogTree({ onLeave }: Props) {
  const [text, setText] = useState("");
  const state = catalog.value;
  return (
    <div class="catalog">
      <div class="catalog-search" role="search">
        <input
          id={SEARCH_ID}
          type="search"
          placeholder="Search tables and columns"
          aria-label="Search tables and columns"
          autocomplete="off"
          spellcheck={false}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape") {
              event.preventDefault();
              if (text === "") event.currentTarget.blur();
              else setText("");
            }
            if (event.key === "ArrowDown" || event.key === "Enter") {
              const first = document.querySelector<HTMLElement>(".catalog-list a");
              event.preventDefault();
              if (event.key === "Enter") first?.click();
              else first?.focus();
            }
          }}
        />
        <kbd aria-hidden="true">/</kbd>
      </div>
      {state.state === "loading" && <Waiting what="the catalog" />}
      {state.state === "failed" && <Problem error={state.error} retry={() => void loadCatalog()} />}
      {state.state === "ready" && <Entries catalog={state.catalog} text={text} onLeave={onLeave} />}
    </div>
  );
}

function Entries({ catalog, text, onLeave }: { readonly catalog: Catalog; readonly text: string } & Props) {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const found = search(catalog, text);
  const namespaces = [...new Set(found.relations.map(({ relation }) => relation.namespace))];

  if (catalog.relations.length === 0 && catalog.models.length === 0) {
    return (
      <div class="catalog-empty">
        <p>{session.value.user === null ? "The lake is empty." : `There is nothing here that ${session.value.user} may read.`}</p>
        <p class="muted">
          Make a table in the <a href={href({ page: "sql" })}>SQL editor</a>: <code>CREATE TABLE t AS SELECT 1 AS a</code>
        </p>
      </div>
    );
  }
  if (found.relations.length === 0 && found.models.length === 0) {
    return (
      <p class="catalog-empty" role="status">
        Nothing is called “{text}”.
      </p>
    );
  }
  const toggle = (key: string): void => {
    const next = new Set(open);
    if (!next.delete(key)) next.add(key);
    setOpen(next);
  };
  return (
    <nav class="catalog-list" aria-label="Catalog" onKeyDown={walk}>
      {namespaces.map((namespace) => (
        <section key={namespace}>
          <h2>{namespace}</h2>
          <ul>
            {found.relations
              .filter(({ relation }) => relation.namespace === namespace)
              .map((entry) => {
                const key = `${entry.relation.namespace}.${entry.relation.name}`;
                const isOpen = text.trim() !== "" && entry.byColumn ? !open.has(key) : open.has(key);
                return (
                  <RelationEntry
                    key={key}
                    entry={entry}
                    text={text}
                    open={isOpen}
                    onToggle={() => toggle(key)}
                    onLeave={onLeave}
                  />
                );
              })}
          </ul>
        </section>
      ))}
      {found.models.length > 0 && (
        <section>
          <h2>models</h2>
          <ul>
            {found.models.map((model) => (
              <ModelLink key={`${model.namespace}.${model.name}`} model={model} text={text} onLeave={onLeave} />
            ))}
          </ul>
        </section>
      )}
    </nav>
  );
}

function RelationEntry({
  entry: { relation, columns },
  text,
  open,
  onToggle,
  onLeave,
}: {
  readonly entry: FoundRelation;
  readonly text: string;
  readonly open: boolean;
  readonly onToggle: () => void;
} & Props) {
  const { namespace, name, kind } = relation;
  const now = route.value;
  const current = now.page === "table" && now.namespace === namespace && now.name === name;
  return (
    <li>
      <div class="catalog-row" data-current={current}>
        <button
          type="button"
          class="catalog-twist"
          aria-expanded={open}
          aria-label={`Columns of ${name}`}
          onClick={onToggle}
        >
          <svg viewBox="0 0 10 10" aria-hidden="true">
            <path d="M3 1.5 7 5 3 8.5" />
          </svg>
        </button>
        <a
          href={tableHref(namespace, name)}
          aria-current={current ? "page" : undefined}
          onClick={onLeave}
          data-kind={kind}
          title={name}
        >
          <Marked name={name} text={text} />
          {kind !== "table" && <span class="catalog-kind">{kind}</span>}
        </a>
      </div>
      {open && (
        <ul class="catalog-columns">
          {columns.map((column) => (
            <li key={column.name} data-family={family(column.type)}>
              <span class="catalog-column" title={column.name}>
                <Marked name={column.name} text={text} />
              </span>
              <span class="catalog-type">{column.type}</span>
            </li>
          ))}
        </ul>
      )}
    </li>
  );
}

function ModelLink({ model, text, onLeave }: { readonly model: ModelEntry; readonly text: string } & Props) {
  const now = route.value;
  const current = now.page === "model" && now.namespace === model.namespace && now.name === model.name;
  return (
    <li>
      <div class="catalog-row" data-current={current}>
        <a
          class="catalog-model"
          href={modelHref(model.namespace, model.name)}
          aria-current={current ? "page" : undefined}
          onClick={onLeave}
        >
          <Marked name={model.name} text={text} />
          <span class="catalog-kind">v{model.version}</span>
        </a>
      </div>
    </li>
  );
}

function Marked({ name, text }: { readonly name: string; readonly text: string }) {
  return (
    <span class="catalog-name">
      {marked(name, text).map(([piece, hit], index) => (hit ? <mark key={index}>{piece}</mark> : piece))}
    </span>
  );
}

/** Up and down go from link to link, right and left open and close. */
function walk(event: KeyboardEvent): void {
  const target = event.target as HTMLElement;
  if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
    const twist = target.closest(".catalog-row")?.querySelector<HTMLButtonElement>(".catalog-twist");
    if (twist && (twist.getAttribute("aria-expanded") === "true") === (event.key === "ArrowLeft")) twist.click();
    return;
  }
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const links = [...(event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>(".catalog-row a")];
  const row = target.closest(".catalog-row")?.querySelector<HTMLElement>("a") ?? target;
  const next = links.indexOf(row) + (event.key === "ArrowDown" ? 1 : -1);
  event.preventDefault();
  if (next < 0) document.getElementById(SEARCH_ID)?.focus();
  else links[next]?.focus();
}
