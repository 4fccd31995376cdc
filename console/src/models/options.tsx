// Every option of a model, those that were chosen first, and the query that it was trained by.

import { Statement } from "../table/definition";
import { Section } from "../ui/parts";
import type { DescribedModel } from "./describe";

export function Options({ model }: { readonly model: DescribedModel }) {
  const chosen = model.options.filter((option) => !option.isDefault);
  const defaults = model.options.filter((option) => option.isDefault);
  const classes = model.facts.get("classes");
  const transform = model.facts.get("transform");
  return (
    <>
      <div class="columns-2">
        <Section title="Chosen">
          <Pairs pairs={[["model_type", model.type], ...chosen.map(({ name, value }) => [name, value] as const)]} />
          {classes !== undefined && (
            <>
              <h3 class="sub">Classes</h3>
              <p class="mono">{classes}</p>
            </>
          )}
        </Section>
        <Section title="Left at their defaults">
          <Pairs pairs={defaults.map(({ name, value }) => [name, value === "" ? "none" : value] as const)} />
        </Section>
      </div>
      {transform !== undefined && (
        <Section title="TRANSFORM">
          <Statement text={transform} />
        </Section>
      )}
      {model.query !== null && (
        <Section title="Trained by the rows of">
          <Statement text={model.query} />
        </Section>
      )}
    </>
  );
}

function Pairs({ pairs }: { readonly pairs: readonly (readonly [string, string])[] }) {
  return (
    <dl class="pairs">
      {pairs.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd class="mono">{value}</dd>
        </div>
      ))}
    </dl>
  );
}
