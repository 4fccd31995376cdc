// The versions of a table, newest first.

import { openText } from "../editor/tabs";
import { ago, timestamp } from "../format";
import { goTo } from "../route";
import { Table } from "../ui/parts";

export interface Version {
  readonly version: number;
  readonly timestamp: string;
  readonly operation: string;
  readonly parameters: string | null;
  readonly metrics: string | null;
  readonly engine: string | null;
}

export function Versions({ table, versions }: { readonly table: string; readonly versions: readonly Version[] }) {
  const open = (sql: string): void => {
    openText(sql);
    goTo({ page: "sql" });
  };
  return (
    <Table label="Versions">
      <thead>
        <tr>
          <th scope="col" class="right">
            Version
          </th>
          <th scope="col">When (UTC)</th>
          <th scope="col">Operation</th>
          <th scope="col">By</th>
          <th scope="col">
            <span class="hidden">Actions</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {versions.map((each) => (
          <tr key={each.version}>
            <th scope="row" class="right">
              {each.version}
            </th>
            <td class="nowrap">
              {timestamp(each.timestamp)} <span class="muted">{ago(each.timestamp)}</span>
            </td>
            <td>
              {each.operation}
              <Details text={each.parameters} />
              <Details text={each.metrics} />
            </td>
            <td class="muted nowrap">{each.engine}</td>
            <td>
              <button
                type="button"
                class="button quiet"
                onClick={() => open(`SELECT *\nFROM ${table} VERSION AS OF ${each.version}\nLIMIT 100`)}
              >
                Query this version
              </button>
            </td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

/** An object in JSON as names and values. */
function Details({ text }: { readonly text: string | null }) {
  if (text === null) return null;
  const entries = entriesOf(text);
  if (entries.length === 0) return null;
  return (
    <dl class="details">
      {entries.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function entriesOf(text: string): [string, string][] {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return [["value", text]];
    return Object.entries(value).map(([name, each]) => [name, typeof each === "string" ? each : JSON.stringify(each)]);
  } catch {
    return [["value", text]];
  }
}
