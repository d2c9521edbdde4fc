import {
  AggregatorRegistry,
  Counter,
  Gauge,
  Histogram,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from 'prom-client';

/**
 * A component's metrics, declared in one table and made for a registry: names, help and labels stand together, and the
 * code uses the handles.
 *
 *     const httpMetrics = metricTable({ requests: counter('requests_total', 'Requests answered.', ['route']) });
 *     const metrics = httpMetrics(registry);
 *     metrics.requests.inc({ route });
 *
 * All names get the prefix `pallium_`, but for those that begin with `cortex_prometheus_`.
 */
export function metricTable<const T extends Readonly<Record<string, (registry: Registry) => unknown>>>(
  table: T,
): (registry: Registry) => { readonly [Name in keyof T]: ReturnType<T[Name]> } {
  return (registry) =>
    Object.fromEntries(Object.entries(table).map(([name, make]) => [name, make(registry)])) as {
      readonly [Name in keyof T]: ReturnType<T[Name]>;
    };
}

const PREFIX = 'pallium_';
/** Names that people's dashboards and alerts know from elsewhere stay as they are. */
const KNOWN = /^cortex_prometheus_/;

function fullName(name: string): string {
  return KNOWN.test(name) ? name : PREFIX + name;
}

export function counter<const L extends string = never>(name: string, help: string, labelNames: readonly L[] = []) {
  return (registry: Registry) =>
    new Counter<L>({ name: fullName(name), help, labelNames: [...labelNames], registers: [registry] });
}

export function gauge<const L extends string = never>(name: string, help: string, labelNames: readonly L[] = []) {
  return (registry: Registry) =>
    new Gauge<L>({ name: fullName(name), help, labelNames: [...labelNames], registers: [registry] });
}

export function histogram<const L extends string = never>(
  name: string,
  help: string,
  buckets: readonly number[],
  labelNames: readonly L[] = [],
) {
  return (registry: Registry) =>
    new Histogram<L>({
      name: fullName(name),
      help,
      buckets: [...buckets],
      labelNames: [...labelNames],
      registers: [registry],
    });
}

/** Values of a metric that are set anew whenever it is read, so that nothing is counted twice and nobody who is gone is told of. */
export function whenRead(metric: { reset(): void }, set: () => void): void {
  const collect = () => {
    metric.reset();
    set();
  };
  Object.assign(metric, { collect });
}

/** Seconds, from a fast look-up to a query's time-out. */
export const DURATION_BUCKETS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100,
];

/** Metrics of another thread, as `Registry.getMetricsAsJSON()` gives them there. */
export type MetricSource = () => Promise<MetricSnapshot>;

export type MetricSnapshot = MetricObjectWithValues<MetricValue<string>>[];

/**
 * The exposition of this thread's metrics and those of its workers, counters of the same name added up. A worker that
 * does not answer is left out.
 */
export async function exposeMetrics(local: Registry, others: readonly MetricSource[]): Promise<string> {
  if (others.length === 0) return local.metrics();
  return (await gathered(local, others)).metrics();
}

/** The same as data. */
export async function readMetrics(local: Registry, others: readonly MetricSource[]): Promise<MetricSnapshot> {
  return (others.length === 0 ? local : await gathered(local, others)).getMetricsAsJSON() as Promise<MetricSnapshot>;
}

async function gathered(local: Registry, others: readonly MetricSource[]): Promise<Registry> {
  const answers = await Promise.allSettled(others.map((source) => source()));
  const all = [await local.getMetricsAsJSON()];
  for (const answer of answers) if (answer.status === 'fulfilled') all.push(answer.value);
  return AggregatorRegistry.aggregate(all) as Registry;
}

export { Registry };
