import type { RichEncoding } from '../../chunk/head-chunk.ts';
import type { Kernel } from '../../chunk/kernel.ts';
import {
  APPENDED,
  DUPLICATE_TIME,
  HELD,
  NO_ROOM,
  OUT_OF_ORDER,
  TOO_OLD,
  WINDOW_DENIED,
} from '../../contract/ingest.ts';
import { isRichHistogram, type RichSample } from '../../wire/rich-samples.ts';
import { encodingOf, RichChunk, type SavedRichChunk } from './rich-chunk.ts';

/** The chunks of one series: in the order they were begun. */
interface RichSeries {
  readonly chunks: RichChunk[];
  /** The one that takes the next sample in order, if nothing else came since. */
  open: RichChunk | undefined;
  /** Times in chunks that are late: those overlap, and a sample would be looked for in each. Absent: not gathered yet. */
  lateTimes?: Set<number> | undefined;
}

/** The kernel's value of a histogram: a NaN that nobody sends, so that no float is taken for it. */
const HISTOGRAM_BITS = [0x7ff8a51d, 0x0e0f1ca5] as const;
const STALE_BITS = [0x7ff00000, 2] as const;

/**
 * The samples of a head that the kernel does not keep: histograms, and floats with start timestamps. Series, their newest times and
 * arenas are the kernel's, so that both kinds of samples follow the same rules.
 */
export class RichHead {
  readonly #kernel: Kernel;
  readonly #began: (ref: number) => void;
  readonly #series = new Map<number, RichSeries>();
  /** Memory, roughly. */
  bytes = 0;

  /** @param began told of series that have such samples from now on */
  constructor(kernel: Kernel, began: (ref: number) => void) {
    this.#kernel = kernel;
    this.#began = began;
  }

  /** Series that have such samples. */
  get seriesCount(): number {
    return this.#series.size;
  }

  has(ref: number): boolean {
    return this.#series.has(ref);
  }

  /** @param lateFromMs samples that are not in order are kept from this time on: ±Infinity for all and none */
  append(ref: number, sample: RichSample, lateFromMs: number): number {
    const { exports } = this.#kernel;
    const { timeMs } = sample;
    const newestMs = exports.seriesLastTime(ref);
    if (timeMs > newestMs) return this.#appendNewest(ref, sample, newestMs);
    const [high, low] = bitsOf(sample);
    if (timeMs === newestMs && !isRichHistogram(sample) && exports.seriesLastIs(ref, high, low)) return HELD;
    if (this.#holds(ref, sample)) return HELD;
    if (timeMs < lateFromMs) {
      return timeMs === newestMs ? DUPLICATE_TIME : lateFromMs === Number.POSITIVE_INFINITY ? OUT_OF_ORDER : TOO_OLD;
    }
    if (timeMs === newestMs && lateFromMs !== Number.NEGATIVE_INFINITY) return DUPLICATE_TIME;
    return this.#appendLate(ref, sample);
  }

  #holds(ref: number, sample: RichSample): boolean {
    const series = this.#series.get(ref);
    if (series === undefined) return false;
    const isLate = lateTimesOf(series).has(sample.timeMs);
    return series.chunks.some((chunk) => (isLate || !chunk.late) && chunk.holds(sample));
  }

  #seriesOf(ref: number): RichSeries {
    let series = this.#series.get(ref);
    if (series === undefined) {
      series = { chunks: [], open: undefined };
      this.#series.set(ref, series);
      this.#began(ref);
    }
    return series;
  }

  #appendNewest(ref: number, sample: RichSample, newestMs: number): number {
    const { exports } = this.#kernel;
    const arena = exports.arenaFor(sample.timeMs);
    const [high, low] = bitsOf(sample);
    if (arena === 0) return exports.arenaDenied() ? WINDOW_DENIED : NO_ROOM;
    if (!exports.seriesAside(ref, sample.timeMs, high, low)) return NO_ROOM;
    const series = this.#seriesOf(ref);
    let { open } = series;
    // a float that the kernel took since ends the chunk: what follows it does not follow on our last
    const before = open !== undefined && open.maxMs === newestMs ? open : undefined;
    const encoding = encodingOf(sample, before);
    if (before === undefined || open!.arena !== arena || open!.encoding !== encoding || open!.isFull) {
      const next = this.#begin(series, arena, encoding, false, before);
      this.#end(open);
      open = next;
    }
    series.open = this.#put(series, open!, sample);
    exports.countSamples(arena, 1);
    return APPENDED;
  }

  #appendLate(ref: number, sample: RichSample): number {
    const { exports } = this.#kernel;
    const arena = exports.arenaFor(sample.timeMs);
    if (arena === 0) return exports.arenaDenied() ? WINDOW_DENIED : NO_ROOM;
    const series = this.#seriesOf(ref);
    const encoding = encodingOf(sample, undefined);
    const last = series.chunks.findLast((chunk) => chunk.late && chunk.arena === arena && chunk.encoding === encoding);
    const chunk = last !== undefined && !last.isFull ? last : this.#begin(series, arena, encoding, true, undefined);
    this.#put(series, chunk, sample);
    series.lateTimes?.add(sample.timeMs);
    exports.countSamples(arena, 1);
    return APPENDED;
  }

  #begin(
    series: RichSeries,
    arena: number,
    encoding: RichEncoding,
    late: boolean,
    previous: RichChunk | undefined,
  ): RichChunk {
    const chunk = RichChunk.create(arena, encoding, late, previous);
    series.chunks.push(chunk);
    this.bytes += chunk.size;
    return chunk;
  }

  /** Appends to a chunk and returns the one that has it: a histogram may not fit what is there. */
  #put(series: RichSeries, chunk: RichChunk, sample: RichSample): RichChunk {
    const size = chunk.size;
    const next = chunk.append(sample);
    if (next !== undefined) {
      chunk.end();
      series.chunks.push(next);
      this.bytes += next.size;
    }
    this.bytes += chunk.size - size;
    return next ?? chunk;
  }

  #end(chunk: RichChunk | undefined): void {
    if (chunk === undefined) return;
    const size = chunk.size;
    chunk.end();
    this.bytes += chunk.size - size;
  }

  // ---- for queries, flush and checkpoints

  /** Whether the series has a chunk that touches the range. */
  touches(ref: number, startMs: number, endMs: number): boolean {
    const chunks = this.#series.get(ref)?.chunks;
    return chunks?.some(({ minMs, maxMs }) => maxMs >= startMs && minMs <= endMs) ?? false;
  }

  /** Chunks that touch the range, of one arena or, for 0, of all. */
  chunksOf(ref: number, startMs: number, endMs: number, arena: number): SavedRichChunk[] {
    const found: SavedRichChunk[] = [];
    for (const chunk of this.#series.get(ref)?.chunks ?? []) {
      if (chunk.maxMs < startMs || chunk.minMs > endMs || (arena !== 0 && chunk.arena !== arena)) continue;
      found.push(chunk.save());
    }
    return found;
  }

  /** Extents of every chunk of these series, in time, both ends inclusive. */
  *extents(refs: Uint32Array): Iterable<{ readonly minMs: number; readonly maxMs: number }> {
    if (this.#series.size === 0) return;
    for (const ref of refs) yield* this.#series.get(ref)?.chunks ?? [];
  }

  /** Refs that have a chunk in the arena. */
  *refsOfArena(arena: number): Iterable<number> {
    for (const [ref, { chunks }] of this.#series) if (chunks.some((chunk) => chunk.arena === arena)) yield ref;
  }

  /** Refs in [from, to) with chunks. */
  refsBetween(from: number, to: number): number[] {
    const refs: number[] = [];
    if (this.#series.size < to - from) {
      for (const ref of this.#series.keys()) if (ref >= from && ref < to) refs.push(ref);
      return refs.sort((a, b) => a - b);
    }
    for (let ref = from; ref < to; ref++) if (this.#series.has(ref)) refs.push(ref);
    return refs;
  }

  /** From a checkpoint, in the order that `chunksOf` gave them. */
  load(ref: number, saved: SavedRichChunk): void {
    const series = this.#seriesOf(ref);
    const chunk = RichChunk.load(saved);
    series.chunks.push(chunk);
    series.lateTimes = undefined;
    this.bytes += chunk.size;
    this.#kernel.exports.countSamples(saved.arena, chunk.count);
    // it goes on where its last sample is the series' newest
    if (!chunk.late) series.open = chunk;
  }

  /** Lets go of an arena's chunks. */
  forgetArena(arena: number): void {
    for (const [ref, series] of this.#series) {
      const { chunks } = series;
      if (!chunks.some((chunk) => chunk.arena === arena)) continue;
      for (const chunk of chunks) if (chunk.arena === arena) this.bytes -= chunk.size;
      const left = chunks.filter((chunk) => chunk.arena !== arena);
      chunks.splice(0, chunks.length, ...left);
      if (series.open?.arena === arena) series.open = undefined;
      series.lateTimes = undefined;
      if (left.length === 0) this.#series.delete(ref);
    }
  }

  forgetSeries(ref: number): void {
    for (const { size } of this.#series.get(ref)?.chunks ?? []) this.bytes -= size;
    this.#series.delete(ref);
  }
}

function lateTimesOf(series: RichSeries): Set<number> {
  series.lateTimes ??= new Set(series.chunks.flatMap((chunk) => (chunk.late ? chunk.times() : [])));
  return series.lateTimes;
}

/** The bits that the kernel keeps as the value of the newest sample. */
function bitsOf(sample: RichSample): readonly [high: number, low: number] {
  if (!isRichHistogram(sample)) return [sample.high, sample.low];
  return sample.histogram === undefined ? STALE_BITS : HISTOGRAM_BITS;
}
