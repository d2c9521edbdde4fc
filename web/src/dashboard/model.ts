import type { Dashboard, Panel } from '../../../src/contract/dashboard.ts';
import type { Unit } from '../model/units.ts';
import { interpolated, patternOf, type Values } from './variables.ts';

const UNITS: Readonly<Record<string, Unit>> = {
  'percent-decimal': 'percent',
  percent: 'percent-100',
  milliseconds: 'milliseconds',
  seconds: 'seconds',
  bytes: 'bytes',
  'bytes/sec': 'bytes/s',
  'bits/sec': 'bits/s',
  celsius: 'celsius',
  hertz: 'hertz',
};

/** A unit as Perses names it; of those that are not known, the number. */
export function unitNamed(name: string | undefined): Unit {
  return UNITS[name ?? ''] ?? (name?.endsWith('/sec') === true ? 'per-second' : 'number');
}

/** The unit of a panel, wherever its kind has it. */
export function unitOfPanel({ spec: { plugin } }: Panel): Unit {
  const spec = (plugin.spec ?? {}) as {
    yAxis?: { format?: { unit?: string } };
    format?: { unit?: string };
    yAxisFormat?: { unit?: string };
  };
  return unitNamed(spec.yAxis?.format?.unit ?? spec.format?.unit ?? spec.yAxisFormat?.unit);
}

export function isStacked({ spec: { plugin } }: Panel): boolean {
  return (plugin.spec as { visual?: { stack?: string } } | undefined)?.visual?.stack === 'all';
}

/** The times that a query is asked with. */
export interface QueryTimes {
  /** Between two samples. */
  readonly intervalMs: number;
  readonly stepMs: number;
  readonly rangeMs: number;
}

/** A query with its ranges and variables filled in: a rate looks at four samples, and no step misses one. */
export function queryFor(text: string, { intervalMs, stepMs, rangeMs }: QueryTimes, values: Values): string {
  const seconds = (ms: number) => `${Math.max(1, Math.ceil(ms / 1000))}s`;
  const times: Readonly<Record<string, string>> = {
    $__rate_interval: seconds(Math.max(4 * intervalMs, stepMs + intervalMs)),
    $__interval: seconds(Math.max(stepMs, intervalMs)),
    $__interval_ms: String(Math.max(stepMs, intervalMs)),
    $__range: seconds(rangeMs),
    $__range_s: String(Math.ceil(rangeMs / 1000)),
    $__range_ms: String(Math.ceil(rangeMs)),
  };
  const timed = text.replaceAll(/\$\{?(__[a-z_]+)\}?/g, (whole, name: string) => times[`$${name}`] ?? whole);
  return interpolated(timed, values);
}

/** `{{code}} of {{method}}` → the values of a series. */
export function namedBy(format: string | undefined, labels: Readonly<Record<string, string>>): string | undefined {
  if (format === undefined || format === '') return undefined;
  return format.replaceAll(/\{\{\s*([\w.]+)\s*\}\}/g, (_, name: string) => labels[name] ?? '');
}

/** A name of a series with what a panel's `rename` makes of it. */
export function renamed(name: string, spec: Readonly<Record<string, unknown>> | undefined): string {
  const { regex, to } = (spec?.rename ?? {}) as { readonly regex?: unknown; readonly to?: unknown };
  if (typeof regex !== 'string' || typeof to !== 'string') return name;
  const pattern = patternOf(regex.replace(/^\/(.*)\/[a-z]*$/s, '$1'));
  return pattern === undefined ? name : name.slice(0, 300).replace(pattern, to);
}

/** The panel that an item of a grid names. */
export function panelAt(dashboard: Dashboard, ref: string): Panel | undefined {
  const key = ref.replace(/^#\/spec\/panels\//, '');
  return Object.hasOwn(dashboard.spec.panels, key) ? dashboard.spec.panels[key] : undefined;
}
