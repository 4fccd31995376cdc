// The server's HTTP API. Everything that the console knows comes through here.

import { ApiError, asApiError, errorIn } from "./error";
import { rowsOf, type Row } from "./json-lines";
import { begin, end, session } from "./session";

export const ARROW_STREAM = "application/vnd.apache.arrow.stream";
export const JSON_LINES = "application/x-ndjson";

const LOGIN = "/v1/login";

/** A request that is answered with success.
 *
 * @throws ApiError
 */
async function ask(path: string, init: RequestInit): Promise<Response> {
  try {
    const { token } = session.value;
    const headers = new Headers(init.headers);
    if (token !== null) headers.set("Authorization", `Bearer ${token}`);
    const response = await fetch(path, { credentials: "omit", cache: "no-store", ...init, headers });
    if (response.ok) return response;
    // A token that was good before this request may have been replaced meanwhile.
    if (response.status === 401 && path !== LOGIN && session.value.token === token) end();
    const text = await response.text();
    throw serverError(response.status, text);
  } catch (thrown) {
    throw asApiError(thrown);
  }
}

function serverError(status: number, text: string): ApiError {
  try {
    const error = errorIn(JSON.parse(text));
    if (error !== null) return error;
  } catch {
    // Not of the server itself: a proxy's page, say.
  }
  return new ApiError("unreachable", `the server answered ${status}: ${text.slice(0, 200).trim() || "nothing more"}`);
}

function post(path: string, body: unknown, accept: string, signal?: AbortSignal): Promise<Response> {
  const headers = { "Content-Type": "application/json", Accept: accept };
  return ask(path, { method: "POST", headers, body: JSON.stringify(body), signal: signal ?? null });
}

/** Starts a script; the answer is read by the caller. */
export function startSql(sql: string, accept: string, signal?: AbortSignal): Promise<Response> {
  return post("/v1/sql", { sql }, accept, signal);
}

/** The rows of a query that has few. */
export async function query<T extends object = Row>(sql: string, signal?: AbortSignal): Promise<T[]> {
  const response = await startSql(sql, JSON_LINES, signal);
  try {
    return rowsOf(await response.text()) as T[];
  } catch (thrown) {
    throw asApiError(thrown);
  }
}

export interface Field {
  readonly name: string;
  readonly type: string;
}

export interface ModelSignature {
  readonly name: string;
  readonly version: number;
  readonly input: readonly Field[];
  readonly output: readonly Field[];
}

/** The columns that a model needs and gives. `name` may have a namespace. */
export async function modelSignature(name: string, signal?: AbortSignal): Promise<ModelSignature> {
  const response = await ask(`/v1/models/${encodeURIComponent(name)}`, { signal: signal ?? null });
  return (await response.json()) as ModelSignature;
}

export interface Prediction {
  readonly predictions: readonly Row[];
  readonly model_version: number;
}

export async function predict(name: string, instance: Row, version: number, signal?: AbortSignal): Promise<Prediction> {
  const path = `/v1/models/${encodeURIComponent(name)}:predict`;
  const response = await post(path, { instances: [instance], version }, "application/json", signal);
  return (await response.json()) as Prediction;
}

export async function metricsText(signal?: AbortSignal): Promise<string> {
  return (await ask("/metrics", { signal: signal ?? null })).text();
}

/** Requests are this user's from now on.
 *
 * @throws ApiError: the password is wrong.
 */
export async function logIn(user: string, password: string): Promise<void> {
  const response = await post(LOGIN, { user, password }, "application/json");
  const { token } = (await response.json()) as { readonly token: string };
  begin(user, token);
}

/** Nobody's again, here and at the server. */
export async function logOut(): Promise<void> {
  try {
    await post("/v1/logout", {}, "application/json");
  } finally {
    end();
  }
}
