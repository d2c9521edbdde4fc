import type { Unit } from './dashboard.ts';

/** Whose series a template asks for: the placeholder `$own` of its queries stands for the matchers of these. */
export type Scope = 'own' | 'pods' | 'workload' | 'mesh';

/** A piece of a dashboard that is shown where its metrics are there. */
export interface Template {
  readonly id: string;
  readonly title: string;
  readonly scope: Scope;
  /** Metrics without which it is not shown, whatever else is there: they tell that it is meant. Any of them suffices. */
  readonly signs: readonly string[];
  /** A further condition on the metrics that are there. */
  readonly isMeant?: (has: (metric: string) => boolean) => boolean;
  readonly panels: readonly PanelTemplate[];
}

export interface PanelTemplate {
  readonly title: string;
  readonly unit: Unit;
  readonly chart: 'lines' | 'stack' | 'stat' | 'states' | 'table';
  readonly queries: readonly QueryTemplate[];
}

export interface QueryTemplate {
  /** With `$own` for matchers and `$range` for a range. */
  readonly expr: string;
  /** The name of a series, with `{{label}}`; empty: its labels. */
  readonly legend: string;
}

/** A panel of lines. @param queries expressions, or expression and legend */
export function lines(
  title: string,
  unit: Unit,
  ...queries: readonly (string | readonly [string, string])[]
): PanelTemplate {
  return { title, unit, chart: 'lines', queries: queries.map(queryOf) };
}

export function stack(
  title: string,
  unit: Unit,
  ...queries: readonly (string | readonly [string, string])[]
): PanelTemplate {
  return { title, unit, chart: 'stack', queries: queries.map(queryOf) };
}

export function stat(title: string, unit: Unit, expr: string): PanelTemplate {
  return { title, unit, chart: 'stat', queries: [queryOf(expr)] };
}

function queryOf(query: string | readonly [string, string]): QueryTemplate {
  return typeof query === 'string' ? { expr: query, legend: '' } : { expr: query[0], legend: query[1] };
}

/** The rate of a counter, summed by labels. */
export function rate(metric: string, by = '', more = ''): string {
  return `sum${by === '' ? '' : ` by (${by})`} (rate(${metric}{$own${more === '' ? '' : `,${more}`}}[$range]))`;
}
