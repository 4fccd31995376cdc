// What this browser remembers. A browser may refuse (private windows, full disks): then it is remembered until the
// page is closed.

const PREFIX = "lakemill.";

export function recall<T>(key: string, isValid: (value: unknown) => value is T): T | null {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(PREFIX + key) ?? "null");
    return isValid(value) ? value : null;
  } catch {
    return null;
  }
}

export function remember(key: string, value: unknown): void {
  try {
    localStorage.setItem(PREFIX + key, JSON.stringify(value));
  } catch {
    // Nothing to be done about it, and nothing depends on it.
  }
}
