// Data that a page waits for, as one of three states.

import { useEffect, useState } from "preact/hooks";
import { asApiError, type ApiError } from "../api/error";

export type Loaded<T> =
  | { readonly state: "loading" }
  | { readonly state: "failed"; readonly error: ApiError; readonly retry: () => void }
  | { readonly state: "ready"; readonly value: T };

/** Loads when `keys` change; what is under way then, or when the page goes away, is aborted. */
export function useLoad<T>(load: (signal: AbortSignal) => Promise<T>, keys: readonly unknown[]): Loaded<T> {
  const [round, setRound] = useState(0);
  const [loaded, setLoaded] = useState<Loaded<T>>({ state: "loading" });
  useEffect(() => {
    const controller = new AbortController();
    setLoaded({ state: "loading" });
    load(controller.signal).then(
      (value) => {
        if (!controller.signal.aborted) setLoaded({ state: "ready", value });
      },
      (thrown: unknown) => {
        if (controller.signal.aborted) return;
        setLoaded({ state: "failed", error: asApiError(thrown), retry: () => setRound((last) => last + 1) });
      },
    );
    return () => controller.abort();
  }, [...keys, round]);
  return loaded;
}
