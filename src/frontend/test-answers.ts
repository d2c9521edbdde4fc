import type { InstantRequest, QueryResult, QueryRunner, QueryStatistics, RangeRequest } from '../contract/query.ts';
import { DAY_MS } from '../lib/day.ts';
import type { ManualClock } from '../lib/manual-clock.ts';
import { seededRandom } from '../lib/random.ts';
import { NO_STATISTICS } from '../promql/no-statistics.ts';
import { ParsedExprs } from '../promql/parser/parsed.ts';
import type { FrontendOptions } from './frontend.ts';

const SIGNAL = new AbortController().signal;

type Answer = { readonly result: QueryResult } | { readonly error: string };

/** The answer as it comes out of another process, or the error's text. */
export async function answersOf(
  runner: QueryRunner,
  request: InstantRequest | RangeRequest,
  tenant = 't',
): Promise<Answer> {
  const context = { signal: SIGNAL };
  try {
    const answer =
      'timeMs' in request ? runner.instant(tenant, request, context) : runner.range(tenant, request, context);
    return { result: structuredClone(await answer) };
  } catch (thrown) {
    return { error: (thrown as Error).message };
  }
}

/** Everything that has to be the same: labels in their order, values by their bits, but one NaN as another; notes in any order. */
export function comparableAnswer(answer: Answer) {
  if ('error' in answer) return answer;
  const { value, warnings, infos } = answer.result;
  const notes = [[...warnings].sort(), [...infos].sort()];
  // strictly equal arrays have equal zeros; typed ones equal NaNs, too, and these have the bits that a processor gave them
  if (value.type === 'vector') return { value: { ...value, values: [...value.values] }, notes };
  if (value.type !== 'matrix') return { value, notes };
  const series = value.series.map((each) => ({ ...each, times: [...each.times], values: [...each.values] }));
  return { series, notes };
}

/** Lets time go on until there is an answer: what fails is asked for again after a pause. */
export async function afterPauses<T>(clock: ManualClock, answer: Promise<T>, turnsMax = 1_000): Promise<T> {
  let isThere = false;
  const there = () => {
    isThere = true;
  };
  answer.then(there, there);
  for (let turn = 0; !isThere; turn++) {
    if (turn > turnsMax) throw new Error(`there is no answer after ${turnsMax * 10} ms`);
    await clock.advance(10);
  }
  return answer;
}

/** Options of a front end that splits by day, and has neither shards nor a cache. */
export function frontendOptions(): Omit<FrontendOptions, 'querier' | 'clock'> {
  return {
    parsed: new ParsedExprs(),
    rules: { delayedNameRemoval: false },
    splitIntervalMs: DAY_MS,
    shards: 0,
    cacheLimits: { ageMs: 0, retentionMs: 0, ttlMs: 0 },
    lookbackMs: 300_000,
    alignToStep: false,
    parallelMax: 2,
    retriesMax: 0,
    random: seededRandom(1),
    memory: () => ({ addMemory() {}, close() {} }),
    over: nothingOver,
    samplesMax: 1e9,
    timeoutMs: 60_000,
  };
}

/** Where a front end evaluates nothing by itself. */
export function nothingOver(): never {
  throw new Error('bug: nothing is evaluated here');
}

/** A part's answer of so many series with so many points each. */
export function testSteps(series: number, points: number, statistics: Partial<QueryStatistics> = {}): QueryResult {
  const none = { notes: [], omitted: 0 };
  const times = Float64Array.from({ length: points }, (_, i) => i * 1000);
  return {
    value: {
      type: 'matrix',
      series: Array.from({ length: series }, (_, i) => ({
        pairs: ['a', String(i)],
        times,
        values: times,
        histograms: undefined,
      })),
    },
    warnings: [],
    infos: [],
    notes: { storage: [], warnings: none, infos: none },
    explanation: undefined,
    statistics: { ...SOME_STATISTICS, ...statistics },
  };
}

const SOME_STATISTICS: QueryStatistics = {
  ...NO_STATISTICS,
  evaluatedMs: 1,
  totalQueryableSamples: 2,
  samplesRead: 2,
  peakSamples: 2,
};
