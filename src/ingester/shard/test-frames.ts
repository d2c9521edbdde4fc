import { Kernel } from '../../chunk/kernel.ts';
import { encodeLabels } from '../../model/canonical.ts';
import { Labels } from '../../model/labels.ts';
import { FrameWriter } from '../../wire/frames.ts';

export interface TestSeries {
  readonly labels: Record<string, string>;
  /** [Unix ms, value]; undefined: a stale marker */
  readonly samples: readonly (readonly [number, number | undefined])[];
}

const STALE_BITS = 0x7ff0000000000002n;

const writer = new FrameWriter(Kernel.create());

/** Frames as an edge makes them. */
export function testFrames(series: readonly TestSeries[]): Uint8Array {
  const bits = new DataView(new ArrayBuffer(8));
  writer.clear();
  for (const { labels, samples } of series) {
    const own = Labels.of(labels);
    writer.series(encodeLabels(own), Buffer.from(own.metricName), samples.length);
    for (const [timeMs, value] of samples) {
      if (value === undefined) bits.setBigUint64(0, STALE_BITS);
      else bits.setFloat64(0, value);
      writer.sample(timeMs, bits.getUint32(0), bits.getUint32(4));
    }
  }
  return writer.bytes.slice();
}
