import type { ApiResponse } from '../contract/api.ts';
import { failureOf } from '../kit/http/failure.ts';
import type { Turns } from '../promql/parser/long-regexes.ts';
import { checkSelectors, SelectorSize } from '../promql/plan/size.ts';
import { SampleColumns } from '../storage/columns.ts';
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
/** Samples held for a series' points, roughly: what is written for each. */
const BYTES_PER_SAMPLE = 16;

/** `/api/v1/read`: raw samples, as one message or as a stream of chunks. Errors are plain text, as in Prometheus. */
export async function remoteRead(call: Call): Promise<ApiResponse> {
  try {
    const body = inflateSnappy(call.request.body ?? new Uint8Array(0), REQUEST_BYTES_MAX, 'remote read');
    const { queries, takesChunks } = await readInTurns(body, turnsOf(call));
    return takesChunks ? await streamed(call, queries) : await sampled(call, queries);
  } catch (thrown) {
    call.signal.throwIfAborted();
    const { status, headers, text } = failureOf(thrown);
    return plain(status, `${text}\n`, headers);
  }
}

async function readInTurns(body: Uint8Array, turns: Turns): Promise<ReadRequest> {
  const reading = decodingReadRequest(body);
  for (;;) {
    const { done, value } = reading.next();
    if (done === true) return checked(value);
    if (turns.due) await turns.pause();
  }
}

/** @throws AppError */
function checked(request: ReadRequest): ReadRequest {
  const size = new SelectorSize();
  checkSelectors(request.queries.length);
  for (const { matchers } of request.queries) size.add(matchers);
  return request;
}

async function sampled(call: Call, queries: readonly ReadQuery[]): Promise<ApiResponse> {
  const out = new ReadResponseWriter();
  const next = () => out.nextQuery();
  await eachSeries(call, queries, next, (_, labels, samples) => {
    out.series(labels, samples);
    return samples.count * BYTES_PER_SAMPLE;
  });
  return {
    status: 200,
    contentType: 'application/x-protobuf',
    headers: { 'content-encoding': 'snappy' },
    body: deflateSnappy(out.finish()),
  };
}

async function streamed(call: Call, queries: readonly ReadQuery[]): Promise<ApiResponse> {
  const frames: Uint8Array[] = [];
  await eachSeries(call, queries, undefined, (query, labels, samples) => {
    const frame = encodeReadFrame(query, labels, samples);
    frames.push(frame);
    return frame.length;
  });
  return {
    status: 200,
    contentType: 'application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse',
    body: Buffer.concat(frames),
  };
}

/** @param take writes a series and says how many bytes are held for it until the answer is sent */
async function eachSeries(
  call: Call,
  queries: readonly ReadQuery[],
  onQuery: (() => void) | undefined,
  take: (query: number, labels: Parameters<typeof encodeReadFrame>[1], samples: SampleColumns) => number,
): Promise<void> {
  const { sources, request } = call;
  const context = lookupContext(call);
  const pacer = pacerFor(call, context);
  const samples = new SampleColumns();
  for (const [index, query] of queries.entries()) {
    onQuery?.();
    const set = await sources.queryable(request.tenant).select(query, context);
    try {
      for (const [i, labels] of set.series.entries()) {
        set.read(i, samples);
        if (samples.count > 0) context.budget.addMemory(take(index, labels, samples));
        if (pacer.due) await pacer.pause();
      }
    } finally {
      set.close();
    }
  }
}
