// One table, external table or view.

import { useMemo } from "preact/hooks";
import { query } from "../api/client";
import { ApiError } from "../api/error";
import { catalog, known } from "../catalog/store";
import { openText } from "../editor/tabs";
import { ago, counted, timestamp } from "../format";
import { goTo, tableHref, TABLE_VIEWS, type Route } from "../route";
import { relation } from "../sql/quote";
import { useLoad } from "../ui/load";
import { Await, Empty, Problem, ViewLinks, Waiting } from "../ui/parts";
import { Lineage } from "../lineage/page";
import { Columns } from "./columns";
import { Definition } from "./definition";
import { Sample } from "./sample";
import { Versions, type Version } from "./versions";

type TableRoute = Extract<Route, { page: "table" }>;

export function TablePage({ route }: { readonly route: TableRoute }) {
  const { namespace, name } = route;
  const state = catalog.value;
  if (state.state === "loading") return <Waiting what="the catalog" />;
  if (state.state === "failed") return <Problem error={state.error} />;
  const found = known().relations.find((each) => each.namespace === namespace && each.name === name);
  if (found === undefined) {
    return (
      <Empty title={`There is no table ${name} in ${namespace}`}>
        <p>It may have been dropped or renamed. The catalog lists what there is.</p>
      </Empty>
    );
  }
  return <Known route={route} kind={found.kind} />;
}

interface Described {
  readonly column_name: string;
  readonly data_type: string;
  readonly is_nullable: string;
}

function Known({ route, kind }: { readonly route: TableRoute; readonly kind: string }) {
  const { namespace, name, view } = route;
  const table = relation(namespace, name);
  const rows = useLoad(async (signal) => (await query<{ n: number }>(`SELECT count(*) AS n FROM ${table}`, signal))[0]?.n ?? 0, [table]);
  const described = useLoad((signal) => query<Described>(`DESCRIBE ${table}`, signal), [table]);
  const history = useLoad((signal) => loadHistory(table, signal), [table]);
  const columns = useMemo(
    () =>
      described.state === "ready"
        ? described.value.map(({ column_name, data_type, is_nullable }) => ({
            name: column_name,
            type: data_type,
            nullable: is_nullable !== "NO",
          }))
        : [],
    [described],
  );
  const newest = history.state === "ready" ? history.value.versions[0] : undefined;
  const kindShown = history.state === "ready" ? (history.value.kind ?? kind) : kind;
  const openQuery = (): void => {
    openText(`SELECT *\nFROM ${table}\nLIMIT 100`);
    goTo({ page: "sql" });
  };
  return (
    <article class="page">
      <header class="page-head">
        <div>
          <p class="page-kind">
            {kindShown} in {namespace}
          </p>
          <h1>{name}</h1>
          <p class="page-facts">
            <span>{rows.state === "ready" ? counted(rows.value, "row") : rows.state === "failed" ? "rows unknown" : "counting rows"}</span>
            {described.state === "ready" && <span>{counted(columns.length, "column")}</span>}
            {newest !== undefined && (
              <span title={`${timestamp(newest.timestamp)} UTC`}>
                version {newest.version}, {ago(newest.timestamp)}
              </span>
            )}
          </p>
        </div>
        <button type="button" class="button" onClick={openQuery}>
          Query
        </button>
      </header>
      <ViewLinks
        label={`Views of ${name}`}
        current={view}
        links={TABLE_VIEWS.map((each) => ({
          view: each,
          title: each[0]!.toUpperCase() + each.slice(1),
          href: tableHref(namespace, name, each),
        }))}
      />
      {view === "columns" && (
        <Await of={described} what="the columns">
          {() => (
            <>
              {rows.state === "failed" && <Problem error={rows.error} retry={rows.retry} />}
              <Columns table={table} columns={columns} rows={rows.state === "ready" ? rows.value : null} />
            </>
          )}
        </Await>
      )}
      {view === "rows" && <Sample table={table} name={name} />}
      {view === "versions" && (
        <Await of={history} what="the versions">
          {(value) =>
            value.kind === null ? (
              <Versions table={table} versions={value.versions} />
            ) : (
              <Empty title={`A ${value.kind} has no versions`}>
                <p>Its rows are read where they lie each time. Lineage tells what it is made from.</p>
              </Empty>
            )
          }
        </Await>
      )}
      {view === "lineage" && <Lineage root={{ kind: "relation", namespace, name }} />}
      {view === "definition" && <Definition table={table} />}
    </article>
  );
}

interface History {
  /** What it is, if it is no table with versions. */
  readonly kind: "view" | "external table" | null;
  readonly versions: readonly Version[];
}

/** The server says so where a relation has no versions of its own. */
async function loadHistory(table: string, signal: AbortSignal): Promise<History> {
  try {
    return { kind: null, versions: await query<Version>(`DESCRIBE HISTORY ${table}`, signal) };
  } catch (thrown) {
    const kind = thrown instanceof ApiError ? / is an? (view|external table), not /.exec(thrown.message)?.[1] : undefined;
    if (kind === "view" || kind === "external table") return { kind, versions: [] };
    throw thrown;
  }
}
