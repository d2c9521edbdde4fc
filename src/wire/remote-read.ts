import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { chunksOf } from '../chunk/sample-chunks.ts';
import { crc32c } from '../lib/crc32c.ts';
import { STALE_HIGH, STALE_LOW } from '../lib/float-bits.ts';
import { inOneGo } from '../lib/in-one-go.ts';
import { queryErrors } from '../model/errors-query.ts';
import { floatHistogram } from '../model/histogram.ts';
import type { Labels } from '../model/labels.ts';
import { LabelMatcher, type MatchOp } from '../model/matcher.ts';
import { compileRegex, compiling, keptLengthMax, type Regex, RegexSyntaxError } from '../model/regex/regex.ts';
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

/** A query before its regular expressions are compiled. */
interface UncompiledQuery {
  readonly startMs: number;
  readonly endMs: number;
  readonly conditions: readonly Condition[];
}

interface Condition {
  readonly name: string;
  readonly op: MatchOp;
  readonly value: string;
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
  return inOneGo(decodingReadRequest(body));
}

/** A request as far as it can be told without compiling its expressions. */
export interface ReadOutline {
  /** Its selectors. */
  readonly text: string;
  /** Unix ms; the last one of its queries. */
  readonly endMs: number;
  /** Time that its queries span together. */
  readonly lengthMs: number;
}

/** @param body inflated @throws AppError read-request-invalid */
export function outlineReadRequest(body: Uint8Array): ReadOutline {
  const { uncompiled } = uncompiledOf(body);
  const textOf = ({ name, op, value }: Condition) => `${name}${op}${JSON.stringify(value)}`;
  return {
    text: uncompiled.map(({ conditions }) => conditions.map(textOf).join()).join(' or '),
    endMs: uncompiled.reduce((last, { endMs }) => Math.max(last, endMs), 0),
    lengthMs: uncompiled.reduce((sum, { startMs, endMs }) => sum + Math.max(0, endMs - startMs), 0),
  };
}

/** As `decodeReadRequest`, yields while it compiles. @throws AppError read-request-invalid */
export function* decodingReadRequest(body: Uint8Array): Generator<undefined, ReadRequest> {
  const { uncompiled, takesChunks } = uncompiledOf(body);
  const queries: ReadQuery[] = [];
  /** Dashboards ask the same of many ranges. */
  const regexes = new Map<string, Regex>();
  for (const { startMs, endMs, conditions } of uncompiled) {
    const matchers: LabelMatcher[] = [];
    for (const { name, op, value } of conditions) {
      if (op === '=' || op === '!=') {
        matchers.push(LabelMatcher.of(name, op, value));
        continue;
      }
      const regex = regexes.get(value) ?? (yield* compiled(value));
      regexes.set(value, regex);
      matchers.push(LabelMatcher.of(name, op, value, () => regex));
    }
    queries.push({ startMs, endMs, matchers });
    yield;
  }
  return { queries, takesChunks };
}

function* compiled(source: string): Generator<undefined, Regex> {
  try {
    if (source.length <= keptLengthMax) return compileRegex(source);
    return yield* compiling(source);
  } catch (thrown) {
    if (!(thrown instanceof RegexSyntaxError)) throw thrown;
    throw queryErrors.readRequestInvalid({
      reason: `the pattern ${source} is not a regular expression: ${thrown.message}`,
    });
  }
}

interface UncompiledRequest {
  readonly uncompiled: readonly UncompiledQuery[];
  readonly takesChunks: boolean;
}

function uncompiledOf(body: Uint8Array): UncompiledRequest {
  return MessageReader.read(body, ITEMS_MAX, readRequest, (reason) => queryErrors.readRequestInvalid({ reason }));
}

function readRequest(reader: MessageReader, end: number): UncompiledRequest {
  const uncompiled: UncompiledQuery[] = [];
  const accepted: number[] = [];
  reader.fields(end, (field, wireType) => {
    if (field === 1) uncompiled.push(readQuery(reader, reader.message(wireType, end)));
    else if (field === 2) reader.repeat(wireType, end, 'uint32', accepted, ITEMS_MAX);
    else return false;
    return true;
  });
  return { uncompiled, takesChunks: accepted.includes(CHUNKS) };
}

function readQuery(reader: MessageReader, end: number): UncompiledQuery {
  let startMs = 0;
  let endMs = 0;
  const conditions: Condition[] = [];
  reader.fields(end, (field, wireType) => {
    if (field === 1) startMs = reader.int64(wireType);
    else if (field === 2) endMs = reader.int64(wireType);
    else if (field === 3) conditions.push(readCondition(reader, reader.message(wireType, end)));
    else return false; // hints
    return true;
  });
  return { startMs, endMs, conditions };
}

function readCondition(reader: MessageReader, end: number): Condition {
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
  return { name, op, value };
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
