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
import { Semaphore } from '../lib/semaphore.ts';
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
  /** Fetches what a request will read, within its time; never rejects. @returns whether its evaluation waits for nothing */
  prepare(request: InstantRequest): Promise<boolean>;
  instant(request: InstantRequest): Promise<Pick<QueryResult, 'value' | 'statistics'>>;
}

/**
 * Evaluates requests some at a time: one that fails does not keep the others from being answered, nor one that takes long.
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
  const pacer = new Pacer(clock, { sliceMs: SLICE_MS });
  let places = AT_ONCE;
  const evaluate = async (i: number): Promise<void> => {
    if (signal.aborted) return;
    const request = requests[i]!;
    try {
      const { value, statistics } = await queries.instant(request);
      places = statistics.fetchedBytes > SMALL_BYTES_MAX ? AT_ONCE : Math.min(SMALL_AT_ONCE, places + PLACES_MORE);
      outcomes[i] = { result: packed(value, request.expr, texts) };
    } catch (thrown) {
      if (signal.aborted) return;
      const { facts, message } = AppError.from(memoryError(thrown) ?? thrown);
      const isTimeout = facts.promType === 'timeout';
      outcomes[i] = { failure: { text: message, http: facts.http, ...(isTimeout && { isTimeout }) } };
    }
  };
  const waiting = new Semaphore(AT_ONCE);
  const ready: number[] = [];
  let underWay = 0;
  let changed = Promise.withResolvers<void>();
  const begin = async (i: number): Promise<void> => {
    underWay++;
    if (await queries.prepare(requests[i]!)) ready.push(i);
    else {
      await waiting.run(() => evaluate(i));
      underWay--;
    }
    changed.resolve();
  };
  for (let next = 0; underWay > 0 || (next < requests.length && !signal.aborted); ) {
    // those that begin together ask together
    const to = signal.aborted ? next : Math.min(requests.length, next + places - underWay);
    for (; next < to; next++) void begin(next);
    await changed.promise;
    for (await clock.turn(); ready.length > 0; ) {
      // one after the other, what they leave behind is garbage at once
      await evaluate(ready.shift()!);
      underWay--;
      await pacer.step();
    }
    changed = Promise.withResolvers();
  }
  signal.throwIfAborted();
  return outcomes;
}

function packed(value: QueryValue, expr: string, texts: KeptTexts): PackedValue {
  if (value.type === 'vector') return { ...value, pairs: texts.of(expr, value.pairs) };
  return value.type === 'matrix' ? { type: 'matrix' } : value;
}
