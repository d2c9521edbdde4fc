import type { IngesterAdmin, TenantSeries } from '../../contract/ingester.ts';
import { ringErrors } from '../../model/errors-ring.ts';
import { writeQuorum } from '../../ring/quorum.ts';
import type { RingSource } from '../../ring/view.ts';

export interface ClusterAdminOptions {
  readonly ring: RingSource;
  /** The way to a member; undefined: nobody knows it. */
  readonly member: (id: string) => IngesterAdmin | undefined;
}

/** All ingesters of the cluster as one, for orders and counts. What one of them cannot be asked fails. */
export class ClusterAdmin implements IngesterAdmin {
  readonly #options: ClusterAdminOptions;

  constructor(options: ClusterAdminOptions) {
    this.#options = options;
  }

  async flush(request: { readonly tenant: string | undefined; readonly wait: boolean }, signal: AbortSignal) {
    await this.#all((member) => member.flush(request, signal));
  }

  async deleteTenant(tenant: string): Promise<void> {
    await this.#all((member) => member.deleteTenant(tenant));
  }

  async deletionsReadMs(): Promise<number> {
    return Math.min(...(await this.#all((member) => member.deletionsReadMs())));
  }

  /** Series count once, however many members hold each. */
  async tenantSeries(): Promise<readonly TenantSeries[]> {
    const counts = new Map<string, number>();
    for (const series of await this.#most((member) => member.tenantSeries())) {
      for (const each of series) counts.set(each.tenant, (counts.get(each.tenant) ?? 0) + each.series);
    }
    return [...counts].map(([tenant, series]) => ({ tenant, series: this.#once(series) }));
  }

  async seriesOf(tenant: string): Promise<number> {
    const counts = await this.#most((member) => member.seriesOf(tenant));
    return this.#once(counts.reduce((sum, count) => sum + count, 0));
  }

  #once(held: number): number {
    return Math.ceil(held / (this.#options.ring.current()?.newest.replicas ?? 1));
  }

  /** Asks everybody who may hold something. @throws where the ring is not known, or one cannot be asked */
  #all<T>(ask: (member: IngesterAdmin) => Promise<T>): Promise<T[]> {
    return Promise.all(this.#asked(ask));
  }

  /** The same, less so many as may be away without a sample out of sight. */
  async #most<T>(ask: (member: IngesterAdmin) => Promise<T>): Promise<T[]> {
    const all = await Promise.allSettled(this.#asked(ask));
    const failed = all.filter((each) => each.status === 'rejected');
    const replicas = this.#options.ring.current()?.newest.replicas ?? 1;
    if (failed.length > replicas - writeQuorum(replicas)) throw failed[0]!.reason;
    return all.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  }

  #asked<T>(ask: (member: IngesterAdmin) => Promise<T>): Promise<T>[] {
    const view = this.#options.ring.current();
    if (view === undefined) throw ringErrors.ringUnknown({});
    const ids = new Set(view.chain.flatMap(({ members }) => members.map(({ id }) => id)));
    return [...ids].map(async (id) => {
      const member = this.#options.member(id);
      if (member === undefined) throw ringErrors.ringMemberUnknown({ member: id });
      return ask(member);
    });
  }
}
