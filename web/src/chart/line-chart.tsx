import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useMemo, useRef, useState } from 'react';
import uPlot from 'uplot';
import type { SeriesColumns } from '../api/columns.ts';
import type { Stroke } from '../model/color.ts';
import { printValue, type Unit } from '../model/units.ts';
import type { Zone } from '../scope.tsx';
import { extentOf, stacked, traceLine } from './line-path.ts';
import { axesFor, BYTE_STEPS, CURSOR_GROUP, dateIn, RIGHT, type ValueAxis } from './plot-axes.ts';
import { sidesOf } from './sides.ts';
import { marksAt, type TimeMark } from './time-mark.ts';
import { markPainted } from './timing.ts';
import { ChartTooltip, type TooltipRow } from './tooltip.tsx';

export interface PointMark {
  readonly timeSeconds: number;
  readonly value: number;
  readonly lines: readonly string[];
}

export interface LineChartProps {
  readonly times: Float64Array;
  readonly series: readonly SeriesColumns[];
  readonly names: readonly string[];
  readonly strokes: readonly Stroke[];
  /** Those that are not drawn, by place. */
  readonly hidden: ReadonlySet<number>;
  readonly isStacked: boolean;
  readonly fromZero: boolean;
  readonly unit: Unit;
  /** Units of single series, where they are told; absent: `unit`. */
  readonly units?: readonly Unit[];
  readonly zone: Zone;
  readonly height: number;
  readonly marks: readonly PointMark[];
  /** Times that stand out: lines from top to bottom, and bands of what took a while. */
  readonly timeMarks?: readonly TimeMark[];
  readonly onZoom: (startMs: number, endMs: number) => void;
}

/** Lines of more series than this are thin. */
const MANY = 20;

interface Hover {
  readonly at: number;
  readonly left: number;
  readonly top: number;
}

/** Lines over time, or areas upon each other. */
export function LineChart(props: LineChartProps) {
  const {
    times,
    series,
    strokes,
    hidden,
    isStacked,
    fromZero,
    unit,
    units,
    zone,
    height,
    marks,
    timeMarks = NO_MARKS,
  } = props;
  const element = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const zoom = useRef(props.onZoom);
  zoom.current = props.onZoom;
  const [hover, setHover] = useState<Hover>();
  const [pinned, setPinned] = useState<Hover>();
  // that of the system too, where it is followed
  const colorScheme = useComputedColorScheme();
  const width = useWidth(element);

  /** Series that are drawn: hidden ones take no room in a stack. */
  const drawn = useMemo(() => {
    const shown = series.map((_, i) => i).filter((i) => !hidden.has(i));
    const columns = shown.map((i) => series[i]!.values);
    return { shown, columns: isStacked ? stacked(columns) : columns };
  }, [series, hidden, isStacked]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another scheme has other colours
  useEffect(() => {
    const root = element.current;
    if (root === null || width < 10) return;
    const { shown, columns } = drawn;
    const sides = sidesOf(
      unit,
      shown.map((i) => units?.[i] ?? unit),
      isStacked,
    );
    const range =
      (isRight: boolean) =>
      (u: uPlot): uPlot.Range.MinMax => {
        const [from, to] = u.series[0]!.idxs ?? [0, times.length - 1];
        const own = columns.filter((_, place) => sides.isRight(place) === isRight);
        const [least, greatest] = extentOf(own, from, to) ?? [0, 1];
        const low = fromZero || isStacked ? Math.min(0, least) : least;
        const room = (greatest - low) * 0.06 || Math.abs(greatest) * 0.1 || 1;
        return [low === 0 || (low > 0 && low < room) ? Math.min(0, low) : low - room, greatest + room];
      };
    const made = new uPlot(
      {
        width,
        height,
        padding: [8, 20, 0, 0],
        legend: { show: false },
        tzDate: dateIn(zone),
        scales: {
          x: { time: true, range: (_, min, max) => [min, max] },
          y: { auto: true, range: range(false) },
          ...(sides.right !== undefined && { [RIGHT]: { auto: true, range: range(true) } }),
        },
        axes: axesFor(root, axisOf(sides.left), sides.right && axisOf(sides.right)),
        cursor: {
          drag: { x: true, y: false, setScale: false, dist: 4 },
          points: { show: false },
          sync: { key: CURSOR_GROUP, scales: ['x', null] },
        },
        series: [
          {},
          ...shown.map((i, place): uPlot.Series => {
            const { color, dash } = strokes[i]!;
            const scale = sides.isRight(place) ? RIGHT : 'y';
            return {
              scale,
              stroke: color,
              // thin lines are drawn several times faster
              width: shown.length > MANY ? 1 / devicePixelRatio : 1.25,
              dash: [...dash],
              cap: 'round',
              points: { show: false },
              ...(isStacked && { fill: `${color}66` }),
              paths: (u, _, from, to) => pathsOf(u, from, to, columns, { place, scale, isStacked }),
            };
          }),
        ],
        hooks: {
          drawClear: [(u) => drawTimes(u, timeMarks)],
          draw: [(u) => drawMarks(u, marks)],
          setCursor: [
            (u) => {
              const { idx, left = -1, top = -1 } = u.cursor;
              setHover(idx == null || left < 0 ? undefined : { at: idx, left, top });
            },
          ],
          setSelect: [
            (u) => {
              const { left, width: selected } = u.select;
              if (selected < 4) return;
              const [start, end] = [u.posToVal(left, 'x'), u.posToVal(left + selected, 'x')];
              u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              zoom.current(Math.round(start * 1000), Math.round(end * 1000));
            },
          ],
          ready: [
            (u) =>
              u.over.addEventListener('click', () => {
                const { idx, left = 0, top = 0 } = u.cursor;
                if (idx != null) setPinned((before) => (before === undefined ? { at: idx, left, top } : undefined));
              }),
          ],
        },
      },
      [times, ...columns] as unknown as uPlot.AlignedData,
      root,
    );
    plot.current = made;
    markPainted();
    return () => made.destroy();
  }, [drawn, times, strokes, isStacked, fromZero, unit, units, zone, width, height, marks, timeMarks, colorScheme]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another answer has other points
  useEffect(() => setPinned(undefined), [times]);

  const shownHover = pinned ?? hover;
  return (
    <div className="chart" role="img" aria-label={`graph of ${series.length} series`}>
      <div ref={element} className="chart-plot" style={{ height }} />
      {shownHover !== undefined && shownHover.at < times.length && (
        <ChartTooltip
          left={shownHover.left + (plot.current?.over.offsetLeft ?? 0)}
          top={shownHover.top}
          width={width}
          timeMs={times[shownHover.at]! * 1000}
          zone={zone}
          isPinned={pinned !== undefined}
          rows={rowsAt(props, drawn.shown, shownHover.at)}
          notes={[
            ...marksNear(marks, times, shownHover.at),
            ...marksAt(timeMarks, times[shownHover.at]!, stepOf(times)),
          ]}
        />
      )}
    </div>
  );
}

function axisOf(unit: Unit): ValueAxis {
  const print = (value: number) => printValue(value, unit);
  return unit.startsWith('bytes') ? { print, incrs: BYTE_STEPS } : { print };
}

function rowsAt(
  { series, names, strokes, unit, units }: LineChartProps,
  shown: readonly number[],
  at: number,
): TooltipRow[] {
  return shown
    .map((i) => ({
      name: names[i]!,
      color: strokes[i]!.color,
      value: series[i]!.values[at]!,
      unit: units?.[i] ?? unit,
    }))
    .filter(({ value }) => !Number.isNaN(value))
    .sort((a, b) => b.value - a.value);
}

/** BAND_CLIP_FILL of uPlot: nothing is cut off. */
const UNCLIPPED = 1;

function pathsOf(
  u: uPlot,
  from: number,
  to: number,
  columns: readonly Float64Array[],
  { place, scale, isStacked }: { readonly place: number; readonly scale: string; readonly isStacked: boolean },
): uPlot.Series.Paths {
  const times = u.data[0] as unknown as Float64Array;
  const { min, max } = u.scales.x!;
  // from the edge: seconds since 1970 times pixels would lose the fraction
  const kx = u.bbox.width / (max! - min!);
  const [y0, y1] = [u.valToPos(0, scale, true), u.valToPos(1, scale, true)];
  const transform = { x0: u.bbox.left - min! * kx, kx, y0, ky: y1 - y0 };
  const stroke = new Path2D();
  traceLine(times, columns[place]!, from, to, transform, stroke);
  const fill = isStacked ? areaOf(times, columns[place]!, columns[place - 1], from, to, transform) : null;
  return { stroke, fill, clip: null, band: null, gaps: null, flags: UNCLIPPED } as unknown as uPlot.Series.Paths;
}

/** Between a line and the one below it; at gaps the area ends. */
function areaOf(
  times: Float64Array,
  upper: Float64Array,
  lower: Float64Array | undefined,
  from: number,
  to: number,
  { x0, kx, y0, ky }: { x0: number; kx: number; y0: number; ky: number },
): Path2D {
  const area = new Path2D();
  for (let i = from; i <= to; i++) {
    if (!Number.isFinite(upper[i])) continue;
    let end = i;
    while (end < to && Number.isFinite(upper[end + 1])) end++;
    area.moveTo(x0 + times[i]! * kx, y0 + upper[i]! * ky);
    for (let at = i + 1; at <= end; at++) area.lineTo(x0 + times[at]! * kx, y0 + upper[at]! * ky);
    for (let at = end; at >= i; at--) {
      const ground = lower?.[at] ?? 0;
      area.lineTo(x0 + times[at]! * kx, y0 + (Number.isFinite(ground) ? ground : 0) * ky);
    }
    area.closePath();
    i = end;
  }
  return area;
}

const NO_MARKS: readonly TimeMark[] = [];
const MARK_PX = 4;

/** Behind the lines of the series. */
function drawTimes(u: uPlot, marks: readonly TimeMark[]): void {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const { fromSeconds, toSeconds, color, isFaint } of marks) {
    const x = u.valToPos(fromSeconds, 'x', true);
    ctx.globalAlpha = isFaint ? 0.35 : 0.9;
    ctx.strokeStyle = color;
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    if (toSeconds === undefined) continue;
    ctx.globalAlpha = isFaint ? 0.05 : 0.12;
    ctx.fillStyle = color;
    ctx.fillRect(x, bbox.top, u.valToPos(toSeconds, 'x', true) - x, bbox.height);
  }
  ctx.restore();
}

function stepOf(times: Float64Array): number {
  return times.length > 1 ? times[1]! - times[0]! : 1;
}

function drawMarks(u: uPlot, marks: readonly PointMark[]): void {
  const { ctx } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
  ctx.clip();
  ctx.fillStyle = '#e69f00';
  const size = MARK_PX * devicePixelRatio;
  const [top, bottom] = [u.bbox.top + size, u.bbox.top + u.bbox.height - size];
  for (const { timeSeconds, value } of marks) {
    const x = u.valToPos(timeSeconds, 'x', true);
    // an observed value is of another size than a rate of them: beyond the axis it stands at its edge
    const y = Math.max(top, Math.min(bottom, u.valToPos(value, 'y', true)));
    ctx.beginPath();
    ctx.moveTo(x, y - size);
    ctx.lineTo(x + size, y);
    ctx.lineTo(x, y + size);
    ctx.lineTo(x - size, y);
    ctx.fill();
  }
  ctx.restore();
}

function marksNear(marks: readonly PointMark[], times: Float64Array, at: number): string[] {
  const step = stepOf(times);
  const near = marks.filter(({ timeSeconds }) => Math.abs(timeSeconds - times[at]!) <= step / 2);
  return near.slice(0, 5).flatMap(({ lines }) => lines);
}

/** The width of an element, in whole pixels, as it changes. */
export function useWidth(element: React.RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const root = element.current;
    if (root === null) return;
    const look = new ResizeObserver(() => setWidth(Math.floor(root.clientWidth)));
    look.observe(root);
    return () => look.disconnect();
  }, [element]);
  return width;
}
