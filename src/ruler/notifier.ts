import type { AlertTarget, PostedAlert } from '../contract/rules.ts';
import type { Logger } from '../kit/observe/log.ts';
import { type Clock, timeout } from '../lib/clock.ts';
import { getOrMake } from '../lib/map.ts';
import { maskSecrets } from '../lib/mask.ts';
import { Labels } from '../model/labels.ts';
import { alertmanagersOf, type Resolver } from './alertmanagers.ts';
import type { RulerConfig } from './config.ts';
import type { RulerMetrics } from './metrics.ts';

type NotifierConfig = Pick<
  RulerConfig,
  | 'alertmanagerDiscovery'
  | 'alertmanagerRefreshIntervalMs'
  | 'notificationQueueCapacity'
  | 'notificationBatchSize'
  | 'notificationTimeoutMs'
>;

/** Where a tenant's alerts go. */
export interface NotifierTargets {
  /** As configured: `http://…`, `dns+http://…`. */
  readonly alertmanagers: readonly string[];
}

export interface NotifierOptions {
  readonly config: NotifierConfig;
  /** The Alertmanager that is given alerts directly: this process', or the tenant's on the store. None where it is away. */
  readonly builtIn?: (AlertTarget & { readonly isAway?: boolean }) | undefined;
  readonly metrics: RulerMetrics;
  readonly log: Logger;
  readonly clock: Clock;
  readonly resolver?: Resolver;
}

/** Alerts that wait in all queues together; beyond, the oldest of the queue that grows go. */
const WAITING_MAX = 200_000;
/** The queue of the Alertmanager that is given alerts directly, as metrics name it. */
const BUILT_IN = 'built-in';

interface Queue {
  readonly tenant: string;
  readonly target: string;
  alerts: PostedAlert[];
  sending: Promise<void> | undefined;
}

interface Resolved {
  readonly atMs: number;
  readonly urls: readonly string[];
}

/**
 * Sends alerts to Alertmanagers: a bounded queue for each of them and tenant, in batches. Nothing is tried again: what still
 * fires comes again with the next resend.
 */
export class Notifier {
  readonly #options: NotifierOptions;
  readonly #queues = new Map<string, Queue>();
  readonly #resolved = new Map<string, Promise<Resolved>>();
  readonly #stopping = new AbortController();
  #waiting = 0;

  constructor(options: NotifierOptions) {
    this.#options = options;
    options.metrics.queueCapacity.set(options.config.notificationQueueCapacity);
  }

  /** Hands alerts over; never waits for an Alertmanager. */
  async send(tenant: string, alerts: readonly PostedAlert[], targets: NotifierTargets): Promise<void> {
    if (alerts.length === 0) return;
    const urls = [...new Set((await Promise.all(targets.alertmanagers.map((each) => this.#urls(each)))).flat())];
    this.#options.metrics.discovered.set({ user: tenant }, urls.length);
    const { builtIn } = this.#options;
    if (builtIn !== undefined && builtIn.isAway !== true) urls.push(BUILT_IN);
    for (const target of urls) this.#queue(tenant, target, alerts);
  }

  /** Sends what waits, until the signal is aborted. */
  async stop(signal: AbortSignal): Promise<void> {
    const onAbort = () => this.#stopping.abort(new Error('stopping'));
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    await Promise.all([...this.#queues.values()].map(({ sending }) => sending));
    signal.removeEventListener('abort', onAbort);
    this.#stopping.abort(new Error('stopping'));
  }

  async #urls(configured: string): Promise<readonly string[]> {
    const { clock, config, log, resolver } = this.#options;
    const known = await this.#resolved.get(configured);
    if (known !== undefined && clock.monotonicMs() - known.atMs < config.alertmanagerRefreshIntervalMs)
      return known.urls;
    const looking = alertmanagersOf(configured, config.alertmanagerDiscovery, resolver).then(
      (urls) => ({ atMs: clock.monotonicMs(), urls }),
      (thrown: Error) => {
        log.warn(
          { alertmanager: maskSecrets(configured), error: thrown.message },
          'an Alertmanager cannot be looked up',
        );
        // those that were found before, or none; looked up again next time
        return { atMs: Number.NEGATIVE_INFINITY, urls: known?.urls ?? [] };
      },
    );
    this.#resolved.set(configured, looking);
    return (await looking).urls;
  }

  #queue(tenant: string, target: string, alerts: readonly PostedAlert[]): void {
    const { config, metrics } = this.#options;
    const queue = getOrMake(this.#queues, `${tenant} ${target}`, () => ({
      tenant,
      target,
      alerts: [] as PostedAlert[],
      sending: undefined,
    }));
    queue.alerts.push(...alerts);
    this.#waiting += alerts.length;
    const over = Math.max(queue.alerts.length - config.notificationQueueCapacity, this.#waiting - WAITING_MAX);
    if (over > 0) {
      const gone = queue.alerts.splice(0, over).length;
      this.#waiting -= gone;
      metrics.dropped.inc({ user: tenant }, gone);
    }
    this.#tellLength(queue);
    queue.sending ??= this.#drain(queue).finally(() => {
      queue.sending = undefined;
      if (queue.alerts.length === 0) this.#queues.delete(`${tenant} ${target}`);
    });
  }

  async #drain(queue: Queue): Promise<void> {
    const { config, metrics } = this.#options;
    const { tenant, target } = queue;
    while (queue.alerts.length > 0) {
      const batch = queue.alerts.splice(0, config.notificationBatchSize);
      this.#waiting -= batch.length;
      this.#tellLength(queue);
      const labels = { user: tenant, alertmanager: shownTarget(target) };
      const startedMs = this.#options.clock.monotonicMs();
      try {
        this.#stopping.signal.throwIfAborted();
        await this.#post(tenant, target, batch);
        metrics.sent.inc(labels, batch.length);
      } catch (thrown) {
        metrics.errors.inc(labels, batch.length);
        metrics.dropped.inc({ user: tenant }, batch.length);
        const error = maskSecrets((thrown as Error).message);
        this.#options.log.warn({ ...labels, alerts: batch.length, error }, 'an Alertmanager did not take alerts');
      }
      metrics.latency.observe((this.#options.clock.monotonicMs() - startedMs) / 1000);
    }
  }

  /** @throws where they were not taken */
  async #post(tenant: string, target: string, alerts: readonly PostedAlert[]): Promise<void> {
    const { clock, config, builtIn } = this.#options;
    const late = timeout(clock, config.notificationTimeoutMs);
    const signal = AbortSignal.any([late.signal, this.#stopping.signal]);
    try {
      if (target === BUILT_IN) return await builtIn!.post(tenant, alerts, signal);
      const url = new URL(`${target}/api/v2/alerts`);
      const headers: Record<string, string> = { 'content-type': 'application/json', 'x-scope-orgid': tenant };
      if (url.username !== '') {
        const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
        headers.authorization = `Basic ${Buffer.from(credentials).toString('base64')}`;
        url.username = '';
        url.password = '';
      }
      const body = JSON.stringify(alerts.map(shownAlert));
      const response = await fetch(url, { method: 'POST', headers, body, signal, redirect: 'error' });
      if (!response.ok) {
        const text = (await response.text().catch(() => '')).slice(0, 200).trim();
        throw new Error(`bad response status ${response.status} ${response.statusText}: ${text}`);
      }
      await response.body?.cancel();
    } finally {
      late.cancel();
    }
  }

  #tellLength({ tenant, target, alerts }: Queue): void {
    this.#options.metrics.queueLength.set({ user: tenant, alertmanager: shownTarget(target) }, alerts.length);
  }
}

function shownTarget(target: string): string {
  if (target === BUILT_IN) return target;
  const url = new URL(`${target}/api/v2/alerts`);
  url.username = '';
  url.password = '';
  return url.href;
}

function shownAlert(alert: PostedAlert): object {
  return {
    labels: Labels.fromSortedPairs(alert.labels),
    annotations: Labels.fromSortedPairs(alert.annotations),
    startsAt: new Date(alert.startsAtMs).toISOString(),
    endsAt: new Date(alert.endsAtMs).toISOString(),
    generatorURL: alert.generatorUrl,
  };
}
