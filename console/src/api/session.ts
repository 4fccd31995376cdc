// The token that requests carry, where the server asks who comes.

import { signal } from "@preact/signals";

export interface Session {
  /** Who has logged in here. */
  readonly user: string | null;
  readonly token: string | null;
  /** Whether the server has asked, and not been told. */
  readonly needed: boolean;
}

const KEY = "lakemill.session";

export const session = signal<Session>(recalled());

function recalled(): Session {
  try {
    const value: unknown = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
    if (typeof value === "object" && value !== null && "user" in value && "token" in value) {
      const { user, token } = value;
      if (typeof user === "string" && typeof token === "string") return { user, token, needed: false };
    }
  } catch {
    // The browser keeps nothing, or something else.
  }
  return { user: null, token: null, needed: false };
}

export function begin(user: string, token: string): void {
  session.value = { user, token, needed: false };
  keep(JSON.stringify({ user, token }));
}

/** Nobody is logged in any more; the server asks again. */
export function end(): void {
  if (session.value.needed) return;
  session.value = { user: null, token: null, needed: true };
  keep(null);
}

function keep(text: string | null): void {
  try {
    if (text === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, text);
  } catch {
    // Then it is known until the page is closed.
  }
}
