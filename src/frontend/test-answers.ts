import type { QueryResult, QueryRunner, RangeRequest } from '../contract/query.ts';

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
