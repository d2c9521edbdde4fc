import type { PushedSeries, SeriesBackend } from '../contract/push.ts';
import type { Logger } from '../kit/observe/log.ts';
import type { MetricSnapshot } from '../kit/observe/metrics.ts';
import { Rounds } from '../kit/service/rounds.ts';
import type { Service } from '../kit/service/service.ts';
import type { Clock } from '../lib/clock.ts';
import { getOrMake } from '../lib/map.ts';

export interface TenantMonitoringOptions {
  /** Label `instance`; asked when it is known. */
  readonly instance: () => string;
  /** Metrics of ruler and Alertmanager. */
  readonly read: () => Promise<MetricSnapshot>;
  readonly backend: SeriesBackend;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Counters of what goes wrong for a tenant, and the labels that tell it of what. */
const TOLD: Readonly<Record<string, readonly string[]>> = {
  cortex_prometheus_rule_evaluation_failures_total: ['rule_group', 'reason'],
  cortex_prometheus_rule_group_iterations_missed_total: ['rule_group'],
  // not of which Alertmanager: it may be the operator's
  cortex_prometheus_notifications_errors_total: [],
  cortex_prometheus_notifications_dropped_total: [],
  pallium_alertmanager_notifications_failed_total: ['integration', 'reason'],
  pallium_alertmanager_alerts_refused_total: [],
  pallium_alertmanager_dispatcher_aggregation_group_limit_reached_total: [],
};
const INTERVAL_MS = 60_000;
const JOB = 'pallium';
/** Series of a tenant; further ones are not told. */
const SERIES_MAX = 1_000;

/**
 * Writes to each tenant what of its rules and notifications went wrong, as series of its own: evaluations that failed or were missed,
 * notifications that came to nobody. A tenant for whom nothing ever went wrong gets none.
 */
export class TenantMonitoring implements Service {
  readonly name = 'tenant-monitoring';
  readonly #options: TenantMonitoringOptions;
  /** Series that were told before, by tenant: their key. */
  readonly #told = new Map<string, Set<string>>();
  readonly #rounds: Rounds;

  constructor(options: TenantMonitoringOptions) {
    this.#options = options;
    this.#rounds = new Rounds(options.clock, INTERVAL_MS, (signal) => this.#write(signal));
  }

  async start(): Promise<void> {
    this.#rounds.start();
  }

  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  async #write(signal: AbortSignal): Promise<void> {
    const { read, backend, clock, log } = this.#options;
    const timeMs = clock.nowMs();
    try {
      for (const [tenant, counts] of countsOf(await read())) {
        const { status, text } = await backend.pushSeries(
          { tenant, series: this.#seriesOf(tenant, counts, timeMs) },
          signal,
        );
        if (status >= 300) log.debug({ user: tenant, error: text }, 'a tenant cannot be told what went wrong');
        else this.#told.set(tenant, new Set(counts.keys()));
      }
    } catch (thrown) {
      if (!signal.aborted) {
        log.warn({ error: (thrown as Error).message }, 'tenants are not told what went wrong');
      }
    }
  }

  /** A series that is new begins with 0, so that its first increase is seen. */
  #seriesOf(tenant: string, counts: ReadonlyMap<string, number>, timeMs: number): PushedSeries[] {
    const told = this.#told.get(tenant);
    const target = ['instance', this.#options.instance(), 'job', JOB];
    return [...counts].map(([key, value]) => ({
      pairs: [...(JSON.parse(key) as string[]), ...target],
      samples: [...(told?.has(key) === true ? [] : [{ timeMs: timeMs - INTERVAL_MS, value: 0 }]), { timeMs, value }],
    }));
  }
}

/** By tenant: values above 0, by name and labels. */
function countsOf(metrics: MetricSnapshot): Map<string, Map<string, number>> {
  const tenants = new Map<string, Map<string, number>>();
  for (const { name, values } of metrics) {
    const labels = TOLD[name];
    if (labels === undefined) continue;
    for (const { labels: given, value } of values) {
      const { user, ...rest } = given as Readonly<Record<string, string>>;
      if (user === undefined || !(value > 0)) continue;
      const key = JSON.stringify(['__name__', name, ...labels.flatMap((label) => [label, rest[label] ?? ''])]);
      const counts = getOrMake(tenants, user, () => new Map<string, number>());
      if (counts.size < SERIES_MAX || counts.has(key)) counts.set(key, (counts.get(key) ?? 0) + value);
    }
  }
  return tenants;
}
