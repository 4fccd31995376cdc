// A headless Chromium, and pages of it that note what they should not do.

import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGS });
}

/** A page of its own storage at `base`, with lists of dialogs, errors and requests to other hosts. */
export async function open(browser, base, { width = 1280, height = 800, theme = "light" } = {}) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: theme,
    permissions: ["clipboard-read", "clipboard-write"],
    acceptDownloads: true,
  });
  const page = await context.newPage();
  const noted = { dialogs: [], errors: [], foreign: [] };
  const { host } = new URL(base);
  page.on("dialog", (dialog) => {
    noted.dialogs.push(dialog.message());
    void dialog.dismiss();
  });
  page.on("pageerror", (error) => noted.errors.push(String(error)));
  page.on("console", (message) => {
    // A statement that fails is answered with an error status, which the browser notes as well.
    if (message.type() === "error" && !/Failed to load resource/.test(message.text())) noted.errors.push(message.text());
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (!["blob:", "data:"].includes(url.protocol) && url.host !== host) noted.foreign.push(request.url());
  });
  await page.goto(base);
  await page.waitForSelector(".catalog-list a, .catalog-empty", { state: "attached" });
  return { page, noted, context };
}

/** Puts a text into the editor, as a person who pastes it. */
export async function write(page, sql) {
  await page.locator(".cm-content").click();
  await page.keyboard.press("Control+A");
  await page.keyboard.press("Delete");
  await page.keyboard.insertText(sql);
}

/** Runs a text and waits until it has ended. */
export async function run(page, sql, timeout = 60_000) {
  await write(page, sql);
  await page.keyboard.press("Control+Enter");
  await page.waitForFunction(() => document.querySelector(".run-status")?.dataset.state === "running", null, { timeout: 2000 }).catch(() => {});
  await page.waitForFunction(() => ["done", "failed"].includes(document.querySelector(".run-status")?.dataset.state), null, { timeout });
  return page.locator(".run-status").textContent();
}

/** Waits until an element's text is `expected`, or matches it: a page draws what a click changed a moment later. */
export async function shows(locator, expected, timeout = 5000) {
  const fits = (text) => (expected instanceof RegExp ? expected.test(text) : text === expected);
  const until = Date.now() + timeout;
  let text = await locator.textContent();
  while (!fits(text) && Date.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    text = await locator.textContent();
  }
  if (!fits(text)) assert.fail(`${locator} shows '${text}', not ${expected}`);
}
