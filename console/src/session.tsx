// Who uses the console, where the server asks. The token is kept as long as the browser's tab.

import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { logIn, logOut } from "./api/client";
import { asApiError, type ApiError } from "./api/error";
import { session } from "./api/session";
import { loadCatalog } from "./catalog/store";
import { Problem } from "./ui/parts";

/** Counts log-ins: what was loaded for one user is not shown to the next. */
export const turn = signal(0);

export function LogInPage() {
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (form: HTMLFormElement): Promise<void> => {
    const values = new FormData(form);
    setBusy(true);
    setError(null);
    try {
      await logIn(String(values.get("user")), String(values.get("password")));
      turn.value += 1;
      await loadCatalog();
    } catch (thrown) {
      setError(asApiError(thrown));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      class="log-in"
      onSubmit={(event) => {
        event.preventDefault();
        void submit(event.currentTarget);
      }}
    >
      <h1>Log in</h1>
      <label>
        User
        <input name="user" autocomplete="username" autocapitalize="none" spellcheck={false} required autofocus />
      </label>
      <label>
        Password
        <input name="password" type="password" autocomplete="current-password" required />
      </label>
      {error !== null && <Problem error={error} />}
      <button type="submit" class="button primary" disabled={busy}>
        Log in
      </button>
    </form>
  );
}

export function LogOut() {
  const { user } = session.value;
  if (user === null) return null;
  return (
    <button
      type="button"
      class="button quiet"
      aria-label={`Log ${user} out`}
      title={`Logged in as ${user}`}
      onClick={() => {
        void logOut().finally(() => {
          turn.value += 1;
        });
      }}
    >
      Log out
    </button>
  );
}
