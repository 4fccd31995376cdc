import { describe, expect, it } from "vitest";
import { between, buckets, quantile } from "../src/serving/histogram";
import { watched } from "../src/serving/drift";
import { parseMetrics } from "../src/serving/prometheus";
import { quantiles, rate, total, type Reading } from "../src/serving/readings";

const TEXT = `# HELP lakemill_statements Statements by protocol and outcome.
# TYPE lakemill_statements counter
lakemill_statements_total{protocol="http",outcome="done"} 4
lakemill_statements_running 0
lakemill_predictions_total{model="a\\"b\\\\c}\\n,d"} 1.5e3
lakemill_x_bucket{le="+Inf"} 3 1700000000
broken{a="b" 1
lakemill_nan NaN
# EOF
`;

describe("Prometheus text", () => {
  const samples = parseMetrics(TEXT);

  it("gives names, labels and values", () => {
    expect(samples[0]).toEqual({
      name: "lakemill_statements_total",
      labels: { protocol: "http", outcome: "done" },
      value: 4,
    });
    expect(samples[1]).toEqual({ name: "lakemill_statements_running", labels: {}, value: 0 });
  });

  it("undoes escapes, and takes braces in labels", () => {
    expect(samples[2]).toEqual({ name: "lakemill_predictions_total", labels: { model: 'a"b\\c}\n,d' }, value: 1500 });
  });

  it("takes timestamps and odd numbers, and leaves broken lines out", () => {
    expect(samples[3]?.value).toBe(3);
    expect(samples[4]?.value).toBeNaN();
    expect(samples).toHaveLength(5);
  });
});

describe("drift", () => {
  it("is of the models whose predictions are kept", () => {
    const model = (namespace: string, name: string) => ({
      namespace, name, version: 1, type: "", label: "", rowsTrain: 0, rowsEval: 0, metrics: new Map<string, number>(), created: "",
    });
    const found = watched([model("main", "a"), model("main", "b"), model("sales", "a")], new Set(["a", "sales_a", "c"]));
    expect(found.map(({ table }) => table)).toEqual(["a", "sales_a"]);
  });
});

describe("quantiles", () => {
  const found = [
    { le: 1, count: 10 },
    { le: 2, count: 30 },
    { le: 4, count: 40 },
    { le: Number.POSITIVE_INFINITY, count: 40 },
  ];

  // Prometheus's histogram_quantile gives the same for these buckets.
  it("are on straight lines within buckets", () => {
    expect(quantile(found, 0.5)).toBe(1.5);
    expect(quantile(found, 0.25)).toBe(1);
    expect(quantile(found, 0.125)).toBe(0.5);
    expect(quantile(found, 1)).toBe(4);
  });

  it("are the last bound beyond it, and none without observations", () => {
    expect(quantile([{ le: 1, count: 0 }, { le: Number.POSITIVE_INFINITY, count: 5 }], 0.9)).toBe(1);
    expect(quantile([], 0.5)).toBeNull();
    expect(quantile([{ le: Number.POSITIVE_INFINITY, count: 0 }], 0.5)).toBeNull();
  });

  it("add up labels in order of bounds", () => {
    const samples = parseMetrics(
      't_bucket{le="+Inf",p="a"} 3\nt_bucket{le="0.5",p="a"} 1\nt_bucket{le="0.5",p="b"} 2\nt_bucket{le="+Inf",p="b"} 2\n',
    );
    expect(buckets(samples, "t")).toEqual([
      { le: 0.5, count: 3 },
      { le: Number.POSITIVE_INFINITY, count: 5 },
    ]);
  });

  it("start anew with the server", () => {
    expect(between([{ le: 1, count: 5 }], [{ le: 1, count: 7 }])).toEqual([{ le: 1, count: 2 }]);
    expect(between([{ le: 1, count: 5 }], [{ le: 1, count: 1 }])).toEqual([{ le: 1, count: 1 }]);
  });
});

describe("readings", () => {
  const reading = (at: number, text: string): Reading => ({ at, samples: parseMetrics(text) });
  const list = [
    reading(0, 'r_total{path="a"} 10\nr_total{path="b"} 1\nl_bucket{le="1"} 0\nl_bucket{le="+Inf"} 0\n'),
    reading(2000, 'r_total{path="a"} 14\nr_total{path="b"} 1\nl_bucket{le="1"} 4\nl_bucket{le="+Inf"} 4\n'),
    reading(4000, 'r_total{path="a"} 1\nr_total{path="b"} 0\nl_bucket{le="1"} 4\nl_bucket{le="+Inf"} 4\n'),
  ];

  it("give rates that are never negative", () => {
    expect(rate(list, "r_total")).toEqual([[2000, 2], [4000, 0]]);
    expect(rate(list, "r_total", (labels) => labels["path"] === "b")).toEqual([[2000, 0], [4000, 0]]);
    expect(total(list[0]!, "r_total")).toBe(11);
  });

  it("give quantiles with gaps where nothing was observed", () => {
    expect(quantiles(list, "l", 0.5)).toEqual([[2000, 0.5], [4000, Number.NaN]]);
  });
});
