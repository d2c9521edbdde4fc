import { encodeLabels } from '../model/canonical.ts';
import { Labels } from '../model/labels.ts';

export interface TestSeries {
  readonly labels: Record<string, string>;
  /** [Unix ms, value] */
  readonly samples: readonly (readonly [number, number])[];
}

/** Frames as an edge would have made them (kernel/write-request.ts); the metric's hash is left 0. */
export function testFrames(series: readonly TestSeries[]): Uint8Array {
  const frames = series.map(({ labels, samples }) => {
    const bytes = encodeLabels(Labels.of(labels));
    const samplesAt = 24 + ((bytes.length + 7) & ~7);
    const frame = new Uint8Array(samplesAt + samples.length * 16);
    const view = new DataView(frame.buffer);
    view.setUint32(0, frame.length, true);
    view.setUint32(4, bytes.length, true);
    view.setUint32(8, samples.length, true);
    frame.set(bytes, 24);
    for (const [i, [timeMs, value]] of samples.entries()) {
      view.setBigInt64(samplesAt + 16 * i, BigInt(timeMs), true);
      view.setFloat64(samplesAt + 16 * i + 8, value, true);
    }
    return frame;
  });
  return Buffer.concat(frames);
}
