// Files that the browser saves.

import type { ResultSet } from "../api/result-set";
import { csvPieces } from "../grid/csv";

export function saveCsv(rows: ResultSet, title: string): void {
  const url = URL.createObjectURL(new Blob([...csvPieces(rows)], { type: "text/csv" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `${title.replace(/[^\w -]+/g, "_").trim() || "result"}.csv`;
  link.click();
  // The browser has begun to save by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
