import type { Labels } from '../model/labels.ts';
import { ascendingLabels } from '../model/labels-order.ts';
import type { SeriesMemo } from '../storage/series-memo.ts';

/** Series of an answer in ascending order of labels. */
export interface OrderedLabels {
  readonly labels: readonly Labels[];
  /** By the place in order the index in the answer. */
  readonly order: Uint32Array;
  /** Things made of `labels`; undefined: they are not kept. */
  readonly memo: SeriesMemo | undefined;
}

/** Orders that a tenant's queries share. */
export interface TenantOrders {
  /** @param key the same for what is asked again */
  of(key: string, labels: readonly Labels[]): OrderedLabels;
}

interface Kept extends OrderedLabels {
  /** As they came. */
  readonly of: readonly Labels[];
  readonly tenant: string;
  /** Roughly the objects that it holds: its series, once more for each thing that is made of them. */
  weight: number;
}

/** Answers of more series are sorted each time. */
const SERIES_MAX = 10_000;
/** Weights of all that is kept, some 500 bytes each, and of one tenant's. */
const WEIGHT_MAX = 400_000;
const TENANT_WEIGHT_MAX = WEIGHT_MAX / 2;
/** Weight of an entry beside its series. */
const ENTRY_WEIGHT = 8;
/** Characters of a key; a selector of more is not kept. */
const KEY_CHARS_MAX = 1024;

/** Orders of before: a selector that is asked again mostly has the very series of the last time. */
export class KeptOrders {
  /** By tenant and what is asked for; the one used last is last. */
  readonly #kept = new Map<string, Kept>();
  readonly #weights = new Map<string, number>();
  #weight = 0;

  ofTenant(tenant: string): TenantOrders {
    return { of: (key, labels) => this.#of(tenant, key, labels) };
  }

  #of(tenant: string, key: string, labels: readonly Labels[]): OrderedLabels {
    if (labels.length === 0 || labels.length > SERIES_MAX || key.length > KEY_CHARS_MAX) return ordered(labels);
    const name = `${tenant} ${key}`;
    const kept = this.#kept.get(name);
    if (kept !== undefined) this.#drop(name, kept);
    const isSame = kept !== undefined && areSame(kept.of, labels);
    const now = isSame ? kept : { of: labels.slice(), ...ordered(labels), memo: new Map(), tenant, weight: 0 };
    // what was made of it since it was asked for the last time
    now.weight = (now.of.length + ENTRY_WEIGHT) * (1 + thingsIn(now.memo));
    this.#kept.set(name, now);
    this.#add(tenant, now.weight);
    for (const [oldest, old] of this.#kept) {
      const isTooMuch = this.#weight > WEIGHT_MAX;
      const isTenants = (this.#weights.get(tenant) ?? 0) > TENANT_WEIGHT_MAX;
      if (!isTooMuch && !isTenants) break;
      if (isTooMuch || old.tenant === tenant) this.#drop(oldest, old);
    }
    return now;
  }

  #drop(name: string, { tenant, weight }: Kept): void {
    this.#kept.delete(name);
    this.#add(tenant, -weight);
  }

  #add(tenant: string, weight: number): void {
    this.#weight += weight;
    const own = (this.#weights.get(tenant) ?? 0) + weight;
    if (own > 0) this.#weights.set(tenant, own);
    else this.#weights.delete(tenant);
  }
}

/** Things in a memo, and in memos that lie in it. */
function thingsIn(memo: SeriesMemo | undefined): number {
  let count = 0;
  for (const thing of memo?.values() ?? []) {
    count++;
    if (typeof thing === 'object' && thing !== null && 'memo' in thing) count += thingsIn(thing.memo as SeriesMemo);
  }
  return count;
}

function ordered(labels: readonly Labels[]): OrderedLabels {
  const order = ascendingLabels(labels);
  return { labels: Array.from(order, (i) => labels[i]!), order, memo: undefined };
}

/** Whether they are the very same objects. */
function areSame(a: readonly Labels[], b: readonly Labels[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
