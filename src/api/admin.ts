import type { ApiResponse } from '../contract/api.ts';
import { nothing, success } from './answer.ts';
import type { Call } from './call.ts';
import { turnsOf } from './context.ts';
import { ApiError } from './error.ts';
import type { DeleteSource } from './sources.ts';
import { MAX_TIME, MIN_TIME, storageMs } from './time.ts';

// Calls that can do harm: they work only with `-web.enable-admin-api`.

/** `/api/v1/admin/tsdb/delete_series`: POST and PUT delete, GET lists what was asked for. */
export async function deleteSeries(call: Call): Promise<ApiResponse> {
  const { params, request, signal, sources } = call;
  const deletes = enabled(call);
  if (request.method === 'GET') return listed(call, deletes);
  if (params.all('match[]').length === 0) throw ApiError.badData('no match[] parameter provided');
  const startMs = storageMs(params.timeOr('start', MIN_TIME));
  // what comes later is not what was meant
  const endMs = Math.min(storageMs(params.timeOr('end', MAX_TIME)), sources.clock.nowMs());
  if (endMs < startMs) throw ApiError.badData('the range ends before it starts, or starts in the future');
  for (const matchers of await params.matchers(turnsOf(call))) {
    await deletes.create(request.tenant, { matchers, startMs, endMs }, signal);
  }
  return nothing();
}

async function listed(call: Call, deletes: DeleteSource): Promise<ApiResponse> {
  const all = await deletes.list(call.request.tenant, call.signal);
  return success(call.limits, {}, (out) =>
    out.json(
      all
        .toSorted((a, b) => a.createdMs - b.createdMs)
        .map(({ id, matchers, startMs, endMs, createdMs, state }) => ({
          request_id: id,
          selector: `{${matchers.join(', ')}}`,
          start_time: startMs / 1e3,
          end_time: endMs / 1e3,
          created_at: createdMs / 1e3,
          cancel_until: (createdMs + call.sources.deleteCancelMs) / 1e3,
          status: state,
        })),
    ),
  );
}

/** `/api/v1/admin/tsdb/cancel_delete_request` */
export async function cancelDeleteRequest(call: Call): Promise<ApiResponse> {
  const deletes = enabled(call);
  const id = call.params.get('request_id');
  if (id === '') throw ApiError.badData('no request_id parameter provided');
  await deletes.cancel(call.request.tenant, id, call.signal);
  return nothing();
}

/** `/api/v1/admin/tsdb/clean_tombstones` */
export function cleanTombstones(call: Call): ApiResponse {
  enabled(call);
  throw ApiError.badData(
    'what was deleted leaves the store by itself, when the delete request can no longer be cancelled',
  );
}

/** `/api/v1/admin/tsdb/snapshot` */
export function snapshot(call: Call): ApiResponse {
  enabled(call);
  throw ApiError.badData('there are no snapshots; everything that was flushed is in the store');
}

function enabled({ sources }: Call): DeleteSource {
  if (sources.deletes === undefined) throw ApiError.disabled('admin APIs');
  return sources.deletes;
}
