import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const DIST = join(import.meta.dirname, "..", "dist");
const files = readdirSync(DIST, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name));

// The files are part of every Lakemill binary, and are sent with `script-src 'self'`.
describe("the built page", () => {
  it("is small", () => {
    const sizes = files.map((file) => statSync(file).size);
    expect(Math.max(...sizes)).toBeLessThan(1_000_000);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(1_500_000);
  });

  it("has no inline script and makes no code of texts", () => {
    expect(readFileSync(join(DIST, "index.html"), "utf8")).not.toMatch(/<script(?![^>]*\ssrc=)|\son\w+=/);
    for (const file of files.filter((each) => each.endsWith(".js"))) {
      expect(readFileSync(file, "utf8")).not.toMatch(/\beval\(|new Function\b/);
    }
  });
});
