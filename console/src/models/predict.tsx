// A form to try one prediction: a field for each column that the model reads, filled with a row that it was trained by.

import { useEffect, useRef, useState } from "preact/hooks";
import { modelSignature, predict, query, type Field, type Prediction } from "../api/client";
import { asApiError, type ApiError } from "../api/error";
import type { Row } from "../api/json-lines";
import { duration, percent, short } from "../format";
import { Bars } from "../plot/bars";
import { identifier } from "../sql/quote";
import { family, isWhole } from "../sql/types";
import { useLoad } from "../ui/load";
import { Await, Problem } from "../ui/parts";
import type { ModelProps } from "./page";

/** Training rows that a sample is taken from, so that it costs little however many there are. */
const SAMPLED_ROWS = 1000;
/** Values of a text column that its field proposes. */
const PROPOSED_MAX = 200;

export function Predict({ namespace, name, model }: ModelProps) {
  const full = `${namespace}.${name}`;
  const loaded = useLoad(
    async (signal) => {
      const signature = await modelSignature(full, signal);
      const sample = model.query === null ? null : await sampleRow(model.query, signature.input, signal).catch(() => null);
      return { signature, sample };
    },
    [full, model.version],
  );
  return (
    <Await of={loaded} what="the model's columns">
      {({ signature, sample }) => (
        <Form full={full} label={model.label} version={model.version} source={model.query} input={signature.input} sample={sample} />
      )}
    </Await>
  );
}

/** One of the first training rows, another one each time. */
async function sampleRow(source: string, input: readonly Field[], signal?: AbortSignal): Promise<Row | null> {
  const columns = input.map((field) => identifier(field.name)).join(", ");
  const skipped = Math.floor(Math.random() * SAMPLED_ROWS);
  const sample = (offset: number): Promise<Row[]> =>
    query(`SELECT ${columns} FROM (${source}\n) AS training LIMIT 1 OFFSET ${offset}`, signal);
  return (await sample(skipped))[0] ?? (await sample(0))[0] ?? null;
}

interface FormProps {
  readonly full: string;
  readonly label: string;
  readonly version: number;
  readonly source: string | null;
  readonly input: readonly Field[];
  readonly sample: Row | null;
}

type Answer =
  | { readonly state: "none" }
  | { readonly state: "asking" }
  | { readonly state: "failed"; readonly error: ApiError }
  | { readonly state: "ready"; readonly prediction: Prediction; readonly ms: number };

function Form({ full, label, version, source, input, sample }: FormProps) {
  const [values, setValues] = useState<ReadonlyMap<string, string>>(() => textsOf(input, sample));
  const [answer, setAnswer] = useState<Answer>({ state: "none" });
  const [sampleError, setSampleError] = useState<ApiError | null>(null);
  const asked = useRef<AbortController | null>(null);
  useEffect(() => () => asked.current?.abort(), []);

  const ask = async (given: ReadonlyMap<string, string>): Promise<void> => {
    asked.current?.abort();
    const controller = new AbortController();
    asked.current = controller;
    setAnswer({ state: "asking" });
    const begin = performance.now();
    try {
      const instance = Object.fromEntries(input.map((field) => [field.name, valueOf(field, given.get(field.name) ?? "")]));
      const prediction = await predict(full, instance, version, controller.signal);
      setAnswer({ state: "ready", prediction, ms: performance.now() - begin });
    } catch (thrown) {
      if (!controller.signal.aborted) setAnswer({ state: "failed", error: asApiError(thrown) });
    }
  };
  const another = async (): Promise<void> => {
    if (source === null) return;
    try {
      const row = await sampleRow(source, input);
      const given = textsOf(input, row);
      setValues(given);
      setSampleError(null);
      await ask(given);
    } catch (thrown) {
      setSampleError(asApiError(thrown));
    }
  };

  return (
    <form
      class="predict"
      onSubmit={(event) => {
        event.preventDefault();
        void ask(values);
      }}
    >
      <div class="predict-input">
        <p class="note">
          {sample === null
            ? "Fill in a row. A field that is left empty is NULL."
            : "A row of the training query. Change what you like; an empty field is NULL."}
        </p>
        <div class="predict-fields">
          {input.map((field) => (
            <InputField
              key={field.name}
              field={field}
              source={source}
              value={values.get(field.name) ?? ""}
              onValue={(value) => setValues(new Map(values).set(field.name, value))}
            />
          ))}
        </div>
      </div>
      <div class="predict-answer">
        <div class="predict-buttons">
          <button type="submit" class="button primary">
            Predict
          </button>
          {source !== null && (
            <button type="button" class="button" onClick={() => void another()}>
              Another row
            </button>
          )}
        </div>
        <div aria-live="polite">
          {sampleError !== null && <Problem error={sampleError} />}
          {answer.state === "none" && <p class="note">The prediction will stand here.</p>}
          {answer.state === "failed" && <Problem error={answer.error} />}
          {answer.state === "ready" && <Predicted label={label} prediction={answer.prediction} ms={answer.ms} />}
        </div>
      </div>
    </form>
  );
}

function textsOf(input: readonly Field[], row: Row | null): ReadonlyMap<string, string> {
  return new Map(
    input.map(({ name }) => {
      const value = row?.[name];
      const text =
        value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
      return [name, text] as const;
    }),
  );
}

/** A field's text as the JSON value that its column takes; what does not fit is sent as it is, and the server says so. */
function valueOf({ type }: Field, text: string): unknown {
  if (text.trim() === "") return null;
  switch (family(type)) {
    case "number": {
      const number = Number(text);
      return Number.isFinite(number) ? number : text;
    }
    case "boolean":
      return text === "true" ? true : text === "false" ? false : text;
    case "nested":
      try {
        return JSON.parse(text) as unknown;
      } catch {
        return text;
      }
    default:
      return text;
  }
}

interface InputFieldProps {
  readonly field: Field;
  readonly source: string | null;
  readonly value: string;
  readonly onValue: (value: string) => void;
}

function InputField({ field, source, value, onValue }: InputFieldProps) {
  const [proposed, setProposed] = useState<readonly string[] | null>(null);
  const kind = family(field.type);
  const id = `input-${field.name}`;
  const propose = (): void => {
    if (kind !== "text" || source === null || proposed !== null) return;
    setProposed([]);
    const column = identifier(field.name);
    query<{ value: string }>(
      `SELECT DISTINCT ${column} AS value FROM (${source}\n) AS training WHERE ${column} IS NOT NULL
       ORDER BY value LIMIT ${PROPOSED_MAX}`,
    ).then(
      (rows) => setProposed(rows.map((row) => row.value)),
      // Without proposals the field is as good.
      () => setProposed([]),
    );
  };
  const common = {
    id,
    value,
    placeholder: "NULL",
    autocomplete: "off",
    onInput: (event: InputEvent) => onValue((event.currentTarget as HTMLInputElement).value),
  };
  return (
    <div class="predict-field">
      <label for={id} title={field.name}>
        <span>{field.name}</span> <span class="predict-type">{field.type}</span>
      </label>
      {kind === "boolean" ? (
        <select id={id} value={value} onChange={(event) => onValue(event.currentTarget.value)}>
          <option value="">NULL</option>
          <option value="true">true</option>
          <option value="false">false</option>
        </select>
      ) : kind === "number" ? (
        <input {...common} type="number" step={isWhole(field.type) ? "1" : "any"} inputMode="decimal" />
      ) : (
        <>
          <input {...common} type="text" list={`${id}-values`} onFocus={propose} />
          <datalist id={`${id}-values`}>
            {(proposed ?? []).map((each) => (
              <option key={each} value={each} />
            ))}
          </datalist>
        </>
      )}
    </div>
  );
}

interface Probability {
  readonly label: unknown;
  readonly prob: number;
}

function Predicted({ label, prediction, ms }: { readonly label: string; readonly prediction: Prediction; readonly ms: number }) {
  const row = prediction.predictions[0] ?? {};
  const value = row[`predicted_${label}`];
  const probabilities = row[`predicted_${label}_probs`];
  return (
    <div class="predicted">
      <p class="predicted-name">predicted {label}</p>
      <p class="predicted-value">{typeof value === "number" ? short(value, 6) : String(value)}</p>
      {Array.isArray(probabilities) && (
        <Bars
          label="Probabilities"
          bars={(probabilities as Probability[]).map((each) => ({
            name: String(each.label),
            value: each.prob,
            text: each.prob > 0.1 && each.prob < 0.9995 ? `${(each.prob * 100).toFixed(1)}%` : percent(each.prob),
          }))}
        />
      )}
      <p class="note">
        Version {prediction.model_version}, answered in {duration(ms)} from here.
      </p>
    </div>
  );
}
