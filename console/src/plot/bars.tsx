// Named values as horizontal bars; a list, so that it is read as one.

import type { ComponentChildren } from "preact";

export interface Bar {
  readonly name: string;
  readonly value: number;
  readonly text: ComponentChildren;
  /** A value that the bar is compared with. */
  readonly mark?: number;
  /** Whether the value is one to worry about; the text says so too. */
  readonly alarm?: boolean;
}

/** Bars from zero; negative ones go to the left of it. The longest fills its track, unless `max` would. */
export function Bars({
  bars,
  label,
  max: given = 0,
}: {
  readonly bars: readonly Bar[];
  readonly label: string;
  readonly max?: number;
}) {
  const max = Math.max(given, ...bars.map((bar) => bar.value));
  const min = Math.min(0, ...bars.map((bar) => bar.value));
  const span = max - min || 1;
  const zero = (-min / span) * 100;
  return (
    <ul class="bars" aria-label={label}>
      {bars.map(({ name, value, text, mark, alarm = false }) => (
        <li key={name}>
          <span class="bars-name" title={name}>
            {name}
          </span>
          <span class="bars-track" aria-hidden="true">
            <span
              class="bars-bar"
              data-negative={value < 0}
              data-alarm={alarm}
              style={{
                left: `${value < 0 ? zero - (-value / span) * 100 : zero}%`,
                width: `${(Math.abs(value) / span) * 100}%`,
              }}
            />
            {mark !== undefined && <span class="bars-mark" style={{ left: `${zero + (mark / span) * 100}%` }} />}
          </span>
          <span class="bars-value">{text}</span>
        </li>
      ))}
    </ul>
  );
}
