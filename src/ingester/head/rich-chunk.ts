import {
  CHUNK_FLOAT_HISTOGRAM,
  CHUNK_HISTOGRAM,
  CHUNK_XOR2,
  joinStarts,
  type RichEncoding,
  readRichChunk,
  splitStarts,
} from '../../chunk/head-chunk.ts';
import { CHUNK_STARTS, CHUNK_UNORDERED } from '../../chunk/head-chunk-flags.ts';
import { HistogramWriter } from '../../chunk/histogram.ts';
import { Int64 } from '../../chunk/int64.ts';
import { Xor2Writer } from '../../chunk/xor2.ts';
import type { FloatHistogram } from '../../model/histogram.ts';
import { isIntegerHistogram, toFloatHistogram } from '../../model/histogram-integer.ts';
import { equalObservations } from '../../model/histogram-observations.ts';
import { HISTOGRAM, SampleColumns, STALE_HISTOGRAM } from '../../storage/columns.ts';
import { isRichHistogram, type RichFloat, type RichHistogram, type RichSample } from '../../wire/rich-samples.ts';

/** A chunk of so many bytes is full, when it also has some samples: as for floats in the kernel, less for what is written anew often. */
const BYTES_MAX = 4096;
const SAMPLES_MIN = 10;
/** Memory that a chunk takes besides its bytes, roughly. */
const OVERHEAD_BYTES = 600;
/** Memory of a late sample's time where those of a series are looked up, roughly. */
const LATE_TIME_BYTES = 40;

/** Where a sample lies in the window's list; what a checkpoint says of a chunk. */
export interface SavedRichChunk {
  readonly arena: number;
  readonly encoding: RichEncoding;
  /** Samples in the order they came, whatever their times. */
  readonly late: boolean;
  readonly minMs: number;
  readonly maxMs: number;
  /** As in slices. */
  readonly flags: number;
  readonly bytes: Uint8Array;
}

/** Histograms, or floats with start timestamps, of one series and window in Prometheus' encodings. */
export class RichChunk {
  readonly arena: number;
  readonly encoding: RichEncoding;
  readonly late: boolean;
  minMs = Number.POSITIVE_INFINITY;
  maxMs = Number.NEGATIVE_INFINITY;
  #writer: HistogramWriter | Xor2Writer | undefined;
  /** The bytes of a chunk that has ended. */
  #chunk: Uint8Array | undefined;
  /** Start timestamps of histograms, where one has any: their encodings have no place for them. */
  #starts: number[] | undefined;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  private constructor(arena: number, encoding: RichEncoding, late: boolean) {
    this.arena = arena;
    this.encoding = encoding;
    this.late = late;
  }

  /** @param previous the chunk before, so that this one knows whether it begins with a reset */
  static create(arena: number, encoding: RichEncoding, late: boolean, previous: RichChunk | undefined): RichChunk {
    const chunk = new RichChunk(arena, encoding, late);
    if (encoding === CHUNK_XOR2) chunk.#writer = Xor2Writer.create();
    else {
      const before =
        previous !== undefined && previous.#writer instanceof HistogramWriter ? previous.#writer : undefined;
      chunk.#writer = HistogramWriter.create(kindOf(encoding), before);
    }
    return chunk;
  }

  static load(saved: SavedRichChunk): RichChunk {
    const chunk = new RichChunk(saved.arena, saved.encoding, saved.late);
    chunk.minMs = saved.minMs;
    chunk.maxMs = saved.maxMs;
    if ((saved.flags & CHUNK_STARTS) !== 0) {
      const { chunk: bytes, starts } = splitStarts(saved.bytes);
      chunk.#chunk = bytes.slice();
      chunk.#starts = starts;
    } else chunk.#chunk = saved.bytes.slice();
    chunk.#count = chunk.#chunk[0]! * 256 + chunk.#chunk[1]!;
    return chunk;
  }

  /** Bytes of memory, roughly. */
  get size(): number {
    const chunk = this.#writer?.byteLength ?? this.#chunk!.length;
    const times = this.late ? LATE_TIME_BYTES * this.#count : 0;
    return OVERHEAD_BYTES + chunk + 8 * (this.#starts?.length ?? 0) + times;
  }

  get isFull(): boolean {
    const bytes = this.#writer?.byteLength ?? this.#chunk!.length;
    return bytes >= BYTES_MAX && this.#count >= SAMPLES_MIN;
  }

  /** Appends a sample of this encoding to a chunk that is not full. Where it cannot be in this chunk, the one that begins with it. */
  append(sample: RichSample): RichChunk | undefined {
    this.#writer ??= resume(this.encoding, this.#chunk!);
    this.#chunk = undefined;
    if (!isRichHistogram(sample)) {
      this.#appendFloat(sample);
      return undefined;
    }
    const writer = this.#writer as HistogramWriter;
    const { timeMs, histogram } = sample;
    const appended = histogram === undefined ? writer.appendStale(timeMs) : writer.append(timeMs, histogram);
    if (appended.outcome !== 'cut') {
      this.#note(sample);
      return undefined;
    }
    const next = new RichChunk(this.arena, this.encoding, this.late);
    next.#writer = appended.next;
    next.#note(sample);
    return next;
  }

  #appendFloat(sample: RichFloat): void {
    time.setNumber(sample.timeMs);
    start.setNumber(sample.startMs);
    (this.#writer as Xor2Writer).appendBits(time, sample.high, sample.low, start);
    this.#extend(sample.timeMs);
  }

  #note({ timeMs, startMs }: RichHistogram): void {
    if (startMs !== 0) this.#starts ??= new Array<number>(this.#count).fill(0);
    this.#starts?.push(startMs);
    this.#extend(timeMs);
  }

  #extend(timeMs: number): void {
    this.minMs = Math.min(this.minMs, timeMs);
    this.maxMs = Math.max(this.maxMs, timeMs);
    this.#count++;
  }

  /** Nothing will be appended: what that needs is let go. */
  end(): void {
    if (this.#writer === undefined) return;
    this.#chunk = this.#writer.toBytes();
    this.#writer = undefined;
  }

  /** As slices have it. */
  save(): SavedRichChunk {
    const { arena, encoding, late, minMs, maxMs } = this;
    const chunk = this.#chunk ?? this.#writer!.toBytes();
    const flags = (encoding << 8) | (late ? CHUNK_UNORDERED : 0) | (this.#starts === undefined ? 0 : CHUNK_STARTS);
    const bytes = this.#starts === undefined ? chunk : joinStarts(chunk, this.#starts);
    return { arena, encoding, late, minMs, maxMs, flags, bytes };
  }

  /** Whether it has exactly this sample; start timestamps do not count. */
  holds(sample: RichSample): boolean {
    const { timeMs } = sample;
    if (timeMs < this.minMs || timeMs > this.maxMs) return false;
    if (isRichHistogram(sample) !== (this.encoding !== CHUNK_XOR2)) return false;
    this.#decode();
    for (let i = 0; i < held.count; i++) if (held.times[i] === timeMs && isSame(held, i, sample)) return true;
    return false;
  }

  /** Times of its samples, in their order. */
  times(): number[] {
    this.#decode();
    return Array.from(held.times.subarray(0, held.count));
  }

  /** Into `held`. One chunk is asked about sample after sample: it is decoded when it is another one, or has grown. */
  #decode(): void {
    if (heldOf.chunk === this && heldOf.count === this.#count) return;
    heldOf = { chunk: undefined, count: 0 };
    held.clear();
    readRichChunk(this.save(), held);
    heldOf = { chunk: this, count: this.#count };
  }
}

const time = new Int64();
const start = new Int64();
const held = new SampleColumns();
/** The chunk whose samples `held` has. */
let heldOf: { readonly chunk: RichChunk | undefined; readonly count: number } = { chunk: undefined, count: 0 };
const float = new Float64Array(1);
const words = new Int32Array(float.buffer);

function isSame(columns: SampleColumns, i: number, sample: RichSample): boolean {
  const kind = columns.plain ? 0 : columns.kinds[i]!;
  if (!isRichHistogram(sample)) {
    if (kind !== 0) return sample.high === 0x7ff00000 && sample.low === 2;
    float[0] = columns.values[i]!;
    return words[1] === sample.high && words[0] === sample.low;
  }
  if (sample.histogram === undefined) return kind === STALE_HISTOGRAM;
  return kind === HISTOGRAM && equalObservations(columns.histograms[i]!, toFloat(sample.histogram));
}

function toFloat(histogram: NonNullable<RichHistogram['histogram']>): FloatHistogram {
  return isIntegerHistogram(histogram) ? toFloatHistogram(histogram) : histogram;
}

function kindOf(encoding: RichEncoding): 'histogram' | 'floathistogram' {
  return encoding === CHUNK_HISTOGRAM ? 'histogram' : 'floathistogram';
}

function resume(encoding: RichEncoding, chunk: Uint8Array): HistogramWriter | Xor2Writer {
  return encoding === CHUNK_XOR2 ? Xor2Writer.resume(chunk) : HistogramWriter.resume(kindOf(encoding), chunk);
}

/** How a sample is encoded; a stale marker goes with what is before it. */
export function encodingOf(sample: RichSample, before: RichChunk | undefined): RichEncoding {
  if (!isRichHistogram(sample)) return CHUNK_XOR2;
  if (sample.histogram !== undefined) {
    return isIntegerHistogram(sample.histogram) ? CHUNK_HISTOGRAM : CHUNK_FLOAT_HISTOGRAM;
  }
  return before?.encoding === CHUNK_HISTOGRAM ? CHUNK_HISTOGRAM : CHUNK_FLOAT_HISTOGRAM;
}
