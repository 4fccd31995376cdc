// Pages and their addresses. The page is in the part after `#`, so that names with dots and slashes need no care of
// the server, and a reload finds the same page.

import { signal } from "@preact/signals";

export const TABLE_VIEWS = ["columns", "rows", "versions", "lineage", "definition"] as const;
export type TableView = (typeof TABLE_VIEWS)[number];

export const MODEL_VIEWS = ["quality", "predict", "training", "versions", "lineage", "options"] as const;
export type ModelView = (typeof MODEL_VIEWS)[number];

export type Route =
  | { readonly page: "sql" }
  | { readonly page: "models" }
  | { readonly page: "serving" }
  /** The runs of one pipeline; of all if null. */
  | { readonly page: "runs"; readonly pipeline: string | null }
  | { readonly page: "run"; readonly id: string }
  | { readonly page: "table"; readonly namespace: string; readonly name: string; readonly view: TableView }
  | {
      readonly page: "model";
      readonly namespace: string;
      readonly name: string;
      readonly view: ModelView;
      /** The newest one if null. */
      readonly version: number | null;
    };

export function parseRoute(hash: string): Route {
  const [path = "", search = ""] = hash.replace(/^#/, "").split("?");
  const [page, namespace, name, view] = path.split("/").filter(Boolean).map(decode);
  if (page === "table" && namespace !== undefined && name !== undefined) {
    return { page, namespace, name, view: TABLE_VIEWS.find((known) => known === view) ?? "columns" };
  }
  if (page === "model" && namespace !== undefined && name !== undefined) {
    const version = Number(new URLSearchParams(search).get("version") ?? Number.NaN);
    return {
      page,
      namespace,
      name,
      view: MODEL_VIEWS.find((known) => known === view) ?? "quality",
      version: Number.isInteger(version) ? version : null,
    };
  }
  if (page === "runs") return { page, pipeline: new URLSearchParams(search).get("pipeline") };
  if (page === "run" && namespace !== undefined) return { page, id: namespace };
  if (page === "models" || page === "serving") return { page };
  return { page: "sql" };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of a page, for `href`. */
export function href(route: Route): string {
  if (route.page === "runs" && route.pipeline !== null) return `#/runs?pipeline=${encodeURIComponent(route.pipeline)}`;
  if (route.page === "run") return `#/run/${encodeURIComponent(route.id)}`;
  if (route.page !== "table" && route.page !== "model") return `#/${route.page}`;
  const first = route.page === "table" ? TABLE_VIEWS[0] : MODEL_VIEWS[0];
  const parts = [route.page, route.namespace, route.name, ...(route.view === first ? [] : [route.view])];
  const search = route.page === "model" && route.version !== null ? `?version=${route.version}` : "";
  return `#/${parts.map(encodeURIComponent).join("/")}${search}`;
}

export function tableHref(namespace: string, name: string, view: TableView = "columns"): string {
  return href({ page: "table", namespace, name, view });
}

export function modelHref(
  namespace: string,
  name: string,
  view: ModelView = "quality",
  version: number | null = null,
): string {
  return href({ page: "model", namespace, name, view, version });
}

export const route = signal<Route>(parseRoute(""));

/** Follows the address from now on. */
export function followAddress(): void {
  const update = (): void => {
    route.value = parseRoute(location.hash);
  };
  addEventListener("hashchange", update);
  update();
}

export function goTo(next: Route): void {
  location.hash = href(next);
}
