import uPlot from 'uplot';
import type { Zone } from '../scope.tsx';

const [SECOND, MINUTE, HOUR, DAY, MONTH, YEAR] = [1, 60, 3_600, 86_400, 2_592_000, 31_536_000];
const DATE = '\n{YYYY}-{MM}-{DD}';

/**
 * Texts of a time axis, 24 hours a day, in uPlot's form: least distance, text, then what is added where year, month, day, hour, minute
 * and second change, and how.
 */
const TIME_TEXTS: uPlot.Axis['values'] = [
  [YEAR, '{YYYY}', null, null, null, null, null, null, 1],
  [MONTH, '{YYYY}-{MM}', null, null, null, null, null, null, 1],
  [DAY, '{MM}-{DD}', '\n{YYYY}', null, null, null, null, null, 1],
  [HOUR, '{HH}:{mm}', DATE, null, DATE, null, null, null, 1],
  [MINUTE, '{HH}:{mm}', DATE, null, DATE, null, null, null, 1],
  [SECOND, '{HH}:{mm}:{ss}', DATE, null, DATE, null, null, null, 1],
  [0.001, '{HH}:{mm}:{ss}.{fff}', DATE, null, DATE, null, null, null, 1],
];

/** Distances between ticks that are round numbers of bytes. */
export const BYTE_STEPS = Array.from({ length: 60 }, (_, power) => 2 ** power);

/** Axes of a chart over time. */
export function axesFor(
  element: Element,
  printY: (value: number) => string,
  y: Partial<uPlot.Axis> = {},
): uPlot.Axis[] {
  const style = getComputedStyle(element);
  const stroke = style.getPropertyValue('--chart-text').trim() || '#888';
  const line = style.getPropertyValue('--chart-line').trim() || '#8884';
  const font = '11px system-ui, sans-serif';
  const grid = { stroke: line, width: 1 };
  const ticks = { stroke: line, width: 1, size: 4 };
  return [
    { stroke, font, grid, ticks, space: 70, size: 34, values: TIME_TEXTS },
    {
      stroke,
      font,
      grid,
      ticks,
      ...y,
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
