// The first rows of a table.

import { useState } from "preact/hooks";
import type { ResultSet } from "../api/result-set";
import { run } from "../api/run";
import { Grid } from "../grid/grid";
import { useLoad } from "../ui/load";
import { Await, Empty } from "../ui/parts";

const SAMPLE_ROWS = 200;

export function Sample({ table, name }: { readonly table: string; readonly name: string }) {
  const [said, setSaid] = useState("");
  const loaded = useLoad(
    async (signal) => {
      let found: ResultSet | null = null;
      await run(`SELECT * FROM ${table} LIMIT ${SAMPLE_ROWS}`, signal, (rows) => {
        found = rows;
      });
      return found as ResultSet | null;
    },
    [table],
  );
  return (
    <Await of={loaded} what="the rows">
      {(rows) =>
        rows === null || rows.rows === 0 ? (
          <Empty title="No rows" />
        ) : (
          <>
            <p class="note sample-note" role="status">
              {said === "" ? `The first ${rows.rows} rows as they come, in no order.` : said}
            </p>
            <div class="sample-frame">
              <Grid rows={rows} length={rows.rows} label={`Rows of ${name}`} onSay={setSaid} />
            </div>
          </>
        )
      }
    </Await>
  );
}
