import type { Clock } from '../lib/clock.ts';
import { getOrMake } from '../lib/map.ts';
import { Pacer } from '../lib/pacer.ts';
import { sortInTurns } from '../lib/sort-in-turns.ts';
import { compareUtf8, Labels } from '../model/labels.ts';
import { ascendingLabels } from '../model/labels-order.ts';
import { SampleColumns } from './columns.ts';
import { mergeColumns } from './merge-columns.ts';
import type { LabelAnswer, LabelRequest, Queryable, QueryContext, SelectRequest, SeriesSet } from './queryable.ts';
import { type SeriesBlock, StreamBroken } from './series-stream.ts';
import type { SampleSource, SourceSeries } from './source.ts';

/** A tenant's samples from several sources as one, each sample once. */
export function mergedQueryable(tenant: string, sources: Sources): Queryable {
  return {
    select: (request, context) => selected(tenant, sources, request, context),
    stream: (request, context) => streamed(tenant, sources, request, context),
    labelNames: (request, context) =>
      mergedLabels(sources, request, (source) => source.labelNames(tenant, request, context)),
    labelValues: (name, request, context) =>
      mergedLabels(sources, request, (source) => source.labelValues(tenant, name, request, context)),
  };
}

async function selected(
  tenant: string,
  sources: Sources,
  request: SelectRequest,
  context: QueryContext,
): Promise<MergedSet> {
  const close = (part: SourceSeries) => part.close();
  const parts = await askAll(sources, (source) => source.select(tenant, request, context), close);
  return new MergedSet(parts, request, context);
}

/** Blocks of `recent` where it alone has series; one block of all series where they have to be merged. */
async function* streamed(
  tenant: string,
  sources: Sources,
  request: SelectRequest,
  context: QueryContext,
): AsyncGenerator<SeriesBlock, void> {
  const { recent, stored, overlapMs, clock } = sources;
  if (recent.stream === undefined) {
    yield* oneBlock(await selected(tenant, sources, request, context));
    return;
  }
  const askedMs = clock.monotonicMs();
  const blocks = recent.stream(tenant, request, context)[Symbol.asyncIterator]();
  const first = blocks.next();
  first.catch(() => {}); // its turn to fail comes below
  let kept: SourceSeries | undefined;
  let series = 0;
  try {
    kept = await stored?.select(tenant, request, context);
    let next = await first;
    if (kept !== undefined && kept.labels.length > 0) {
      const isRecentEmpty = next.done === true;
      await blocks.return?.();
      // who has answered is asked again only where `recent` takes too long
      const asked = (source: SampleSource): Promise<SourceSeries> => {
        if (source === recent && isRecentEmpty) return Promise.resolve(NO_SERIES);
        const answer = source === stored ? kept : undefined;
        if (answer === undefined) return source.select(tenant, request, context);
        kept = undefined;
        return Promise.resolve(answer);
      };
      const parts = await askAll(sources, asked, (part) => part.close(), askedMs);
      yield* oneBlock(new MergedSet(parts, request, context));
      return;
    }
    if (kept !== undefined && kept.warnings.length > 0) yield { ...NO_SERIES, warnings: kept.warnings };
    for (; next.done !== true; next = await blocks.next()) {
      series += next.value.labels.length;
      context.budget.addSeries(next.value.labels.length);
      yield next.value;
    }
    // what `stored` did not have yet may have left `recent` since
    if (stored !== undefined && clock.monotonicMs() - askedMs > overlapMs) throw new StreamBroken();
  } catch (error) {
    // whoever asks again has them counted again
    if (error instanceof StreamBroken) context.budget.addSeries(-series);
    throw error;
  } finally {
    kept?.close();
    await blocks.return?.();
  }
}

function* oneBlock(set: MergedSet): Generator<SeriesBlock, void> {
  try {
    yield { labels: set.series, warnings: set.warnings, read: (index, out) => set.read(index, out) };
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
}

/**
 * Both at once, so that the one's way to other threads costs no time. What goes over from the one to the other meanwhile is seen at
 * least once: `recent` has it for longer than it takes to answer, and where it took longer, or relies on `stored` for more since it was
 * asked, `stored` is asked once more.
 */
async function askAll<T>(
  { recent, stored, overlapMs, storedSinceMs, clock }: Sources,
  ask: (source: SampleSource) => Promise<T>,
  close: (answer: T) => void,
  askedMs = clock.monotonicMs(),
): Promise<readonly T[]> {
  let isLate = false;
  const first = ask(recent).finally(() => {
    isLate = clock.monotonicMs() - askedMs > overlapMs || (storedSinceMs?.() ?? Number.NEGATIVE_INFINITY) >= askedMs;
  });
  if (stored === undefined) return [await first];
  const answers = await Promise.allSettled([first, ask(stored)]);
  const got = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  try {
    for (const answer of answers) if (answer.status === 'rejected') throw answer.reason;
    if (isLate) {
      close(got.pop()!);
      got.push(await ask(stored));
    }
    return got;
  } catch (error) {
    for (const answer of got) close(answer);
    throw error;
  }
}

/** Sorting holds the thread up for so long at a time. */
const SLICE_MS = 10;

async function mergedLabels(
  sources: Sources,
  request: LabelRequest,
  ask: (source: SampleSource) => Promise<LabelAnswer>,
): Promise<LabelAnswer> {
  const values = new Set<string>();
  const warnings = new Set<string>();
  for (const answer of await askAll(sources, ask, () => {})) {
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

  constructor(parts: readonly SourceSeries[], request: SelectRequest, context: QueryContext) {
    this.#parts = parts;
    this.#startMs = request.startMs;
    this.#endMs = request.endMs;
    this.warnings = [...new Set(parts.flatMap(({ warnings }) => warnings))];
    const { all, places } = placed(parts.map(({ labels }) => labels));
    const some = request.limit === undefined || request.limit === 0 ? all : all.slice(0, request.limit);
    this.series = some;
    this.#places = places;
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
