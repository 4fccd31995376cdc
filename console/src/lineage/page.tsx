// Lineage as a drawing, and the statement that made the newest version.

import { useEffect, useRef } from "preact/hooks";
import { known } from "../catalog/store";
import { ago, timestamp } from "../format";
import { modelHref, tableHref } from "../route";
import { Statement } from "../table/definition";
import { useLoad } from "../ui/load";
import { Await, Empty, Section, Table } from "../ui/parts";
import { graphOf, idOf, inputOf, lineageOf, loadInputs, RELATIONS_MAX, type Graph, type LineageRow, type Node, type Thing } from "./graph";

const NODE_WIDTH = 150;
const NODE_HEIGHT = 40;
const LAYER_GAP = 46;
const ROW_GAP = 16;
const MARGIN = 12;

export function Lineage({ root }: { readonly root: Thing }) {
  const id = idOf(root);
  const own = useLoad((signal) => lineageOf(root, signal), [id]);
  const graph = useLoad(async (signal) => graphOf(root, await loadInputs(root, known(), signal)), [id]);
  const things = known().relations.length + known().models.length;
  return (
    <>
      <Await of={graph} what="the lineage">
        {(value) =>
          value.nodes.size <= 1 ? (
            <Empty title="Made from nothing else, and nothing is made of it yet" />
          ) : (
            <>
              <Drawing graph={value} root={id} />
              <p class="note below">
                Each box is a link. {things > RELATIONS_MAX && "In a lake of this size, only what it was made from is drawn. "}
                Point at a line for the version that was read.
              </p>
            </>
          )
        }
      </Await>
      <Await of={own} what="the versions' inputs">
        {(rows) => <Made rows={rows} />}
      </Await>
    </>
  );
}

function Drawing({ graph, root }: { readonly graph: Graph; readonly root: string }) {
  const scroller = useRef<HTMLDivElement>(null);
  const width = graph.layers * NODE_WIDTH + (graph.layers - 1) * LAYER_GAP + 2 * MARGIN;
  const height = graph.rows * (NODE_HEIGHT + ROW_GAP) - ROW_GAP + 2 * MARGIN;
  const xOf = (node: Node): number => MARGIN + node.layer * (NODE_WIDTH + LAYER_GAP);
  const yOf = (node: Node): number => height / 2 + node.row * (NODE_HEIGHT + ROW_GAP) - NODE_HEIGHT / 2;
  useEffect(() => {
    const node = graph.nodes.get(root);
    const element = scroller.current;
    if (node !== undefined && element !== null) element.scrollLeft = xOf(node) + NODE_WIDTH / 2 - element.clientWidth / 2;
  }, [graph, root]);
  return (
    <div class="lineage" ref={scroller} tabIndex={0} role="region" aria-label="Lineage">
      <svg width={width} height={height}>
        {graph.edges.map(({ from, to, version }) => {
          const start = graph.nodes.get(from);
          const end = graph.nodes.get(to);
          if (start === undefined || end === undefined) return null;
          const x0 = xOf(start) + NODE_WIDTH;
          const y0 = yOf(start) + NODE_HEIGHT / 2;
          const x1 = xOf(end);
          const y1 = yOf(end) + NODE_HEIGHT / 2;
          const bend = Math.max(24, (x1 - x0) / 2);
          return (
            <path
              key={`${from}${to}`}
              class="lineage-edge"
              data-near={from === root || to === root}
              d={`M${x0} ${y0}C${x0 + bend} ${y0} ${x1 - bend} ${y1} ${x1} ${y1}`}
            >
              {version !== null && <title>{`reads version ${version}`}</title>}
            </path>
          );
        })}
        {[...graph.nodes].map(([id, node]) => (
          <NodeBox key={id} node={node} x={xOf(node)} y={yOf(node)} current={id === root} />
        ))}
      </svg>
    </div>
  );
}

function NodeBox({ node, x, y, current }: { readonly node: Node; readonly x: number; readonly y: number; readonly current: boolean }) {
  const { thing, label } = node;
  const shown = thing.kind === "file" ? lastPart(thing.name) : thing.name;
  const box = (
    <g class="lineage-node" data-kind={thing.kind} data-current={current} transform={`translate(${x} ${y})`}>
      <title>{thing.name}</title>
      <rect width={NODE_WIDTH} height={NODE_HEIGHT} rx="5" />
      <text x="11" y="17" class="lineage-name">
        {shown.length > 19 ? `${shown.slice(0, 18)}…` : shown}
      </text>
      <text x="11" y="31" class="lineage-kind">
        {label}
      </text>
    </g>
  );
  if (thing.kind === "file") return box;
  const to =
    thing.kind === "model"
      ? modelHref(thing.namespace, thing.name, "lineage")
      : tableHref(thing.namespace, thing.name, "lineage");
  return (
    <a href={to} aria-label={`${label} ${thing.name}`} aria-current={current ? "page" : undefined}>
      {box}
    </a>
  );
}

function lastPart(path: string): string {
  const parts = path.split("/").filter(Boolean);
  return parts.slice(-2).join("/");
}

/** Each version: when it was made, from what, and by which statement. */
function Made({ rows }: { readonly rows: readonly LineageRow[] }) {
  const versions = [...new Set(rows.map((row) => row.version))].sort((a, b) => b - a);
  const statement = rows.find((row) => row.version === versions[0])?.statement;
  return (
    <>
      <Section title="Versions and what they were made from">
        <Table label="Versions and inputs">
          <thead>
            <tr>
              <th scope="col" class="right">
                Version
              </th>
              <th scope="col">When (UTC)</th>
              <th scope="col">Made from</th>
            </tr>
          </thead>
          <tbody>
            {versions.map((version) => {
              const own = rows.filter((row) => row.version === version);
              return (
                <tr key={version}>
                  <th scope="row" class="right">
                    {version}
                  </th>
                  <td class="nowrap">
                    {timestamp(own[0]?.at ?? "")} <span class="muted">{ago(own[0]?.at ?? "")}</span>
                  </td>
                  <td>
                    <ul class="inputs">
                      {own.map((row) => (
                        <Input key={`${row.input_kind}${row.input}`} row={row} />
                      ))}
                    </ul>
                  </td>
                </tr>
              );
            })}
          </tbody>
        </Table>
      </Section>
      {statement !== undefined && (
        <Section title={`The statement that made version ${versions[0]}`}>
          <Statement text={statement} />
        </Section>
      )}
    </>
  );
}

function Input({ row }: { readonly row: LineageRow }) {
  const thing = inputOf(row);
  if (thing === null) return <li class="muted">nothing that the lake knows</li>;
  if (thing.kind === "file") {
    return (
      <li>
        <span class="muted">file</span> <code>{thing.name}</code>
      </li>
    );
  }
  const to = thing.kind === "model" ? modelHref(thing.namespace, thing.name) : tableHref(thing.namespace, thing.name);
  const isNumber = /^\d+$/.test(row.input_version ?? "");
  return (
    <li>
      <a href={to}>{thing.name}</a>
      {isNumber && <span class="muted"> version {row.input_version}</span>}
    </li>
  );
}
