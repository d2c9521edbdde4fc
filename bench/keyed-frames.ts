import type { Random } from '../src/lib/random.ts';
import { FRAME_FLAGS_AT, FRAME_KEY } from '../src/wire/frame-layout.ts';

/** Frames of series by their keys, one sample each, as an edge makes them of a scrape: four series to a metric. */
export function keyedFrames(random: Random, count: number, timeMs: number, value: (index: number) => number): Buffer {
  const frames = Array.from({ length: count }, (_, i) => {
    const frame = Buffer.alloc(56);
    frame.writeUInt32LE(56, 0);
    frame.writeUInt32LE(16, 4);
    frame.writeUInt32LE(1, 8);
    frame.writeUInt32LE(FRAME_KEY, FRAME_FLAGS_AT);
    frame.writeUInt32LE(i >> 2, 16);
    for (let at = 24; at < 40; at++) frame[at] = random() * 256;
    frame.writeBigInt64LE(BigInt(timeMs), 40);
    frame.writeDoubleLE(value(i), 48);
    return frame;
  });
  return Buffer.concat(frames);
}
