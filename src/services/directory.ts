import type { ApiBackend } from '../contract/api.ts';
import type { QueryRunner } from '../contract/query.ts';
import type { ServiceListAnswer } from '../contract/services.ts';
import type { GeneratedDashboard } from '../dashboards/dashboard.ts';
import type { Presence } from '../dashboards/needs.ts';
import { INTERVAL_DEFAULT_MS, intervalOfSamples, RATE_INTERVAL, rateIntervalMs } from '../dashboards/rate-interval.ts';
import { RED_FAMILIES, RED_VARIANTS } from '../dashboards/red-family.ts';
import { type BeforeAfter, compareBeforeAfter } from '../deployments/before-after.ts';
import type { ServiceDeployment } from '../deployments/deployment.ts';
import { deploymentOf, isOfService } from '../deployments/event.ts';
import type { EventBook } from '../deployments/event-book.ts';
import type { Measure } from '../deployments/measure.ts';
import { compareSideBySide, type SideBySide } from '../deployments/side-by-side.ts';
import { sidesAt } from '../deployments/sides.ts';
import { spansOf } from '../deployments/spans.ts';
import { after, type Clock, timeout } from '../lib/clock.ts';
import { DAY_MS } from '../lib/day.ts';
import { AppError } from '../model/errors.ts';
import { eventErrors } from '../model/errors-event.ts';
import { labelsOfPairs, type NameLabels, type ServiceId, serviceKey } from '../model/service-id.ts';
import { ServiceCatalog } from './catalog.ts';
import { measuresOf } from './measures.ts';
import { MetricIndex } from './metric-index.ts';
import { oneOf, type ServiceSelectors } from './selectors.ts';
import type { Service } from './service.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** A list is renewed when it is older than this. */
const RENEW_MS = MINUTE_MS;
/** A first answer waits no longer than this for the first renewal. */
const FIRST_MS = 2_000;
const RENEWAL_MAX_MS = 2 * MINUTE_MS;
/** Lists that nobody asks for are let go after this time. */
const FORGET_MS = 15 * MINUTE_MS;
const CATALOGS_MAX = 200;
/** Metrics of this time are what a service has. */
const METRICS_MS = HOUR_MS;
/** Deployments of this time are in the list. */
const LAST_DEPLOYMENTS_MS = 30 * DAY_MS;

export interface DirectoryOptions {
  readonly runner: QueryRunner;
  readonly api: ApiBackend;
  readonly events: EventBook;
  /** Labels that name a tenant's services, before those that are known; absent: none. */
  readonly nameLabels?: (tenant: string) => NameLabels;
  readonly clock: Clock;
}

/** The list so far: while the first renewal is under way, what it has found. */
export interface ServiceList extends Omit<ServiceListAnswer, 'services'> {
  readonly services: readonly Service[];
}

export interface ServiceDashboard {
  readonly dashboard: GeneratedDashboard;
  readonly kind: Service['kind'];
  /** Between the samples of the service's series. */
  readonly intervalMs: number;
  readonly leftOut: number;
  readonly selectors: ServiceSelectors;
}

/** A comparison that has to wait. */
export interface TooEarly {
  /** Unix ms; undefined: never. */
  readonly readyMs: number | undefined;
  /** New against old instances over the same time; null: none of both ran long enough. */
  readonly sideBySide: SideBySide | null;
}

interface Kept {
  readonly catalog: ServiceCatalog;
  /** The labels that name services in it. */
  readonly nameLabels: NameLabels;
  renewal: Promise<void> | undefined;
  askedMs: number;
}

/** Lists, dashboards and comparisons of the services of all tenants. */
export class ServiceDirectory {
  readonly #options: DirectoryOptions;
  readonly #index: MetricIndex;
  readonly #kept = new Map<string, Kept>();
  readonly #stopped = new AbortController();

  constructor(options: DirectoryOptions) {
    this.#options = options;
    this.#index = new MetricIndex(options.api);
  }

  stop(): void {
    this.#stopped.abort();
  }

  /** The list from memory; the first asker waits a little for it, later ones have it renewed behind them. @throws AppError */
  async list(tenant: string): Promise<ServiceList> {
    const { catalog } = await this.#catalog(tenant);
    return { services: catalog.list(), renewedMs: catalog.renewedMs ?? null, refusals: catalog.refusals };
  }

  /** Renews the lists that somebody asked for lately, and lets the others go. Called each minute. */
  renewAll(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const [tenant, kept] of this.#kept) {
      if (nowMs - kept.askedMs > FORGET_MS) this.#kept.delete(tenant);
      else this.#renew(tenant, kept).catch(() => {});
    }
  }

  /** @throws AppError, MetricIndexError */
  async dashboard(
    tenant: string,
    id: ServiceId,
    stepMs: number | undefined,
    signal: AbortSignal,
  ): Promise<ServiceDashboard> {
    const { catalog } = await this.#catalog(tenant);
    const kind = catalog.kindOf(id);
    const selectors = catalog.selectors(id);
    const range = this.#range();
    const of = async (selector: string) => {
      const names = await this.#index.metrics(tenant, selector, range, signal);
      return this.#sampled(tenant, selector, names, range.endMs, signal);
    };
    const metrics = await of(selectors.own);
    const pods = await of(selectors.pods);
    const workload = await of(selectors.workload);
    const meshed = await of(selectors.mesh);
    if (kind === undefined && metrics.length === 0 && pods.length === 0) {
      throw eventErrors.serviceUnknown({ service: serviceKey(id) });
    }
    const facts = await this.#index.facts(tenant, signal);
    // its templates are loaded with the first page of a service
    const { generateDashboard } = await import('../dashboards/generate.ts');
    const { dashboard, leftOut } = generateDashboard({
      name: id.name,
      title: [id.namespace, id.name].filter((part) => part !== '').join('/'),
      project: tenant,
      selectors,
      presence: {
        own: await this.#presence(tenant, metrics, selectors.own, signal),
        pods: presenceOf(pods),
        workload: presenceOf(workload),
        mesh: presenceOf(meshed),
      },
      metrics,
      factsOf: (metric) => facts.get(metric),
    });
    const intervalMs = await this.#interval(tenant, metrics, selectors.own, signal);
    const filled = stepMs === undefined ? dashboard : withRange(dashboard, rateIntervalMs(intervalMs, stepMs));
    return { dashboard: filled, kind: kind ?? 'service', intervalMs, leftOut, selectors };
  }

  /**
   * Compares before and after a deployment that is in the book; when there is not enough time yet, says when there will be, and
   * compares instances of both versions.
   */
  async beforeAfter(
    tenant: string,
    id: ServiceId,
    eventId: string,
    spanMs: number | undefined,
    signal: AbortSignal,
  ): Promise<BeforeAfter | TooEarly> {
    const { clock, events, runner } = this.#options;
    const nowMs = clock.nowMs();
    const found = await events.list(tenant, { startMs: nowMs - LAST_DEPLOYMENTS_MS, endMs: nowMs }, signal);
    const deployments = found
      .filter((event) => isOfService(event, id) && event.kind !== 'restart')
      .flatMap((event) => deploymentOf(event) ?? []);
    const at = deployments.findIndex((deployment) => deployment.id === eventId);
    const deployment = deployments[at];
    if (deployment === undefined) throw eventErrors.deploymentUnknown({ id: eventId });
    const previous = deployments[at - 1];
    const spans = spansOf({
      beginMs: deployment.beginMs,
      endMs: deployment.endMs,
      previousEndMs: previous === undefined ? undefined : (previous.endMs ?? previous.beginMs),
      nextBeginMs: deployments[at + 1]?.beginMs,
      nowMs,
    });
    const { catalog } = await this.#catalog(tenant);
    const selectors = catalog.selectors(id);
    const metrics = new Set(await this.#index.metrics(tenant, selectors.own, this.#range(), signal));
    const measured = (selector: string) => measuresOf(RED_VARIANTS, selector, (metric) => metrics.has(metric));
    if (!Array.isArray(spans)) {
      return { ...spans, sideBySide: await this.#sideBySide(tenant, deployment, selectors, measured, signal) };
    }
    const measures = measured(selectors.own);
    const chosen = spans.find((one) => one.spanMs === spanMs) ?? spans.at(-1)!;
    return compareBeforeAfter({ runner, tenant, measures, spans: chosen }, signal);
  }

  /** Instances of both versions, while both run. */
  async #sideBySide(
    tenant: string,
    deployment: ServiceDeployment,
    selectors: ServiceSelectors,
    measured: (selector: string) => Measure[],
    signal: AbortSignal,
  ): Promise<SideBySide | null> {
    const { clock, runner } = this.#options;
    const { beginMs, endMs, evidence } = deployment;
    // whoever sends a moment in does not say when it is over
    const isOpen = endMs === undefined || (evidence === 'sent' && endMs <= beginMs);
    const compared = await compareSideBySide(
      {
        runner,
        tenant,
        measuresOf: (instances) => measured([selectors.own, oneOf('instance', instances)].join(',')),
        sidesAt: (timeMs) => sidesAt({ runner, tenant, selectors, deployment }, timeMs, signal),
        beginMs,
        endMs: isOpen ? clock.nowMs() : Math.max(beginMs, endMs - MINUTE_MS),
      },
      signal,
    );
    return compared ?? null;
  }

  #range() {
    const endMs = this.#options.clock.nowMs();
    return { startMs: endMs - METRICS_MS, endMs };
  }

  /** Labels are looked up of the few metrics whose panels go by labels. */
  async #presence(
    tenant: string,
    metrics: readonly string[],
    selector: string,
    signal: AbortSignal,
  ): Promise<Presence> {
    const names = new Set(metrics);
    const labels = new Map<string, ReadonlySet<string>>();
    for (const { requests, duration } of RED_FAMILIES) {
      for (const metric of [requests, ...(duration === undefined ? [] : [`${duration}_bucket`])]) {
        if (!names.has(metric) || labels.has(metric)) continue;
        labels.set(metric, new Set(await this.#index.labels(tenant, metric, selector, this.#range(), signal)));
      }
    }
    return { has: (metric) => names.has(metric), labelsOf: (metric) => labels.get(metric) };
  }

  /** Metrics with samples in the time that a dashboard shows: the index may know names of those that ended before. */
  async #sampled(
    tenant: string,
    selector: string,
    names: readonly string[],
    timeMs: number,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    if (names.length === 0) return names;
    const expr = `group by (__name__) (last_over_time({${selector}}[${METRICS_MS / 1000}s]))`;
    try {
      const { value } = await this.#options.runner.instant(tenant, { expr, timeMs }, { signal });
      if (value.type !== 'vector') return names;
      const sampled = new Set(value.pairs.map((pairs) => labelsOfPairs(pairs).get('__name__')));
      return names.filter((name) => sampled.has(name));
    } catch (thrown) {
      // a service that is too large to be asked for all it has: names have to do
      signal.throwIfAborted();
      if (thrown instanceof AppError) return names;
      throw thrown;
    }
  }

  async #interval(tenant: string, metrics: readonly string[], selector: string, signal: AbortSignal): Promise<number> {
    const metric = metrics.includes('up') ? 'up' : metrics.find((name) => /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name));
    if (metric === undefined) return INTERVAL_DEFAULT_MS;
    const expr = `quantile(0.5, count_over_time(${metric}{${selector}}[10m]))`;
    const timeMs = this.#options.clock.nowMs();
    const { value } = await this.#options.runner.instant(tenant, { expr, timeMs }, { signal });
    return intervalOfSamples(value.type === 'vector' ? (value.values[0] ?? 0) : 0);
  }

  async #catalog(tenant: string): Promise<Kept> {
    const nowMs = this.#options.clock.monotonicMs();
    const { runner, nameLabels: labelsOf } = this.#options;
    const nameLabels = labelsOf?.(tenant) ?? [];
    let kept = this.#kept.get(tenant);
    if (kept === undefined || kept.nameLabels.join() !== nameLabels.join()) {
      if (this.#kept.size >= CATALOGS_MAX) this.#kept.delete(this.#kept.keys().next().value!);
      kept = {
        catalog: new ServiceCatalog({ tenant, runner, nameLabels }),
        nameLabels,
        renewal: undefined,
        askedMs: nowMs,
      };
      this.#kept.set(tenant, kept);
    }
    kept.askedMs = nowMs;
    const { renewedMs } = kept.catalog;
    if (renewedMs === undefined) await this.#firstRenewal(tenant, kept);
    else if (this.#options.clock.nowMs() - renewedMs > RENEW_MS) this.#renew(tenant, kept).catch(() => {});
    return kept;
  }

  /** Waits a little: numbers that take longer are filled in as they come. */
  async #firstRenewal(tenant: string, kept: Kept): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = after(this.#options.clock, FIRST_MS, resolve);
    const renewal = this.#renew(tenant, kept);
    // one that fails later is tried again by whoever asks next
    renewal.catch(() => {});
    await Promise.race([renewal, promise]).finally(() => timer.cancel());
  }

  #renew(tenant: string, kept: Kept): Promise<void> {
    kept.renewal ??= this.#renewNow(tenant, kept).finally(() => {
      kept.renewal = undefined;
    });
    return kept.renewal;
  }

  async #renewNow(tenant: string, { catalog }: Kept): Promise<void> {
    const { clock, events } = this.#options;
    const nowMs = clock.nowMs();
    const deadline = timeout(clock, RENEWAL_MAX_MS);
    try {
      await catalog.renew(nowMs, AbortSignal.any([this.#stopped.signal, deadline.signal]));
    } finally {
      deadline.cancel();
    }
    for (const event of await events.list(tenant, { startMs: nowMs - LAST_DEPLOYMENTS_MS, endMs: nowMs })) {
      const deployment = deploymentOf(event);
      if (deployment !== undefined) catalog.deployed(deployment);
    }
  }
}

function presenceOf(metrics: readonly string[]): Presence {
  const names = new Set(metrics);
  return { has: (metric) => names.has(metric), labelsOf: () => undefined };
}

/** The dashboard with ranges in place of their placeholder. */
function withRange(dashboard: GeneratedDashboard, rangeMs: number): GeneratedDashboard {
  const text = JSON.stringify(dashboard).replaceAll(RATE_INTERVAL, `${Math.ceil(rangeMs / 1000)}s`);
  return JSON.parse(text) as GeneratedDashboard;
}
