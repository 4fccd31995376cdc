// The editor's tabs. Their texts are kept in this browser, their results until the page is closed.

import { signal } from "@preact/signals";
import { recall, remember } from "../storage";

export interface Tab {
  readonly id: string;
  readonly title: string;
  readonly text: string;
}

interface Kept {
  readonly tabs: readonly Tab[];
  readonly active: string;
}

function isKept(value: unknown): value is Kept {
  const kept = value as Kept | null;
  return (
    typeof kept?.active === "string" &&
    Array.isArray(kept.tabs) &&
    kept.tabs.length > 0 &&
    kept.tabs.every((tab: unknown) => {
      const { id, title, text } = (tab ?? {}) as Partial<Tab>;
      return typeof id === "string" && typeof title === "string" && typeof text === "string";
    })
  );
}

function fresh(text: string, taken: readonly Tab[]): Tab {
  let number = 1;
  while (taken.some((tab) => tab.title === `Query ${number}`)) number += 1;
  return { id: `${Date.now().toString(36)}-${number}`, title: `Query ${number}`, text };
}

function initial(): Kept {
  const kept = recall("tabs", isKept);
  if (kept !== null) return kept;
  const tab = fresh("", []);
  return { tabs: [tab], active: tab.id };
}

const start = initial();
export const tabs = signal<readonly Tab[]>(start.tabs);
export const activeId = signal<string>(start.tabs.some((tab) => tab.id === start.active) ? start.active : start.tabs[0]!.id);

function keep(): void {
  remember("tabs", { tabs: tabs.value, active: activeId.value } satisfies Kept);
}

export function activeTab(): Tab {
  return tabs.value.find((tab) => tab.id === activeId.value) ?? tabs.value[0]!;
}

export function activate(id: string): void {
  activeId.value = id;
  keep();
}

/** Opens a text in a new tab, which takes the place of the active one if that is empty. */
export function openText(text: string): void {
  const active = activeTab();
  addTab(text);
  if (active.text.trim() === "") closeTab(active.id);
}

export function addTab(text = ""): void {
  const tab = fresh(text, tabs.value);
  tabs.value = [...tabs.value, tab];
  activate(tab.id);
}

/** Closes a tab; there is always one. */
export function closeTab(id: string): void {
  const index = tabs.value.findIndex((tab) => tab.id === id);
  if (index < 0) return;
  const rest = tabs.value.filter((tab) => tab.id !== id);
  tabs.value = rest.length > 0 ? rest : [fresh("", [])];
  if (activeId.value === id) activeId.value = tabs.value[Math.min(index, tabs.value.length - 1)]!.id;
  keep();
}

export function setText(id: string, text: string): void {
  tabs.value = tabs.value.map((tab) => (tab.id === id ? { ...tab, text } : tab));
  keep();
}

export function rename(id: string, title: string): void {
  if (title.trim() === "") return;
  tabs.value = tabs.value.map((tab) => (tab.id === id ? { ...tab, title: title.trim().slice(0, 60) } : tab));
  keep();
}
