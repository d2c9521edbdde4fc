import type { BufferPool } from '../wire/buffer-pool.ts';
import {
  FRAME_ASIDE,
  FRAME_BYTES_AT,
  FRAME_HEADER_BYTES,
  FRAME_SAMPLES_AT,
  FRAME_SLOW,
  SAMPLE_BYTES,
  SAMPLES_PER_FRAME_MAX,
} from '../wire/frame-layout.ts';
import { FrameView } from '../wire/frames.ts';

/** Bytes that a target gets in one go: it appends them without pausing. One frame may be longer. */
export const PART_BYTES = 1024 * 1024;

/** Rich samples that a target gets in one go: for each it may have to decode a chunk of some hundred samples. */
const RICH_PER_PART_MAX = 512;

/** Frames for a target. */
export interface FramePart {
  readonly target: number;
  readonly frames: Uint8Array<ArrayBuffer>;
  readonly count: number;
}

/**
 * The frames of a scan with those of the slow path in their places, in parts for their targets. The order of frames stays: floats and
 * histograms of one series may take turns in a request, and one that comes before an older one would make it late.
 * @param scanned frames of the scan
 * @param slow frames of the slow path
 * @param ends of each slow series' frames among them
 * @param targetOf number of the target that a frame is for
 */
export function* frameParts(
  scanned: Uint8Array,
  slow: Uint8Array,
  ends: readonly number[],
  targetOf: (frame: FrameView) => number,
  pool: BufferPool,
): Generator<FramePart, void> {
  const collectors: Collector[] = [];
  const collectorOf = (frame: FrameView): Collector => {
    const target = targetOf(frame);
    while (collectors.length <= target) collectors.push(new Collector(collectors.length, pool));
    return collectors[target]!;
  };
  const slowFrames = new FrameView(slow);
  let i = 0;
  for (const frames = new FrameView(scanned); frames.next(); ) {
    if (frames.has(FRAME_SLOW)) {
      if (frames.fault !== 0) continue;
      for (const end = ends[i++]!; slowFrames.end < end; ) {
        slowFrames.next();
        const collector = collectorOf(slowFrames);
        collector.add(slow, slowFrames.at, slowFrames.end);
        collector.note(slowFrames);
        if (collector.isFull) yield collector.take();
      }
      continue;
    }
    const collector = collectorOf(frames);
    if (frames.samples <= SAMPLES_PER_FRAME_MAX) {
      collector.add(scanned, frames.at, frames.end);
      collector.note(frames);
      if (collector.isFull) yield collector.take();
      continue;
    }
    for (const part of splitFrame(frames)) {
      collector.add(part, 0, part.length);
      if (collector.isFull) yield collector.take();
    }
  }
  for (const collector of collectors) if (collector.bytes > 0) yield collector.take();
}

/**
 * Frames of a scan as the only part there is: without a look at each of them.
 * @param scanned none of them is of the slow path or has more than SAMPLES_PER_FRAME_MAX samples
 * @param count of them
 */
export function onlyPart(scanned: Uint8Array, count: number, target: number, pool: BufferPool): readonly FramePart[] {
  if (scanned.length === 0) return [];
  const frames = pool.take(scanned.length);
  frames.set(scanned);
  return [{ target, frames, count }];
}

/** Remembers where the frames of one target lie until they are enough for a part. */
class Collector {
  readonly #target: number;
  readonly #pool: BufferPool;
  // stretches of bytes: from where, first, behind the last
  #sources: Uint8Array[] = [];
  #froms: number[] = [];
  #tos: number[] = [];
  bytes = 0;
  #count = 0;
  #rich = 0;

  constructor(target: number, pool: BufferPool) {
    this.#target = target;
    this.#pool = pool;
  }

  get isFull(): boolean {
    return this.bytes >= PART_BYTES || this.#rich >= RICH_PER_PART_MAX;
  }

  /** Adds a frame. */
  add(source: Uint8Array, from: number, to: number): void {
    this.#count++;
    const last = this.#tos.length - 1;
    this.bytes += to - from;
    if (last >= 0 && this.#tos[last] === from && this.#sources[last] === source) this.#tos[last] = to;
    else {
      this.#sources.push(source);
      this.#froms.push(from);
      this.#tos.push(to);
    }
  }

  note(frame: FrameView): void {
    if (frame.has(FRAME_ASIDE)) this.#rich += frame.samples;
  }

  take(): FramePart {
    const frames = this.#pool.take(this.bytes);
    let at = 0;
    for (const [i, source] of this.#sources.entries()) {
      frames.set(source.subarray(this.#froms[i]!, this.#tos[i]!), at);
      at += this.#tos[i]! - this.#froms[i]!;
    }
    const count = this.#count;
    this.#sources = [];
    this.#froms = [];
    this.#tos = [];
    this.bytes = 0;
    this.#count = 0;
    this.#rich = 0;
    return { target: this.#target, frames, count };
  }
}

/** A frame of the scan as several with some of its samples each. */
function* splitFrame(frame: FrameView): Generator<Uint8Array, void> {
  const whole = frame.bytes;
  const header = frame.samplesAt - frame.at;
  for (let first = 0; first < frame.samples; first += SAMPLES_PER_FRAME_MAX) {
    const samples = Math.min(SAMPLES_PER_FRAME_MAX, frame.samples - first);
    const part = new Uint8Array(header + samples * SAMPLE_BYTES);
    const at = header + first * SAMPLE_BYTES;
    part.set(whole.subarray(0, header));
    part.set(whole.subarray(at, at + samples * SAMPLE_BYTES), header);
    const view = new DataView(part.buffer, 0, FRAME_HEADER_BYTES);
    view.setUint32(FRAME_BYTES_AT, part.length, true);
    view.setUint32(FRAME_SAMPLES_AT, samples, true);
    yield part;
  }
}
