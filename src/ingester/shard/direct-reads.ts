import type { HeadMatcher, HeadSelect } from '../../contract/ingester.ts';
import type { KeptSelect } from '../head/head-reader.ts';
import { type DirectSelect, HeadReader, READ_BOUNDS, type ReadBounds } from '../head/head-reader.ts';
import type { HeldRange } from '../head/held-range.ts';
import { matchersKey } from '../head/kept-matches.ts';
import type { ShardCalls, ShardSlice } from './shard-messages.ts';

/** Bytes of what is kept, of one tenant and of all. */
const TENANT_BYTES_MAX = 2 * 1024 * 1024;
const BYTES_MAX = 4 * TENANT_BYTES_MAX;
/** An entry's beside its arrays: objects, key, places in maps. */
const ENTRY_BYTES = 1024;
/** Selects of which it is known how often they came. */
const SEEN_MAX = 1024;
/** Reads that pay for what an entry costs the shard. */
const READS_WORTH = 4;
/** Times that a select whose series change all the time is asked of the shard before it is kept again. */
const RESTLESS_ASKS_MAX = 64;

/** Bounds of what is read at a moment; what passes one is left to the shard. */
export interface DirectReadsOptions extends Partial<ReadBounds> {
  /** Times that a select comes before it is kept. */
  readonly asksMin?: number;
  /** Whether the thread may wait for the end of a change. */
  readonly waits?: boolean;
}

/** Why selects are not answered from the memory: too large are those that pass a bound, failed those that the shard was in the way of. */
export type DirectMiss = 'not kept' | 'too large' | 'failed';

interface Entry {
  readonly tenant: string;
  readonly kept: KeptSelect;
  readonly bytes: number;
  reads: number;
}

/**
 * Selects that are answered from the shard's memory, without its thread: those that came before, as long as the same series match. Of others
 * and of all that does not lie there (histograms, many series) the shard is asked.
 */
export class DirectReads {
  readonly #held: HeldRange;
  readonly #asksMin: number;
  readonly #waits: boolean;
  readonly #bounds: ReadBounds;
  #reader: HeadReader | undefined;
  #life: number | undefined;
  /** By tenant and matchers; the one that was used last is last. */
  readonly #entries = new Map<string, Entry>();
  readonly #tenantBytes = new Map<string, number>();
  #bytes = 0;
  /** How often a select is to be asked of the shard before it is kept. */
  readonly #asksLeft = new Map<string, number>();

  constructor(held: HeldRange, { asksMin = 1, waits = true, ...bounds }: DirectReadsOptions = {}) {
    this.#held = held;
    this.#bounds = { ...READ_BOUNDS, ...bounds };
    this.#asksMin = asksMin;
    this.#waits = waits;
  }

  /** Reads the memory of the shard that answers on this channel, once that has said where it is; of the one before no more. */
  async connect(shard: ShardCalls): Promise<void> {
    this.#reader = undefined;
    this.#drop();
    // asked first: what answers later is this life's, or nothing answers
    const { life } = this.#held;
    this.#life = life;
    const memory = await shard.call('memory', {});
    if (this.#life === life) this.#reader = new HeadReader(memory, this.#waits, this.#bounds);
  }

  /** The life of the shard that the memory is of. */
  get life(): number | undefined {
    return this.#life;
  }

  /** Bytes of what is kept. */
  get bytes(): number {
    return this.#bytes;
  }

  bytesOf(tenant: string): number {
    return this.#tenantBytes.get(tenant) ?? 0;
  }

  #drop(): void {
    this.#life = undefined;
    this.#entries.clear();
    this.#tenantBytes.clear();
    this.#bytes = 0;
  }

  /** The answers to selects of one moment, or why the shard has to be asked for all of them. */
  select(requests: readonly HeadSelect[]): readonly ShardSlice[] | DirectMiss {
    if (this.#reader === undefined) return 'not kept';
    const asked: (DirectSelect & { readonly key: string; readonly entry: Entry })[] = [];
    for (const request of requests) {
      const key = this.keyOf(request);
      const entry = key === undefined ? undefined : this.#entries.get(key);
      if (key === undefined || entry === undefined) return 'not kept';
      asked.push({ key, entry, kept: entry.kept, startMs: request.startMs, endMs: request.endMs });
    }
    const { slices, others, tooLarge } = this.#reader.read(asked);
    // a shard that was started again may know more by now
    if (this.#held.life !== this.#life) return 'not kept';
    if (others !== undefined) {
      const { key, entry } = asked[others]!;
      this.#forget(key, entry);
      this.#leaveFor(key, entry.reads < READS_WORTH ? RESTLESS_ASKS_MAX : 0);
      return 'not kept';
    }
    if (slices === undefined) return tooLarge === undefined ? 'failed' : 'too large';
    for (const { key, entry } of asked) {
      this.#entries.delete(key);
      this.#entries.set(key, entry);
      entry.reads++;
    }
    return slices.map((bytes) => ({ cursor: 0, bytes, warnings: [] }));
  }

  /** Names what is kept; undefined: selects like this are not. */
  keyOf({ tenant, matchers, shard, packed }: HeadSelect): string | undefined {
    if (shard !== undefined || packed !== true || this.#reader === undefined) return undefined;
    return directKey(tenant, matchers);
  }

  /** Whether the shard is to say with its answer what can be kept. */
  wants(request: HeadSelect): boolean {
    const key = this.keyOf(request);
    if (key === undefined || this.#entries.has(key)) return false;
    const left = this.#asksLeft.get(key) ?? this.#asksMin;
    if (left > 0) this.#leaveFor(key, left - 1);
    return left === 0;
  }

  #leaveFor(key: string, asks: number): void {
    this.#asksLeft.delete(key);
    this.#asksLeft.set(key, asks);
    if (this.#asksLeft.size <= SEEN_MAX) return;
    const [oldest] = this.#asksLeft.keys();
    this.#asksLeft.delete(oldest!);
  }

  /** @param life the shard's when it was asked; @param kept undefined: that cannot be kept */
  keep(request: HeadSelect, kept: KeptSelect | undefined, life: number | undefined): void {
    const key = this.keyOf(request);
    if (key === undefined || this.#life === undefined || this.#life !== life) return;
    if (kept === undefined) {
      this.#leaveFor(key, RESTLESS_ASKS_MAX);
      return;
    }
    const { tenant } = request;
    const before = this.#entries.get(key);
    if (before !== undefined) this.#forget(key, before);
    const { refs, keys, heads, headEnds } = kept;
    const arrays = refs.byteLength + keys.byteLength + heads.byteLength + headEnds.byteLength;
    const entry: Entry = { tenant, kept, bytes: ENTRY_BYTES + 2 * key.length + arrays, reads: 0 };
    this.#entries.set(key, entry);
    this.#add(tenant, entry.bytes);
    for (const [oldest, old] of this.#entries) {
      const isTooMuch = this.#bytes > BYTES_MAX;
      if (!isTooMuch && this.bytesOf(tenant) <= TENANT_BYTES_MAX) break;
      if (!isTooMuch && old.tenant !== tenant) continue;
      this.#forget(oldest, old);
    }
  }

  #forget(key: string, { tenant, bytes }: Entry): void {
    this.#entries.delete(key);
    this.#add(tenant, -bytes);
  }

  #add(tenant: string, bytes: number): void {
    this.#bytes += bytes;
    const own = this.bytesOf(tenant) + bytes;
    if (own > 0) this.#tenantBytes.set(tenant, own);
    else this.#tenantBytes.delete(tenant);
  }
}

function directKey(tenant: string, matchers: readonly HeadMatcher[]): string | undefined {
  const key = matchersKey(matchers);
  return key === undefined ? undefined : `${tenant.length}:${tenant}${key}`;
}
