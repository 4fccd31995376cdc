// The result grid: draws the rows and columns that are seen, however many there are.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { ResultSet } from "../api/result-set";
import { count } from "../format";
import { tsv, type Range } from "./csv";
import { EXTENT_MAX, follow, geometry, nativeFor, type Position } from "./scroll";
import { Widths } from "./widths";

export const ROW_PX = 24;
const HEAD_PX = 42;
/** Rows drawn above and below what is seen. */
const SPARE_ROWS = 4;
/** Cells that one copy takes at most. */
const COPY_CELLS_MAX = 500_000;

interface Cell {
  readonly row: number;
  readonly column: number;
}

interface Props {
  readonly rows: ResultSet;
  /** How many rows there are by now. The set grows in place, and only a prop that differs draws the grid anew. */
  readonly length: number;
  readonly label: string;
  readonly onSay: (message: string) => void;
}

export function Grid({ rows, length, label, onSay }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ width: 0, height: 0 });
  const [position, setPosition] = useState<Position>({ native: 0, virtual: 0 });
  const [left, setLeft] = useState(0);
  const [cell, setCell] = useState<Cell>({ row: 0, column: 0 });
  const [anchor, setAnchor] = useState<Cell>({ row: 0, column: 0 });
  const [resized, setResized] = useState<ReadonlyMap<number, number>>(new Map());
  const latest = useRef(position);

  const sampled = Math.min(length, 100);
  const widths = useMemo(() => new Widths(rows, resized), [rows, sampled, resized]);
  const contentPx = length * ROW_PX;
  const viewPx = Math.max(0, view.height - HEAD_PX);
  const shape = useMemo(() => geometry(contentPx, viewPx), [contentPx, viewPx]);

  const move = (next: Position): void => {
    latest.current = next;
    setPosition(next);
  };

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const measure = (): void => setView({ width: element.clientWidth, height: element.clientHeight });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    return () => observer.disconnect();
  }, []);

  // After a pause the scrollbar goes where the rows are.
  useEffect(() => {
    const timer = setTimeout(() => {
      const element = scroller.current;
      if (element === null || shape.native === shape.virtual) return;
      const native = nativeFor(latest.current.virtual, shape);
      if (Math.abs(native - element.scrollTop) < 2) return;
      element.scrollTop = native;
      latest.current = { native: element.scrollTop, virtual: latest.current.virtual };
    }, 150);
    return () => clearTimeout(timer);
  }, [position, shape]);

  const onScroll = (): void => {
    const element = scroller.current;
    if (element === null) return;
    setLeft(element.scrollLeft);
    if (element.scrollTop !== latest.current.native) move(follow(latest.current, element.scrollTop, shape));
  };

  const reveal = ({ row, column }: Cell): void => {
    const element = scroller.current;
    if (element === null) return;
    const top = row * ROW_PX;
    const now = latest.current.virtual;
    const virtual = Math.max(0, top < now ? top : Math.max(now, top + ROW_PX - viewPx));
    if (virtual !== now) {
      element.scrollTop = nativeFor(virtual, shape);
      move({ native: element.scrollTop, virtual });
    }
    const start = widths.start(column);
    const end = start + widths.width(column);
    const shown = element.clientWidth - widths.gutter;
    if (start < element.scrollLeft) element.scrollLeft = start;
    else if (end > element.scrollLeft + shown) element.scrollLeft = end - shown;
  };

  const go = (target: Cell, extend: boolean): void => {
    const row = Math.max(0, Math.min(length - 1, target.row));
    const column = Math.max(0, Math.min(rows.columns.length - 1, target.column));
    setCell({ row, column });
    if (!extend) setAnchor({ row, column });
    reveal({ row, column });
  };

  const range: Range = {
    top: Math.min(cell.row, anchor.row),
    bottom: Math.max(cell.row, anchor.row),
    left: Math.min(cell.column, anchor.column),
    right: Math.max(cell.column, anchor.column),
  };

  const copy = async (): Promise<void> => {
    const cells = (range.bottom - range.top + 1) * (range.right - range.left + 1);
    if (cells > COPY_CELLS_MAX) {
      onSay(`${count(cells)} cells are more than one copy takes (${count(COPY_CELLS_MAX)}); download them as CSV`);
      return;
    }
    await navigator.clipboard.writeText(tsv(rows, range));
    onSay(cells === 1 ? "Copied the cell" : `Copied ${count(cells)} cells`);
  };

  const onKeyDown = (event: KeyboardEvent): void => {
    const command = event.ctrlKey || event.metaKey;
    const end = { row: length - 1, column: rows.columns.length - 1 };
    if (command && event.key.toLowerCase() === "c") {
      event.preventDefault();
      void copy();
      return;
    }
    if (command && event.key.toLowerCase() === "a") {
      event.preventDefault();
      setAnchor({ row: 0, column: 0 });
      setCell(end);
      return;
    }
    const target = destination(event.key, command, cell, end, Math.max(1, Math.floor(viewPx / ROW_PX) - 1));
    if (target === null) return;
    event.preventDefault();
    go(target, event.shiftKey);
  };

  const first = Math.max(0, Math.floor(position.virtual / ROW_PX) - SPARE_ROWS);
  const last = Math.min(length, Math.ceil((position.virtual + viewPx) / ROW_PX) + SPARE_ROWS);
  const [from, to] = widths.seen(left, view.width);
  const columns = Array.from({ length: to - from }, (_, index) => from + index);
  const drawn = Array.from({ length: Math.max(0, last - first) }, (_, index) => first + index);

  return (
    <div
      ref={scroller}
      class="grid"
      role="grid"
      tabIndex={0}
      aria-label={label}
      aria-rowcount={length + 1}
      aria-colcount={rows.columns.length}
      aria-activedescendant={`cell-${cell.row}-${cell.column}`}
      onScroll={onScroll}
      onKeyDown={onKeyDown}
    >
      <div
        class="grid-extent"
        style={{ height: `${Math.min(contentPx, EXTENT_MAX) + HEAD_PX}px`, width: `${widths.total + widths.gutter}px` }}
      >
        <div class="grid-head" role="row" aria-rowindex={1} style={{ height: `${HEAD_PX}px` }}>
          <div class="grid-corner" style={{ width: `${widths.gutter}px` }} />
          {columns.map((column) => (
            <Head
              key={column}
              name={rows.columns[column]!.name}
              type={rows.columns[column]!.type}
              numeric={rows.columns[column]!.numeric}
              index={column}
              left={widths.start(column) + widths.gutter}
              width={widths.width(column)}
              onResize={(width) => setResized(new Map(resized).set(column, width))}
            />
          ))}
        </div>
        <div class="grid-view" style={{ height: `${viewPx}px`, top: `${HEAD_PX}px` }}>
          {drawn.map((row) => (
            <div
              key={row}
              class="grid-row"
              role="row"
              aria-rowindex={row + 2}
              style={{ transform: `translateY(${row * ROW_PX - position.virtual}px)` }}
            >
              <div class="grid-number" role="rowheader" style={{ width: `${widths.gutter}px` }}>
                {count(row + 1)}
              </div>
              {columns.map((column) => {
                const text = rows.text(row, column);
                const active = row === cell.row && column === cell.column;
                const selected =
                  row >= range.top && row <= range.bottom && column >= range.left && column <= range.right;
                return (
                  <div
                    key={column}
                    id={`cell-${row}-${column}`}
                    class="grid-cell"
                    role="gridcell"
                    aria-colindex={column + 1}
                    aria-selected={selected}
                    data-active={active}
                    data-numeric={rows.columns[column]!.numeric}
                    data-null={text === null}
                    title={text !== null && text.length > 24 ? text.slice(0, 2000) : undefined}
                    style={{ left: `${widths.start(column) + widths.gutter}px`, width: `${widths.width(column)}px` }}
                    onMouseDown={(event) => go({ row, column }, event.shiftKey)}
                  >
                    {text === null ? "NULL" : text.length > 500 ? `${text.slice(0, 500)}…` : text}
                  </div>
                );
              })}
            </div>
          ))}
        </div>
      </div>
    </div>
  );
}

/** Where a key leads, given the last cell, or null if it leads nowhere. */
function destination(key: string, command: boolean, from: Cell, end: Cell, page: number): Cell | null {
  const { row, column } = from;
  switch (key) {
    case "ArrowDown":
      return { row: command ? end.row : row + 1, column };
    case "ArrowUp":
      return { row: command ? 0 : row - 1, column };
    case "ArrowRight":
      return { row, column: command ? end.column : column + 1 };
    case "ArrowLeft":
      return { row, column: command ? 0 : column - 1 };
    case "PageDown":
      return { row: row + page, column };
    case "PageUp":
      return { row: row - page, column };
    case "Home":
      return command ? { row: 0, column: 0 } : { row, column: 0 };
    case "End":
      return command ? end : { row, column: end.column };
    default:
      return null;
  }
}

interface HeadProps {
  readonly name: string;
  readonly type: string;
  readonly numeric: boolean;
  readonly index: number;
  readonly left: number;
  readonly width: number;
  readonly onResize: (width: number) => void;
}

function Head({ name, type, numeric, index, left, width, onResize }: HeadProps) {
  const drag = (event: PointerEvent): void => {
    const handle = event.currentTarget as HTMLElement;
    const startX = event.clientX;
    handle.setPointerCapture(event.pointerId);
    const moved = (next: PointerEvent): void => onResize(Math.max(40, width + next.clientX - startX));
    handle.addEventListener("pointermove", moved);
    handle.addEventListener("pointerup", () => handle.removeEventListener("pointermove", moved), { once: true });
    event.preventDefault();
  };
  return (
    <div
      class="grid-heading"
      role="columnheader"
      aria-colindex={index + 1}
      data-numeric={numeric}
      title={`${name} ${type}`}
      style={{ left: `${left}px`, width: `${width}px` }}
    >
      <span class="grid-name">{name}</span>
      <span class="grid-type">{type}</span>
      <span class="grid-resize" onPointerDown={drag} />
    </div>
  );
}
