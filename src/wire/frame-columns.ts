import { Kernel } from '../chunk/kernel.ts';
import { Region } from '../chunk/region.ts';
import { BytesError } from '../lib/bytes.ts';
import {
  BLOCK_BYTES_AT,
  BLOCK_COLUMNS,
  BLOCK_FRAMES_AT,
  BLOCK_HEADER_BYTES,
  BLOCK_KIND_AT,
  BLOCK_SAMPLES_AT,
  BLOCK_WHOLE,
  COLUMNS_COUNT,
  COLUMNS_LEFT,
  COLUMNS_RUN,
  COLUMNS_SHORT,
  COLUMNS_TIME,
  COLUMNS_UNKNOWN,
} from './column-layout.ts';
import { frameFault } from './frame-check.ts';
import { FRAME_FLAGS_AT, FRAME_HEADER_BYTES, FRAME_KEY, KEY_BYTES, SAMPLE_BYTES } from './frame-layout.ts';

// Frames on their way to another process (docs/formats/rpc.md): those with keys as columns, others as they are. What comes from a
// process may be of another version, or damaged: it is looked at whole before anything takes it. The kernel does both
// (kernel/columns.ts), in instances that hold nothing else.

const KEYED_BYTES = FRAME_HEADER_BYTES + KEY_BYTES;

/** Bytes that the frames of a request may take as a shard has them. */
export const FRAMES_BYTES_MAX = 32 * 1024 * 1024;

/** Bytes of a request's blocks: more than any that are no longer than they need to be. */
const BLOCKS_BYTES_MAX = 2 * FRAMES_BYTES_MAX;

/** Memory of an instance up to which it is kept for the next request. */
const MEMORY_BYTES_KEPT_MAX = 24 * 1024 * 1024;

/** An instance of the kernel, made when it is first needed and again when it grew large. */
class Workshop {
  readonly kernel = Kernel.create();
  readonly from = new Region(this.kernel);
  readonly to = new Region(this.kernel);

  static next(last: Workshop | undefined): Workshop {
    return last !== undefined && last.kernel.u8.byteLength <= MEMORY_BYTES_KEPT_MAX ? last : new Workshop();
  }
}

/** Turns frames into columns, one request after another in the same memory. */
export class FrameEncoder {
  #workshop: Workshop | undefined;

  /** @returns bytes of their own */
  encode(frames: Uint8Array): Uint8Array<ArrayBuffer> {
    if (frames.length === 0) return new Uint8Array(0);
    this.#workshop = Workshop.next(this.#workshop);
    const { kernel, from: source, to: target } = this.#workshop;
    const { exports } = kernel;
    const from = source.put(frames);
    const end = from + frames.length;
    const blocks: Uint8Array<ArrayBuffer>[] = [];
    for (let at = from; at < end; ) {
      const runEnd = exports.columnsRun(at, end) >>> 0;
      const [count, samples] = [exports.columnsFrames() >>> 0, exports.columnsSamples() >>> 0];
      const isKeyed = kernel.view.getUint32(at + FRAME_FLAGS_AT, true) === FRAME_KEY;
      const room = isKeyed ? exports.columnsRoom(count, samples) >>> 0 : runEnd - at;
      const block = target.ensure(BLOCK_HEADER_BYTES + room);
      const content = block + BLOCK_HEADER_BYTES;
      if (!isKeyed) kernel.u8.copyWithin(content, at, runEnd);
      const bytes = isKeyed ? exports.columnsEncode(at, runEnd, count, samples, content) >>> 0 : room;
      if (bytes === 0) throw new Error('bug: a sample further from 1970 than any is taken');
      const { view } = kernel;
      view.setUint32(block + BLOCK_KIND_AT, isKeyed ? exports.columnsKind() : BLOCK_WHOLE, true);
      view.setUint32(block + BLOCK_BYTES_AT, BLOCK_HEADER_BYTES + bytes, true);
      view.setUint32(block + BLOCK_FRAMES_AT, count, true);
      view.setUint32(block + BLOCK_SAMPLES_AT, samples, true);
      blocks.push(kernel.u8.slice(block, content + bytes) as Uint8Array<ArrayBuffer>);
      at = runEnd;
    }
    return blocks.length === 1 ? blocks[0]! : new Uint8Array(Buffer.concat(blocks));
  }
}

/** Turns columns into frames, one request after another in the same memory. */
export class FrameDecoder {
  #workshop: Workshop | undefined;

  /**
   * Frames as they were before `FrameEncoder` had them, byte by byte: each is one that a shard takes.
   * @returns only until the next
   * @throws BytesError where the bytes are no such frames, or more than FRAMES_BYTES_MAX
   */
  decode(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    const length = framesBytes(bytes);
    this.#workshop = Workshop.next(this.#workshop);
    const { kernel, from: source, to: target } = this.#workshop;
    const from = source.put(bytes);
    const to = target.ensure(length);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let toAt = to;
    for (let at = 0; at < bytes.length; ) {
      const kind = view.getUint32(at + BLOCK_KIND_AT, true);
      const end = at + view.getUint32(at + BLOCK_BYTES_AT, true);
      const frames = view.getUint32(at + BLOCK_FRAMES_AT, true);
      const samples = view.getUint32(at + BLOCK_SAMPLES_AT, true);
      const content = at + BLOCK_HEADER_BYTES;
      if ((kind & 255) === BLOCK_WHOLE) {
        const whole = bytes.subarray(content, end);
        const fault = frameFault(whole, frames, samples);
        if (fault !== undefined) throw new BytesError(fault);
        kernel.u8.set(whole, toAt);
        toAt += whole.length;
      } else {
        const fault = kernel.exports.columnsDecode(from + content, from + end, kind, frames, samples, toAt);
        if (fault !== 0) throw new BytesError(`${FAULTS[fault] ?? 'no columns'}, in a block at ${at}`);
        toAt += columnsBytes(frames, samples);
      }
      at = end;
    }
    return kernel.u8.subarray(to, to + length) as Uint8Array<ArrayBuffer>;
  }
}

const FAULTS: Readonly<Record<number, string>> = {
  [COLUMNS_SHORT]: 'columns that end too early',
  [COLUMNS_UNKNOWN]: 'columns that are not known',
  [COLUMNS_COUNT]: 'frames with other numbers of samples than there are',
  [COLUMNS_RUN]: 'a run that is longer than what is left',
  [COLUMNS_TIME]: 'a sample further from 1970 than any is taken',
  [COLUMNS_LEFT]: 'bytes too many',
};

function columnsBytes(frames: number, samples: number): number {
  return frames * KEYED_BYTES + samples * SAMPLE_BYTES;
}

/** Bytes of the frames in all blocks, as their headers have it. */
function framesBytes(bytes: Uint8Array): number {
  if (bytes.length > BLOCKS_BYTES_MAX) throw new BytesError(`blocks of more than ${BLOCKS_BYTES_MAX} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let sum = 0;
  for (let at = 0; at < bytes.length; ) {
    if (bytes.length - at < BLOCK_HEADER_BYTES) throw new BytesError(`a block that ends within its header at ${at}`);
    const kind = view.getUint32(at + BLOCK_KIND_AT, true) & 255;
    const length = view.getUint32(at + BLOCK_BYTES_AT, true);
    if (length < BLOCK_HEADER_BYTES || length > bytes.length - at)
      throw new BytesError(`a block of ${length} bytes at ${at}`);
    const frames = view.getUint32(at + BLOCK_FRAMES_AT, true);
    const samples = view.getUint32(at + BLOCK_SAMPLES_AT, true);
    if (kind === BLOCK_WHOLE) sum += length - BLOCK_HEADER_BYTES;
    else if (kind === BLOCK_COLUMNS) sum += columnsBytes(frames, samples);
    else throw new BytesError(`a block of kind ${kind} at ${at}`);
    if (sum > FRAMES_BYTES_MAX) throw new BytesError(`frames of more than ${FRAMES_BYTES_MAX} bytes`);
    at += length;
  }
  return sum;
}
