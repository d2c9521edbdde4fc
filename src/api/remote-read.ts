import type { ApiResponse } from '../contract/api.ts';
import { failureOf } from '../kit/http/failure.ts';
import { inTurns } from '../lib/turns.ts';
import { checkLength, oldestOf } from '../limits/allowed-past.ts';
import { checkResponseSize } from '../limits/response-size.ts';
import { queryErrors } from '../model/errors-query.ts';
import type { Labels } from '../model/labels.ts';
import { checkSelectors, SelectorSize } from '../promql/plan/size.ts';
import { SampleColumns } from '../storage/columns.ts';
import type { QueryContext } from '../storage/queryable.ts';
import {
  decodingReadRequest,
  encodeReadFrame,
  type ReadQuery,
  type ReadRequest,
  ReadResponseWriter,
} from '../wire/remote-read.ts';
import { deflateSnappy, inflateSnappy } from '../wire/snappy.ts';
import { plain } from './answer.ts';
import type { Call } from './call.ts';
import { lookupContext, pacerFor, turnsOf } from './context.ts';

/** A request holds matchers and times, no data. */
const REQUEST_BYTES_MAX = 1 << 20;
/** Bytes of a stream that are sent in one go. */
const PART_BYTES = 256 * 1024;
/** Bytes, roughly, of an answer to several queries that is one message: a small request must not make a large one again and again. */
const MANY_QUERIES_BYTES_MAX = 16 * 1024 * 1024;
/** Samples held for a series' points, roughly: what is written for each. */
const BYTES_PER_SAMPLE = 16;

/** `/api/v1/read`: raw samples, as one message or as a stream of chunks. Errors are plain text, as in Prometheus. */
export async function remoteRead(call: Call): Promise<ApiResponse> {
  try {
    const body = inflateReadRequest(call.request.body ?? new Uint8Array(0));
    const { queries, takesChunks } = checked(call, await inTurns(decodingReadRequest(body), turnsOf(call)));
    return takesChunks ? await streamed(call, queries) : await sampled(call, queries);
  } catch (thrown) {
    call.signal.throwIfAborted();
    const { status, headers, text } = failureOf(thrown);
    return plain(status, `${text}\n`, headers);
  }
}

/** @throws AppError */
export function inflateReadRequest(body: Uint8Array): Uint8Array {
  return inflateSnappy(body, REQUEST_BYTES_MAX, 'remote read');
}

/** @throws AppError */
function checked({ limits, sources }: Call, request: ReadRequest): ReadRequest {
  const size = new SelectorSize();
  checkSelectors(request.queries.length);
  const oldestMs = oldestOf(limits, sources.clock.nowMs());
  for (const { matchers, startMs, endMs } of request.queries) {
    size.add(matchers);
    checkLength(limits, endMs - Math.max(startMs, oldestMs));
  }
  return request;
}

async function sampled(call: Call, queries: readonly ReadQuery[]): Promise<ApiResponse> {
  const out = new ReadResponseWriter();
  const context = lookupContext(call);
  let bytes = 0;
  for await (const [, labels, samples] of eachSeries(call, queries, context, () => out.nextQuery())) {
    out.series(labels, samples);
    const added = 2 * labels.chars + samples.count * BYTES_PER_SAMPLE;
    context.budget.addMemory(added);
    bytes += added;
    if (queries.length > 1 && bytes > MANY_QUERIES_BYTES_MAX) {
      throw queryErrors.readAnswerTooLarge({ queries: queries.length, limitBytes: MANY_QUERIES_BYTES_MAX });
    }
  }
  const answer = out.finish();
  checkResponseSize(answer.length, call.limits.maxQueryResponseSize);
  return {
    status: 200,
    contentType: 'application/x-protobuf',
    headers: { 'content-encoding': 'snappy' },
    body: deflateSnappy(answer),
  };
}

async function streamed(call: Call, queries: readonly ReadQuery[]): Promise<ApiResponse> {
  const response = {
    status: 200,
    contentType: 'application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse',
  };
  const parts = frameParts(call, queries);
  // what fails at once has a status of its own
  const { done, value: first } = await parts.next();
  if (done === true) return { ...response, body: new Uint8Array(0) };
  if (call.request.takesParts === true) return { ...response, body: first, parts };
  const all = [first];
  for await (const part of parts) all.push(part);
  return { ...response, body: Buffer.concat(all) };
}

/** Frames, many in a part: what has been taken is no longer held. */
async function* frameParts(call: Call, queries: readonly ReadQuery[]): AsyncGenerator<Uint8Array, void> {
  const context = lookupContext(call);
  let frames: Uint8Array[] = [];
  let bytes = 0;
  let bytesAll = 0;
  for await (const [query, labels, samples] of eachSeries(call, queries, context)) {
    const frame = encodeReadFrame(query, labels, samples);
    frames.push(frame);
    bytes += frame.length;
    bytesAll += frame.length;
    checkResponseSize(bytesAll, call.limits.maxQueryResponseSize);
    context.budget.addMemory(frame.length);
    if (bytes < PART_BYTES) continue;
    yield Buffer.concat(frames);
    if (call.request.takesParts === true) context.budget.addMemory(-bytes);
    frames = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(frames);
}

/** The series that have samples, query after query; the samples are those of the next one when it is asked for. */
async function* eachSeries(
  call: Call,
  queries: readonly ReadQuery[],
  context: QueryContext,
  onQuery?: () => void,
): AsyncGenerator<readonly [query: number, labels: Labels, samples: SampleColumns], void> {
  const { sources, request } = call;
  const pacer = pacerFor(call, context);
  const samples = new SampleColumns();
  for (const [index, query] of queries.entries()) {
    onQuery?.();
    const set = await sources.queryable(request.tenant).select(query, context);
    try {
      for (const [i, labels] of set.series.entries()) {
        set.read(i, samples);
        if (samples.count > 0) yield [index, labels, samples];
        if (pacer.due) await pacer.pause();
      }
    } finally {
      set.close();
    }
  }
}
