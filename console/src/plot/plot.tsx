// Lines, dots and columns over two axes, drawn as SVG.

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { compact, short } from "../format";
import { extentOf, linear, padded, readable, ticks, timeLabel, timeTicks, type Extent } from "./scale";

export type Point = readonly [x: number, y: number];

export interface Series {
  readonly name: string;
  readonly mark: "line" | "dots" | "linedots";
  readonly points: readonly Point[];
  /** Drawn thin and dashed: a reference, not data. */
  readonly reference?: boolean;
  /** Which of the palette's colours; by default its own place. */
  readonly color?: number;
}

/** A column from x0 to x1. */
export interface Bin {
  readonly x0: number;
  readonly x1: number;
  readonly y: number;
}

interface Props {
  readonly label: string;
  readonly series?: readonly Series[];
  readonly bins?: readonly Bin[];
  readonly height: number;
  readonly xTitle?: string;
  readonly yTitle?: string;
  readonly x?: Extent;
  readonly y?: Extent;
  readonly xIsTime?: boolean;
  /** Names of whole x values, for categories. */
  readonly xNames?: readonly string[];
  readonly format?: (value: number) => string;
  readonly zero?: boolean;
  /** The y axis reaches at least this far, so that little is not drawn as much. */
  readonly yLeast?: number;
  readonly legend?: boolean;
}

const PALETTE = 6;
const TOP = 8;

export function Plot(props: Props) {
  const { label, series = [], bins = [], height, xTitle, yTitle, xIsTime = false, xNames, zero = false } = props;
  const format = props.format ?? compact;
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [pointer, setPointer] = useState<number | null>(null);
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    setWidth(element.clientWidth);
    return () => observer.disconnect();
  }, []);

  const xs = props.x ?? extentOf(allX(series, bins)) ?? { min: 0, max: 1 };
  const foundY = extentOf(allY(series, bins)) ?? { min: 0, max: props.yLeast ?? 1 };
  const least = { min: foundY.min, max: Math.max(foundY.max, props.yLeast ?? foundY.max) };
  const ys = props.y ?? roomy(least, zero || bins.length > 0);
  const plotHeight = height - TOP - 22 - (xTitle === undefined ? 0 : 16);
  const yTicks = readable(ys, Math.max(2, Math.floor(plotHeight / 42)));
  const left = Math.max(34, ...yTicks.map((tick) => format(tick).length * 6.6 + 12)) + (yTitle === undefined ? 0 : 16);
  const right = Math.max(left + 10, width - 12);
  const bottom = TOP + plotHeight;
  const domain = xs.min === xs.max ? padded(xs) : xs;
  const xAt = linear(domain, left, right);
  const yAt = linear(ys, bottom, TOP);
  const xTicks = xTicksOf(domain, right - left, xIsTime, xNames);
  const xLabel = (value: number): string =>
    xNames !== undefined ? (xNames[value] ?? "") : xIsTime ? timeLabel(value, domain) : compact(value);
  const named = series.filter((each) => !each.reference);
  const near = pointer === null ? null : nearest(series, bins, domain.min + ((pointer - left) / (right - left)) * (domain.max - domain.min));

  return (
    <figure class="plot">
      {(props.legend ?? named.length > 1) && (
        <figcaption class="plot-legend">
          {named.map((each) => (
            <span key={each.name} data-color={(each.color ?? series.indexOf(each)) % PALETTE}>
              {each.name}
            </span>
          ))}
        </figcaption>
      )}
      <div
        ref={box}
        class="plot-box"
        style={{ height: `${height}px` }}
        onPointerMove={(event) => setPointer(event.clientX - event.currentTarget.getBoundingClientRect().left)}
        onPointerLeave={() => setPointer(null)}
      >
        {width > 0 && (
          <svg width={width} height={height} role="img" aria-label={label}>
            {yTicks.map((tick) => (
              <g key={tick}>
                <line class="plot-grid" x1={left} x2={right} y1={yAt(tick)} y2={yAt(tick)} />
                <text class="plot-tick" x={left - 6} y={yAt(tick) + 3.5} text-anchor="end">
                  {format(tick)}
                </text>
              </g>
            ))}
            {xTicks.map((tick) => (
              <text key={tick} class="plot-tick" x={xAt(tick)} y={bottom + 15} text-anchor="middle">
                {xLabel(tick)}
              </text>
            ))}
            <line class="plot-axis" x1={left} x2={right} y1={bottom} y2={bottom} />
            {bins.map((bin) => (
              <rect
                key={bin.x0}
                class="plot-bin"
                x={xAt(bin.x0) + 0.5}
                y={yAt(bin.y)}
                width={Math.max(1, xAt(bin.x1) - xAt(bin.x0) - 1)}
                height={Math.max(0, bottom - yAt(bin.y))}
              />
            ))}
            {series.map((each, index) => (
              <Marks key={each.name} series={each} color={(each.color ?? index) % PALETTE} xAt={xAt} yAt={yAt} />
            ))}
            {near !== null && <line class="plot-cursor" x1={xAt(near.x)} x2={xAt(near.x)} y1={TOP} y2={bottom} />}
            {near?.values
              .filter((value) => value.color !== null)
              .map((value) => (
                <circle key={value.name} class="plot-near" data-color={value.color} cx={xAt(near.x)} cy={yAt(value.y)} r="3.5" />
              ))}
            {xTitle !== undefined && (
              <text class="plot-title" x={(left + right) / 2} y={height - 3} text-anchor="middle">
                {xTitle}
              </text>
            )}
            {yTitle !== undefined && (
              <text class="plot-title" transform={`translate(11 ${TOP + plotHeight / 2}) rotate(-90)`} text-anchor="middle">
                {yTitle}
              </text>
            )}
          </svg>
        )}
        {near !== null && (
          <div
            class="plot-readout"
            style={xAt(near.x) > width / 2 ? { right: `${width - xAt(near.x) + 10}px` } : { left: `${xAt(near.x) + 10}px` }}
          >
            <b>{near.label ?? (xNames !== undefined || xIsTime ? xLabel(near.x) : short(near.x))}</b>
            {near.values.map((value) => (
              <span key={value.name} data-color={value.color ?? undefined}>
                {value.name} {props.format === undefined ? short(value.y) : format(value.y)}
              </span>
            ))}
          </div>
        )}
      </div>
    </figure>
  );
}

function Marks({
  series,
  color,
  xAt,
  yAt,
}: {
  readonly series: Series;
  readonly color: number;
  readonly xAt: (x: number) => number;
  readonly yAt: (y: number) => number;
}) {
  const path = (): string => {
    let d = "";
    let pen = false;
    for (const [x, y] of series.points) {
      if (Number.isFinite(x) && Number.isFinite(y)) {
        d += `${pen ? "L" : "M"}${xAt(x).toFixed(1)} ${yAt(y).toFixed(1)}`;
        pen = true;
      } else {
        pen = false;
      }
    }
    return d;
  };
  // One path for all dots: thousands of circles would be slow.
  const dots = (radius: number): string =>
    series.points
      .filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y))
      .map(([x, y]) => {
        const cx = xAt(x).toFixed(1);
        const cy = yAt(y).toFixed(1);
        return `M${cx} ${cy}m-${radius} 0a${radius} ${radius} 0 1 0 ${2 * radius} 0a${radius} ${radius} 0 1 0 -${2 * radius} 0`;
      })
      .join("");
  return (
    <g data-color={color} data-reference={series.reference === true}>
      {series.mark !== "dots" && <path class="plot-line" d={path()} />}
      {series.mark === "dots" && <path class="plot-dots" data-many={series.points.length > 400} d={dots(2)} />}
      {series.mark === "linedots" && <path class="plot-dots" d={dots(3)} />}
    </g>
  );
}

function* allX(series: readonly Series[], bins: readonly Bin[]): Generator<number> {
  for (const each of series) for (const [x] of each.points) yield x;
  for (const bin of bins) {
    yield bin.x0;
    yield bin.x1;
  }
}

function* allY(series: readonly Series[], bins: readonly Bin[]): Generator<number> {
  for (const each of series) for (const [, y] of each.points) yield y;
  for (const bin of bins) yield bin.y;
}

function roomy(found: Extent, zero: boolean): Extent {
  const extent = zero ? { min: Math.min(0, found.min), max: Math.max(0, found.max) } : found;
  if (extent.min === extent.max) return extent.min === 0 ? { min: 0, max: 1 } : padded(extent);
  const room = (extent.max - extent.min) * 0.06;
  return {
    min: zero && extent.min === 0 ? 0 : extent.min - room,
    max: zero && extent.max === 0 ? 0 : extent.max + room,
  };
}

function xTicksOf(domain: Extent, widthPx: number, isTime: boolean, names: readonly string[] | undefined): number[] {
  if (names !== undefined) {
    const longest = Math.max(3, ...names.map((name) => name.length));
    const step = Math.max(1, Math.ceil((names.length * Math.min(longest, 18) * 7) / Math.max(1, widthPx)));
    return names.map((_, index) => index).filter((index) => index % step === 0);
  }
  if (isTime) return timeTicks(domain, Math.max(1, Math.floor(widthPx / 90)));
  return ticks(domain, Math.max(2, Math.floor(widthPx / 80)));
}

interface Near {
  readonly x: number;
  readonly label?: string;
  readonly values: readonly { readonly name: string; readonly y: number; readonly color: number | null }[];
}

/** What stands nearest to x. */
function nearest(series: readonly Series[], bins: readonly Bin[], x: number): Near | null {
  const bin = bins.find((each) => each.x0 <= x && x < each.x1);
  if (bin !== undefined) {
    const label = `${short(bin.x0)} to ${short(bin.x1)}`;
    return { x: (bin.x0 + bin.x1) / 2, label, values: [{ name: "rows", y: bin.y, color: null }] };
  }
  let best: number | null = null;
  for (const each of series) {
    if (each.reference) continue;
    for (const [at] of each.points) {
      if (Number.isFinite(at) && (best === null || Math.abs(at - x) < Math.abs(best - x))) best = at;
    }
  }
  if (best === null) return null;
  const values = series.flatMap((each, index) => {
    const point = each.reference ? undefined : each.points.find(([at]) => at === best);
    if (point === undefined || !Number.isFinite(point[1])) return [];
    return [{ name: each.name, y: point[1], color: (each.color ?? index) % PALETTE }];
  });
  return { x: best, values };
}
