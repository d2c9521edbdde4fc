import type { QueryResult, QueryRunner, QueryStatistics, RangeRequest } from '../contract/query.ts';
import { NO_STATISTICS } from './part-missing.ts';

const SIGNAL = new AbortController().signal;

type Answer = { readonly result: QueryResult } | { readonly error: string };

/** The answer as it comes out of another process, or the error's text. */
export async function answersOf(runner: QueryRunner, request: RangeRequest, tenant = 't'): Promise<Answer> {
  try {
    return { result: structuredClone(await runner.range(tenant, request, { signal: SIGNAL })) };
  } catch (thrown) {
    return { error: (thrown as Error).message };
  }
}

/** Everything that has to be the same: labels in their order, values by their bits, but one NaN as another; notes in any order. */
export function comparableAnswer(answer: Answer) {
  if ('error' in answer) return answer;
  const { value, warnings, infos } = answer.result;
  if (value.type !== 'matrix') throw new Error(`a range query answers a matrix, not a ${value.type}`);
  // strictly equal arrays have equal zeros; typed ones equal NaNs, too, and these have the bits that a processor gave them
  const series = value.series.map((each) => ({ ...each, times: [...each.times], values: [...each.values] }));
  return { series, notes: [[...warnings].sort(), [...infos].sort()] };
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
