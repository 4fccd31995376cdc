// The statement that would make a table again.

import { query } from "../api/client";
import { openText } from "../editor/tabs";
import { goTo } from "../route";
import { useLoad } from "../ui/load";
import { Await } from "../ui/parts";

export function Definition({ table }: { readonly table: string }) {
  const loaded = useLoad(
    async (signal) => (await query<{ statement: string }>(`SHOW CREATE TABLE ${table}`, signal))[0]?.statement ?? "",
    [table],
  );
  return (
    <Await of={loaded} what="the definition">
      {(statement) => <Statement text={statement} />}
    </Await>
  );
}

/** A statement to be read, or taken to the editor. */
export function Statement({ text }: { readonly text: string }) {
  return (
    <div class="statement">
      <pre tabIndex={0}>{text}</pre>
      <button
        type="button"
        class="button quiet"
        onClick={() => {
          openText(text);
          goTo({ page: "sql" });
        }}
      >
        Open in the editor
      </button>
    </div>
  );
}
