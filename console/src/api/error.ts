// What can go wrong between the console and the server, as one kind of error that says where and what to do.

/** An error of the server, or of the way to it. */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
    /** Where in the script, both from 1, if the server could tell. */
    readonly place: Place | null = null,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

export interface Place {
  readonly line: number;
  readonly column: number;
}

/** The server's `{"error": {..}}`, or null if this is another thing. */
export function errorIn(body: unknown): ApiError | null {
  if (typeof body !== "object" || body === null || !("error" in body)) return null;
  const error = body.error;
  if (typeof error !== "object" || error === null) return null;
  const { code, message, line, column } = error as Record<string, unknown>;
  if (typeof code !== "string" || typeof message !== "string") return null;
  const place = typeof line === "number" && typeof column === "number" ? { line, column } : null;
  return new ApiError(code, message, place);
}

/** Anything that was thrown, as an ApiError; an abort is `cancelled`. */
export function asApiError(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown;
  if (thrown instanceof DOMException && thrown.name === "AbortError") {
    return new ApiError("cancelled", "cancelled");
  }
  if (thrown instanceof TypeError) {
    return new ApiError("unreachable", "the server does not answer; see whether lakemill serve still runs");
  }
  return new ApiError("internal", thrown instanceof Error ? thrown.message : String(thrown));
}

/** What a person can do about an error, where the message does not say it already. */
export function advice(error: ApiError): string | null {
  switch (error.code) {
    case "unreachable":
      return "What you wrote is kept in this browser.";
    case "exhausted":
      return "Ask for fewer rows or columns, or give the server more with --memory or --max-statements.";
    case "timeout":
      return "The server stops statements after --statement-timeout.";
    default:
      return null;
  }
}
