import type { ApiRequest } from '../../contract/api.ts';
import { SharedRoom } from '../../lib/shared-room.ts';
import { TENANT_SEPARATOR } from '../../model/tenants.ts';

export const SMALL_PATH = '/api/v1/query';
export const SMALL_CHARS_MAX = 512;
const PARAMS_MAX = 16;
/** Characters of all other parameters' values. */
const OTHER_CHARS_MAX = 512;
/** Queries that are known; a tenant has three times what it leaves free. */
const KNOWN_MAX = 2_048;
/** Time for which a query that was not small is left to query threads. */
const REFUSED_MS = 30_000;

/** Times that a small query may take long, above those that it does not: while code is cold many do. */
const LONG_MAX = 24;

interface Known {
  /** From when on it may be tried. */
  fromMs: number;
  /** Times that it took long, less those since that it did not. */
  long: number;
  /** CPU time that it took last; undefined: it was not tried yet. */
  lastMs: number | undefined;
}

/** Instant queries that were answered before, and of which who parsed them said that they are small: only these are tried, or parsed, outside of query threads. */
export class KnownQueries {
  readonly #nowMs: () => number;
  /** The one tried last is last. */
  readonly #known = new Map<string, Known>();
  readonly #room = new SharedRoom(KNOWN_MAX);

  /** @param nowMs a monotonic clock */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Undefined for what never is small. */
  keyOf({ path, tenant, params }: Pick<ApiRequest, 'path' | 'tenant' | 'params'>): string | undefined {
    if (path !== SMALL_PATH || params.length > PARAMS_MAX || tenant.includes(TENANT_SEPARATOR)) return undefined;
    const query = params.find(([name]) => name === 'query')?.[1] ?? '';
    if (query === '' || query.length > SMALL_CHARS_MAX) return undefined;
    let others = -query.length;
    for (const [name, value] of params) {
      // what may be incomplete is asked of the shards
      if (name === 'partial_response') return undefined;
      others += value.length;
    }
    return others > OTHER_CHARS_MAX ? undefined : `${tenant} ${query}`;
  }

  /** Whether it may be tried: it was answered before, and was small if it was tried. */
  mayTry(key: string): boolean {
    const known = this.#known.get(key);
    if (known === undefined || known.fromMs > this.#nowMs()) return false;
    this.#known.delete(key);
    this.#known.set(key, known);
    return true;
  }

  /** It was answered by a query thread, as one whose expression is small. */
  see(key: string): void {
    if (this.#known.has(key)) return;
    this.#makeRoom(tenantOf(key));
    this.#known.set(key, { fromMs: Number.NEGATIVE_INFINITY, long: 0, lastMs: undefined });
  }

  /** Room for one more of a tenant, instead of its oldest ones where it has its share. */
  #makeRoom(tenant: string): void {
    while (!this.#room.take(tenant, 1)) {
      const keys = this.#known.keys();
      const oldest = this.#room.heldBy(tenant) > 0 ? keys.find((key) => tenantOf(key) === tenant) : keys.next().value;
      if (oldest === undefined) return;
      this.#known.delete(oldest);
      this.#room.give(tenantOf(oldest), 1);
    }
  }

  /** CPU time that it took last; undefined: it was not tried yet. */
  lastMs(key: string): number | undefined {
    return this.#known.get(key)?.lastMs;
  }

  took(key: string, ms: number): void {
    const known = this.#known.get(key);
    if (known !== undefined) known.lastMs = ms;
  }

  /** It was tried: what is not small is left to query threads for a while. */
  tried(key: string, how: 'small' | 'long' | 'not small'): void {
    const known = this.#known.get(key);
    if (known === undefined) return;
    known.long = how === 'long' ? known.long + 1 : Math.max(0, known.long - 1);
    if (how !== 'not small' && known.long < LONG_MAX) return;
    known.long = 0;
    known.fromMs = this.#nowMs() + REFUSED_MS;
  }
}

function tenantOf(key: string): string {
  return key.slice(0, key.indexOf(' '));
}
