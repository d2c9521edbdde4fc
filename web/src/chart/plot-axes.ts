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

/** An axis of values, as its unit has it. */
export interface ValueAxis extends Partial<uPlot.Axis> {
  readonly print: (value: number) => string;
}

/** The scale of an axis at the right. */
export const RIGHT = 'right';

/** Axes of a chart over time. @param right for values of another unit, in the scale `RIGHT` */
export function axesFor(element: Element, left: ValueAxis, right?: ValueAxis): uPlot.Axis[] {
  const style = getComputedStyle(element);
  const stroke = style.getPropertyValue('--chart-text').trim() || '#888';
  const line = style.getPropertyValue('--chart-line').trim() || '#8884';
  const font = '11px system-ui, sans-serif';
  const grid = { stroke: line, width: 1 };
  const ticks = { stroke: line, width: 1, size: 4 };
  const valueAxis = ({ print, ...more }: ValueAxis): uPlot.Axis => ({
    stroke,
    font,
    grid,
    ticks,
    ...more,
    values: (_, splits) => splits.map((value) => (value === null ? '' : print(value))),
    size: (_, values) => Math.max(44, ...(values ?? []).map((text) => text.length * 6.2 + 14)),
  });
  return [
    { stroke, font, grid, ticks, space: 70, size: 34, values: TIME_TEXTS },
    valueAxis(left),
    // one grid is enough
    ...(right === undefined ? [] : [valueAxis({ ...right, scale: RIGHT, side: 1, grid: { show: false } })]),
  ];
}

export function dateIn(zone: Zone): (seconds: number) => Date {
  return zone === 'utc'
    ? (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC')
    : (seconds) => new Date(seconds * 1000);
}

/** Charts whose cursors go together. */
export const CURSOR_GROUP = 'pallium';
