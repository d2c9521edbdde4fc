import { textHash } from '../lib/text-hash.ts';

/** Settings of a tenant, as far as they say which queriers serve it. */
export interface QuerierShare {
  /** Queriers; below 1: a part of all; 0: all. */
  readonly max: number;
  /** Queriers that are kept for a priority and higher ones, the highest first; a number below 1 is a part of the tenant's. */
  readonly reserved: readonly { readonly priority: number; readonly queriers: number }[];
}

/**
 * The queriers of a tenant, by its name and theirs: the same ones each time, and one that comes or goes changes those of few tenants, by
 * one each (rendezvous hashing).
 *
 * @returns the least priority that each serves, by name; undefined: all serve everything
 */
export function queriersOf(
  tenant: string,
  all: ReadonlySet<string>,
  { max, reserved }: QuerierShare,
): ReadonlyMap<string, number> | undefined {
  const count = numberOf(max, all.size);
  const isAll = max === 0 || count >= all.size;
  if (isAll && reserved.length === 0) return undefined;
  const byWeight = [...all].sort((a, b) => weightOf(tenant, b) - weightOf(tenant, a) || (a < b ? -1 : 1));
  const own = isAll ? byWeight : byWeight.slice(0, count);
  const least = new Map<string, number>(own.map((id) => [id, Number.NEGATIVE_INFINITY]));
  const kept = reserved.map(({ priority, queriers }) => ({ priority, count: numberOf(queriers, own.length) }));
  // others would have none left
  if (kept.reduce((sum, each) => sum + each.count, 0) >= own.length) return least;
  let at = 0;
  for (const { priority, count: some } of kept) {
    for (const id of own.slice(at, at + some)) least.set(id, priority);
    at += some;
  }
  return least;
}

function numberOf(share: number, all: number): number {
  return share < 1 ? Math.ceil(share * all) : Math.floor(share);
}

/** Spreads hashes of texts that differ little. */
function weightOf(tenant: string, querier: string): number {
  let hash = textHash(`${tenant}\0${querier}`);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
