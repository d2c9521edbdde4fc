import type {
  InstantRequest,
  QueryResult,
  QueryRunContext,
  QueryRunner,
  QueryStatistics,
  RangeRequest,
  ResultSeries,
} from '../contract/query.ts';
import { sortInTurns } from '../lib/sort-in-turns.ts';
import type { Turns } from '../lib/turns.ts';
import { Labels, METRIC_NAME } from '../model/labels.ts';
import type { Queryable } from '../storage/queryable.ts';
import { type CutWindows, type Join, type LongWindow, piecesOf } from './long-windows.ts';
import { addedStatistics } from './merge-steps.ts';
import { bytesOf, type PartsBudget, POINT_BYTES, SERIES_BYTES } from './parts-budget.ts';
import { hasHistograms, isAskedWhole, NotPlain, STEPS_LOOKBACK_MS, stepsQueryable } from './steps-queryable.ts';

/** Series that are merged without a look at the clock. */
const SERIES_BETWEEN = 256;

export interface WindowRunners {
  /** Length of a piece by the clock. */
  readonly intervalMs: number;
  /** The piece of a window that is less than an interval: one step. The budget counts it, and does not hold its answer. */
  readonly edge: (request: RangeRequest, context: QueryRunContext) => Promise<QueryResult>;
  /** Pieces of a whole interval each, counted as that. */
  readonly intervals: (request: RangeRequest, context: QueryRunContext) => Promise<QueryResult>;
  /** Evaluates over something else, in this thread. */
  readonly over: (queryable: Queryable) => QueryRunner;
  /** One for all windows. */
  readonly budget: PartsBudget;
  readonly turns: Turns;
}

/**
 * An instant over windows of many days, from pieces of them.
 *
 * @returns undefined where the pieces do not say for certain what the answer is: the query is to be asked for as it is
 */
export async function instantOverWindows(
  tenant: string,
  request: InstantRequest,
  { windows, outer }: CutWindows,
  runners: WindowRunners,
  context: QueryRunContext,
): Promise<QueryResult | undefined> {
  const { over, budget } = runners;
  const reader = new WindowReader(request, runners, context);
  try {
    const found: ResultSeries[][] = [];
    for (const window of windows) found.push(await reader.series(window));
    const { statistics, storage } = reader;
    const none = { warnings: storage, infos: [], statistics, explanation: undefined };
    if (outer === undefined) {
      const series = windows[0]!.isAbsent ? nothing(found[0]!) : found[0]!;
      return { ...none, value: vectorOf(series, request.timeMs) };
    }
    const { used: _, noStore: __, ...plain } = request;
    const byName = new Map(found.map((series, i) => [outer.names[i]!, series]));
    const around = { ...plain, expr: outer.text, lookbackMs: STEPS_LOOKBACK_MS };
    const { value, warnings, infos } = await over(stepsQueryable(byName)).instant(tenant, around, context);
    return { ...none, value, warnings: [...storage, ...warnings], infos };
  } catch (thrown) {
    // whichever of several errors comes first is told by who evaluates all of it
    if (context.signal.aborted || !isAskedWhole(thrown)) throw thrown;
    return undefined;
  } finally {
    budget.close();
  }
}

/** @throws NotPlain where there is nothing: the labels of the answer are those of the selector */
function nothing(found: readonly ResultSeries[]): readonly ResultSeries[] {
  if (found.length === 0) throw new NotPlain('nothing is there');
  return [];
}

function vectorOf(series: readonly ResultSeries[], timeMs: number) {
  const pairs = series.map((each) => each.pairs);
  const values = Float64Array.from(series, (each) => each.values[0]!);
  return { type: 'vector', timeMs, pairs, values, histograms: undefined } as const;
}

/** A series, and its value in the pieces so far. */
interface Joined {
  readonly labels: Labels;
  value: number;
}

class WindowReader {
  readonly #request: InstantRequest;
  readonly #runners: WindowRunners;
  readonly #context: QueryRunContext;
  readonly #storage = new Set<string>();
  readonly #statistics: QueryStatistics[] = [];
  /** Samples of the windows, each looked at once. */
  #samples = 0;

  constructor(request: InstantRequest, runners: WindowRunners, context: QueryRunContext) {
    this.#request = request;
    this.#runners = runners;
    this.#context = context;
  }

  /** Warnings of the storage. */
  get storage(): string[] {
    return [...this.#storage];
  }

  get statistics() {
    const all = this.#statistics;
    const sum = (of: (part: (typeof all)[number]) => number) => all.reduce((total, part) => total + of(part), 0);
    const cachedSteps = sum((part) => part.cachedSteps ?? 0);
    const parts = sum((part) => part.parts ?? 1);
    return { ...addedStatistics(all), totalQueryableSamples: this.#samples, parts, cachedSteps };
  }

  /** The window's value of each series, in the order that a selector has them. @throws NotPlain */
  async series(window: LongWindow): Promise<ResultSeries[]> {
    const [values, by] = await this.#values(window);
    if (by !== undefined) {
      for (const [key, joined] of values!) {
        const divisor = by.get(key)?.value;
        if (divisor === undefined) throw new NotPlain('a sum without a count');
        // as the engine adds what rounding took from the sum
        joined.value = joined.value / divisor + 0;
      }
    }
    const turns = this.#runners.turns;
    const ordered = await sortInTurns(turns, [...values!.values()], (a, b) => Labels.compare(a.labels, b.labels));
    return this.#named(ordered, window.keepsName);
  }

  /** Values of each function that is asked for. */
  async #values(window: LongWindow): Promise<Map<string, Joined>[]> {
    const all: Map<string, Joined>[] = [];
    let samples = 0;
    for (const { func, join } of window.asked) {
      const from = this.#statistics.length;
      all.push(await this.#pieces(window, func, join));
      // sum and count of a mean look at the same ones
      const { totalQueryableSamples } = addedStatistics(this.#statistics.slice(from));
      samples = Math.max(samples, totalQueryableSamples);
    }
    this.#samples += samples;
    return all;
  }

  /** Values by labels. */
  async #pieces(window: LongWindow, func: string, join: Join): Promise<Map<string, Joined>> {
    const { timeMs } = this.#request;
    const { intervalMs, edge, intervals, budget } = this.#runners;
    const pieces = piecesOf(window, func, timeMs, intervalMs);
    const whole = { startMs: timeMs, endMs: timeMs, windows: true };
    const { timeMs: _, ...asked } = this.#request;
    const byKey = new Map<string, Joined>();
    for (const piece of [pieces.before, pieces.intervals, pieces.after]) {
      if (piece === undefined) continue;
      const run = piece === pieces.intervals ? intervals : edge;
      const result = await run({ ...asked, ...piece, stepMs: intervalMs, whole, used: budget.used }, this.#context);
      this.#take(result);
      const bytes = bytesOf(result);
      budget.holdBytes(bytes);
      await this.#join(byKey, join, result);
      budget.holdBytes(-bytes);
    }
    return byKey;
  }

  /** @throws NotPlain where a piece says more than values of floats */
  #take(result: QueryResult): void {
    const { warnings, infos, notes, statistics } = result;
    if (hasHistograms(result)) throw new NotPlain('histograms');
    const { storage } = notes!;
    // they are told of the whole window, and at other places
    if (infos.length > 0 || warnings.length > storage.length) throw new NotPlain('notes');
    for (const text of storage) this.#storage.add(text);
    this.#statistics.push(statistics);
  }

  async #join(byKey: Map<string, Joined>, join: Join, { value }: QueryResult): Promise<void> {
    const { turns, budget } = this.#runners;
    if (value.type !== 'matrix') throw new Error('bug: not the answer of some steps');
    let count = 0;
    for (const { pairs, values } of value.series) {
      if (++count % SERIES_BETWEEN === 0 && turns.due) await turns.pause();
      const labels = Labels.fromSortedPairs(pairs);
      let joined = byKey.get(labels.key);
      let from = 0;
      if (joined === undefined) {
        budget.holdBytes(SERIES_BYTES + POINT_BYTES);
        joined = { labels, value: values[from++]! };
        byKey.set(labels.key, joined);
      }
      for (let i = from; i < values.length; i++) joined.value = join(joined.value, values[i]!);
    }
  }

  /** @throws NotPlain where series become the same without their names, or came without them */
  #named(ordered: readonly Joined[], keepsName: boolean): ResultSeries[] {
    const times = Float64Array.of(this.#request.timeMs);
    const seen = new Set<string>();
    return ordered.map(({ labels, value }) => {
      // queriers of a version before answer without
      if (labels.get(METRIC_NAME) === '') throw new NotPlain('a series without its name');
      const own = keepsName ? labels : labels.dropReserved();
      if (seen.has(own.key)) throw new NotPlain('series with the same labels');
      seen.add(own.key);
      return { pairs: own.pairs, times, values: Float64Array.of(value), histograms: undefined };
    });
  }
}
