import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import uPlot from 'uplot';
import { printMoment } from '../model/time-text.ts';
import { printValue, type Unit } from '../model/units.ts';
import type { Zone } from '../scope.tsx';
import type { HeatmapColumns } from './heatmap-columns.ts';
import { useWidth } from './line-chart.tsx';
import { axesFor, CURSOR_GROUP, dateIn } from './plot-axes.ts';

/** Buckets from below, darker where there are more. */
export function Heatmap(props: {
  readonly columns: HeatmapColumns;
  readonly unit: Unit;
  readonly zone: Zone;
  readonly height: number;
  readonly onZoom: (startMs: number, endMs: number) => void;
}) {
  const { columns, unit, zone, height } = props;
  const { times, rows, cells } = columns;
  const element = useRef<HTMLDivElement>(null);
  const zoom = useRef(props.onZoom);
  zoom.current = props.onZoom;
  const width = useWidth(element);
  // that of the system too, where it is followed
  const colorScheme = useComputedColorScheme();
  const [hover, setHover] = useState<{ readonly at: number; readonly row: number; readonly left: number }>();
  // biome-ignore lint/correctness/useExhaustiveDependencies: another scheme has other colours
  useEffect(() => {
    const root = element.current;
    if (root === null || width < 10) return;
    // an edge of a row stands for the bound between two buckets
    const printEdge = (edge: number) => {
      const bound = edge === 0 ? rows[0]?.lower : rows[edge - 1]?.upper;
      return bound === undefined ? '' : printValue(bound, unit);
    };
    const every = Math.max(1, Math.ceil(rows.length / 12));
    const edges = Array.from({ length: Math.floor(rows.length / every) + 1 }, (_, i) => i * every);
    const made = new uPlot(
      {
        width,
        height,
        padding: [8, 20, 0, 0],
        legend: { show: false },
        tzDate: dateIn(zone),
        scales: { x: { time: true, range: (_, min, max) => [min, max] }, y: { range: () => [0, rows.length] } },
        axes: axesFor(root, { print: printEdge, splits: () => edges }),
        cursor: {
          drag: { x: true, y: false, setScale: false, dist: 4 },
          points: { show: false },
          sync: { key: CURSOR_GROUP, scales: ['x', null] },
        },
        series: [{}, { paths: () => null, points: { show: false } }],
        hooks: {
          draw: [(u) => drawCells(u, columns, root)],
          setCursor: [
            (u) => {
              const { idx, left = -1, top = -1 } = u.cursor;
              const row = top < 0 ? -1 : Math.floor(u.posToVal(top, 'y'));
              setHover(idx == null || left < 0 || row < 0 || row >= rows.length ? undefined : { at: idx, row, left });
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
        },
      },
      [times, new Float64Array(times.length)] as unknown as uPlot.AlignedData,
      root,
    );
    return () => made.destroy();
  }, [columns, unit, zone, width, height, colorScheme]);
  const row = hover && rows[hover.row];
  return (
    <div className="chart" role="img" aria-label={`heatmap of ${rows.length} buckets`}>
      <div ref={element} className="chart-plot" style={{ height }} />
      {hover !== undefined && row !== undefined && (
        <div className="tooltip" style={{ left: Math.min(hover.left + 70, Math.max(0, width - 220)), top: 10 }}>
          <div className="tooltip-time">{printMoment(times[hover.at]! * 1000, zone)}</div>
          {printValue(row.lower, unit)} to {printValue(row.upper, unit)}: {cells[hover.row * times.length + hover.at]}
        </div>
      )}
    </div>
  );
}

function drawCells(u: uPlot, { times, rows, cells, most }: HeatmapColumns, root: Element): void {
  if (most === 0) return;
  const { ctx, bbox } = u;
  const step = times.length > 1 ? times[1]! - times[0]! : 60;
  const isDark = getComputedStyle(root).colorScheme === 'dark';
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  const xs = Array.from(times, (time) => u.valToPos(time - step / 2, 'x', true));
  const width = Math.max(1, u.valToPos(times[0]! + step, 'x', true) - u.valToPos(times[0]!, 'x', true)) + 0.5;
  for (let row = 0; row < rows.length; row++) {
    const top = u.valToPos(row + 1, 'y', true);
    const height = u.valToPos(row, 'y', true) - top + 0.5;
    for (let i = 0; i < times.length; i++) {
      const cell = cells[row * times.length + i]!;
      if (cell <= 0) continue;
      // few are to be seen beside many
      const share = Math.sqrt(cell / most);
      ctx.fillStyle = isDark
        ? `hsl(${190 - 140 * share} 75% ${25 + 45 * share}%)`
        : `hsl(${190 + 40 * share} ${60 + 20 * share}% ${88 - 58 * share}%)`;
      ctx.fillRect(xs[i]!, top, width, height);
    }
  }
  ctx.restore();
}
