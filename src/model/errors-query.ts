import { catalogue } from './errors.ts';

/** Names may be as long as what they come in. */
const QUOTED_CHARS_MAX = 200;

function quoted(text: string): string {
  return JSON.stringify(text.length > QUOTED_CHARS_MAX ? `${text.slice(0, QUOTED_CHARS_MAX)}…` : text);
}

/** Errors of queries, reads and deletes. */
export const queryErrors = catalogue({
  queryMemoryExceeded: {
    http: 422,
    promType: 'execution',
    retry: false,
    text: (v: { usedBytes: number; limitBytes: number }) =>
      `query needs more than ${v.limitBytes} bytes of memory, it held ${v.usedBytes} (max_query_memory_bytes)`,
  },
  queryNeedsTooMuchMemory: {
    http: 422,
    promType: 'execution',
    retry: false,
    text: (v: { needBytes: number; limitBytes: number }) =>
      `query needs more than ${v.limitBytes} bytes of memory (max_query_memory_bytes): some ${v.needBytes} by what there is of it`,
  },
  queryThreadMemoryExceeded: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { usedBytes: number; limitBytes: number }) =>
      `the queries of this thread hold ${v.usedBytes} bytes of memory, of ${v.limitBytes}, and this one more than its share (querier.worker-heap-mb); send it again later`,
  },
  queryInvalid: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { text: string }) => v.text,
  },
  queryFailed: {
    http: 422,
    promType: 'execution',
    retry: false,
    text: (v: { text: string }) => v.text,
  },
  queryTooManySamples: {
    http: 422,
    promType: 'execution',
    retry: false,
    text: ({ limit, need, points }: { limit: number; need?: number; points?: number }) =>
      `query processing would load too many samples into memory in query execution (more than ${limit}, querier.max-samples)${need === undefined ? '' : `: some ${need} by what there is of it`}${points === undefined ? '' : `: its answer has at least ${points}`}`,
  },
  queryRejected: {
    http: 422,
    promType: 'execution',
    retry: false,
    text: (_: Record<string, never>) =>
      'This query does not perform well and has been rejected by the service provider (query_rejection)',
  },
  queryTooManyParts: {
    http: 422,
    promType: 'execution',
    retry: false,
    text: (v: { what: string; count: number; limit: number; name: string }) =>
      `the query has ${v.count} ${v.what}, more than ${v.limit} (${v.name})`,
  },
  readAnswerTooLarge: {
    http: 422,
    promType: 'execution',
    retry: false,
    text: (v: { queries: number; limitBytes: number }) =>
      `the answer to ${v.queries} queries is larger than ${v.limitBytes} bytes (remote_read_answer_bytes_max): ask them one by one, or accept STREAMED_XOR_CHUNKS`,
  },
  queryLabelTooLong: {
    http: 422,
    promType: 'execution',
    retry: false,
    text: (v: { name: string; chars: number; limit: number }) =>
      `the query would make a label value of ${v.chars} characters for ${quoted(v.name)}, more than ${v.limit} (querier.max-label-value-length)`,
  },
  queryLabelsTooLong: {
    http: 422,
    promType: 'execution',
    retry: false,
    text: (v: { chars: number; limit: number }) =>
      `the query would make a series with labels of ${v.chars} characters, more than ${v.limit} (16 times querier.max-label-value-length)`,
  },
  queryMemoryUnavailable: {
    http: 422,
    promType: 'execution',
    retry: false,
    text: (v: { reason: string }) =>
      `the query asks for more memory at once than can be had: ${v.reason} (querier.worker-heap-mb)`,
  },
  queryTimedOut: {
    http: 503,
    promType: 'timeout',
    retry: true,
    text: (v: { limitMs: number }) =>
      `query timed out in expression evaluation after ${v.limitMs} ms (querier.timeout)`,
  },
  queryCanceled: {
    http: 499,
    promType: 'canceled',
    retry: true,
    text: (_: Record<string, never>) => 'query was canceled in expression evaluation',
  },
  queryTooManySeries: {
    http: 422,
    promType: 'execution',
    retry: false,
    text: (v: { series: number; limit: number }) =>
      `the query reads at least ${v.series} series, more than ${v.limit} (max_fetched_series_per_query)`,
  },
  queryTooManyChunks: {
    http: 422,
    promType: 'execution',
    retry: false,
    text: (v: { chunks: number; limit: number }) =>
      `the query reads at least ${v.chunks} chunks, more than ${v.limit} (max_fetched_chunks_per_query)`,
  },
  queryTooManyChunkBytes: {
    http: 422,
    promType: 'execution',
    retry: false,
    text: (v: { bytes: number; limit: number }) =>
      `the query reads at least ${v.bytes} bytes of chunks, more than ${v.limit} (max_fetched_chunk_bytes_per_query)`,
  },
  queryTooManyBytes: {
    http: 422,
    promType: 'execution',
    retry: false,
    text: (v: { bytes: number; limit: number }) =>
      `the query reads at least ${v.bytes} bytes, more than ${v.limit} (max_fetched_data_bytes_per_query)`,
  },
  queryTooLong: {
    http: 422,
    promType: 'execution',
    retry: false,
    text: (v: { lengthMs: number; limitMs: number }) =>
      `the query spans ${v.lengthMs / 1000} s, more than ${v.limitMs / 1000} s (max_query_length)`,
  },
  responseTooLarge: {
    http: 422,
    promType: 'execution',
    retry: false,
    text: (v: { bytes: number; limit: number }) =>
      `the answer has at least ${v.bytes} bytes, more than ${v.limit} (max_query_response_size)`,
  },
  replaying: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (_: Record<string, never>) =>
      'the write-ahead log is being replayed; queries are answered when it is through',
  },
  noReadQuorum: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: {
      answered: number;
      needed: number;
      owners: number;
      arc: number;
      version: number;
      members: string;
      others: number;
    }) =>
      `${v.answered} of ${v.owners} ingesters that hold recent data answered, ${v.needed} are needed (arc ${v.arc} of ring version ${v.version}: ${v.members})${v.others > 0 ? ` and so it is with ${v.others} other sets of owners` : ''}`,
  },
  ringUnknown: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (_: Record<string, never>) => 'no version of the ring is known here yet: recent data cannot be read',
  },
  ringBehind: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { known: number; needed: number }) =>
      `an ingester answered with version ${v.needed} of the ring, here ${v.known} is the newest that could be read`,
  },
  answerTooLarge: {
    http: 422,
    promType: 'execution',
    retry: false,
    text: (v: { bytes: number; limit: number }) =>
      `a querier's answer has at least ${v.bytes} bytes, more than ${v.limit} (fixed): ask for fewer series or steps`,
  },
  labelAnswerTooLarge: {
    http: 422,
    promType: 'execution',
    retry: false,
    text: (v: { chars: number; limit: number }) =>
      `the label names or values asked for have more than ${v.limit} characters together (label_answer_chars_max): ask for fewer with match[]`,
  },
  tooManySelectsOfTenant: {
    http: 422,
    promType: 'execution',
    retry: true,
    text: (v: { limit: number }) =>
      `more than ${v.limit} reads of recent data of one tenant at the same time (tenant_selects_max)`,
  },
  tooManySelects: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { limit: number }) => `more than ${v.limit} reads of recent data at the same time`,
  },
  cursorExpired: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { idleMs: number }) => `a read of recent data stood still for more than ${v.idleMs} ms and was given up`,
  },
  deleteRequestNotFound: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { id: string }) => `there is no delete request ${v.id}`,
  },
  deleteRequestTooLate: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { id: string; cancelPeriodMs: number }) =>
      `delete request ${v.id} can no longer be cancelled, that is possible for ${v.cancelPeriodMs} ms (purger.delete-request-cancel-period)`,
  },
  readRequestInvalid: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { reason: string }) => `the body is not a remote-read request: ${v.reason}`,
  },
});
