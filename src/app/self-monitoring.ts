import type { PushedSeries, SeriesBackend } from '../contract/push.ts';
import { text, toggle } from '../kit/config/field.ts';
import { section } from '../kit/config/section.ts';
import type { Logger } from '../kit/observe/log.ts';
import type { MetricSnapshot } from '../kit/observe/metrics.ts';
import type { Loop } from '../kit/service/loops.ts';
import { Rounds } from '../kit/service/rounds.ts';
import type { Service } from '../kit/service/service.ts';
import type { Clock } from '../lib/clock.ts';
import { checkTenant } from '../model/tenant.ts';

export const selfMonitoringConfig = section('self_monitoring', "The process' own metrics", {
  enabled: toggle({
    default: true,
    flag: 'self-monitoring.enabled',
    help: 'With -target=all: write the metrics that /metrics shows into a tenant every 15 s, so that they can be queried.',
  }),
  tenant: text({
    default: 'pallium',
    flag: 'self-monitoring.tenant',
    check: checkTenant,
    help: 'The tenant that they are written into.',
  }),
  tenantSeries: toggle({
    default: true,
    flag: 'self-monitoring.tenant-series',
    help: 'With -target=all: write to each tenant, every minute, how many evaluations of its rules failed or were missed, and how many notifications came to nobody, once there are any.',
  }),
});

export interface SelfMonitoringOptions {
  readonly tenant: string;
  /** Label `instance`; asked when it is known. */
  readonly instance: () => string;
  readonly read: () => Promise<MetricSnapshot>;
  readonly backend: SeriesBackend;
  readonly clock: Clock;
  readonly log: Logger;
  /** Told of each write. */
  readonly loop?: Loop;
}

type NamedValue = MetricSnapshot[number]['values'][number] & { readonly metricName?: string };

export const INTERVAL_MS = 15_000;
const JOB = 'pallium';

/** Writes the process' own metrics as a Prometheus that scrapes it would. What cannot be written is logged once, and again once it could. */
export class SelfMonitoring implements Service {
  readonly name = 'self-monitoring';
  readonly #options: SelfMonitoringOptions;
  readonly #rounds: Rounds;
  #failing = false;

  constructor(options: SelfMonitoringOptions) {
    this.#options = options;
    const { clock, loop } = options;
    this.#rounds = new Rounds(clock, INTERVAL_MS, (signal) => {
      const write = () => this.#write(signal);
      return loop === undefined ? write() : loop.run(write);
    });
  }

  async start(): Promise<void> {
    this.#rounds.start();
  }

  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  async #write(signal: AbortSignal): Promise<void> {
    const { tenant, instance, read, backend, clock, log } = this.#options;
    const timeMs = clock.nowMs();
    let problem: string | undefined;
    try {
      const series = seriesOf(await read(), instance(), timeMs);
      const { status, text: answer } = await backend.pushSeries({ tenant, series }, signal);
      if (status >= 300) problem = answer;
    } catch (thrown) {
      problem = (thrown as Error).message;
    }
    if (problem !== undefined) this.#options.loop?.failed(problem);
    if (problem !== undefined && !this.#failing) log.warn({ tenant, error: problem }, 'own metrics were not written');
    this.#failing = problem !== undefined;
  }
}

/** A series for each value of a snapshot, and `up`. */
function seriesOf(metrics: MetricSnapshot, instance: string, timeMs: number): PushedSeries[] {
  const one = (name: string, labels: Readonly<Record<string, unknown>>, value: number): PushedSeries => ({
    pairs: [
      '__name__',
      name,
      'instance',
      instance,
      'job',
      JOB,
      ...Object.entries(labels).flatMap(([key, label]) =>
        // Prometheus, too, renames labels of the target's own names
        [key === 'instance' || key === 'job' ? `exported_${key}` : key, labelText(label)],
      ),
    ],
    samples: [{ timeMs, value }],
  });
  return [
    one('up', {}, 1),
    ...metrics.flatMap(({ name, values }) =>
      // those of a histogram have names of their own
      (values as readonly NamedValue[]).map(({ metricName, labels, value }) =>
        one(metricName ?? name, labels, Number(value)),
      ),
    ),
  ];
}

/** Bounds of buckets as the exposition writes them. */
function labelText(label: unknown): string {
  return label === Number.POSITIVE_INFINITY ? '+Inf' : String(label);
}
