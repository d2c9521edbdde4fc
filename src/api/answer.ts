import type { ApiResponse } from '../contract/api.ts';
import { apiError } from '../kit/http/failure.ts';
import { Pacer } from '../lib/pacer.ts';
import { LimitedBudget } from '../limits/query-budget.ts';
import type { QueryLimits } from '../limits/query-limits.ts';
import { checkResponseSize } from '../limits/response-size.ts';
import type { MissingPart } from '../storage/missing.ts';
import type { QueryBudget } from '../storage/queryable.ts';
import { ApiJsonWriter } from '../wire/api-json.ts';
import type { Call } from './call.ts';
import type { ApiError } from './error.ts';

export const TRUNCATED = 'results truncated due to limit';

export interface Notes {
  readonly warnings?: readonly string[];
  readonly infos?: readonly string[];
  /** Parts that the answer lacks. */
  readonly missing?: readonly MissingPart[] | undefined;
}

/** `{"status":"success","data":…}`; `write` puts the data. */
export function success(limits: QueryLimits, notes: Notes, write: (out: ApiJsonWriter) => void): ApiResponse {
  const out = begun(limits);
  write(out);
  return ended(out, notes);
}

/** Room that an answer begins with, where it is not known how long it will be, and at most. */
const CAPACITY_BYTES = 2 * 1024;
const CAPACITY_BYTES_MAX = 1024 * 1024;

/** A thread is held up for at most about so long at a time. */
const SLICE_MS = 10;

/** Longer answers are sent while they are written, if they may be. */
const STREAMED_BYTES_MIN = 4 * 1024 * 1024;
/** Bytes of such an answer that are sent in one go. */
const PART_BYTES = 256 * 1024;

/** An answer that is sent while it is written: it can no longer become an error. */
export interface Streamable {
  /** Bytes that it has at the most. */
  readonly bytesMost: number;
  /** Memory that it is written from, held until all is written. */
  readonly heldBytes: number;
}

/**
 * As `success`, for what may be large: others have their turn where `write` yields, and its bytes count as a query's memory.
 *
 * @param streamable told of answers that may be sent while they are written
 */
export async function successInTurns(
  { request, limits, signal, sources, ended: atEnd }: Call,
  notes: Notes,
  write: (out: ApiJsonWriter) => Iterable<undefined>,
  streamable?: () => Streamable,
): Promise<ApiResponse> {
  const pacer = new Pacer(sources.clock, { sliceMs: SLICE_MS, signal });
  const budget = new LimitedBudget(limits, sources.memory);
  atEnd.push(() => budget.close());
  const size = streamable?.();
  const out = begun(limits, budget, size && capacityOf(size));
  const steps = write(out)[Symbol.iterator]();
  let mayStream = request.takesParts === true && size !== undefined;
  while (steps.next().done !== true) {
    if (pacer.due) await pacer.pause();
    if (!mayStream || out.length < STREAMED_BYTES_MIN) continue;
    const { bytesMost, heldBytes } = size!;
    const limit = limits.maxQueryResponseSize;
    mayStream = limit === 0 || bytesMost <= limit;
    if (!mayStream) continue;
    budget.addMemory(heldBytes);
    return { status: 200, contentType: 'application/json', body: out.take(), parts: restOf(out, steps, notes, pacer) };
  }
  return ended(out, notes);
}

/**
 * Length of what `successInTurns` would answer, and the time that it takes to write it, others' turns left out. Nothing of it is kept.
 *
 * @throws responseTooLarge, as that does
 */
export async function measuredInTurns(
  { limits, signal, sources, ended: atEnd }: Call,
  notes: Notes,
  write: (out: ApiJsonWriter) => Iterable<undefined>,
): Promise<{ readonly bytes: number; readonly ms: number }> {
  const { clock } = sources;
  const pacer = new Pacer(clock, { sliceMs: SLICE_MS, signal });
  const budget = new LimitedBudget(limits, sources.memory);
  atEnd.push(() => budget.close());
  const out = begun(limits, budget);
  let bytes = 0;
  let ms = 0;
  let fromMs = clock.monotonicMs();
  for (const _ of write(out)) {
    if (out.length >= PART_BYTES) bytes += out.take().length;
    if (!pacer.due) continue;
    ms += clock.monotonicMs() - fromMs;
    await pacer.pause();
    fromMs = clock.monotonicMs();
  }
  end(out, notes);
  bytes += out.take().length;
  return { bytes, ms: ms + clock.monotonicMs() - fromMs };
}

/** The rest of an answer, part by part. */
async function* restOf(
  out: ApiJsonWriter,
  steps: Iterator<undefined>,
  notes: Notes,
  pacer: Pacer,
): AsyncGenerator<Uint8Array, void> {
  while (steps.next().done !== true) {
    if (pacer.due) await pacer.pause();
    if (out.length >= PART_BYTES) yield out.take();
  }
  end(out, notes);
  yield out.take();
}

/** Room for an answer as most are, about half of the most that it may have: to make room again costs more than room that is not used. */
function capacityOf({ bytesMost }: Streamable): number {
  if (bytesMost === Number.POSITIVE_INFINITY) return CAPACITY_BYTES;
  return Math.max(CAPACITY_BYTES, Math.min(CAPACITY_BYTES_MAX, Math.ceil(bytesMost / 2)));
}

function begun(
  { maxQueryResponseSize: limit }: QueryLimits,
  budget?: QueryBudget,
  capacity = CAPACITY_BYTES,
): ApiJsonWriter {
  const checkSize = (bytes: number): void => checkResponseSize(bytes, limit);
  const out = new ApiJsonWriter(checkSize, capacity, (bytes) => budget?.addMemory(bytes));
  out.raw('{"status":"success","data":');
  return out;
}

function ended(out: ApiJsonWriter, notes: Notes): ApiResponse {
  end(out, notes);
  return { status: 200, contentType: 'application/json', body: out.finish() };
}

function end(out: ApiJsonWriter, notes: Notes): void {
  if (notes.warnings !== undefined && notes.warnings.length > 0) {
    out.raw(',"warnings":');
    out.json(notes.warnings);
  }
  if (notes.infos !== undefined && notes.infos.length > 0) {
    out.raw(',"infos":');
    out.json(notes.infos);
  }
  if (notes.missing !== undefined && notes.missing.length > 0) {
    out.raw(',"missing":');
    out.json(notes.missing.map(missingJson));
  }
  out.raw('}');
}

/** Times as the API has them, in seconds; null where there is no end. */
function missingJson({ what, startMs, endMs, reason }: MissingPart): object {
  const seconds = (ms: number) => (Math.abs(ms) <= 8.64e15 ? ms / 1000 : null);
  return { what, start: seconds(startMs), end: seconds(endMs), reason };
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
