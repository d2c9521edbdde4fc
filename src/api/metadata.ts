import type { ApiResponse } from '../contract/api.ts';
import { success } from './answer.ts';
import type { Call } from './call.ts';
import { lookupContext } from './context.ts';
import { ApiError } from './error.ts';
import { isGoInt } from './params.ts';

/** `/api/v1/metadata` */
export async function metadata(call: Call): Promise<ApiResponse> {
  const { params, sources, request, limits } = call;
  const limit = limitOf(call, 'limit');
  const limitPerMetric = limitOf(call, 'limit_per_metric');
  if (limit === 0) return success(limits, {}, (out) => out.raw('{}'));
  const found = await sources.metadata.metadata(
    request.tenant,
    { metric: params.get('metric'), limit: Math.max(0, limit), limitPerMetric: Math.max(0, limitPerMetric) },
    lookupContext(call),
  );
  return success(limits, {}, (out) => out.json(Object.fromEntries(found)));
}

/** −1 where none is given: 0 is a limit here. */
function limitOf({ params }: Call, name: string): number {
  const text = params.get(name);
  if (text === '') return -1;
  if (!isGoInt(text)) throw ApiError.badData(`${name} must be a number`);
  return Number(text);
}
