import type {
  InstantOutcome,
  InstantRequest,
  PackedValue,
  QueryResult,
  QueryRunContext,
  QueryValue,
} from '../contract/query.ts';
import type { Clock } from '../lib/clock.ts';
import { Pacer } from '../lib/pacer.ts';
import { forEachAtOnce } from '../lib/semaphore.ts';
import { AppError } from '../model/errors.ts';
import { memoryError } from '../model/memory-error.ts';
import type { KeptTexts } from './kept-texts.ts';

/** Requests of a batch whose samples are asked for together. While they read little there may be more of them. */
const AT_ONCE = 16;
const SMALL_AT_ONCE = 64;
/** Places that a small request leaves beside its own. */
const PLACES_MORE = 4;
/** Bytes that a small request reads. */
const SMALL_BYTES_MAX = 64 * 1024;
/** The thread is held up for so long at a time. */
const SLICE_MS = 10;

/** Queries of a batch, evaluated each by itself. */
export interface BatchQueries {
  /** Fetches what a request will read. @returns whether its evaluation waits for nothing */
  prepare(request: InstantRequest): Promise<boolean>;
  instant(request: InstantRequest): Promise<Pick<QueryResult, 'value' | 'statistics'>>;
}

/**
 * Evaluates requests some at a time: one that fails does not keep the others from being answered.
 * @param texts of the answers before
 */
export async function instantsBy(
  queries: BatchQueries,
  requests: readonly InstantRequest[],
  { signal }: QueryRunContext,
  clock: Pick<Clock, 'monotonicMs' | 'turn'>,
  texts: KeptTexts,
): Promise<readonly InstantOutcome[]> {
  const outcomes = new Array<InstantOutcome>(requests.length);
  const pacer = new Pacer(clock, { sliceMs: SLICE_MS, signal });
  let places = AT_ONCE;
  const evaluate = async (i: number): Promise<void> => {
    signal.throwIfAborted();
    const request = requests[i]!;
    try {
      const { value, statistics } = await queries.instant(request);
      places = statistics.fetchedBytes > SMALL_BYTES_MAX ? AT_ONCE : Math.min(SMALL_AT_ONCE, places + PLACES_MORE);
      outcomes[i] = { result: packed(value, request.expr, texts) };
    } catch (thrown) {
      signal.throwIfAborted();
      const { facts, message } = AppError.from(memoryError(thrown) ?? thrown);
      const isTimeout = facts.promType === 'timeout';
      outcomes[i] = { failure: { text: message, http: facts.http, ...(isTimeout && { isTimeout }) } };
    }
  };
  for (let from = 0; from < requests.length; ) {
    const to = Math.min(requests.length, from + places);
    const isReady = await Promise.all(requests.slice(from, to).map((request) => queries.prepare(request)));
    const waiting: number[] = [];
    // one after the other, what they leave behind is garbage at once
    for (let i = from; i < to; i++) {
      if (!isReady[i - from]) waiting.push(i);
      else {
        await evaluate(i);
        await pacer.step();
      }
    }
    await forEachAtOnce(waiting, AT_ONCE, evaluate);
    from = to;
  }
  return outcomes;
}

function packed(value: QueryValue, expr: string, texts: KeptTexts): PackedValue {
  if (value.type === 'vector') return { ...value, pairs: texts.of(expr, value.pairs) };
  return value.type === 'matrix' ? { type: 'matrix' } : value;
}
