import { lines, type PanelTemplate } from './template.ts';
import { rateUnitOf, unitOf } from './unit.ts';

/** Metadata of a metric; fields that are not known are empty. */
export interface MetricFacts {
  readonly type: string;
  readonly unit: string;
  readonly help: string;
}

/** A family of series that no template knows, and how it is drawn. */
export interface FallbackPanel {
  /** The name without suffixes. */
  readonly family: string;
  readonly panel: PanelTemplate;
}

const SUFFIX = /_(bucket|sum|count|total|created)$/;
/** The family that a series' name belongs to: one drawn part of a histogram tells of the others. */
export function familyOf(name: string): string {
  return name.replace(SUFFIX, '');
}

const STATE = /(^|_)(up|success|successful|healthy|ready|enabled|active|alive|connected|leader)$|(^|_)is_/;

/** Panels for metrics by type, suffix and unit, one for each family. @param has all names of the service's metrics */
export function fallbackPanels(
  names: readonly string[],
  has: (metric: string) => boolean,
  factsOf: (metric: string) => MetricFacts | undefined,
): FallbackPanel[] {
  const families = new Map<string, PanelTemplate>();
  for (const name of names) {
    const { family, panel } = panelOf(name, has, factsOf);
    if (panel !== undefined && !families.has(family)) families.set(family, panel);
  }
  return [...families].map(([family, panel]) => ({ family, panel }));
}

function panelOf(
  name: string,
  has: (metric: string) => boolean,
  factsOf: (metric: string) => MetricFacts | undefined,
): { readonly family: string; readonly panel: PanelTemplate | undefined } {
  const base = familyOf(name);
  const facts = factsOf(name) ?? factsOf(base);
  const written = facts?.unit ?? '';
  const of = (metric: string, more = '') => selector(metric, more);
  const rate = (metric: string) => `sum (rate(${of(metric)}[$range]))`;
  // what is counted of a time that things began is no use
  if (name.endsWith('_created')) return { family: `${base} created`, panel: undefined };
  if (has(`${base}_bucket`)) {
    const quantile = (q: number) => `histogram_quantile(${q}, sum by (le) (rate(${of(`${base}_bucket`)}[$range])))`;
    return { family: base, panel: lines(base, unitOf(base, written), ...quantiles(quantile), [mean(base), 'mean']) };
  }
  if (facts?.type === 'histogram' && name === base) {
    const quantile = (q: number) => `histogram_quantile(${q}, sum (rate(${of(name)}[$range])))`;
    return { family: base, panel: lines(base, unitOf(base, written), ...quantiles(quantile)) };
  }
  if (has(`${base}_sum`) && has(`${base}_count`)) {
    // quantiles of a summary are shown as they are: nothing can be made of several
    const shown: [string, string][] = has(base)
      ? [[`max by (quantile) (${of(base, 'quantile!=""')})`, '{{quantile}}']]
      : [];
    return { family: base, panel: lines(base, unitOf(base, written), ...shown, [mean(base), 'mean']) };
  }
  if (name.endsWith('_info')) return { family: name, panel: { ...lines(name, 'decimal', of(name)), chart: 'table' } };
  if (
    /_timestamp(_seconds)?$|(boot|start|begin|creation|expiry|modified|update)_time_seconds$/.test(name) &&
    facts?.type !== 'counter'
  ) {
    return { family: name, panel: lines(`${name}: age`, 'seconds', [`time() - max (${of(name)} > 0)`, 'age']) };
  }
  if (facts?.type === 'counter' || name.endsWith('_total') || (facts === undefined && /_(count|sum)$/.test(name))) {
    return { family: name, panel: lines(name, rateUnitOf(base, written), [rate(name), 'all']) };
  }
  if (STATE.test(name)) return { family: name, panel: { ...lines(name, 'decimal', of(name)), chart: 'states' } };
  return { family: name, panel: lines(name, unitOf(name, written), of(name)) };
}

/** A selector that takes any name, dots and all. */
function selector(metric: string, more: string): string {
  const rest = more === '' ? '' : `,${more}`;
  if (/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(metric)) return `${metric}{$own${rest}}`;
  return `{${JSON.stringify(metric.toWellFormed())},$own${rest}}`;
}

function quantiles(quantile: (q: number) => string): (readonly [string, string])[] {
  return [0.5, 0.9, 0.99].map((q) => [quantile(q), `p${q * 100}`] as const);
}

function mean(base: string): string {
  const sum = selector(`${base}_sum`, '');
  const count = selector(`${base}_count`, '');
  return `sum (rate(${sum}[$range])) / (sum (rate(${count}[$range])) > 0)`;
}
