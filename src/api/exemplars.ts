import type { ApiResponse } from '../contract/api.ts';
import { oldestOf } from '../limits/allowed-past.ts';
import type { Expr } from '../promql/parser/ast.ts';
import { ParseError, parseExpr } from '../promql/parser/parser.ts';
import { selectorsOf } from '../promql/parser/walk.ts';
import { checkSize } from '../promql/plan/size.ts';
import { formatApiValue } from '../wire/api-json.ts';
import { formatTimestamp } from '../wire/timestamp-text.ts';
import { nothing, success } from './answer.ts';
import type { Call } from './call.ts';
import { lookupContext } from './context.ts';
import { ApiError } from './error.ts';
import { isBefore, MAX_TIME, MIN_TIME, storageMs } from './time.ts';

/** `/api/v1/query_exemplars`: exemplars of every selector of an expression. */
export async function exemplars(call: Call): Promise<ApiResponse> {
  const { params, sources, request, limits } = call;
  const start = params.timeOr('start', MIN_TIME);
  const end = params.timeOr('end', MAX_TIME);
  if (isBefore(end, start)) throw ApiError.badData('end timestamp must not be before start timestamp');
  const matchers = selectorsOf(parsed(call));
  const startMs = Math.max(storageMs(start), oldestOf(limits, sources.clock.nowMs()));
  const endMs = storageMs(end);
  if (matchers.length === 0) return nothing();
  if (startMs > endMs) return success(limits, {}, (out) => out.raw('[]'));
  const found = await sources.exemplars.exemplars(request.tenant, { matchers, startMs, endMs }, lookupContext(call));
  return success(limits, {}, (out) => {
    out.raw('[');
    for (const [i, { labels, exemplars: ofSeries }] of found.entries()) {
      out.raw(i === 0 ? '{"seriesLabels":' : ',{"seriesLabels":');
      out.labels(labels);
      out.raw(',"exemplars":[');
      for (const [j, exemplar] of ofSeries.entries()) {
        out.raw(j === 0 ? '{"labels":' : ',{"labels":');
        out.labels(exemplar.labels);
        out.raw(`,"value":"${formatApiValue(exemplar.value)}","timestamp":${formatTimestamp(exemplar.timeMs)}}`);
      }
      out.raw(']}');
    }
    out.raw(']');
  });
}

function parsed({ params, sources }: Call): Expr {
  try {
    const expr = parseExpr(params.get('query'), sources.syntax);
    checkSize(expr);
    return expr;
  } catch (thrown) {
    if (thrown instanceof ParseError) throw ApiError.badData(thrown.message);
    throw thrown;
  }
}
