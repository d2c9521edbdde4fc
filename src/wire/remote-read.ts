import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { chunksOf } from '../chunk/sample-chunks.ts';
import { crc32c } from '../lib/crc32c.ts';
import { STALE_HIGH, STALE_LOW } from '../lib/float-bits.ts';
import { queryErrors } from '../model/errors-query.ts';
import { floatHistogram } from '../model/histogram.ts';
import type { Labels } from '../model/labels.ts';
import { LabelMatcher, type MatchOp } from '../model/matcher.ts';
import { RegexSyntaxError } from '../model/regex/regex.ts';
import { HISTOGRAM, type SampleColumns, STALE, STALE_HISTOGRAM } from '../storage/columns.ts';
import { MessageReader } from './message-reader.ts';
import { writeHistogram, writeLabels, writeTime } from './message-writer.ts';

/** The questions of a `prometheus.ReadRequest`. */
export interface ReadRequest {
  readonly queries: readonly ReadQuery[];
  /** Whether the answer may be a stream of chunks; else it has to be one message of samples. */
  readonly takesChunks: boolean;
}

/** Times in Unix milliseconds, both ends included. */
export interface ReadQuery {
  readonly startMs: number;
  readonly endMs: number;
  readonly matchers: readonly LabelMatcher[];
}

/** Queries, matchers and hints of a request together. */
const ITEMS_MAX = 10_000;

const OPERATORS: readonly MatchOp[] = ['=', '!=', '=~', '!~'];

/** STREAMED_XOR_CHUNKS */
const CHUNKS = 1;

/** Numbers of the encodings in the Chunk message. */
const ENCODINGS = { xor: 1, floathistogram: 3 } as const;

/**
 * @param body inflated
 * @throws AppError read-request-invalid
 */
export function decodeReadRequest(body: Uint8Array): ReadRequest {
  return MessageReader.read(body, ITEMS_MAX, readRequest, (reason) => queryErrors.readRequestInvalid({ reason }));
}

function readRequest(reader: MessageReader, end: number): ReadRequest {
  const queries: ReadQuery[] = [];
  const accepted: number[] = [];
  reader.fields(end, (field, wireType) => {
    if (field === 1) queries.push(readQuery(reader, reader.message(wireType, end)));
    else if (field === 2) reader.repeat(wireType, end, 'uint32', accepted, ITEMS_MAX);
    else return false;
    return true;
  });
  return { queries, takesChunks: accepted.includes(CHUNKS) };
}

function readQuery(reader: MessageReader, end: number): ReadQuery {
  let startMs = 0;
  let endMs = 0;
  const matchers: LabelMatcher[] = [];
  reader.fields(end, (field, wireType) => {
    if (field === 1) startMs = reader.int64(wireType);
    else if (field === 2) endMs = reader.int64(wireType);
    else if (field === 3) matchers.push(readMatcher(reader, reader.message(wireType, end)));
    else return false; // hints
    return true;
  });
  return { startMs, endMs, matchers };
}

function readMatcher(reader: MessageReader, end: number): LabelMatcher {
  let type = 0;
  let name = '';
  let value = '';
  reader.fields(end, (field, wireType) => {
    if (field === 1) type = reader.uint32(wireType);
    else if (field === 2) name = reader.text(wireType, end);
    else if (field === 3) value = reader.text(wireType, end);
    else return false;
    return true;
  });
  const op = OPERATORS[type];
  if (op === undefined) throw queryErrors.readRequestInvalid({ reason: `a matcher has type ${type}` });
  try {
    return LabelMatcher.of(name, op, value);
  } catch (thrown) {
    if (!(thrown instanceof RegexSyntaxError)) throw thrown;
    throw queryErrors.readRequestInvalid({
      reason: `the pattern ${value} is not a regular expression: ${thrown.message}`,
    });
  }
}

/** A `prometheus.ReadResponse`, series by series. Give it to snappy when all are in. */
export class ReadResponseWriter {
  readonly #out = new BinaryWriter();
  #inQuery = false;

  /** The series that follow are the answer to the next query. */
  nextQuery(): void {
    this.#endQuery();
    this.#out.tag(1, WireType.LengthDelimited).fork();
    this.#inQuery = true;
  }

  series(labels: Labels, samples: SampleColumns): void {
    const out = this.#out;
    out.tag(1, WireType.LengthDelimited).fork();
    writeLabels(out, labels.pairs);
    for (let i = 0; i < samples.count; i++) {
      const timeMs = samples.times[i]!;
      const kind = samples.plain ? 0 : samples.kinds[i]!;
      if (kind === HISTOGRAM || kind === STALE_HISTOGRAM) {
        const stale = kind === STALE_HISTOGRAM;
        const histogram = samples.histograms[i] ?? floatHistogram({});
        writeHistogram(out, 4, { timeMs, startMs: 0, stale, histogram, fault: undefined }, false);
        continue;
      }
      out.tag(2, WireType.LengthDelimited).fork();
      if (kind === STALE) out.tag(1, WireType.Bit64).fixed32(STALE_LOW).fixed32(STALE_HIGH);
      else out.tag(1, WireType.Bit64).double(samples.values[i]!);
      writeTime(out, 2, timeMs);
      out.join();
    }
    out.join();
  }

  finish(): Uint8Array {
    this.#endQuery();
    return this.#out.finish();
  }

  #endQuery(): void {
    if (this.#inQuery) this.#out.join();
    this.#inQuery = false;
  }
}

/**
 * One frame of a streamed answer: a `prometheus.ChunkedReadResponse` with one series behind its length and checksum. Not compressed.
 * Source: Prometheus `storage/remote/chunked.go`.
 */
export function encodeReadFrame(queryIndex: number, labels: Labels, samples: SampleColumns): Uint8Array {
  const out = new BinaryWriter();
  out.tag(1, WireType.LengthDelimited).fork();
  writeLabels(out, labels.pairs);
  for (const { fromMs, toMs, encoding, bytes } of chunksOf(samples)) {
    out.tag(2, WireType.LengthDelimited).fork();
    writeTime(out, 1, fromMs);
    writeTime(out, 2, toMs);
    out.tag(3, WireType.Varint).uint32(ENCODINGS[encoding]);
    out.tag(4, WireType.LengthDelimited).bytes(bytes);
    out.join();
  }
  out.join();
  if (queryIndex !== 0) out.tag(2, WireType.Varint).int64(queryIndex);
  const message = out.finish();
  const head = new BinaryWriter().uint32(message.length).finish();
  const frame = new Uint8Array(head.length + 4 + message.length);
  frame.set(head);
  new DataView(frame.buffer).setUint32(head.length, crc32c(message));
  frame.set(message, head.length + 4);
  return frame;
}
