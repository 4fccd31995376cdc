import { describe, expect, it } from "vitest";
import { bytes, compact, duration, percent, short } from "../src/format";
import { csvField, tsvField } from "../src/grid/csv";
import { EXTENT_MAX, follow, geometry, nativeFor } from "../src/grid/scroll";
import { graphOf, idOf, newest, type LineageRow, type Thing } from "../src/lineage/graph";
import { histogram, thinned } from "../src/plot/bins";
import { extentOf, readable, ticks, timeTicks } from "../src/plot/scale";

describe("scrolling", () => {
  it("is the browser's own while rows fit", () => {
    const shape = geometry(24_000, 400);
    expect(follow({ native: 0, virtual: 0 }, 77, shape)).toEqual({ native: 77, virtual: 77 });
  });

  const shape = geometry(24 * 1_000_000, 400);

  it("reaches both ends of a million rows", () => {
    expect(shape.native).toBe(EXTENT_MAX - 400);
    expect(follow({ native: 10, virtual: 10 }, shape.native, shape).virtual).toBe(24_000_000 - 400);
    expect(follow({ native: 10, virtual: 9_999_999 }, 0, shape).virtual).toBe(0);
  });

  it("follows small movements by the pixel and jumps by their share", () => {
    expect(follow({ native: 1000, virtual: 3000 }, 1048, shape).virtual).toBe(3048);
    expect(follow({ native: 1000, virtual: 3000 }, shape.native / 2, shape).virtual).toBeCloseTo(shape.virtual / 2);
  });

  it("puts the scrollbar where the rows are, and at an end only there", () => {
    for (const virtual of [1, 500, 12_000_000, shape.virtual - 1]) {
      const native = nativeFor(virtual, shape);
      expect(follow({ native, virtual }, native, shape).virtual).toBe(virtual);
    }
    expect(nativeFor(shape.virtual, shape)).toBe(shape.native);
    expect(nativeFor(0, shape)).toBe(0);
  });
});

describe("CSV", () => {
  it("quotes what needs it and tells NULL from an empty text", () => {
    expect([null, "", "a", "a,b", 'a"b', "a\nb"].map(csvField)).toEqual(["", '""', "a", '"a,b"', '"a""b"', '"a\nb"']);
    expect(tsvField("a\tb\r\nc")).toBe("a b c");
  });
});

describe("axes", () => {
  it("have round ticks", () => {
    expect(ticks({ min: 0, max: 1 }, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(ticks({ min: -7, max: 13 }, 4)).toEqual([-5, 0, 5, 10]);
    expect(ticks({ min: 3, max: 3 }, 4)).toEqual([3]);
    expect(timeTicks({ min: 0, max: 60_000 }, 6)).toEqual([0, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000]);
  });

  it("have two ticks at least, where a scale is read from them", () => {
    expect(ticks({ min: 0.503, max: 0.596 }, 2)).toEqual([0.55]);
    expect(readable({ min: 0.503, max: 0.596 }, 2)).toEqual([0.52, 0.54, 0.56, 0.58]);
    expect(readable({ min: 0, max: 1 }, 5)).toEqual(ticks({ min: 0, max: 1 }, 5));
  });

  it("leave out what is no number", () => {
    expect(extentOf([Number.NaN, 3, 1])).toEqual({ min: 1, max: 3 });
    expect(extentOf([Number.NaN])).toBeNull();
  });
});

describe("histograms", () => {
  it("have a bin for each of few whole numbers", () => {
    expect(histogram(Float64Array.of(1, 2, 2, 3), 10).map(({ y }) => y)).toEqual([1, 2, 1]);
  });

  it("count every number once", () => {
    const values = Float64Array.from({ length: 1000 }, (_, index) => index / 7);
    const bins = histogram(values, 40);
    expect(bins).toHaveLength(40);
    expect(bins.reduce((sum, { y }) => sum + y, 0)).toBe(1000);
    expect(histogram(Float64Array.of(Number.NaN), 4)).toEqual([]);
    expect(histogram(Float64Array.of(5, 5), 4)).toEqual([{ x0: 4.5, x1: 5.5, y: 2 }]);
  });

  it("keep peaks when lines are thinned", () => {
    const points = Array.from({ length: 10_000 }, (_, index) => [index, index === 5000 ? 99 : 0] as const);
    const kept = thinned(points, 100);
    expect(kept.length).toBeLessThanOrEqual(100);
    expect(kept).toContainEqual([5000, 99]);
  });
});

describe("lineage", () => {
  const row = (version: number, input: string | null, input_kind: string | null = "table"): LineageRow => ({
    kind: "table", version, input_kind, input, input_version: "1", statement: "", at: "",
  });
  const thing = (name: string): Thing => ({ kind: "relation", namespace: "main", name });
  const inputs = new Map(
    [
      { thing: thing("a"), label: "table", rows: [row(1, "/data/a.csv", "file")] },
      { thing: thing("b"), label: "table", rows: [row(1, "main.a")] },
      { thing: thing("c"), label: "table", rows: [row(1, "main.b"), row(1, "main.a")] },
      { thing: thing("other"), label: "table", rows: [row(1, "main.a")] },
    ].map((each) => [idOf(each.thing), each] as const),
  );

  it("puts inputs to the left and what was made to the right", () => {
    const { nodes, edges, layers } = graphOf(thing("b"), inputs);
    const layer = (name: string): number | undefined => nodes.get(idOf(thing(name)))?.layer;
    expect([layer("a"), layer("b"), layer("c")]).toEqual([1, 2, 3]);
    expect(layers).toBe(4);
    expect(nodes.has(idOf(thing("other")))).toBe(false);
    expect(edges).toHaveLength(3);
  });

  it("ends with things that were made of each other", () => {
    const circle = new Map(
      [
        { thing: thing("x"), label: "table", rows: [row(1, "main.y")] },
        { thing: thing("y"), label: "table", rows: [row(1, "main.x")] },
      ].map((each) => [idOf(each.thing), each] as const),
    );
    expect(graphOf(thing("x"), circle).nodes.size).toBe(2);
  });

  it("looks at the newest version alone", () => {
    expect(newest([row(2, "main.a"), row(1, "main.b"), row(2, "main.c")]).map(({ input }) => input)).toEqual(["main.a", "main.c"]);
  });
});

describe("numbers for people", () => {
  it("are short", () => {
    expect([0, 0.12345, 1234.5, 12, 1e-7, 5.678].map((value) => short(value))).toEqual([
      "0", "0.123", "1,235", "12", "1.00e-7", "5.678",
    ]);
    expect([1_200_000, 12_000, 950].map(compact)).toEqual(["1.2M", "12k", "950"]);
    expect([0.5, 4.2, 123, 2345, 61_000, 8_100_000].map(duration)).toEqual([
      "500 µs", "4.2 ms", "123 ms", "2.35 s", "1 min 01 s", "2 h 15 min",
    ]);
    expect([0, 999, 24_000_000].map(bytes)).toEqual(["0 B", "999 B", "24 MB"]);
    expect([0, 0.0001, 0.028, 0.5, 1].map(percent)).toEqual(["0%", "<0.1%", "2.8%", "50%", "100%"]);
  });
});
