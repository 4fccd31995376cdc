// Prometheus's text format, as far as the server writes it:
// <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>.

export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  readonly name: string;
  readonly labels: Labels;
  readonly value: number;
}

/** The samples of a text; comments and lines that are none are left out. */
export function parseMetrics(text: string): Sample[] {
  const samples: Sample[] = [];
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const sample = parseLine(line);
    if (sample !== null) samples.push(sample);
  }
  return samples;
}

function parseLine(line: string): Sample | null {
  const name = /^[a-zA-Z_:][\w:]*/.exec(line)?.[0];
  if (name === undefined) return null;
  const labels: Record<string, string> = {};
  let at = name.length;
  if (line[at] === "{") {
    at += 1;
    while (line[at] !== "}") {
      // A label's value may hold anything, braces too, with \\, \" and \n escaped.
      const pair = /^,?\s*([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/.exec(line.slice(at));
      if (pair === null) return null;
      labels[pair[1]!] = unescape(pair[2]!);
      at += pair[0].length;
    }
    at += 1;
  }
  const value = numberOf(line.slice(at).trim().split(/\s+/)[0] ?? "");
  return value === null ? null : { name, labels, value };
}

function unescape(text: string): string {
  return text.replace(/\\(.)/g, (_, each: string) => (each === "n" ? "\n" : each));
}

function numberOf(text: string): number | null {
  if (text === "+Inf" || text === "Inf") return Number.POSITIVE_INFINITY;
  if (text === "-Inf") return Number.NEGATIVE_INFINITY;
  if (text === "NaN") return Number.NaN;
  const value = Number(text);
  return text === "" || Number.isNaN(value) ? null : value;
}
