import type { Chunk } from '../chunk/group/chunk.ts';
import { GroupDecoder } from '../chunk/group/decode.ts';
import { HISTOGRAM_BLOCK, SERIES_BLOCK, STARTS_BLOCK, TIMES_BLOCK, VALUES_BLOCK } from '../chunk/group/header.ts';
import { LabelBlock } from '../chunk/group/series-block.ts';
import type { Kernel } from '../chunk/kernel.ts';
import type { Clock } from '../lib/clock.ts';
import { DAY_MS, dayOf } from '../lib/day.ts';
import { getOrMake } from '../lib/map.ts';
import { Pacer } from '../lib/pacer.ts';
import { forEachAtOnce } from '../lib/semaphore.ts';
import { sortInTurns } from '../lib/sort-in-turns.ts';
import { compareUtf8, Labels, METRIC_NAME } from '../model/labels.ts';
import { type MatchTurn, matchesInTurns, PacedTurn } from '../model/match-turn.ts';
import type { LabelMatcher } from '../model/matcher.ts';
import type { MetricMetadata } from '../model/metric-metadata.ts';
import type { SeriesShard } from '../model/series-shard.ts';
import type { QueryContext } from '../storage/queryable.ts';
import type { RowProgram } from '../storage/series-rows.ts';
import type { SourceSeries } from '../storage/source.ts';
import { type BlockCache, BlockFetcher, type GroupInUse } from './block-fetcher.ts';
import { hexOf } from './group-row.ts';
import { type FoundGroup, IndexReader, NoGroups } from './index-reader.ts';
import { KeptLabelBlocks } from './kept-label-blocks.ts';
import type { RowCache } from './kept-rows.ts';
import { OpenGroups } from './open-groups.ts';
import { allSlots, ownSlots, slotsOfMetric } from './placement.ts';
import type { Schema } from './schema.ts';
import { SelectRows } from './select-rows.ts';
import { type StoreSeries, StoreSeriesSet } from './series-set.ts';
import { LabelBlocks, type Matches, type MetricFilter, metricFilter, SeriesMatcher } from './store-matching.ts';
import { type SizedSpan, type StoreSize, sizeOfGroups, spanOf } from './store-size.ts';
import { StoredWeights } from './stored-weights.ts';
import type { Tombstone } from './tombstone-row.ts';
import { deletedUntil, QueryTombstones } from './tombstones.ts';

export interface ReaderOptions {
  /** The length of windows as they are flushed now. */
  readonly windowMs?: number;
  /** Requests to the store at once, for one query. */
  readonly readsAtOnce?: number;
  /** How long lists of rows may be used again: less than the 15 minutes after which the head lets stored windows go. */
  readonly rowCacheTtlMs?: number;
  readonly rowCacheBytesMax?: number;
  /** As of `IndexReaderOptions`. */
  readonly rowsSinceMs?: (() => number) | undefined;
  readonly blockCache?: BlockCache;
  readonly rowsCache?: RowCache | undefined;
  /** Inflated blocks that are kept open for the next query. */
  readonly openBytesMax?: number;
  /** How long a tenant's samples are to be seen; 0: for ever. */
  readonly retentionMs?: (tenant: string) => number;
  /** Tenants' requests to delete series, which queries share with what they read besides. Absent: all of them. */
  readonly tombstones?: QueryTombstones;
}

const OPTIONS = {
  windowMs: 7_200_000,
  readsAtOnce: 16,
  rowCacheTtlMs: 600_000,
  rowCacheBytesMax: 64 * 2 ** 20,
  openBytesMax: 64 * 2 ** 20,
};

/** Characters of a series' labels that are not counted, and how often longer ones are there: in values and keys. */
const LABEL_CHARS_USUAL = 256;
const LABEL_COPIES = 3;

/** Days whose heads are read at once: each asks its slots side by side. */
const SIZED_DAYS_AT_ONCE = 4;
/** Groups of a day whose labels are read at once to know a size, and series after which it is told as it is. */
const SIZED_GROUPS_AT_ONCE = 16;
const SIZED_SERIES_MAX = 100_000;

/** Where less of a group is asked for, its times are read first: most of its series may have no sample there. */
const MARGIN_MS = 1000;

/** Matching holds the thread up for so long at a time. */
const SLICE_MS = 10;

/** Where a day has more slots than this, label rows are asked which of them to look at. */
const SLOTS_UNASKED_MAX = 16;
/** Up to so many days are looked for one by one, rather than in the list of days. */
const DAYS_UNASKED_MAX = 2;

export interface StoreSelect {
  readonly matchers: readonly LabelMatcher[];
  /** Both ends included. */
  readonly startMs: number;
  readonly endMs: number;
  readonly labelsOnly?: boolean;
  /** At most so many series; 0 or absent: all. */
  readonly limit?: number;
  /** Absent: the series of all shards. */
  readonly shard?: SeriesShard | undefined;
  /** As `SelectRequest.isOnce`. */
  readonly isOnce?: boolean;
}

/** As `SelectRequest.program`. */
interface Programmed {
  readonly program?: RowProgram | undefined;
}

/** How many series each metric has at the most. */
export class MetricSizes {
  readonly byMetric = new Map<string, number>();
  #days: DaySizes[] = [];

  ofDay(): DaySizes {
    const day = new DaySizes();
    this.#days.push(day);
    return day;
  }

  /** Sum over all metrics; the series of one day are mostly those of the next. */
  get total(): number {
    for (const day of this.#days) {
      for (const [name, size] of day.sizes) this.byMetric.set(name, Math.max(size, this.byMetric.get(name) ?? 0));
    }
    this.#days = [];
    let total = 0;
    for (const size of this.byMetric.values()) total += size;
    return total;
  }
}

/** Sizes of metrics on one day: their series are mostly the same from window to window, and others in each slot. */
class DaySizes {
  readonly sizes = new Map<string, number>();
  readonly #bySlot = new Map<string, Map<string, number>>();

  see(slot: string, metrics: readonly { readonly name: string; readonly count: number }[], filter: MetricFilter): void {
    const known = getOrMake(this.#bySlot, slot, () => new Map<string, number>());
    for (const { name, count } of metrics) {
      if (!filter.matches(name)) continue;
      const before = known.get(name) ?? 0;
      if (count <= before) continue;
      known.set(name, count);
      this.sizes.set(name, (this.sizes.get(name) ?? 0) + count - before);
    }
  }
}

/** Reads what `ChunkStoreWriter` wrote. One instance a thread. */
export class ChunkStoreReader {
  readonly index: IndexReader;
  readonly #clock: Clock;
  readonly #decoder: GroupDecoder;
  readonly #open: OpenGroups;
  readonly #labelBlocks = new KeptLabelBlocks();
  readonly #options: typeof OPTIONS & ReaderOptions;
  readonly #tombstones: QueryTombstones;

  /** @param kernel to decode with; others may use it between calls */
  constructor(schema: Schema, kernel: Kernel, clock: Clock, options: ReaderOptions = {}) {
    this.#clock = clock;
    this.#options = { ...OPTIONS, ...options };
    this.#tombstones = options.tombstones ?? new QueryTombstones(schema, clock);
    this.index = new IndexReader(schema, clock, this.#options);
    this.#decoder = new GroupDecoder(kernel);
    this.#open = new OpenGroups(this.#decoder, this.#options.openBytesMax);
  }

  /** Series that match and have samples in the range, fetched. With `labelsOnly` those of windows that touch the range. */
  async select(tenant: string, request: StoreSelect, context: QueryContext): Promise<StoreSeriesSet> {
    return (await this.#select(tenant, request, Number.POSITIVE_INFINITY, context)) as StoreSeriesSet;
  }

  /** Whether lists that were read lately say that there is nothing to select; then it is charged as if it had been asked for. */
  hasNothing(tenant: string, { matchers, startMs: fromMs, endMs, shard }: StoreSelect, context: QueryContext): boolean {
    const metric = exactMetric(matchers);
    if (metric === undefined || shard !== undefined) return false;
    const slots = this.index.slotsOfNone(tenant, metric, this.#visibleFrom(tenant, fromMs), endMs);
    if (slots !== undefined) context.budget.addGroups(slots, 0);
    return slots !== undefined;
  }

  /**
   * As `select`, but where the windows that touch the range have more than `seriesMax` series of the selector's metrics, nothing is
   * fetched; and where rows of a program are all that is wanted, they may be those of another query.
   */
  async selectUpTo(
    tenant: string,
    request: StoreSelect & Programmed,
    seriesMax: number,
    context: QueryContext,
  ): Promise<SourceSeries | MetricSizes> {
    const found = await this.#select(tenant, request, seriesMax, context);
    return found instanceof StoreSeriesSet ? found.asSource() : found;
  }

  async #select(
    tenant: string,
    request: StoreSelect & Programmed,
    seriesMax: number,
    context: QueryContext,
  ): Promise<StoreSeriesSet | SourceSeries | MetricSizes> {
    const { endMs, labelsOnly = false } = request;
    const startMs = this.#visibleFrom(tenant, request.startMs);
    const metrics = metricFilter(request.matchers, request.shard);
    const pacer = new Pacer(this.#clock, { sliceMs: SLICE_MS, signal: context.signal });
    const turn = new PacedTurn(pacer);
    const sizes = seriesMax < Number.POSITIVE_INFINITY ? new MetricSizes() : undefined;
    const [found, tombstones] = await Promise.all([
      this.#groups(tenant, { ...request, startMs }, metrics, context, turn, sizes),
      this.#tombstones.of(tenant, context.signal),
    ]);
    if (sizes !== undefined && sizes.total > seriesMax) return sizes;
    if (found.length === 0) return new StoreSeriesSet([], this.#decoder, startMs, endMs, () => {});
    const deletedMs = deletedUntil(tombstones);
    if (labelsOnly && dayOf(deletedMs) >= dayOf(startMs)) {
      // of windows that a tenant's deletion cuts, only samples tell which series are left
      const rest = { ...request, startMs: Math.max(startMs, deletedMs + 1), labelsOnly: false };
      return this.select(tenant, rest, context);
    }
    const matcher = new SeriesMatcher(request.matchers, request.shard, request.isOnce);
    /** Memory of labels that are longer than usual. */
    let wideBytes = 0;
    // tombstones come and go, and so does what is older than it is kept
    const isSettled = tombstones.length === 0 && startMs === request.startMs;
    const { rowsCache } = this.#options;
    const rows = isSettled ? SelectRows.of(rowsCache, tenant, request, metrics, found, context) : undefined;
    /** Memory of rows that are kept, or will be. */
    let keptBytes = 0;
    const fetcher = new BlockFetcher(
      context,
      this.#options.blockCache,
      this.#options.readsAtOnce,
      this.#labelsOf(tenant, request.isOnce),
    );
    try {
      const groups = found.map((each) => ({ found: each, open: this.#open.of(each) }));
      let chunkCount = metrics.decides ? seriesOf(found, metrics) : 0;
      if (!labelsOnly && metrics.decides) context.budget.addChunks(chunkCount, 0);
      const isMarginal = (group: GroupInUse): boolean => touchesLittle(group, startMs, endMs);
      const kept = await rows?.find();
      if (kept !== undefined) {
        keptBytes = kept.heldBytes;
        context.budget.addMemory(keptBytes);
      }
      for (const group of groups) {
        const isUnread = labelsOnly || !metrics.decides || kept !== undefined;
        const samples = isUnread ? 'none' : isMarginal(group) ? 'times' : 'all';
        wantSeries(fetcher, group, metrics, samples);
      }
      await fetcher.fetch();
      const matches: Matches[] = [];
      for (const group of groups) {
        for (const block of labelBlocksOf(group, metrics)) await matcher.prepare(block, turn);
        matches.push(matchGroup(group, metrics, matcher));
        await pacer.step();
      }
      context.budget.addSeries(matcher.labels.length);
      for (const labels of matcher.labels) wideBytes += Math.max(0, LABEL_COPIES * (labels.chars - LABEL_CHARS_USUAL));
      context.budget.addMemory(wideBytes);
      if (!labelsOnly && !metrics.decides) {
        chunkCount = matches.reduce((sum, { indexes }) => sum + indexes.length, 0);
        context.budget.addChunks(chunkCount, 0);
      }
      // series that have no rows are read
      const wanted = kept === undefined ? matches : matches.map((each) => kept.without(each));
      if (!labelsOnly) {
        groups.forEach((group, i) => {
          if (!metrics.decides || kept !== undefined) wantSamples(fetcher, group, wanted[i]!);
          else if (isMarginal(group)) wantSamples(fetcher, group, withSamples(group, wanted[i]!, startMs, endMs));
        });
        // as if it had made the rows itself
        if (kept !== undefined) context.budget.addChunks(0, kept.chunkBytes - fetcher.chunkBytes);
        await fetcher.fetch();
      }
      this.#open.trim();
      const chunks = new ChunksOfSeries(matcher.labels.length);
      groups.forEach((group, i) => {
        if (!labelsOnly) collectChunks(group, wanted[i]!, startMs, endMs, chunks);
      });
      const chunksOf = chunks.bySeries();
      const series: StoreSeries[] = [];
      matcher.labels.forEach((labels, number) => {
        const own = chunksOf[number]!;
        if (!labelsOnly && own.length === 0) return;
        const deleted = tombstones.length === 0 ? tombstones : deletedOf(labels, tombstones);
        if (own.length > 0 && deleted.length > 0 && own.every((chunk) => isDeleted(chunk, deleted))) return;
        if (own.length > 1) own.sort(byFirstTime);
        series.push({ labels, chunks: own, deleted });
      });
      const sorted = await sortInTurns(pacer, series, (a, b) => Labels.compare(a.labels, b.labels));
      const some = request.limit ? sorted.slice(0, request.limit) : sorted;
      const recording = kept === undefined ? rows?.recording(some, matcher.labels, fetcher.chunkBytes) : undefined;
      keptBytes += recording?.heldBytes ?? 0;
      const { reader } = this.#decoder;
      reader.begin();
      const close = () => {
        reader.end();
        context.budget.addMemory(-fetcher.heldBytes - wideBytes - keptBytes);
      };
      const set = new StoreSeriesSet(some, this.#decoder, startMs, endMs, close, recording?.recorder);
      return (
        kept?.series(matcher.labels, set.asSource(), () => {
          context.budget.addSeries(-matcher.labels.length);
          context.budget.addChunks(-chunkCount, -kept.chunkBytes);
        }) ?? set
      );
    } catch (error) {
      context.budget.addMemory(-fetcher.heldBytes - wideBytes - keptBytes);
      throw error;
    }
  }

  /**
   * A selection's size, day by day in no order, before any samples of it are fetched. Where names of metrics do not decide, labels are
   * read of which series it has, unless a bound from above will do: that counts all series of the metrics.
   *
   * Deleted samples are read, and then dropped, until the store lets go of them. A day on which the selection may have lost some has no spans,
   * unless they bound from above.
   *
   * @param see ends it by throwing
   */
  async sizes(
    tenant: string,
    { matchers: asked, startMs: fromMs, endMs, bound }: StoreSelect & { readonly bound: 'most' | 'least' },
    context: QueryContext,
    see: (size: StoreSize) => void,
  ): Promise<void> {
    const startMs = this.#visibleFrom(tenant, fromMs);
    const matchers = asked.filter(({ op, value }) => !(op === '=~' && value === '.*'));
    const metrics = metricFilter(matchers);
    if (!(startMs <= endMs)) return;
    const all = bound === 'most' ? [] : await this.#tombstones.of(tenant, context.signal);
    const tombstones = all.filter((each) => mayDelete(each, metrics));
    const pacer = new Pacer(this.#clock, { sliceMs: SLICE_MS, signal: context.signal });
    const turn = new PacedTurn(pacer);
    const days = await this.index.days(tenant, startMs, endMs, context);
    // labels of a whole day are large
    const atOnce = metrics.decides || bound === 'most' ? SIZED_DAYS_AT_ONCE : 1;
    await forEachAtOnce(days, atOnce, async (day) => {
      const range = { startMs: Math.max(startMs, day * DAY_MS), endMs: Math.min(endMs, (day + 1) * DAY_MS - 1) };
      const sizes = new MetricSizes();
      const groups = await this.#groups(tenant, { matchers, ...range }, metrics, context, turn, sizes);
      const size =
        metrics.decides || bound === 'most'
          ? { series: sizes.total, ...sizeOfGroups(groups, metrics) }
          : await this.#matchedSize(groups, matchers, metrics, context, turn);
      const isCut = tombstones.some((each) => each.startMs <= range.endMs && each.endMs >= range.startMs);
      see(isCut ? { ...size, spans: [] } : size);
      await pacer.step();
    });
  }

  /**
   * Slots that each metric of a selection has for itself, the fewest that one has on a day of the range: up to so many shards no two of them
   * read the same group. 1: a metric shares its slot, or nothing is known. Only placements are read, and used again for as long as lists
   * of rows are.
   */
  async ownSlots(
    tenant: string,
    { matchers, startMs: fromMs, endMs }: Pick<StoreSelect, 'matchers' | 'startMs' | 'endMs'>,
    context: QueryContext,
  ): Promise<number> {
    const { names = [] } = metricFilter(matchers);
    const startMs = this.#visibleFrom(tenant, fromMs);
    if (names.length === 0 || !(startMs <= endMs)) return 1;
    let fewest = Number.POSITIVE_INFINITY;
    const look = async (day: number): Promise<void> => {
      for (const placement of await this.index.placements(tenant, day, context)) {
        for (const name of names) fewest = Math.min(fewest, ownSlots(placement, name));
      }
    };
    await this.#forDays(tenant, startMs, endMs, context, look);
    // until a day's first flush its samples are in heads, spread as on the day before
    if (fewest === Number.POSITIVE_INFINITY) await look(dayOf(startMs) - 1);
    return fewest === Number.POSITIVE_INFINITY ? 1 : fewest;
  }

  /** Samples and bytes of metrics, by the groups of days that the range touches; conditions on other labels are not looked at. */
  async weights(
    tenant: string,
    { matchers, startMs: fromMs, endMs }: Pick<StoreSelect, 'matchers' | 'startMs' | 'endMs'>,
    context: QueryContext,
  ): Promise<StoredWeights> {
    const startMs = this.#visibleFrom(tenant, fromMs);
    const weights = new StoredWeights(context.budget);
    const metrics = metricFilter(matchers);
    const pacer = new Pacer(this.#clock, { sliceMs: SLICE_MS, signal: context.signal });
    const request = { matchers, startMs, endMs };
    for (const { header } of await this.#groups(tenant, request, metrics, context, new PacedTurn(pacer))) {
      weights.add(header, metrics.matches);
      await pacer.step();
    }
    return weights;
  }

  /**
   * The size of a selection whose series only their labels tell, or of its first `SIZED_SERIES_MAX` series: it is a bound from below.
   * Bytes of their chunks are not known.
   */
  async #matchedSize(
    found: readonly FoundGroup[],
    matchers: readonly LabelMatcher[],
    metrics: MetricFilter,
    context: QueryContext,
    turn: MatchTurn,
  ): Promise<StoreSize> {
    const matcher = new SeriesMatcher(matchers, undefined, true);
    const spans: SizedSpan[] = [];
    for (let at = 0; at < found.length && matcher.labels.length < SIZED_SERIES_MAX; at += SIZED_GROUPS_AT_ONCE) {
      const fetcher = new BlockFetcher(
        context,
        this.#options.blockCache,
        this.#options.readsAtOnce,
        new LabelBlocks(LabelBlock.parse).of,
      );
      try {
        const groups = found
          .slice(at, at + SIZED_GROUPS_AT_ONCE)
          .map((each) => ({ found: each, open: this.#open.of(each) }));
        for (const group of groups) wantSeries(fetcher, group, metrics, 'none');
        await fetcher.fetch();
        for (const group of groups) {
          for (const block of labelBlocksOf(group, metrics)) await matcher.prepare(block, turn);
          spans.push(spanOf(group.found, matchGroup(group, metrics, matcher).indexes.length));
          if (turn.isDue()) await turn.pause();
          if (matcher.labels.length >= SIZED_SERIES_MAX) break;
        }
      } finally {
        context.budget.addMemory(-fetcher.heldBytes);
      }
      this.#open.trim();
    }
    const chunks = spans.reduce((sum, { series }) => sum + series, 0);
    return { series: matcher.labels.length, chunks, chunkBytes: 0, spans };
  }

  /** Names of labels on the days of the range, ascending; with matchers, of series that match all of them. */
  async labelNames(
    tenant: string,
    matchers: readonly LabelMatcher[],
    startMs: number,
    endMs: number,
    context: QueryContext,
  ): Promise<string[]> {
    const names = new Set<string>();
    const rowsFromMs = await this.#rowsFrom(tenant, matchers, startMs, context);
    await this.#forDays(tenant, rowsFromMs, endMs, context, async (day) => {
      for (const { name } of await this.index.labelOverview(tenant, day, context)) names.add(name);
    });
    const labelsEndMs = Math.min(endMs, rowsFromMs - 1);
    for (const labels of await this.#labels(tenant, matchers, startMs, labelsEndMs, context)) {
      for (const [name] of labels) names.add(name);
    }
    return [...names].sort(compareUtf8);
  }

  async labelValues(
    tenant: string,
    name: string,
    matchers: readonly LabelMatcher[],
    startMs: number,
    endMs: number,
    context: QueryContext,
  ): Promise<string[]> {
    const values = new Set<string>();
    const rowsFromMs = await this.#rowsFrom(tenant, matchers, startMs, context);
    await this.#forDays(tenant, rowsFromMs, endMs, context, async (day) => {
      for (const row of await this.index.labelValues(tenant, day, name, context)) {
        for (const value of row.values.keys()) values.add(value);
      }
    });
    const labelsEndMs = Math.min(endMs, rowsFromMs - 1);
    for (const labels of await this.#labels(tenant, matchers, startMs, labelsEndMs, context)) {
      values.add(labels.get(name));
    }
    values.delete('');
    return [...values].sort(compareUtf8);
  }

  /** Metadata of metrics on the days of the range; where a metric has several entries, all of them. */
  async metadata(tenant: string, startMs: number, endMs: number, context: QueryContext): Promise<MetricMetadata[]> {
    const byContent = new Map<string, MetricMetadata>();
    await this.#forDays(tenant, startMs, endMs, context, async (day) => {
      for (const entry of await this.index.metadata(tenant, day, context)) {
        byContent.set(JSON.stringify([entry.metric, entry.type, entry.help, entry.unit]), entry);
      }
    });
    return [...byContent.values()].sort((a, b) => compareUtf8(a.metric, b.metric));
  }

  /** Labels of a query by their bytes. */
  #labelsOf(tenant: string, isOnce = false): (raw: Uint8Array) => LabelBlock {
    return new LabelBlocks(isOnce ? LabelBlock.parse : (raw) => this.#labelBlocks.of(tenant, raw)).of;
  }

  #visibleFrom(tenant: string, startMs: number): number {
    const retentionMs = this.#options.retentionMs?.(tenant) ?? 0;
    return retentionMs > 0 ? Math.max(startMs, this.#clock.nowMs() - retentionMs) : startMs;
  }

  async #labels(
    tenant: string,
    matchers: readonly LabelMatcher[],
    startMs: number,
    endMs: number,
    context: QueryContext,
  ): Promise<readonly Labels[]> {
    if (!(startMs <= endMs)) return [];
    const set = await this.select(tenant, { matchers, startMs, endMs, labelsOnly: true }, context);
    set.close();
    return set.series;
  }

  /**
   * From when on the label rows of days tell all that is asked for; before it the labels of series do: where there are matchers, and
   * until the end of the day on which the tenant was deleted. At least `startMs`.
   */
  async #rowsFrom(
    tenant: string,
    matchers: readonly LabelMatcher[],
    startMs: number,
    { signal }: QueryContext,
  ): Promise<number> {
    if (matchers.length > 0) return Number.POSITIVE_INFINITY;
    const deletedMs = deletedUntil(await this.#tombstones.of(tenant, signal));
    return Math.max(startMs, (dayOf(deletedMs) + 1) * DAY_MS);
  }

  /** Runs `body` for each day of the range that may have data, a bounded number at once. */
  async #forDays(
    tenant: string,
    fromMs: number,
    endMs: number,
    context: QueryContext,
    body: (day: number) => Promise<void>,
  ): Promise<void> {
    const startMs = this.#visibleFrom(tenant, fromMs);
    if (!(startMs <= endMs)) return;
    const first = dayOf(startMs);
    const last = dayOf(endMs);
    const days =
      last - first < DAYS_UNASKED_MAX
        ? Array.from({ length: last - first + 1 }, (_, i) => first + i)
        : await this.index.days(tenant, startMs, endMs, context);
    await forEachAtOnce(days, this.#options.readsAtOnce, body);
  }

  /** Groups that may have series of the selector, in order of their rows' names. */
  async #groups(
    tenant: string,
    { matchers, startMs, endMs, shard }: StoreSelect,
    metrics: MetricFilter,
    context: QueryContext,
    turn: MatchTurn,
    sizes?: MetricSizes,
  ): Promise<FoundGroup[]> {
    const found: FoundGroup[] = [];
    const [metric, ...more] = metrics.names ?? [];
    const isWhole = shard === undefined && startMs <= endMs && dayOf(endMs) - dayOf(startMs) < DAYS_UNASKED_MAX;
    const none = metric !== undefined && more.length === 0 && isWhole ? new NoGroups(metric) : undefined;
    await this.#forDays(tenant, startMs, endMs, context, async (day) => {
      const slots = await this.#slots(tenant, day, { matchers, shard }, metrics, context, turn, none);
      if (none !== undefined) none.slots += slots.length;
      context.budget.addGroups(slots.length, 0);
      const from = Math.max(startMs, day * DAY_MS);
      const to = Math.min(endMs, (day + 1) * DAY_MS - 1);
      const ofDay = sizes?.ofDay();
      await forEachAtOnce(slots, this.#options.readsAtOnce, async (slot) => {
        for (const group of await this.index.groups(tenant, day, slot, from, to, context, none)) {
          let matches = false;
          for (const { name } of group.header.metrics) matches = (await metrics.find(name, turn)) || matches;
          if (!matches) continue;
          found.push(group);
          ofDay?.see(hexOf(slot), group.header.metrics, metrics);
        }
      });
    });
    context.budget.addGroups(0, found.length);
    if (none?.isSo === true) this.index.keepNone(tenant, none, startMs, endMs);
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async #slots(
    tenant: string,
    day: number,
    { matchers, shard }: Pick<StoreSelect, 'matchers' | 'shard'>,
    metrics: MetricFilter,
    context: QueryContext,
    turn: MatchTurn,
    none?: NoGroups,
  ): Promise<Uint8Array[]> {
    const placements = await this.index.placements(tenant, day, context, none);
    const slots = new Map<string, Uint8Array>();
    for (const placement of placements) {
      const of =
        metrics.names === undefined
          ? allSlots(placement, shard)
          : metrics.names.flatMap((name) => slotsOfMetric(placement, name, shard));
      for (const slot of of) slots.set(hexOf(slot), slot);
    }
    if (slots.size > SLOTS_UNASKED_MAX) {
      // other conditions than the name decide from here on
      if (none !== undefined) none.isSo = false;
      for (const matcher of matchers) {
        if (matcher.matchesEmpty) continue;
        const having = new Set<string>();
        for (const row of await this.index.labelValues(tenant, day, matcher.name, context)) {
          for (const [value, of] of row.values) {
            turn.steps -= of.size;
            if (turn.isDue()) await turn.pause();
            if (await matchesInTurns(matcher, value, turn)) for (const slot of of) having.add(slot);
          }
        }
        for (const slot of slots.keys()) if (!having.has(slot)) slots.delete(slot);
      }
    }
    return [...slots.values()];
  }
}

/** The name that a selector's metric has to have. */
function exactMetric(matchers: readonly LabelMatcher[]): string | undefined {
  for (const { name, op, value } of matchers) if (name === METRIC_NAME && op === '=') return value;
  return undefined;
}

/** Series of the metrics that match, once for each group: so many chunks there are. */
function seriesOf(groups: readonly FoundGroup[], metrics: MetricFilter): number {
  let series = 0;
  for (const { header } of groups) {
    for (const { name, count } of header.metrics) if (metrics.matches(name)) series += count;
  }
  return series;
}

/** Series blocks of the metrics that may match, and where their name decides already, their times or everything else of them. */
function wantSeries(
  fetcher: BlockFetcher,
  group: GroupInUse,
  metrics: MetricFilter,
  samples: 'none' | 'times' | 'all',
): void {
  const { blocks } = group.open;
  for (const { name, first, count } of group.found.header.metrics) {
    if (!metrics.matches(name)) continue;
    for (const ref of blocks.within(SERIES_BLOCK, first, first + count)) fetcher.want(group, ref);
    if (samples === 'none') continue;
    for (const ref of blocks.within(VALUES_BLOCK, first, first + count)) {
      if (samples === 'all') fetcher.want(group, ref);
      for (const times of blocks.within(TIMES_BLOCK, ref.timesFirst, ref.timesLast + 1)) fetcher.want(group, times);
    }
    if (samples === 'times') continue;
    for (const kind of [HISTOGRAM_BLOCK, STARTS_BLOCK] as const) {
      for (const ref of blocks.within(kind, first, first + count)) fetcher.want(group, ref);
    }
  }
}

/** The labels of the series that a selector may find in a group. */
function* labelBlocksOf({ found, open }: GroupInUse, metrics: MetricFilter): Generator<LabelBlock> {
  for (const { name, first, count } of found.header.metrics) {
    if (!metrics.matches(name)) continue;
    for (const ref of open.blocks.within(SERIES_BLOCK, first, first + count)) yield open.seriesBlock(ref).labels;
  }
}

function matchGroup(group: GroupInUse, metrics: MetricFilter, matcher: SeriesMatcher): Matches {
  const { blocks } = group.open;
  const found: Matches = { indexes: [], numbers: [] };
  for (const { name, first, count } of group.found.header.metrics) {
    if (!metrics.matches(name)) continue;
    for (const ref of blocks.within(SERIES_BLOCK, first, first + count)) {
      const numbers = matcher.numbers(group.open.seriesBlock(ref).labels);
      const to = Math.min(first + count, ref.first + ref.count);
      for (let index = Math.max(first, ref.first); index < to; index++) {
        const number = numbers[index - ref.first]!;
        if (number < 0) continue;
        found.indexes.push(index);
        found.numbers.push(number);
      }
    }
  }
  return found;
}

/** Everything but series blocks that the matching series of a group need. */
function wantSamples(fetcher: BlockFetcher, group: GroupInUse, { indexes }: Matches): void {
  const { blocks } = group.open;
  for (const index of indexes) {
    fetcher.want(group, blocks.find(VALUES_BLOCK, index)!);
    const seriesRef = blocks.find(SERIES_BLOCK, index)!;
    const column = group.open.seriesBlock(seriesRef).timeColumns[index - seriesRef.first]!;
    for (const ref of [
      blocks.find(TIMES_BLOCK, column),
      blocks.find(HISTOGRAM_BLOCK, index),
      blocks.find(STARTS_BLOCK, index),
    ]) {
      if (ref !== undefined) fetcher.want(group, ref);
    }
  }
}

/** Whether so little of a group's time is asked for that few of its series may have a sample there. */
function touchesLittle({ found: { header } }: GroupInUse, startMs: number, endMs: number): boolean {
  const { firstMs, lastMs } = header;
  return Math.min(endMs, lastMs) - Math.max(startMs, firstMs) < MARGIN_MS && lastMs - firstMs >= MARGIN_MS;
}

/** The matches that have a sample in the range; of those whose times are not there it is not known. */
function withSamples({ open }: GroupInUse, { indexes, numbers }: Matches, startMs: number, endMs: number): Matches {
  const some: Matches = { indexes: [], numbers: [] };
  for (let i = 0; i < indexes.length; i++) {
    if (open.timeOf(indexes[i]!)?.hasAny(startMs, endMs) === false) continue;
    some.indexes.push(indexes[i]!);
    some.numbers.push(numbers[i]!);
  }
  return some;
}

function byFirstTime(a: Chunk, b: Chunk): number {
  return a.time.firstMs - b.time.firstMs;
}

/** Whether it may be about series of these metrics. */
function mayDelete({ matchers }: Tombstone, { names }: MetricFilter): boolean {
  const about = matchers.filter(({ name }) => name === METRIC_NAME);
  return names === undefined || names.some((name) => about.every((each) => each.matches(name)));
}

function deletedOf(labels: Labels, tombstones: readonly Tombstone[]): readonly Tombstone[] {
  return tombstones.filter(({ matchers }) => matchers.every((each) => each.matches(labels.get(each.name))));
}

function isDeleted({ time }: Chunk, ranges: readonly { readonly startMs: number; readonly endMs: number }[]): boolean {
  return ranges.some(({ startMs, endMs }) => startMs <= time.firstMs && time.lastMs <= endMs);
}

function collectChunks(
  group: GroupInUse,
  { indexes, numbers }: Matches,
  startMs: number,
  endMs: number,
  chunks: ChunksOfSeries,
): void {
  for (let i = 0; i < indexes.length; i++) {
    const index = indexes[i]!;
    // without its times it is no chunk, which is said there
    if (group.open.timeOf(index)?.hasAny(startMs, endMs) !== false) chunks.add(numbers[i]!, group.open.chunk(index));
  }
}

/** Sorts chunks by the number of their series, with little for the garbage collector to do. */
class ChunksOfSeries {
  readonly #chunks: Chunk[] = [];
  readonly #numbers: number[] = [];
  readonly #counts: Uint32Array;

  constructor(seriesCount: number) {
    this.#counts = new Uint32Array(seriesCount);
  }

  add(number: number, chunk: Chunk): void {
    this.#chunks.push(chunk);
    this.#numbers.push(number);
    this.#counts[number]!++;
  }

  /** Chunks of each series, in the order in which they were added. */
  bySeries(): Chunk[][] {
    const all = Array.from(this.#counts, (count) => new Array<Chunk>(count));
    const filled = new Uint32Array(this.#counts.length);
    this.#chunks.forEach((chunk, i) => {
      const number = this.#numbers[i]!;
      all[number]![filled[number]!++] = chunk;
    });
    return all;
  }
}
