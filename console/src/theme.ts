// Light, dark, or as the system has it. The colours themselves are in styles/tokens.css.

import { signal } from "@preact/signals";
import { recall, remember } from "./storage";

const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const isTheme = (value: unknown): value is Theme => THEMES.some((theme) => theme === value);

export const theme = signal<Theme>(recall("theme", isTheme) ?? "system");

export function applyTheme(next: Theme): void {
  theme.value = next;
  remember("theme", next);
  document.documentElement.dataset["theme"] = next;
}

export function nextTheme(): void {
  applyTheme(THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? "system");
}
