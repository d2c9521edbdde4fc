import { ageMsOf, type Clock, type Moment, momentOf } from '../lib/clock.ts';
import { getOrMake } from '../lib/map.ts';
import { Pacer } from '../lib/pacer.ts';
import { sortInTurns } from '../lib/sort-in-turns.ts';
import { isAway } from '../model/away.ts';
import { compareUtf8, Labels, METRIC_NAME } from '../model/labels.ts';
import { ascendingLabels } from '../model/labels-order.ts';
import { LabelMatcher } from '../model/matcher.ts';
import { SERIES_SHARDS_MAX, type SeriesShard } from '../model/series-shard.ts';
import type { SeriesTally } from '../model/series-tally.ts';
import { SampleColumns } from './columns.ts';
import { mergeColumns } from './merge-columns.ts';
import { type MissingPart, missingText } from './missing.ts';
import type {
  LabelAnswer,
  LabelRequest,
  Queryable,
  QueryContext,
  SelectRequest,
  SeriesSet,
  TallyRequest,
} from './queryable.ts';
import { type ReadRows, rowsAt } from './series-rows.ts';
import { type SeriesBlock, StreamBroken, type WholeBlock } from './series-stream.ts';
import type { MetricSizes, SampleSource, SourceSeries } from './source.ts';

/** A tenant's samples from several sources as one, each sample once. */
export function mergedQueryable(tenant: string, sources: Sources): Queryable {
  return {
    select: (request, context) => selected(tenant, sources, request, context),
    stream: (request, context) => streamed(tenant, sources, request, context),
    takesPrograms: true,
    whole: (request, context) => wholeOf(tenant, sources, request, context),
    tally: (request, context) => tallied(tenant, sources, request, context),
    labelNames: (request, context) =>
      mergedLabels(sources, request, context, (source) => source.labelNames(tenant, request, context)),
    labelValues: (name, request, context) =>
      mergedLabels(sources, request, context, (source) => source.labelValues(tenant, name, request, context)),
  };
}

async function selected(
  tenant: string,
  sources: Sources,
  request: SelectRequest,
  context: QueryContext,
): Promise<MergedSet> {
  const close = (part: SourceSeries) => part.close();
  const asking = (asked: SelectRequest) =>
    orMissing(sources, request, context, (source) => source.select(tenant, asked, context), noSeries);
  const ask = asking(request);
  // before lists of the store are looked at: how old they may be counts from here
  const askedAt = momentOf(sources.clock);
  let isNothing = sources.stored?.hasNothing?.(tenant, request, context) === true;
  const parts = await askAll(
    sources,
    (source) => {
      if (source !== sources.stored || !isNothing) return ask(source);
      // where `recent` takes too long it is asked after all
      isNothing = false;
      return Promise.resolve(NO_SERIES);
    },
    close,
    askedAt,
  );
  return merged(parts, request, context, () => asking({ ...request, program: undefined })(sources.stored!));
}

/** Blocks of `recent` where it alone has series; where they have to be merged, those of some metrics at a time. */
async function* streamed(
  tenant: string,
  sources: Sources,
  request: SelectRequest,
  context: QueryContext,
): AsyncGenerator<SeriesBlock, void> {
  const { recent, stored, clock } = sources;
  // what is away in the middle of a stream could not be left out
  if (recent.stream === undefined || context.missing !== undefined) {
    yield* blockOf(await selected(tenant, sources, request, context), true);
    return;
  }
  const askedAt = momentOf(clock);
  const blocks = recent.stream(tenant, request, context)[Symbol.asyncIterator]();
  const first = blocks.next();
  first.catch(() => {}); // its turn to fail comes below
  let kept: SourceSeries | undefined;
  /** Series that were counted, for whoever asks again. */
  let series = 0;
  try {
    const isNothing = stored?.hasNothing?.(tenant, request, context) === true;
    const answer = isNothing ? undefined : await storedUpTo(tenant, sources, request, context);
    if (answer !== undefined && 'byMetric' in answer) {
      await blocks.return?.();
      for await (const block of inParts(tenant, sources, request, answer, context)) {
        series += block.labels.length;
        yield block;
      }
    } else {
      kept = answer;
      const next = await first;
      if (kept !== undefined && kept.labels.length > 0) {
        const own = next.done === true ? NO_SERIES : next.value.isWhole === true ? openOf(next.value) : undefined;
        if (own === undefined) await blocks.return?.();
        // who has answered is asked again only where `recent` takes too long
        const asked = (source: SampleSource): Promise<SourceSeries> => {
          if (source === recent && own !== undefined) return Promise.resolve(own);
          const before = source === stored ? kept : undefined;
          if (before === undefined) return source.select(tenant, request, context);
          kept = undefined;
          return Promise.resolve(before);
        };
        const parts = await askAll(sources, asked, (part) => part.close(), askedAt);
        const again = () => stored!.select(tenant, { ...request, program: undefined }, context);
        yield* blockOf(await merged(parts, request, context, again), true);
        return;
      }
      if (kept !== undefined && kept.warnings.length > 0) yield { ...NO_SERIES, warnings: kept.warnings };
      for (let block = next; block.done !== true; block = await blocks.next()) {
        series += block.value.labels.length;
        context.budget.addSeries(block.value.labels.length);
        yield block.value;
      }
    }
    if (isLate(sources, askedAt)) throw new StreamBroken();
  } catch (error) {
    // whoever asks again has them counted again
    if (error instanceof StreamBroken) context.budget.addSeries(-series);
    throw error;
  } finally {
    kept?.close();
    await blocks.return?.();
  }
}

/** The block of `recent`, where `stored` knows at once that it has nothing. */
async function wholeOf(
  tenant: string,
  sources: Sources,
  request: SelectRequest,
  context: QueryContext,
): Promise<WholeBlock | undefined> {
  const { recent, stored, clock } = sources;
  if (recent.whole === undefined || context.missing !== undefined) return undefined;
  const askedAt = momentOf(clock);
  if (stored !== undefined && stored.hasNothing?.(tenant, request, context) !== true) return undefined;
  const block = await recent.whole(tenant, request, context);
  if (block === undefined) return undefined;
  try {
    if (!isLate(sources, askedAt)) {
      context.budget.addSeries(block.labels.length);
      return block;
    }
  } catch (thrown) {
    block.close();
    throw thrown;
  }
  block.close();
  return undefined;
}

/** The count of `recent`, where `stored` has none of the series. */
async function tallied(
  tenant: string,
  sources: Sources,
  request: TallyRequest,
  context: QueryContext,
): Promise<SeriesTally | undefined> {
  const { recent, stored, clock } = sources;
  if (recent.tally === undefined || context.missing !== undefined) return undefined;
  const askedAt = momentOf(clock);
  if (stored !== undefined) {
    if (stored.selectUpTo === undefined) return undefined;
    const answer = await stored.selectUpTo(tenant, request, 0, context);
    if ('byMetric' in answer) return undefined;
    answer.close();
    if (answer.labels.length > 0 || answer.warnings.length > 0) return undefined;
  }
  const tally = await recent.tally(tenant, request, context);
  if (isLate(sources, askedAt)) return undefined;
  if (tally !== undefined) context.budget.addSeries(tally.series);
  return tally;
}

/** Parts grow where few of a metric's series match, up to so many times. */
const PART_GROWTH_MAX = 16;

async function storedUpTo(
  tenant: string,
  { stored, seriesAtOnce = SERIES_AT_ONCE }: Sources,
  request: SelectRequest,
  context: QueryContext,
): Promise<SourceSeries | MetricSizes | undefined> {
  if (stored?.selectUpTo === undefined) return stored?.select(tenant, request, context);
  return stored.selectUpTo(tenant, request, seriesAtOnce, context);
}

/** Series of the metrics that the store has, of some metrics or of a share of one at a time; then those that only `recent` has. */
async function* inParts(
  tenant: string,
  sources: Sources,
  request: SelectRequest,
  { byMetric }: MetricSizes,
  context: QueryContext,
): AsyncGenerator<SeriesBlock, void> {
  const { seriesAtOnce = SERIES_AT_ONCE } = sources;
  const left = [...byMetric].sort(([, a], [, b]) => b - a);
  let growth = 1;
  while (left.length > 0) {
    const names: string[] = [];
    let size = 0;
    for (const [name, more] of left) {
      if (names.length > 0 && size + more > seriesAtOnce * growth) break;
      names.push(name);
      size += more;
    }
    left.splice(0, names.length);
    const matchers = [...request.matchers, ofNames('=~', names)];
    let found = 0;
    for (const shard of sharesOf(request.shard, size / (seriesAtOnce * growth))) {
      const part = { ...request, matchers, shard, isOnce: true };
      const set = await selected(tenant, sources, part, context);
      found += set.series.length;
      yield* blockOf(set, false);
    }
    growth = Math.min(PART_GROWTH_MAX, Math.max(1, size / Math.max(1, found)));
  }
  // an exact name is one of those already
  if (request.matchers.some(({ name, op }) => name === METRIC_NAME && op === '=')) return;
  const rest = { ...request, matchers: [...request.matchers, ofNames('!~', [...byMetric.keys()])] };
  for await (const { isWhole: _, ...block } of sources.recent.stream!(tenant, rest, context)) {
    context.budget.addSeries(block.labels.length);
    yield block;
  }
}

function ofNames(op: '=~' | '!~', names: readonly string[]): LabelMatcher {
  return LabelMatcher.of(METRIC_NAME, op, names.map((name) => name.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('|'));
}

/** Shards of a shard, at least `count`, as far as there may be so many. */
function sharesOf({ index, count: of }: SeriesShard = ALL, count: number): (SeriesShard | undefined)[] {
  let shares = 1;
  while (shares < count && shares * of < SERIES_SHARDS_MAX) shares *= 2;
  if (shares * of === 1) return [undefined];
  return Array.from({ length: shares }, (_, i) => ({ index: index + i * of, count: shares * of }));
}

const ALL: SeriesShard = { index: 0, count: 1 };

function openOf({ labels, warnings, read, rows }: SeriesBlock): SourceSeries {
  // it is closed with the stream
  return { labels, warnings, read, rows, close() {} };
}

function* blockOf(set: MergedSet, isWhole: boolean): Generator<SeriesBlock, void> {
  try {
    const { series: labels, warnings, rows } = set;
    yield { labels, warnings, isWhole, read: (index, out) => set.read(index, out), rows };
  } finally {
    set.close();
  }
}

const NO_SERIES: SourceSeries = { labels: [], warnings: [], read: (_index, out) => out.clear(), close() {} };

/** Where a tenant's samples lie. */
export interface Sources {
  readonly recent: SampleSource;
  /** The source that `recent` hands on to. Absent: `recent` keeps everything. */
  readonly stored?: SampleSource;
  /** For how long `recent` still has what `stored` shows. */
  readonly overlapMs: number;
  /** Monotonic time from which on `recent` leaves to `stored` what it asked somebody for before. Absent: it never does. */
  readonly storedSinceMs?: (() => number) | undefined;
  readonly clock: Clock;
  /** Series of the store that a stream holds at once: where there may be more, they come in parts. */
  readonly seriesAtOnce?: number;
}

const SERIES_AT_ONCE = 65_536;

/**
 * Where series of several parts are to be merged, their samples are needed: a part that has rows only is asked for again.
 *
 * @param parts closed if it fails
 */
async function merged(
  parts: readonly SourceSeries[],
  request: SelectRequest,
  context: QueryContext,
  again: () => Promise<SourceSeries>,
): Promise<MergedSet> {
  const open = [...parts];
  try {
    const at = open.findIndex(({ giveBack }) => giveBack !== undefined);
    if (at >= 0 && onlyPart(open.map(({ labels }) => labels)) < 0) {
      const [rowsOnly] = open.splice(at, 1);
      rowsOnly!.close();
      rowsOnly!.giveBack!();
      open.splice(at, 0, await again());
    }
    return new MergedSet(open, request, context);
  } catch (error) {
    for (const part of open) part.close();
    throw error;
  }
}

/**
 * Both at once, so that the one's way to other threads costs no time. What goes over from the one to the other meanwhile is seen at
 * least once: `recent` has it for longer than it takes to answer, and where it took longer, or relies on `stored` for more since it was
 * asked, `stored` is asked once more.
 */
async function askAll<T>(
  sources: Sources,
  ask: (source: SampleSource) => Promise<T>,
  close: (answer: T) => void,
  askedAt = momentOf(sources.clock),
): Promise<readonly T[]> {
  const { recent, stored } = sources;
  let asksAgain = false;
  const first = ask(recent).finally(() => {
    asksAgain = isLate(sources, askedAt);
  });
  if (stored === undefined) return [await first];
  const answers = await Promise.allSettled([first, ask(stored)]);
  const got = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  try {
    for (const answer of answers) if (answer.status === 'rejected') throw answer.reason;
    if (asksAgain) {
      close(got.pop()!);
      got.push(await ask(stored));
    }
    return got;
  } catch (error) {
    for (const answer of got) close(answer);
    throw error;
  }
}

/** Whether what `stored` did not have yet when it was asked may have left `recent` since. */
function isLate({ stored, overlapMs, storedSinceMs, clock }: Sources, askedAt: Moment): boolean {
  if (stored === undefined) return false;
  // while a machine sleeps only the wall clock goes on, and members drop what the store has
  if (ageMsOf(clock, askedAt) > overlapMs) return true;
  return (storedSinceMs?.() ?? Number.NEGATIVE_INFINITY) >= askedAt.monotonicMs;
}

/** Where the answer may be incomplete, a source that is away has nothing, and that is told. */
function orMissing<T>(
  { recent }: Sources,
  { startMs, endMs }: { readonly startMs: number; readonly endMs: number },
  { missing }: QueryContext,
  ask: (source: SampleSource) => Promise<T>,
  nothing: (warning: string) => T,
): (source: SampleSource) => Promise<T> {
  if (missing === undefined) return ask;
  return async (source) => {
    try {
      return await ask(source);
    } catch (thrown) {
      if (!isAway(thrown)) throw thrown;
      const what = source === recent ? 'recent samples' : 'stored samples';
      const part: MissingPart = { what, startMs, endMs, reason: thrown.message };
      missing.add(part);
      return nothing(missingText(part));
    }
  };
}

const noSeries = (warning: string): SourceSeries => ({ ...NO_SERIES, warnings: [warning] });
const noLabels = (warning: string): LabelAnswer => ({ values: [], warnings: [warning] });

/** Sorting holds the thread up for so long at a time. */
const SLICE_MS = 10;

async function mergedLabels(
  sources: Sources,
  request: LabelRequest,
  context: QueryContext,
  ask: (source: SampleSource) => Promise<LabelAnswer>,
): Promise<LabelAnswer> {
  const values = new Set<string>();
  const warnings = new Set<string>();
  for (const answer of await askAll(sources, orMissing(sources, request, context, ask, noLabels), () => {})) {
    for (const value of answer.values) values.add(value);
    for (const warning of answer.warnings) warnings.add(warning);
  }
  const pacer = new Pacer(sources.clock, { sliceMs: SLICE_MS });
  const sorted = await sortInTurns(pacer, [...values], compareUtf8);
  return {
    values: request.limit === undefined || request.limit === 0 ? sorted : sorted.slice(0, request.limit),
    warnings: [...warnings],
  };
}

class MergedSet implements SeriesSet {
  readonly series: readonly Labels[];
  readonly warnings: readonly string[];
  readonly #parts: readonly SourceSeries[];
  readonly #places: Places;
  readonly #startMs: number;
  readonly #endMs: number;
  readonly #columns: SampleColumns[] = [];
  readonly rows: ReadRows | undefined;

  constructor(parts: readonly SourceSeries[], request: SelectRequest, context: QueryContext) {
    this.#parts = parts;
    this.#startMs = request.startMs;
    this.#endMs = request.endMs;
    this.warnings = [...new Set(parts.flatMap(({ warnings }) => warnings))];
    const { all, places } = placed(parts.map(({ labels }) => labels));
    const some = request.limit === undefined || request.limit === 0 ? all : all.slice(0, request.limit);
    this.series = some;
    this.#places = places;
    const rows = parts[onlyPart(parts.map(({ labels }) => labels))]?.rows;
    this.rows = rows && rowsAt(rows, places.at);
    context.budget.addSeries(this.series.length);
  }

  read(index: number, out: SampleColumns): void {
    const { part, at, more } = this.#places;
    const places = more.size === 0 ? undefined : more.get(index);
    if (places === undefined) {
      this.#parts[part[index]!]!.read(at[index]!, out);
      return;
    }
    const sources: SampleColumns[] = [];
    for (let i = 0; i < places.length; i += 2) {
      let columns = this.#columns[i / 2];
      if (columns === undefined) {
        columns = new SampleColumns();
        this.#columns[i / 2] = columns;
      }
      this.#parts[places[i]!]!.read(places[i + 1]!, columns);
      sources.push(columns);
    }
    mergeColumns(sources, this.#startMs, this.#endMs, out);
  }

  close(): void {
    for (const part of this.#parts) part.close();
  }
}

/** Where each of several series lies. */
interface Places {
  /** The (first) part that each series is in; `at` is its index there. */
  readonly part: Uint8Array;
  readonly at: Uint32Array;
  /** All (part, index) pairs of series that several parts have, by series. */
  readonly more: ReadonlyMap<number, readonly number[]>;
}

/** The part that has all series; −1 where several have some. */
function onlyPart(parts: readonly (readonly Labels[])[]): number {
  const only = parts.findIndex(({ length }) => length > 0);
  return parts.every(({ length }, i) => i === only || length === 0) ? only : -1;
}

/** The series of all parts, ascending, each once. */
function placed(parts: readonly (readonly Labels[])[]): { all: readonly Labels[]; places: Places } {
  const only = onlyPart(parts);
  if (only >= 0) {
    const labels = parts[only]!;
    const at = ascendingLabels(labels);
    const all = Array.from(at, (i) => labels[i]!);
    return { all, places: { part: new Uint8Array(all.length).fill(only), at, more: new Map() } };
  }
  const orders = parts.map(ascendingLabels);
  const count = parts.reduce((sum, labels) => sum + labels.length, 0);
  const all: Labels[] = [];
  const part = new Uint8Array(count);
  const at = new Uint32Array(count);
  const more = new Map<number, number[]>();
  const next = parts.map(() => 0);
  for (;;) {
    let least: Labels | undefined;
    let leastPart = 0;
    for (const [p, order] of orders.entries()) {
      if (next[p] === order.length) continue;
      const labels = parts[p]![order[next[p]!]!]!;
      const difference = least === undefined ? -1 : Labels.compare(labels, least);
      if (difference < 0) {
        // what was found to be equal is equal to something that comes later
        if (more.size > 0) more.delete(all.length);
        least = labels;
        leastPart = p;
      } else if (difference === 0) {
        const index = all.length;
        const first = [leastPart, orders[leastPart]![next[leastPart]!]!];
        getOrMake(more, index, () => first).push(p, order[next[p]!]!);
      }
    }
    if (least === undefined) return { all, places: { part, at, more } };
    const places = more.get(all.length) ?? [];
    part[all.length] = leastPart;
    at[all.length] = orders[leastPart]![next[leastPart]!]!;
    next[leastPart]!++;
    for (let i = 2; i < places.length; i += 2) next[places[i]!]!++;
    all.push(least);
  }
}
