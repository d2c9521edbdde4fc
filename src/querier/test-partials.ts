import type {
  InstantRequest,
  PartialResult,
  QueryResult,
  QueryRunContext,
  QueryRunner,
  QueryValue,
  RangeRequest,
  WholeNeeded,
} from '../contract/query.ts';
import { mergePartials } from '../promql/merge-partials.ts';

const SIGNAL = new AbortController().signal;

/** The answer of every shard, each as it comes out of another process. */
export async function partialsOf(
  runner: QueryRunner,
  tenant: string,
  request: InstantRequest | RangeRequest,
  count: number,
  context: QueryRunContext = { signal: SIGNAL },
): Promise<PartialResult[]> {
  const shards = Array.from({ length: count }, (_, index) => ({ index, count }));
  const parts = await Promise.all(shards.map((shard) => runner.partial(tenant, { ...request, shard }, context)));
  return structuredClone(parts);
}

export async function merged(
  runner: QueryRunner,
  tenant: string,
  request: InstantRequest | RangeRequest,
  count: number,
): Promise<QueryResult | WholeNeeded> {
  return mergePartials(await partialsOf(runner, tenant, request, count));
}

/** The plain answer. */
export function plain(runner: QueryRunner, tenant: string, request: InstantRequest | RangeRequest) {
  const context = { signal: SIGNAL };
  return 'timeMs' in request ? runner.instant(tenant, request, context) : runner.range(tenant, request, context);
}

/** Everything that has to be the same: labels in their order, values by their bits, but one NaN as another; notes in any order. */
export function comparable({ value, warnings, infos, statistics }: QueryResult) {
  const { totalQueryableSamples, samplesRead, totalQueryableSamplesPerStep } = statistics;
  const notes = [[...warnings].sort(), [...infos].sort()];
  return { value: plainArrays(value), notes, totalQueryableSamples, samplesRead, totalQueryableSamplesPerStep };
}

/** Strictly equal arrays have equal zeros; typed ones equal NaNs, too, and these have the bits that a processor gave them. */
function plainArrays(value: QueryValue) {
  if (value.type === 'vector') return { ...value, values: [...value.values] };
  if (value.type !== 'matrix') return value;
  const series = value.series.map((each) => ({ ...each, times: [...each.times], values: [...each.values] }));
  return { ...value, series };
}
