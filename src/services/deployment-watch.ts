import type { QueryRunner } from '../contract/query.ts';
import { DeploymentDetector } from '../deployments/detector.ts';
import { deploymentOf, eventOf, type TenantEvent } from '../deployments/event.ts';
import type { EventBook } from '../deployments/event-book.ts';
import type { Logger } from '../kit/observe/log.ts';
import type { Loop } from '../kit/service/loops.ts';
import type { Service } from '../kit/service/service.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import { DAY_MS } from '../lib/day.ts';
import { getOrMake } from '../lib/map.ts';
import { labelsOfPairs, type NameLabels, type PodWorkloads } from '../model/service-id.ts';
import type { TenantLeases } from './tenant-lease.ts';
import { readWorkloads } from './workloads.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** A minute is looked at when its samples have come. */
const DELAY_MS = MINUTE_MS;
/** Minutes before the first new one that tell what is not new. */
const PRIME_MS = 6 * HOUR_MS;
/** Data that is looked at in one go. */
const CHUNK_MS = 2 * HOUR_MS;
/** Steps at which the data is asked for pods and their services. */
const WORKLOADS_STEP_MS = 10 * MINUTE_MS;
/** Pause between two goes over what is past. */
const PAUSE_MS = 500;

export interface DeploymentWatchOptions {
  readonly runner: QueryRunner;
  readonly events: EventBook;
  readonly leases: TenantLeases;
  /** Tenants that have data now. */
  readonly tenants: () => Promise<readonly string[]>;
  /** Labels that name a tenant's services, before those that are known; absent: none. */
  readonly nameLabels?: (tenant: string) => NameLabels;
  /** Looked at once for each tenant; 0: nothing that is past. */
  readonly historyMs: number;
  /** Called each minute, whatever comes of the job. */
  readonly onMinute: () => void;
  /** Told of each round. */
  readonly loop?: Loop;
  readonly log: Logger;
  readonly clock: Clock;
}

/** Looks for deployments each minute, for the tenants whose job is this process'; and once at the time before. */
export class DeploymentWatch implements Service {
  readonly name = 'deployments';
  readonly #options: DeploymentWatchOptions;
  readonly #detectors = new Map<string, DeploymentDetector>();
  /** By tenant, the labels that named its services in the last round. */
  readonly #namedBy = new Map<string, string>();
  readonly #trimmed = new Map<string, number>();
  readonly #stopping = new AbortController();
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;

  constructor(options: DeploymentWatchOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { loop } = this.#options;
    this.#timer = this.#options.clock.every(MINUTE_MS, () => {
      this.#options.onMinute();
      // a round that takes longer than a minute is not joined by another
      this.#running ??= (loop === undefined ? this.look() : loop.run(() => this.look())).finally(() => {
        this.#running = undefined;
      });
    });
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    this.#stopping.abort();
    await this.#running;
  }

  /** An event that was sent in here: what the data shows near to it is the same deployment. */
  sent(tenant: string, event: TenantEvent): void {
    const deployment = deploymentOf(event);
    if (deployment !== undefined) this.#detectors.get(tenant)?.sent(deployment);
  }

  /** One round over all tenants. A tenant that fails is asked again in the next. */
  async look(): Promise<void> {
    const { signal } = this.#stopping;
    const { tenants, leases, log } = this.#options;
    try {
      const all = await tenants();
      for (const tenant of this.#detectors.keys()) if (!all.includes(tenant)) this.#detectors.delete(tenant);
      for (const tenant of all) {
        if (signal.aborted) return;
        try {
          if (await leases.hold(tenant, signal)) await this.#lookAt(tenant);
          else this.#detectors.delete(tenant);
        } catch (thrown) {
          this.#options.loop?.failed(thrown);
          if (!signal.aborted) log.warn({ tenant, error: String(thrown) }, 'looking for deployments failed');
        }
      }
    } catch (thrown) {
      this.#options.loop?.failed(thrown);
      if (!signal.aborted) log.warn({ error: String(thrown) }, 'looking for deployments failed');
    }
  }

  async #lookAt(tenant: string): Promise<void> {
    const { runner, events, leases, clock, historyMs } = this.#options;
    const { signal } = this.#stopping;
    const endMs = clock.nowMs() - DELAY_MS;
    const isPast = historyMs > 0 && !leases.hasHistory(tenant);
    const nameLabels = this.#options.nameLabels?.(tenant) ?? [];
    this.#forgetOtherNames(tenant, nameLabels);
    const detector = getOrMake(
      this.#detectors,
      tenant,
      () =>
        new DeploymentDetector({
          tenant,
          runner,
          nameLabels,
          clock,
          workloads: (fromMs, toMs, signal) => this.#workloads(tenant, nameLabels, fromMs, toMs, signal),
        }),
    );
    const startMs = endMs - (isPast ? Math.max(historyMs, PRIME_MS) : PRIME_MS);
    if (detector.lookedMs === undefined) {
      for (const event of await events.list(tenant, { startMs, endMs: endMs + HOUR_MS }, signal)) {
        const deployment = event.evidence === 'sent' ? deploymentOf(event) : undefined;
        if (deployment !== undefined) detector.sent(deployment);
      }
    }
    let fromMs = Math.max(startMs, detector.lookedMs ?? startMs);
    // whole minutes: the last one is looked at in the next round
    while (fromMs + MINUTE_MS <= endMs) {
      const toMs = Math.min(endMs, fromMs + CHUNK_MS);
      const found = await detector.look(fromMs, toMs, signal);
      if (found.length > 0) await events.put(tenant, found.map(eventOf), signal);
      fromMs = toMs;
      if (fromMs + MINUTE_MS <= endMs) {
        await clock.sleep(PAUSE_MS, signal);
        // what is past takes longer than a lease
        if (!(await leases.hold(tenant, signal))) return;
      }
    }
    if (isPast) await leases.keepHistory(tenant, signal);
    await this.#trim(tenant);
  }

  /**
   * Pods of all of these minutes: those that are gone at their end, too. Steps end at the last minute, and each looks back to the one
   * before. What is refused ends the round, which is repeated: evidence would be filed under other services without it.
   */
  #workloads(
    tenant: string,
    nameLabels: NameLabels,
    startMs: number,
    endMs: number,
    signal: AbortSignal,
  ): Promise<PodWorkloads> {
    const firstMs = endMs - Math.ceil((endMs - startMs) / WORKLOADS_STEP_MS) * WORKLOADS_STEP_MS;
    return readWorkloads(async (expr) => {
      const request = { expr, startMs: firstMs, endMs, stepMs: WORKLOADS_STEP_MS, lookbackMs: WORKLOADS_STEP_MS };
      const { value } = await this.#options.runner.range(tenant, request, { signal });
      const series = value.type === 'matrix' ? value.series : [];
      return { rows: series.map(({ pairs }) => ({ labels: labelsOfPairs(pairs), value: 1 })), refused: false };
    }, nameLabels);
  }

  /** Forgets services that were found under other names: they begin anew. */
  #forgetOtherNames(tenant: string, nameLabels: NameLabels): void {
    const names = nameLabels.join();
    if ((this.#namedBy.get(tenant) ?? names) !== names) this.#detectors.delete(tenant);
    this.#namedBy.set(tenant, names);
  }

  async #trim(tenant: string): Promise<void> {
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs - (this.#trimmed.get(tenant) ?? Number.NEGATIVE_INFINITY) < DAY_MS) return;
    this.#trimmed.set(tenant, nowMs);
    await this.#options.events.trim(tenant, this.#stopping.signal);
  }
}
