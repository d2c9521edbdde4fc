import uPlot from 'uplot';
import type { Zone } from '../scope.tsx';

/** Axes of a chart over time. */
export function axesFor(
  element: Element,
  printY: (value: number) => string,
  ySplits?: uPlot.Axis.Splits,
): uPlot.Axis[] {
  const style = getComputedStyle(element);
  const stroke = style.getPropertyValue('--chart-text').trim() || '#888';
  const line = style.getPropertyValue('--chart-line').trim() || '#8884';
  const font = '11px system-ui, sans-serif';
  const grid = { stroke: line, width: 1 };
  const ticks = { stroke: line, width: 1, size: 4 };
  return [
    { stroke, font, grid, ticks, space: 70, size: 34 },
    {
      stroke,
      font,
      grid,
      ticks,
      ...(ySplits && { splits: ySplits }),
      values: (_, splits) => splits.map((value) => (value === null ? '' : printY(value))),
      size: (_, values) => Math.max(44, ...(values ?? []).map((text) => text.length * 6.2 + 14)),
    },
  ];
}

export function dateIn(zone: Zone): (seconds: number) => Date {
  return zone === 'utc'
    ? (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC')
    : (seconds) => new Date(seconds * 1000);
}

/** Charts whose cursors go together. */
export const CURSOR_GROUP = 'pallium';
