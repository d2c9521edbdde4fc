import type { HeadMatcher, HeadSelect } from '../../contract/ingester.ts';
import { type DirectSelect, HeadReader, type KeptSelect, READ_BOUNDS, type ReadBounds } from '../head/head-reader.ts';
import type { HeldRange } from '../head/held-range.ts';
import { matchersKey } from '../head/kept-matches.ts';
import { AsksLeft } from './asks-left.ts';
import { type Kept, KeptBudget } from './kept-budget.ts';
import type { ShardCalls, ShardSlice } from './shard-messages.ts';

/** An entry's beside its arrays: objects, key, places in maps. */
const ENTRY_BYTES = 1024;
/** Reads that pay for what an entry costs the shard. */
const READS_WORTH = 4;
/** Times that a select that was not worth it is asked of the shard before it is kept again. */
const RESTLESS_ASKS_MAX = 64;
/** Selects in a row that are left to the shard at most when reads fail, one after another. */
const PAUSE_MAX = 64;

/** Bounds of what is read at a moment; what passes one is left to the shard. */
export interface DirectReadsOptions extends Partial<ReadBounds> {
  /** Times that a select comes before it is kept. */
  readonly asksMin?: number;
  /** Whether the thread may wait for the end of a change. */
  readonly waits?: boolean;
  /** Room for what is kept, which those of other shards may share. */
  readonly budget?: KeptBudget;
}

/** Why selects are not answered from the memory: too large are those that pass a bound, failed those that the shard was in the way of. */
export type DirectMiss = 'not kept' | 'too large' | 'failed';

interface Entry extends Kept {
  readonly key: string;
  readonly kept: KeptSelect;
  reads: number;
  pause: Pause | undefined;
}

/** Selects that are not tried, as reads before them failed. */
interface Pause {
  readonly miss: DirectMiss;
  /** Narrower ranges may fit. */
  readonly rangeMs: number;
  /** How many there are in all. */
  readonly length: number;
  left: number;
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
  /** By tenant and matchers. */
  readonly #entries = new Map<string, Entry>();
  readonly #budget: KeptBudget;
  readonly #asksLeft = new AsksLeft();

  constructor(
    held: HeldRange,
    { asksMin = 1, waits = true, budget = new KeptBudget(), ...bounds }: DirectReadsOptions = {},
  ) {
    this.#held = held;
    this.#budget = budget;
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

  #drop(): void {
    this.#life = undefined;
    for (const entry of this.#entries.values()) this.#budget.remove(entry);
    this.#entries.clear();
  }

  /** The answers to selects of one moment, or why the shard has to be asked for all of them. */
  select(requests: readonly HeadSelect[]): readonly ShardSlice[] | DirectMiss {
    if (this.#reader === undefined) return 'not kept';
    const asked: (DirectSelect & { readonly entry: Entry })[] = [];
    for (const request of requests) {
      const key = this.keyOf(request);
      const entry = key === undefined ? undefined : this.#entries.get(key);
      if (key === undefined || entry === undefined) return 'not kept';
      asked.push({ entry, kept: entry.kept, startMs: request.startMs, endMs: request.endMs });
    }
    const missed = asked.map(pausedFor).find((miss) => miss !== undefined);
    if (missed !== undefined) return missed;
    const { slices, others, tooLarge } = this.#reader.read(asked);
    // a shard that was started again may know more by now
    if (this.#held.life !== this.#life) return 'not kept';
    if (others !== undefined) {
      const { entry } = asked[others]!;
      this.#forget(entry);
      return 'not kept';
    }
    if (tooLarge !== undefined) {
      const { entry, startMs, endMs } = asked[tooLarge]!;
      pause(entry, 'too large', endMs - startMs);
      return 'too large';
    }
    if (slices === undefined) {
      for (const { entry } of asked) pause(entry, 'failed', 0);
      return 'failed';
    }
    for (const { entry } of asked) {
      this.#budget.used(entry);
      entry.pause = undefined;
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
    const { tenant } = request;
    const key = this.keyOf(request);
    if (key === undefined || this.#entries.has(key)) return false;
    const left = this.#asksLeft.get(tenant, key) ?? this.#asksMin;
    if (left > 0) this.#asksLeft.set(tenant, key, left - 1);
    return left === 0;
  }

  /** @param life the shard's when it was asked; @param kept undefined: that cannot be kept */
  keep(request: HeadSelect, kept: KeptSelect | undefined, life: number | undefined): void {
    const key = this.keyOf(request);
    if (key === undefined || this.#life === undefined || this.#life !== life) return;
    const { tenant } = request;
    if (kept === undefined) {
      this.#asksLeft.set(tenant, key, RESTLESS_ASKS_MAX);
      return;
    }
    const before = this.#entries.get(key);
    if (before !== undefined) this.#budget.remove(before);
    const { refs, keys, heads, headEnds } = kept;
    const arrays = refs.byteLength + keys.byteLength + heads.byteLength + headEnds.byteLength;
    const bytes = ENTRY_BYTES + 2 * key.length + arrays;
    const evict = () => this.#forget(entry);
    const entry: Entry = { tenant, key, kept, bytes, reads: 0, pause: undefined, evict };
    this.#entries.set(key, entry);
    this.#budget.add(entry);
  }

  /** Forgets what is not right any more, or has no room. It is kept again soon only where it was worth it. */
  #forget(entry: Entry): void {
    const { tenant, key, reads } = entry;
    this.#entries.delete(key);
    this.#budget.remove(entry);
    this.#asksLeft.set(tenant, key, reads < READS_WORTH ? RESTLESS_ASKS_MAX : 0);
  }
}

/** Why a select is not tried, if it is not. */
function pausedFor({ entry, startMs, endMs }: DirectSelect & { readonly entry: Entry }): DirectMiss | undefined {
  const { pause } = entry;
  if (pause === undefined || pause.left === 0 || endMs - startMs < pause.rangeMs) return undefined;
  pause.left--;
  return pause.miss;
}

/** Leaves selects as wide as this to the shard for a while, twice as many as the last time. */
function pause(entry: Entry, miss: DirectMiss, rangeMs: number): void {
  const length = Math.min(PAUSE_MAX, 2 * (entry.pause?.length ?? 0.5));
  entry.pause = { miss, rangeMs, length, left: length };
}

function directKey(tenant: string, matchers: readonly HeadMatcher[]): string | undefined {
  const key = matchersKey(matchers);
  return key === undefined ? undefined : `${tenant.length}:${tenant}${key}`;
}
