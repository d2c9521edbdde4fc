import type { QueryRunner } from '../contract/query.ts';
import { after, type Clock, timeout } from '../lib/clock.ts';
import { getOrMake } from '../lib/map.ts';
import type { ServiceId } from '../model/service-id.ts';
import { ServiceCatalog } from '../services/catalog.ts';
import type { Service } from '../services/service.ts';
import { dashboardOf, type GeneratedDashboard } from './service-dashboard.ts';

/** A list as it is served. */
export interface ServiceList {
  readonly services: readonly Service[];
  /** Unix ms; null: the first renewal is still under way, and the list is what it has found so far. */
  readonly renewedMs: number | null;
  /** Texts of queries that were refused. */
  readonly refusals: readonly string[];
}

interface Listed {
  readonly catalog: ServiceCatalog;
  renewal: Promise<void> | undefined;
  triedMs: number;
  askedMs: number;
}

/** A list is renewed when it is asked for and older than this. */
const FRESH_MS = 60_000;
/** A first answer waits no longer than this for the first renewal. */
const FIRST_MS = 2_000;
const RENEWAL_MAX_MS = 120_000;
/** Tenants whose lists are kept; those that were asked for last. */
const TENANTS_MAX = 200;

/** The services of tenants that are asked for, in memory. */
export class ServiceDirectory {
  readonly #runner: QueryRunner;
  readonly #clock: Clock;
  readonly #lists = new Map<string, Listed>();

  constructor(runner: QueryRunner, clock: Clock) {
    this.#runner = runner;
    this.#clock = clock;
  }

  /** @throws AppError where not even the list of services can be had */
  async list(tenant: string): Promise<ServiceList> {
    const { catalog } = await this.#renewed(tenant);
    return { services: catalog.list(), renewedMs: catalog.renewedMs ?? null, refusals: catalog.refusals };
  }

  /** @throws AppError where the service's metrics cannot be had */
  async dashboard(tenant: string, id: ServiceId, signal: AbortSignal): Promise<GeneratedDashboard> {
    const { catalog } = await this.#renewed(tenant);
    const asked = { tenant, runner: this.#runner, nowMs: this.#clock.nowMs(), signal };
    return dashboardOf(id, catalog.selectors(id), asked);
  }

  async #renewed(tenant: string): Promise<Listed> {
    const listed = getOrMake(this.#lists, tenant, () => ({
      catalog: new ServiceCatalog({ tenant, runner: this.#runner }),
      renewal: undefined,
      triedMs: Number.NEGATIVE_INFINITY,
      askedMs: 0,
    }));
    listed.askedMs = this.#clock.nowMs();
    this.#forget();
    if (listed.renewal === undefined && this.#clock.nowMs() - listed.triedMs >= FRESH_MS) this.#renew(listed);
    // later ones are answered with what is there
    if (listed.catalog.renewedMs === undefined && listed.renewal !== undefined) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = after(this.#clock, FIRST_MS, resolve);
      await Promise.race([listed.renewal, promise]).finally(() => timer.cancel());
    }
    return listed;
  }

  #renew(listed: Listed): void {
    listed.triedMs = this.#clock.nowMs();
    const deadline = timeout(this.#clock, RENEWAL_MAX_MS);
    const renewal = listed.catalog.renew(listed.triedMs, deadline.signal).finally(() => {
      deadline.cancel();
      listed.renewal = undefined;
    });
    listed.renewal = renewal;
    // whoever waits for the first one is told; of later ones the next tries again
    renewal.catch(() => {
      if (listed.catalog.renewedMs === undefined) listed.triedMs = Number.NEGATIVE_INFINITY;
    });
  }

  #forget(): void {
    if (this.#lists.size <= TENANTS_MAX) return;
    const [oldest] = [...this.#lists].reduce((a, b) => (b[1].askedMs < a[1].askedMs ? b : a));
    this.#lists.delete(oldest);
  }
}
