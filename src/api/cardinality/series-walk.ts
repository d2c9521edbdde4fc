import type { Labels } from '../../model/labels.ts';
import type { QueryContext, SelectRequest } from '../../storage/queryable.ts';
import { type SeriesBlock, StreamBroken } from '../../storage/series-stream.ts';
import type { Call } from '../call.ts';
import { lookupContext, pacerFor } from '../context.ts';
import { timed } from '../labels.ts';

/**
 * The context of a look at many series of which none is held: their number is no matter, memory, bytes and time are bounded as those of
 * a query.
 */
export function countingContext(call: Call): QueryContext {
  return lookupContext({ ...call, limits: { ...call.limits, maxFetchedSeriesPerQuery: 0 } });
}

/** A visit to each series that matches, once, in no order. */
export interface SeriesVisitor {
  visit(labels: Labels, block: SeriesBlock, index: number): void | Promise<void>;
  /** Begins anew: the series so far are visited again. */
  reset(): void;
}

/** @returns warnings of the storage */
export function walkSeries(
  call: Call,
  request: SelectRequest,
  context: QueryContext,
  visitor: SeriesVisitor,
): Promise<readonly string[]> {
  return timed(call, () => walked(call, request, context, visitor));
}

async function walked(
  call: Call,
  request: SelectRequest,
  context: QueryContext,
  visitor: SeriesVisitor,
): Promise<readonly string[]> {
  const queryable = call.sources.queryable(call.request.tenant);
  const pacer = pacerFor(call, context);
  const warnings = new Set<string>();
  const visitAll = async (block: SeriesBlock) => {
    for (const warning of block.warnings) warnings.add(warning);
    for (let i = 0; i < block.labels.length; i++) {
      const visited = visitor.visit(block.labels[i]!, block, i);
      if (visited !== undefined) await visited;
      if ((i & 63) === 0 && pacer.due) await pacer.pause();
    }
  };
  if (queryable.stream !== undefined) {
    try {
      for await (const block of queryable.stream({ ...request, isOnce: true }, context)) await visitAll(block);
      return [...warnings];
    } catch (thrown) {
      if (!(thrown instanceof StreamBroken)) throw thrown;
      visitor.reset();
    }
  }
  const set = await queryable.select(request, context);
  try {
    await visitAll({ labels: set.series, warnings: set.warnings, read: (index, out) => set.read(index, out) });
    return [...warnings];
  } finally {
    set.close();
  }
}
