// Small parts that pages are made of.

import type { ComponentChildren } from "preact";
import { advice, type ApiError } from "../api/error";
import type { Loaded } from "./load";

/** An error, what to do about it, and a way to try again. */
export function Problem({
  error,
  retry,
  placed = false,
}: {
  readonly error: ApiError;
  readonly retry?: (() => void) | undefined;
  /** Whether the place means something to the reader, who wrote the statement. */
  readonly placed?: boolean;
}) {
  const hint = advice(error);
  const code = error.code.replaceAll("_", " ");
  // "permission denied: .." says its kind itself.
  const message = error.message.startsWith(code) ? error.message.slice(code.length) : ` ${error.message}`;
  return (
    <div class="problem" role="alert">
      <p>
        <strong class="problem-code">{code}</strong>
        {message}
        {placed && error.place !== null && (
          <span class="problem-place">
            {" "}
            line {error.place.line}, column {error.place.column}
          </span>
        )}
      </p>
      {hint !== null && <p class="muted">{hint}</p>}
      {retry !== undefined && (
        <button type="button" class="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Shows what was loaded, or that it is not there yet, or why it never will be. */
export function Await<T>({
  of,
  what,
  children,
}: {
  readonly of: Loaded<T>;
  /** What is waited for, as in "Reading {what}". */
  readonly what: string;
  readonly children: (value: T) => ComponentChildren;
}) {
  if (of.state === "loading") return <Waiting what={what} />;
  if (of.state === "failed") return <Problem error={of.error} retry={of.retry} />;
  return <>{children(of.value)}</>;
}

export function Waiting({ what }: { readonly what: string }) {
  return (
    <p class="waiting" role="status">
      <span class="waiting-dot" aria-hidden="true" /> Reading {what}
    </p>
  );
}

/** There is nothing, and what could be done to have something. */
export function Empty({ title, children }: { readonly title: string; readonly children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

export interface TabLink<T extends string> {
  readonly view: T;
  readonly title: string;
  readonly href: string;
}

/** Views of one page, as links. */
export function ViewLinks<T extends string>({
  links,
  current,
  label,
}: {
  readonly links: readonly TabLink<T>[];
  readonly current: T;
  readonly label: string;
}) {
  return (
    <nav class="views" aria-label={label}>
      {links.map(({ view, title, href }) => (
        <a key={view} href={href} aria-current={view === current ? "page" : undefined}>
          {title}
        </a>
      ))}
    </nav>
  );
}

/** A part of a page under a heading. */
export function Section({
  title,
  note,
  children,
}: {
  readonly title: string;
  readonly note?: ComponentChildren;
  readonly children: ComponentChildren;
}) {
  return (
    <section class="section">
      <h2>{title}</h2>
      {note !== undefined && <p class="note">{note}</p>}
      {children}
    </section>
  );
}

/** A number that matters, with its name. */
export function Figure({
  name,
  value,
  note,
}: {
  readonly name: string;
  readonly value: ComponentChildren;
  readonly note?: ComponentChildren;
}) {
  return (
    <div class="figure">
      <dt>{name}</dt>
      <dd>{value}</dd>
      {note !== undefined && <dd class="figure-note">{note}</dd>}
    </div>
  );
}

/** A table that scrolls in its own frame where the page is narrow, by keyboard too. */
export function Table({
  label,
  kind = "facts",
  children,
}: {
  readonly label: string;
  readonly kind?: string;
  readonly children: ComponentChildren;
}) {
  return (
    <div class="scroll-x" tabIndex={0} role="region" aria-label={label}>
      <table class={kind}>{children}</table>
    </div>
  );
}
