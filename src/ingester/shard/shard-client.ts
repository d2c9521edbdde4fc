import type {
  HeadExemplarRequest,
  HeadExemplars,
  HeadLabels,
  HeadSelect,
  HeadSize,
  HeadSizeRequest,
  HeadSlice,
  HeadTally,
  HeadTenantStats,
  IngesterClient,
} from '../../contract/ingester.ts';
import type { ReplicaLoss } from '../../contract/replica.ts';
import { giveBack } from '../../kit/thread/lent-memory.ts';
import { METRIC_NAME } from '../../model/labels.ts';
import type { MetricMetadata } from '../../model/metric-metadata.ts';
import { NO_TALLY } from '../../model/series-tally.ts';
import type { HeldRange } from '../head/held-range.ts';
import type { DirectMiss, DirectReads } from './direct-reads.ts';
import { SELECTS_AT_ONCE_MAX, type ShardCalls, type ShardSelect, type ShardSlice } from './shard-messages.ts';

export interface ConnectedShard {
  readonly channel: ShardCalls;
  readonly held: HeldRange;
  /** Answers some selects in the asker's thread; absent: the shard is asked for all. */
  readonly direct?: DirectReads;
}

/** The shards of this process as one ingester: a tenant's series may lie on any of them. */
export class ShardsClient implements IngesterClient {
  readonly #all: readonly ConnectedShard[];
  readonly #shards: readonly ShardCalls[];
  readonly #direct: ReadonlyMap<ShardCalls, DirectReads>;
  readonly #waiting = new Map<ShardCalls, WaitingSelect[]>();
  /** Absent with several shards: the same series may lie on two of them, which their counts do not show. */
  readonly tally: IngesterClient['tally'];

  readonly #mayLend: boolean;

  /** @param mayLend whether slices are given back (`HeadSlice.giveBack`), so that they need not be the asker's */
  constructor(shards: readonly ConnectedShard[], mayLend = false) {
    this.#all = shards;
    this.#mayLend = mayLend;
    this.#shards = shards.map(({ channel }) => channel);
    this.#direct = new Map(shards.flatMap(({ channel, direct }) => (direct === undefined ? [] : [[channel, direct]])));
    if (shards.length === 1) this.tally = (request, signal) => this.#tally(shards[0]!, request, signal);
  }

  /** Those that may hold something between these times. */
  #holding(startMs: number, endMs: number): ShardCalls[] {
    return this.#all.filter(({ held }) => held.touches(startMs, endMs)).map(({ channel }) => channel);
  }

  async *select(request: HeadSelect, signal: AbortSignal): AsyncIterable<HeadSlice> {
    // all shards match at once, then hand over their slices one after another
    const shards = this.#holding(request.startMs, request.endMs);
    const firsts = shards.map((shard) => this.#first(shard, request, signal));
    for (const first of firsts) first.catch(() => {}); // its turn to fail comes below
    const open = new Map<ShardCalls, number>();
    const asked = new Set(firsts);
    try {
      for (const [i, shard] of shards.entries()) {
        let isFirst = true;
        for (let answer = firsts[i]; answer !== undefined; ) {
          const slice = await answer;
          asked.delete(answer);
          if (slice.cursor === 0) open.delete(shard);
          else open.set(shard, slice.cursor);
          // asked for before this one is used, so that shard and reader work side by side
          const next =
            slice.cursor === 0 ? undefined : shard.call('selectNext', { cursor: slice.cursor }, { signal, dropped });
          next?.catch(() => {});
          if (next !== undefined) asked.add(next);
          yield { ...slice, ...this.#lentOf(slice), alone: shards.length === 1, isAll: isFirst && next === undefined };
          isFirst = false;
          answer = next;
        }
      }
    } finally {
      // nobody else has these slices
      for (const answer of asked) answer.then(dropped, () => {});
      for (const [shard, cursor] of open) shard.call('selectClose', { cursor }).catch(() => {});
    }
  }

  async selectWhole(request: HeadSelect, signal: AbortSignal): Promise<readonly HeadSlice[] | undefined> {
    const shards = this.#holding(request.startMs, request.endMs);
    const answers = await Promise.allSettled(shards.map((shard) => this.#first(shard, request, signal)));
    const failed = answers.find(({ status }) => status === 'rejected') as PromiseRejectedResult | undefined;
    const slices = answers.map((answer) => (answer.status === 'fulfilled' ? answer.value : undefined));
    if (failed !== undefined || slices.some((slice) => slice?.cursor !== 0)) {
      for (const [i, slice] of slices.entries()) if (slice !== undefined) leave(shards[i]!, slice);
      if (failed !== undefined) throw failed.reason;
      return undefined;
    }
    const alone = shards.length === 1;
    return slices.map((slice): HeadSlice => ({ ...slice!, ...this.#lentOf(slice!), alone, isAll: true }));
  }

  #lentOf(slice: ShardSlice): Pick<HeadSlice, 'giveBack'> {
    return this.#mayLend ? lentOf(slice) : {};
  }

  /** The first slice. What is asked for at the same moment goes in one message: messages cost more than small answers. */
  #first(shard: ShardCalls, headSelect: HeadSelect, signal: AbortSignal): Promise<ShardSlice> {
    return new Promise((resolve, reject) => {
      const request = { ...headSelect, mayLend: this.#mayLend };
      const waiting = this.#waiting.get(shard);
      if (waiting !== undefined) {
        waiting.push({ request, signal, resolve, reject });
        return;
      }
      const all: WaitingSelect[] = [{ request, signal, resolve, reject }];
      this.#waiting.set(shard, all);
      queueMicrotask(() => {
        this.#waiting.delete(shard);
        this.#answer(shard, all);
      });
    });
  }

  /** The error instead of an answer of the shard where its memory has none; undefined: the shard is asked. */
  protected refusalOf(_miss: DirectMiss): Error | undefined {
    return undefined;
  }

  /** Answers all by itself, or none: what is asked for at the same moment is of one state of the shard. */
  #answer(shard: ShardCalls, all: readonly WaitingSelect[]): void {
    const direct = this.#direct.get(shard);
    if (direct === undefined) {
      this.#ask(shard, all);
      return;
    }
    const slices = direct.select(all.map(({ request }) => request));
    if (typeof slices === 'string') {
      const refusal = this.refusalOf(slices);
      if (refusal === undefined)
        this.#ask(
          shard,
          all.map((each) => keeping(direct, each)),
        );
      else for (const { reject } of all) reject(refusal);
      return;
    }
    for (const [i, { signal, resolve, reject }] of all.entries()) {
      if (signal.aborted) reject(signal.reason);
      else resolve(slices[i]!);
    }
  }

  #ask(shard: ShardCalls, all: readonly WaitingSelect[]): void {
    for (let from = 0; from < all.length; from += SELECTS_AT_ONCE_MAX) {
      const some = all.slice(from, from + SELECTS_AT_ONCE_MAX);
      if (some.length === 1) {
        const [{ request, signal, resolve, reject }] = some as [WaitingSelect];
        shard.call('select', request, { signal, dropped: (slice) => leave(shard, slice) }).then(resolve, reject);
      } else void askTogether(shard, some);
    }
  }

  async #tally({ channel, held }: ConnectedShard, request: HeadTally, signal: AbortSignal) {
    if (!held.touches(request.startMs, request.endMs)) return NO_TALLY;
    return channel.call('tally', request, { signal });
  }

  /** Series that the shard has which has most of them: some may lie on several. */
  async size(request: HeadSizeRequest, signal: AbortSignal): Promise<HeadSize> {
    const shards = this.#holding(request.startMs, request.endMs);
    const sizes = await Promise.all(shards.map((shard) => shard.call('size', request, { signal })));
    return {
      series: sizes.reduce((most, { series }) => Math.max(most, series), 0),
      coveredMs: sizes.reduce((sum, { coveredMs }) => sum + coveredMs, 0),
    };
  }

  /** Losses that touch a range, both ends inclusive. */
  async losses(startMs: number, endMs: number): Promise<readonly ReplicaLoss[]> {
    const shards = this.#holding(startMs, endMs);
    return (await Promise.all(shards.map((shard) => shard.call('losses', { startMs, endMs })))).flat();
  }

  async labels(request: HeadLabels, signal: AbortSignal): Promise<readonly string[]> {
    const shards = this.#holding(request.startMs, request.endMs);
    const answers = await Promise.all(shards.map((shard) => shard.call('labels', request, { signal })));
    return answers.length === 1 ? answers[0]! : [...new Set(answers.flat())];
  }

  async metadata(tenant: string, signal: AbortSignal): Promise<readonly MetricMetadata[]> {
    const answers = await Promise.all(this.#shards.map((shard) => shard.call('metadata', { tenant }, { signal })));
    return answers.flat();
  }

  /** A series may have lain on another shard before their number changed: whoever asks merges. */
  async exemplars(request: HeadExemplarRequest, signal: AbortSignal): Promise<readonly HeadExemplars[]> {
    const answers = await Promise.all(this.#shards.map((shard) => shard.call('exemplars', request, { signal })));
    return answers.flat();
  }

  async headStats(tenant: string, limit: number, signal: AbortSignal): Promise<HeadTenantStats | undefined> {
    const answers = await Promise.all(
      this.#shards.map((shard) => shard.call('headStats', { tenant, limit }, { signal })),
    );
    const found = answers.filter((stats) => stats !== undefined);
    return found.length < 2 ? found[0] : together(found, limit);
  }
}

/** A slice that nobody takes. */
function dropped({ bytes }: ShardSlice): void {
  giveBack(bytes);
}

/** A first slice that nobody takes, nor those after it. */
function leave(shard: ShardCalls, slice: ShardSlice): void {
  dropped(slice);
  if (slice.cursor !== 0) shard.call('selectClose', { cursor: slice.cursor }).catch(() => {});
}

/** How a slice is given back; twice does no harm. */
function lentOf({ bytes }: ShardSlice): Required<Pick<HeadSlice, 'giveBack'>> {
  let isBack = false;
  return {
    giveBack() {
      if (!isBack) giveBack(bytes);
      isBack = true;
    },
  };
}

interface WaitingSelect {
  readonly request: ShardSelect;
  readonly signal: AbortSignal;
  resolve(slice: ShardSlice): void;
  reject(reason: unknown): void;
}

/** The same select, of which the answer says what can be kept if that is worth it. */
function keeping(direct: DirectReads, each: WaitingSelect): WaitingSelect {
  const { request, resolve } = each;
  if (!direct.wants(request)) return each;
  const { life } = direct;
  return {
    ...each,
    request: { ...request, keeps: true },
    resolve(slice) {
      direct.keep(request, slice.kept, life);
      resolve(slice);
    },
  };
}

/** The message is cancelled when nobody waits any more. */
async function askTogether(shard: ShardCalls, all: readonly WaitingSelect[]): Promise<void> {
  const nobody = new AbortController();
  const waiting = new Set(all);
  // a batch has one signal for all that it asks
  const bySignal = [...Map.groupBy(all, ({ signal }) => signal)];
  const listeners = bySignal.map(([signal, some]) => {
    const abort = () => {
      for (const each of some) {
        waiting.delete(each);
        each.reject(signal.reason);
      }
      if (waiting.size === 0) nobody.abort(signal.reason);
    };
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    return () => signal.removeEventListener('abort', abort);
  });
  const leaveAll = (answers: readonly (ShardSlice | undefined)[]) => {
    for (const answer of answers) if (answer !== undefined) leave(shard, answer);
  };
  try {
    const requests = all.map(({ request }) => request);
    const answers = await shard.call('selects', { requests }, { signal: nobody.signal, dropped: leaveAll });
    for (const [i, each] of all.entries()) {
      const answer = answers[i]!;
      // each by itself hears what is wrong with it
      if (answer === undefined)
        shard
          .call('select', each.request, { signal: each.signal, dropped: (slice) => leave(shard, slice) })
          .then(each.resolve, each.reject);
      else if (waiting.has(each)) each.resolve(answer);
      else leave(shard, answer);
    }
  } catch (thrown) {
    for (const { reject } of all) reject(thrown);
  } finally {
    for (const remove of listeners) remove();
  }
}

/** A metric lies on one shard; values of other labels may lie on several, and count once only where a shard has them all. */
function together(parts: readonly HeadTenantStats[], limit: number): HeadTenantStats {
  const sum = (count: (part: HeadTenantStats) => number) => parts.reduce((total, part) => total + count(part), 0);
  const lists = (list: (part: HeadTenantStats) => HeadTenantStats['seriesByPair'], largest = false) => {
    const counts = new Map<string, number>();
    for (const [name, count] of parts.flatMap(list)) {
      const known = counts.get(name) ?? 0;
      counts.set(name, largest && name !== METRIC_NAME ? Math.max(known, count) : known + count);
    }
    return [...counts].sort((a, b) => b[1] - a[1]).slice(0, limit);
  };
  const held = parts.filter(({ chunks }) => chunks > 0);
  return {
    series: sum(({ series }) => series),
    labelPairs: sum(({ labelPairs }) => labelPairs),
    chunks: sum(({ chunks }) => chunks),
    minTimeMs: held.length === 0 ? 0 : Math.min(...held.map(({ minTimeMs }) => minTimeMs)),
    maxTimeMs: held.length === 0 ? 0 : Math.max(...held.map(({ maxTimeMs }) => maxTimeMs)),
    seriesByMetric: lists(({ seriesByMetric }) => seriesByMetric),
    valuesByLabel: lists(({ valuesByLabel }) => valuesByLabel, true),
    bytesByLabel: lists(({ bytesByLabel }) => bytesByLabel),
    seriesByPair: lists(({ seriesByPair }) => seriesByPair),
  };
}
