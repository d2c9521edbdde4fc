import type { ApiResponse } from '../contract/api.ts';
import { apiError } from '../kit/http/failure.ts';
import { Pacer } from '../lib/pacer.ts';
import { LimitedBudget } from '../limits/query-budget.ts';
import type { QueryLimits } from '../limits/query-limits.ts';
import { queryErrors } from '../model/errors-query.ts';
import type { QueryBudget } from '../storage/queryable.ts';
import { ApiJsonWriter } from '../wire/api-json.ts';
import type { Call } from './call.ts';
import type { ApiError } from './error.ts';

export const TRUNCATED = 'results truncated due to limit';

export interface Notes {
  readonly warnings?: readonly string[];
  readonly infos?: readonly string[];
}

/** `{"status":"success","data":…}`; `write` puts the data. */
export function success(limits: QueryLimits, notes: Notes, write: (out: ApiJsonWriter) => void): ApiResponse {
  const out = begun(limits);
  write(out);
  return ended(out, notes);
}

/** Room that an answer begins with. */
const CAPACITY_BYTES = 16 * 1024;

/** A thread is held up for at most about so long at a time. */
const SLICE_MS = 10;

/** As `success`, for what may be large: others have their turn where `write` yields, and its bytes count as a query's memory. */
export async function successInTurns(
  { limits, signal, sources, ended: atEnd }: Call,
  notes: Notes,
  write: (out: ApiJsonWriter) => Iterable<undefined>,
): Promise<ApiResponse> {
  const pacer = new Pacer(sources.clock, { sliceMs: SLICE_MS, signal });
  const budget = new LimitedBudget(limits, sources.memory);
  atEnd.push(() => budget.close());
  const out = begun(limits, budget);
  for (const _ of write(out)) if (pacer.due) await pacer.pause();
  return ended(out, notes);
}

function begun({ maxQueryResponseSize: limit }: QueryLimits, budget?: QueryBudget): ApiJsonWriter {
  const checkSize = (bytes: number): void => {
    if (limit > 0 && bytes > limit) throw queryErrors.responseTooLarge({ bytes, limit });
  };
  const out = new ApiJsonWriter(checkSize, CAPACITY_BYTES, (bytes) => budget?.addMemory(bytes));
  out.raw('{"status":"success","data":');
  return out;
}

function ended(out: ApiJsonWriter, notes: Notes): ApiResponse {
  if (notes.warnings !== undefined && notes.warnings.length > 0) {
    out.raw(',"warnings":');
    out.json(notes.warnings);
  }
  if (notes.infos !== undefined && notes.infos.length > 0) {
    out.raw(',"infos":');
    out.json(notes.infos);
  }
  out.raw('}');
  return { status: 200, contentType: 'application/json', body: out.finish() };
}

export function failure({ status, type, headers, message }: ApiError): ApiResponse {
  const body = JSON.stringify(apiError(type, message.toWellFormed()));
  return {
    status,
    contentType: 'application/json',
    headers,
    body: new TextEncoder().encode(body),
  };
}

export function plain(status: number, text: string, headers: Readonly<Record<string, string>> = {}): ApiResponse {
  return { status, contentType: 'text/plain; charset=utf-8', headers, body: new TextEncoder().encode(text) };
}

/** 204: there is nothing to say, as where an expression has no selector whose exemplars could be shown. */
export function nothing(): ApiResponse {
  return { status: 204, contentType: 'application/json', body: new Uint8Array(0) };
}
