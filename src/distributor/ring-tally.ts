import { getOrMake } from '../lib/map.ts';
import { bucketCapacity } from '../model/slot-sizes.ts';
import type { RingView } from '../ring/view.ts';

/** Tenants whose counts are kept; beyond, the one that was counted first goes. */
const TENANTS_MAX = 10_000;

/** Series that members of the ring hold of tenants that are spread over several sets of owners, as they report with each answer. */
export class RingTally {
  readonly #tenants = new Map<string, Map<string, number>>();
  readonly #ownersOf = new WeakMap<RingView, Map<string, ReadonlySet<string>>>();

  /** All members that own a part of a tenant's series. */
  owners(view: RingView, tenant: string): ReadonlySet<string> {
    const known = getOrMake(this.#ownersOf, view, () => new Map<string, ReadonlySet<string>>());
    return getOrMake(
      known,
      tenant,
      () => new Set(view.slots.arcsOfTenant(tenant).flatMap((arc) => [...view.ownersOf(arc)])),
    );
  }

  report(tenant: string, member: string, series: number): void {
    if (!this.#tenants.has(tenant) && this.#tenants.size >= TENANTS_MAX) {
      this.#tenants.delete(this.#tenants.keys().next().value!);
    }
    getOrMake(this.#tenants, tenant, () => new Map<string, number>()).set(member, series);
  }

  /** Owners that have reported nothing yet. */
  silent(view: RingView, tenant: string): string[] {
    const held = this.#tenants.get(tenant);
    return [...this.owners(view, tenant)].filter((id) => held?.has(id) !== true);
  }

  /**
   * A tenant's series: each is held by RF owners and counts once. Those that may still be with owners of a version before, in which the
   * tenant had fewer slots, are left out.
   */
  total(view: RingView, tenant: string): number {
    const held = this.#tenants.get(tenant);
    let sum = 0;
    for (const id of this.owners(view, tenant)) sum += held?.get(id) ?? 0;
    return Math.max(0, sum / view.newest.replicas - movedOf(view, tenant));
  }

  /** Series of a tenant that a member does not hold itself. */
  elsewhere(view: RingView, tenant: string, member: string): number {
    const own = this.#tenants.get(tenant)?.get(member) ?? 0;
    return Math.max(0, Math.floor(this.total(view, tenant)) - own);
  }
}

function movedOf({ chain, newest }: RingView, tenant: string): number {
  const buckets = newest.tenants.get(tenant)?.buckets ?? 1;
  const before = Math.min(...chain.map(({ tenants }) => tenants.get(tenant)?.buckets ?? 1));
  return before < buckets ? bucketCapacity(before) : 0;
}
