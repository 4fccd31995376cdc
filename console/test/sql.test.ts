import { Text } from "@codemirror/state";
import { describe, expect, it } from "vitest";
import { marked, search } from "../src/catalog/search";
import { metricsOf } from "../src/catalog/store";
import { rangeAt } from "../src/editor/place";
import { fromRows } from "../src/models/describe";
import { href, parseRoute, tableHref } from "../src/route";
import { identifier, relation, splitName, text } from "../src/sql/quote";
import { family } from "../src/sql/types";
import { groups, numbersSql } from "../src/table/statistics";

describe("quoting", () => {
  it("leaves plain names alone", () => {
    expect(identifier("flights")).toBe("flights");
    expect(identifier("_a1")).toBe("_a1");
  });

  it("quotes what SQL would change or not understand", () => {
    expect(identifier("Flights")).toBe('"Flights"');
    expect(identifier("order")).toBe('"order"');
    expect(identifier("1a")).toBe('"1a"');
    expect(identifier('a"b')).toBe('"a""b"');
    expect(identifier("<img src=x>")).toBe('"<img src=x>"');
    expect(identifier("")).toBe('""');
    expect(text("it's")).toBe("'it''s'");
  });

  it("leaves the default namespace out", () => {
    expect(relation("main", "t")).toBe("t");
    expect(relation("Raw", "t")).toBe('"Raw".t');
    expect(splitName("raw.t")).toEqual({ namespace: "raw", name: "t" });
    expect(splitName("t")).toEqual({ namespace: "main", name: "t" });
  });
});

describe("addresses", () => {
  it("come back as they were, whatever a name holds", () => {
    for (const name of ["flights", "a/b", "a.b", "a?b=1", "<img src=x onerror=alert(1)>", "%", "#"]) {
      expect(parseRoute(tableHref("main", name, "lineage"))).toEqual({ page: "table", namespace: "main", name, view: "lineage" });
    }
    const model = { page: "model", namespace: "main", name: "m", view: "quality", version: 2 } as const;
    expect(href(model)).toBe("#/model/main/m?version=2");
    expect(parseRoute(href(model))).toEqual(model);
    for (const pipeline of [null, "flights", "a/b?c=d&e#%"]) {
      expect(parseRoute(href({ page: "runs", pipeline }))).toEqual({ page: "runs", pipeline });
    }
    expect(parseRoute(href({ page: "run", id: "a/b" }))).toEqual({ page: "run", id: "a/b" });
  });

  it("lead to the SQL page if they are none", () => {
    for (const hash of ["", "#", "#/nothing", "#/table/main", "#/run", "#/%E0%A4%A"]) expect(parseRoute(hash)).toEqual({ page: "sql" });
  });
});

describe("search", () => {
  const columns = [
    { name: "id", type: "INT" },
    { name: "arr_delay", type: "INT" },
  ];
  const catalog = {
    relations: [
      { namespace: "main", name: "flights", kind: "table", columns },
      { namespace: "raw", name: "delays", kind: "view", columns: [{ name: "x", type: "INT" }] },
    ],
    models: [],
  };
  const names = (words: string): string[] => search(catalog, words).relations.map(({ relation: { name } }) => name);

  it("finds tables and columns", () => {
    expect(names("")).toEqual(["flights", "delays"]);
    expect(names("DELAY")).toEqual(["flights", "delays"]);
    expect(names("raw delay")).toEqual(["delays"]);
    expect(names("flights arr")).toEqual(["flights"]);
    expect(names("main.flights")).toEqual(["flights"]);
    expect(names("nothing")).toEqual([]);
    expect(search(catalog, "arr").relations[0]?.columns).toEqual([columns[1]]);
  });

  it("marks what matches", () => {
    expect(marked("arr_delay", "Delay")).toEqual([["arr_", false], ["delay", true]]);
    expect(marked("arr_delay", "x")).toEqual([["arr_delay", false]]);
  });
});

describe("places of errors", () => {
  const document = Text.of(["SELECT 'ä😀', mont", "FROM flights", ""]);
  const at = (line: number, column: number, offset = { line: 0, column: 0 }): string => {
    const { from, to } = rangeAt(document, { line, column }, offset);
    return document.sliceString(from, to);
  };

  it("are words", () => {
    expect(at(2, 6)).toBe("flights");
    expect(at(1, 1)).toBe("SELECT");
  });

  it("count characters, not JavaScript's units", () => {
    expect(at(1, 14)).toBe("mont");
  });

  it("move with a selection", () => {
    expect(at(1, 1, { line: 1, column: 5 })).toBe("flights");
    expect(at(1, 3, { line: 0, column: 12 })).toBe("mont");
  });

  it("stay within the text", () => {
    expect(at(9, 99)).toBe("");
    expect(at(2, 99)).toBe("s");
  });
});

describe("statistics", () => {
  it("ask of each type what it can answer", () => {
    const sql = numbersSql("t", [
      { name: "a", type: "INT" },
      { name: "B", type: "DOUBLE" },
      { name: "c", type: "BOOLEAN" },
      { name: "d", type: "ARRAY<INT>" },
    ]);
    expect(sql).toContain("approx_distinct(a) AS d0");
    expect(sql).toContain('approx_distinct(CAST("B" AS VARCHAR)) AS d1');
    expect(sql).toContain("count(DISTINCT c) AS d2");
    expect(sql).not.toContain("min(d)");
  });

  it("go over wide tables in groups", () => {
    expect(groups(Array.from({ length: 50 }, (_, index) => index)).map((group) => group.length)).toEqual([24, 24, 2]);
  });

  it("know families of types", () => {
    expect(["INT", "BIGINT UNSIGNED", "DECIMAL(10, 2)"].map(family)).toEqual(["number", "number", "number"]);
    expect(["TIMESTAMP", "DATE", "INTERVAL", "STRUCT<a INT>", "VARCHAR"].map(family)).toEqual([
      "time",
      "time",
      "other",
      "nested",
      "text",
    ]);
  });
});

describe("models", () => {
  it("are read from DESCRIBE MODEL", () => {
    const model = fromRows([
      { section: "model", name: "version", value: "1 of 3" },
      { section: "model", name: "type", value: "LINEAR_REG" },
      { section: "option", name: "l2_reg", value: "1.0" },
      { section: "option", name: "class_weights", value: " (default)" },
      { section: "held-out metric", name: "r2_score", value: "0.5" },
      { section: "lineage", name: "query", value: "SELECT 1" },
    ]);
    expect([model.version, model.versions, model.query]).toEqual([1, 3, "SELECT 1"]);
    expect(model.options).toEqual([
      { name: "l2_reg", value: "1.0", isDefault: false },
      { name: "class_weights", value: "", isDefault: true },
    ]);
    expect(model.metrics.get("r2_score")).toBe(0.5);
  });

  it("are listed with their measures", () => {
    expect([...metricsOf("precision=0.64, recall=0.1")]).toEqual([["precision", 0.64], ["recall", 0.1]]);
    expect(metricsOf("").size).toBe(0);
  });
});
