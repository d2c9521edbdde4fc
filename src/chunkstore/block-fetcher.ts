import { type BlockRef, blockName, guarded, isIntact, SERIES_BLOCK, VALUES_BLOCK } from '../chunk/group/header.ts';
import type { OpenGroup } from '../chunk/group/read.ts';
import type { LabelBlock } from '../chunk/group/series-block.ts';
import { BytesError } from '../lib/bytes.ts';
import { copyBytes } from '../lib/copy.ts';
import { getOrMake } from '../lib/map.ts';
import { forEachAtOnce } from '../lib/semaphore.ts';
import { uncountedBytes } from '../lib/uncounted-bytes.ts';
import type { QueryContext } from '../storage/queryable.ts';
import type { FoundGroup } from './index-reader.ts';
import type { StorePeriod } from './schema.ts';

/** Keeps the bytes of sub-blocks, which never change. Owned by the chunk store; what it loses is read again. */
export interface BlockCache {
  /** Whether it is memory of this thread: what the system caches need not be there, too. */
  readonly isMemory?: boolean;
  get(key: string): Promise<Uint8Array | undefined>;
  set(key: string, bytes: Uint8Array): void;
}

/** Bytes between two wanted ranges that are rather read along than left for another read: more where there would be many reads. */
const GAP_BYTES_MAX = [64 * 1024, 512 * 1024, 2 * 2 ** 20] as const;
const READS_FEW = 6;
const READ_BYTES_MAX = 8 * 2 ** 20;
/** Ranges are kept where at least one in so many of their bytes is one of values. */
const RANGE_USED_MIN = 2;

/** A group that a query reads from. */
export interface GroupInUse {
  readonly found: FoundGroup;
  readonly open: OpenGroup;
}

interface Wanted {
  readonly group: GroupInUse;
  readonly ref: BlockRef;
}

interface RangeRead {
  readonly period: StorePeriod;
  readonly key: string;
  readonly offset: number;
  end: number;
  readonly wanted: Wanted[];
}

/** Collects the sub-blocks that a step of a query needs and gets them with few reads. */
export class BlockFetcher {
  readonly #context: QueryContext;
  readonly #cache: BlockCache | undefined;
  readonly #readsAtOnce: number;
  readonly #labelsOf: (raw: Uint8Array) => LabelBlock;
  #wanted = new Map<GroupInUse, Set<BlockRef>>();
  readonly #counted = new Set<BlockRef>();
  /** Memory that the opened blocks hold, more or less. */
  heldBytes = 0;
  /** Bytes of chunks that were wanted. */
  chunkBytes = 0;

  constructor(
    context: QueryContext,
    cache: BlockCache | undefined,
    readsAtOnce: number,
    labelsOf: (raw: Uint8Array) => LabelBlock,
  ) {
    this.#context = context;
    this.#cache = cache;
    this.#readsAtOnce = readsAtOnce;
    this.#labelsOf = labelsOf;
  }

  want(group: GroupInUse, ref: BlockRef): void {
    if (this.#counted.has(ref)) return;
    this.#counted.add(ref);
    // also what is open already, so that a limit holds whatever was asked before
    if (ref.kind !== SERIES_BLOCK) {
      this.chunkBytes += ref.bytes;
      this.#context.budget.addChunks(0, ref.bytes);
    }
    if (group.open.has(ref)) return;
    getOrMake(this.#wanted, group, () => new Set<BlockRef>()).add(ref);
  }

  /** Gets what is wanted and opens it in its groups. @throws errors.groupCorrupt, the stores' errors, a limit's error */
  async fetch(): Promise<void> {
    const wanted = [...this.#wanted].flatMap(([group, refs]) => [...refs].map((ref) => ({ group, ref })));
    this.#wanted = new Map();
    const stored = new Map<BlockRef, Uint8Array>();
    const missing: Wanted[] = [];
    for (const each of wanted) {
      const { place } = each.group.found;
      if (place.kind === 'inline') {
        stored.set(each.ref, place.body.subarray(each.ref.offset, each.ref.offset + each.ref.bytes));
      } else missing.push(each);
    }
    // before anything is fetched: what is too much is refused at once
    for (const { ref } of wanted) this.#hold(ref.rawBytes);
    await this.#read(await this.#notCached(missing, stored), stored);
    // Series blocks first: the others need their counts.
    wanted.sort((a, b) => a.ref.kind - b.ref.kind);
    for (const { group, ref } of wanted) {
      this.#context.signal.throwIfAborted();
      // another query may have been faster
      if (group.open.has(ref)) this.#hold(-ref.rawBytes);
      else group.open.add(ref, stored.get(ref)!, this.#labelsOf);
    }
  }

  /** @throws queryMemoryExceeded */
  #hold(bytes: number): void {
    this.heldBytes += bytes;
    this.#context.budget.addMemory(bytes);
  }

  /** The cache that blocks of a period belong in. */
  #cacheOf({ objects }: StorePeriod): BlockCache | undefined {
    return this.#cache?.isMemory === true && objects?.isLocal === true ? undefined : this.#cache;
  }

  async #notCached(wanted: readonly Wanted[], stored: Map<BlockRef, Uint8Array>): Promise<Wanted[]> {
    const missing: Wanted[] = [];
    await Promise.all(
      wanted.map(async (each) => {
        const cache = this.#cacheOf(each.group.found.period);
        if (cache === undefined) {
          missing.push(each);
          return;
        }
        const bytes = await cache.get(cacheKey(each));
        // others may write to a cache on the network: what is not what the group's header says is as good as nothing
        if (bytes !== undefined && isIntact(each.ref, bytes)) stored.set(each.ref, bytes);
        else missing.push(each);
      }),
    );
    this.#context.budget.addCacheHits(wanted.length - missing.length);
    return missing;
  }

  async #read(wanted: readonly Wanted[], stored: Map<BlockRef, Uint8Array>): Promise<void> {
    await forEachAtOnce(planReads(wanted), this.#readsAtOnce, async ({ period, key, offset, end, wanted: covered }) => {
      const { signal, budget } = this.#context;
      signal.throwIfAborted();
      budget.addFetchedBytes(end - offset);
      budget.addFetches(0, 1);
      const bytes = await period.objects!.getRange(key, offset, end - offset, signal, uncountedBytes);
      const cache = this.#cacheOf(period);
      // values are kept as they are stored, and with them all of their range, unless they are copied; other blocks are inflated, and let go
      const keptBytes = covered.reduce((sum, { ref }) => sum + (ref.kind === VALUES_BLOCK ? ref.bytes : 0), 0);
      const areFew = keptBytes * RANGE_USED_MIN < bytes.length;
      for (const each of covered) {
        const from = bodyOffset(each) + each.ref.offset - offset;
        guarded(each.group.open.name, blockName(each.ref), () => {
          if (from + each.ref.bytes > bytes.length) throw new BytesError(`the object ends after ${bytes.length} bytes`);
        });
        const part = bytes.subarray(from, from + each.ref.bytes);
        const isCopied = cache !== undefined || (areFew && each.ref.kind === VALUES_BLOCK);
        const block = isCopied ? copyBytes(part) : part;
        stored.set(each.ref, block);
        cache?.set(cacheKey(each), block);
      }
    });
  }
}

/** With the row's name, which is of one tenant: none finds out by the time an answer takes what another one has. */
function cacheKey({ group, ref }: Wanted): string {
  return `${group.found.name}/${ref.offset}`;
}

function bodyOffset({ group }: Wanted): number {
  const { place } = group.found;
  return place.kind === 'object' ? place.bodyOffset : 0;
}

function planReads(wanted: readonly Wanted[]): RangeRead[] {
  let reads: RangeRead[] = [];
  for (const gapBytesMax of GAP_BYTES_MAX) {
    reads = joinRanges(wanted, gapBytesMax);
    if (reads.length <= READS_FEW) break;
  }
  return reads;
}

/** Neighbouring ranges of an object become one read. */
function joinRanges(wanted: readonly Wanted[], gapBytesMax: number): RangeRead[] {
  const reads: RangeRead[] = [];
  const byObject = Map.groupBy(wanted, ({ group: { found } }) =>
    found.place.kind === 'object' ? found.place.key : '',
  );
  for (const [key, inObject] of byObject) {
    let last: RangeRead | undefined;
    for (const each of inObject.sort((a, b) => bodyOffset(a) + a.ref.offset - bodyOffset(b) - b.ref.offset)) {
      const offset = bodyOffset(each) + each.ref.offset;
      const end = offset + each.ref.bytes;
      if (last === undefined || offset - last.end > gapBytesMax || end - last.offset > READ_BYTES_MAX) {
        last = { period: each.group.found.period, key, offset, end, wanted: [] };
        reads.push(last);
      }
      last.end = Math.max(last.end, end);
      last.wanted.push(each);
    }
  }
  return reads;
}
