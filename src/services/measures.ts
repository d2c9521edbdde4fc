import { byOf, isOfFamily, matchersOf, type RedFamily, redQueries } from '../dashboards/red-family.ts';
import type { Measure } from '../deployments/measure.ts';

/** Measures of a service that a deployment may change, by the metrics that it has. @param selector its own series */
export function measuresOf(
  families: readonly RedFamily[],
  selector: string,
  has: (metric: string) => boolean,
): Measure[] {
  const measures: Measure[] = [];
  // of a counter with durations of both sorts the first variant tells all
  const told = new Set<string>();
  for (const family of families) {
    if (!isOfFamily(family, has) || told.has(family.requests)) continue;
    told.add(family.requests);
    const { title, labels } = family;
    const queries = (by: readonly string[], span: string) => redQueries(family, by, selector, span);
    const events: Measure['events'] = (by, span) => queries(by, span).events;
    const add = (name: string, kind: Measure['kind'], statistic: Measure['statistic'], value: Measure['value']) =>
      measures.push({ name: `${title}: ${name}`, kind, statistic, value, events, labels });
    add('requests', 'traffic', 'rate', (by, span) => queries(by, span).rate);
    add('error ratio', 'errors', 'ratio', (by, span) => queries(by, span).errorRatio);
    if (family.duration === undefined) continue;
    if (family.native || has(`${family.duration}_bucket`)) {
      add('p50', 'latency', 'p50', (by, span) => queries(by, span).quantile(0.5)!);
      add('p99', 'latency', 'p99', (by, span) => queries(by, span).quantile(0.99)!);
    }
    if (family.native || has(`${family.duration}_sum`))
      add('mean duration', 'latency', 'mean', (by, span) => queries(by, span).mean!);
  }
  const share = (name: string, value: Measure['value'], ...needs: string[]) => {
    if (!needs.every(has)) return;
    const measure = { name, kind: 'saturation', statistic: 'value', events: undefined, labels: [] } as const;
    measures.push({ ...measure, value });
  };
  const own = matchersOf(selector);
  share(
    'CPU of an instance',
    (by, span) => `avg${byOf(by)} (rate(process_cpu_seconds_total${own}[${span}]))`,
    'process_cpu_seconds_total',
  );
  share(
    'Open files',
    (by, span) => `max${byOf(by)} (max_over_time(process_open_fds${own}[${span}]) / process_max_fds${own})`,
    'process_open_fds',
    'process_max_fds',
  );
  return measures;
}
