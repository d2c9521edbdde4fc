import type { MetricSnapshot } from './metrics.ts';

type Metric = MetricSnapshot[number];
type Value = Metric['values'][number] & { readonly metricName?: string };

/** Counts of threads that are gone, added up: sums over several threads go on from there, and do not begin anew for one of them. */
export class KeptCounts {
  readonly #metrics = new Map<string, { readonly metric: Metric; readonly values: Map<string, Value> }>();

  /** Adds counters and histograms; what tells of a moment is gone with its thread. */
  add(snapshot: MetricSnapshot): void {
    for (const metric of snapshot) {
      const type = String(metric.type);
      if (type !== 'counter' && type !== 'histogram') continue;
      const kept = this.#metrics.get(metric.name) ?? { metric, values: new Map<string, Value>() };
      this.#metrics.set(metric.name, kept);
      for (const value of metric.values as readonly Value[]) {
        const key = `${value.metricName ?? ''} ${JSON.stringify(value.labels)}`;
        kept.values.set(key, { ...value, value: value.value + (kept.values.get(key)?.value ?? 0) });
      }
    }
  }

  get snapshot(): MetricSnapshot {
    return [...this.#metrics.values()].map(({ metric, values }) => ({ ...metric, values: [...values.values()] }));
  }
}
