// The frame around every page: bar, catalog, keys.

import { Fragment, type ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { session } from "./api/session";
import { SEARCH_ID, CatalogTree } from "./catalog/tree";
import { SqlPage } from "./editor/page";
import { cancel } from "./editor/runs";
import { activeId } from "./editor/tabs";
import { KEYS, listen } from "./keys";
import { ModelsPage } from "./models/list";
import { ModelPage } from "./models/page";
import { goTo, href, route, type Route } from "./route";
import { RunsPage } from "./runs/list";
import { RunPage } from "./runs/page";
import { ServingPage } from "./serving/page";
import { LogInPage, LogOut, turn } from "./session";
import { TablePage } from "./table/page";
import { nextTheme, theme } from "./theme";
import { Dialog } from "./ui/dialog";

const PAGES: readonly { readonly to: Route; readonly title: string; readonly icon: string }[] = [
  { to: { page: "sql" }, title: "SQL", icon: "M3 4.5 6.5 8 3 11.5M8.5 12h5" },
  { to: { page: "models" }, title: "Models", icon: "M2.5 13.5V2.5M2.5 13.5h11M4.5 11c4-.5 5-7 8.5-7.5" },
  { to: { page: "runs", pipeline: null }, title: "Runs", icon: "M2 3.5h5M4.5 8h7M9 12.5h5" },
  { to: { page: "serving" }, title: "Serving", icon: "M1.5 8h3l2-5 3 10 2-5h3" },
];

/** Moves the focus at once where it can, so that no letter typed meanwhile is lost; else when the element has been drawn. */
function focusSoon(find: () => HTMLElement | null) {
  find()?.focus();
  if (find() === null || document.activeElement !== find()) requestAnimationFrame(() => find()?.focus());
}

export function App() {
  const [drawer, setDrawer] = useState(false);
  const [help, setHelp] = useState(false);
  const now = route.value;

  useEffect(
    () =>
      listen({
        search: () => {
          setDrawer(true);
          focusSoon(() => document.getElementById(SEARCH_ID));
        },
        editor: () => {
          goTo({ page: "sql" });
          focusSoon(() => document.querySelector<HTMLElement>(".cm-content"));
        },
        help: () => setHelp(true),
        escape: () => {
          setDrawer(false);
          const cancelled = route.value.page === "sql" && cancel(activeId.value);
          // Out of the editor, so that the keys of the page are at hand.
          if (!cancelled && document.activeElement instanceof HTMLElement) document.activeElement.blur();
        },
      }),
    [],
  );

  useEffect(() => {
    document.title = `${titleOf(now)} · Lakemill`;
  }, [now]);

  return (
    <div class="app">
      <a class="skip" href="#main" onClick={skip}>
        To the page
      </a>
      <header class="bar">
        <button
          type="button"
          class="icon-button drawer-button"
          aria-label="Catalog"
          aria-expanded={drawer}
          onClick={() => setDrawer(!drawer)}
        >
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="M2 4h12M2 8h12M2 12h12" />
          </svg>
        </button>
        <a class="brand" href={href({ page: "sql" })}>
          <svg viewBox="0 0 24 24" aria-hidden="true">
            <circle cx="12" cy="9.5" r="6" />
            <path d="M12 3.5v12M6 9.5h12M2.5 20.5c2.4-2.200 4-2.200 6.300 0s4 2.200 6.300 0 4-2.200 6.300 0" />
          </svg>
          Lakemill
        </a>
        <nav class="pages" aria-label="Pages" hidden={session.value.needed}>
          {PAGES.map(({ to, title, icon }) => (
            <a key={to.page} href={href(to)} aria-current={isAt(now, to.page) ? "page" : undefined}>
              <svg viewBox="0 0 16 16" aria-hidden="true">
                <path d={icon} />
              </svg>
              {title}
            </a>
          ))}
        </nav>
        <span class="spring" />
        <LogOut />
        <button type="button" class="icon-button" aria-label="Keys" title="Keys (?)" onClick={() => setHelp(true)}>
          ?
        </button>
        <button
          type="button"
          class="icon-button"
          aria-label={`Colours: ${theme.value}`}
          title={`Colours: ${theme.value}`}
          onClick={nextTheme}
        >
          <ThemeIcon />
        </button>
      </header>
      {session.value.needed ? (
        <main id="main" class="main alone" tabIndex={-1}>
          <LogInPage />
        </main>
      ) : (
        <Fragment key={turn.value}>
          {drawer && <div class="drawer-shade" onClick={() => setDrawer(false)} />}
          <aside class="side" data-open={drawer} aria-label="Catalog">
            <CatalogTree onLeave={() => setDrawer(false)} />
          </aside>
          <main id="main" class="main" tabIndex={-1}>
            <Page route={now} />
          </main>
        </Fragment>
      )}
      {help && <Help onClose={() => setHelp(false)} />}
    </div>
  );
}

function Page({ route: now }: { readonly route: Route }): ComponentChildren {
  switch (now.page) {
    case "sql":
      return <SqlPage />;
    case "table":
      return <TablePage key={JSON.stringify([now.namespace, now.name])} route={now} />;
    case "models":
      return <ModelsPage />;
    case "model":
      return <ModelPage key={JSON.stringify([now.namespace, now.name])} route={now} />;
    case "runs":
      return <RunsPage key={now.pipeline} pipeline={now.pipeline} />;
    case "run":
      return <RunPage key={now.id} id={now.id} />;
    case "serving":
      return <ServingPage />;
  }
}

function titleOf(now: Route): string {
  if (now.page === "table" || now.page === "model") return now.name;
  if (now.page === "run") return "Run";
  return PAGES.find(({ to }) => to.page === now.page)?.title ?? "";
}

function isAt(now: Route, page: string): boolean {
  return now.page === page || (now.page === "model" && page === "models") || (now.page === "run" && page === "runs");
}

/** The address holds the page, so a link to `#main` would leave it. */
function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function ThemeIcon() {
  const path = {
    system: "M8 2.5a5.5 5.5 0 1 0 0 11zM8 2.5a5.5 5.5 0 1 1 0 11",
    light: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1.100 1.100M11.900 11.900 13 13M13 3l-1.100 1.100M4.100 11.900 3 13",
    dark: "M13.5 9.5A5.800 5.800 0 0 1 6.5 2.5a5.800 5.800 0 1 0 7 7z",
  }[theme.value];
  return (
    <svg viewBox="0 0 16 16" aria-hidden="true" data-half={theme.value === "system"}>
      <path d={path} />
    </svg>
  );
}

function Help({ onClose }: { readonly onClose: () => void }) {
  return (
    <Dialog title="Keys" onClose={onClose}>
      <div class="keys">
        {KEYS.map(([title, keys]) => (
          <section key={title}>
            <h3>{title}</h3>
            <dl>
              {keys.map(([key, meaning]) => (
                <div key={key}>
                  <dt>
                    <kbd>{key}</kbd>
                  </dt>
                  <dd>{meaning}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <p class="muted">On a Mac, Cmd takes the place of Ctrl.</p>
    </Dialog>
  );
}
