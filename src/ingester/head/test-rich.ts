import assert from 'node:assert/strict';
import { ByteWriter } from '../../lib/bytes.ts';
import type { Random } from '../../lib/random.ts';
import { type FloatHistogram, floatHistogram, withResetHint } from '../../model/histogram.ts';
import { histogramBytes } from '../../model/histogram-bytes.ts';
import {
  type Histogram,
  isIntegerHistogram,
  toFloatHistogram,
  toIntegerHistogram,
} from '../../model/histogram-integer.ts';
import { detectReset } from '../../model/histogram-reset.ts';
import { negativeSide, positiveSide, SideCursor } from '../../model/histogram-side.ts';
import { HISTOGRAM, type SampleColumns, STALE, STALE_HISTOGRAM } from '../../storage/columns.ts';
import { type RichSample, writeRichSample } from '../../wire/rich-samples.ts';

/** Counters that grow by chance, with resets, new buckets and other layouts now and then; some are gauges, some floats. */
export function randomHistogram(random: Random, before: FloatHistogram | undefined): Histogram | FloatHistogram {
  const gauge = before === undefined ? random() < 0.2 : before.resetHint === 'gauge';
  const afresh = before === undefined || random() < 0.15;
  const schema = afresh ? [-53, 0, 2, 3][Math.floor(random() * 4)]! : before.schema;
  const custom = schema === -53;
  const buckets = custom ? 4 : 1 + Math.floor(random() * 6);
  const old = afresh ? [] : before.positiveBuckets;
  const positiveBuckets = Array.from({ length: Math.max(buckets, old.length) }, (_, i) =>
    Math.floor((old[i] ?? 0) + random() * 10 * (random() < 0.6 ? 1 : 0)),
  );
  const offset = custom ? 0 : afresh ? Math.floor(random() * 20 - 10) : before.positiveSpans[0]!.offset;
  const zeroCount = custom ? 0 : Math.floor(random() * 1e6);
  const float = floatHistogram({
    resetHint: gauge ? 'gauge' : 'unknown',
    schema,
    zeroThreshold: custom ? 0 : 0.001,
    zeroCount,
    count: zeroCount + positiveBuckets.reduce((sum, n) => sum + n, 0),
    sum: random() * 1000,
    positiveSpans: [{ offset, length: positiveBuckets.length }],
    positiveBuckets,
    customValues: custom ? [0.5, 1, 2.5] : [],
  });
  if (custom) return trimmed(float);
  return random() < 0.3 ? float : toIntegerHistogram(float);
}

/** Custom bounds have one bucket more than bounds. */
function trimmed(histogram: FloatHistogram): FloatHistogram {
  const positiveBuckets = histogram.positiveBuckets.slice(0, 4);
  return {
    ...histogram,
    positiveBuckets,
    positiveSpans: [{ offset: 0, length: 4 }],
    count: positiveBuckets.reduce((sum, n) => sum + n, 0),
  };
}

export function floatOf(histogram: Histogram | FloatHistogram): FloatHistogram {
  return isIntegerHistogram(histogram) ? toFloatHistogram(histogram) : histogram;
}

/** The observations of a histogram, whatever empty buckets are spelled out. */
export function histogramText(histogram: FloatHistogram): string {
  const { schema, zeroThreshold, zeroCount, count, sum, customValues, resetHint } = histogram;
  const sides = [positiveSide(histogram), negativeSide(histogram)].map(({ spans, buckets }) => {
    const filled: [number, number][] = [];
    for (const cursor = new SideCursor(spans, buckets); cursor.next(); ) {
      if (cursor.count !== 0) filled.push([cursor.index, cursor.count]);
    }
    return filled;
  });
  const gauge = resetHint === 'gauge';
  return JSON.stringify({ schema, zeroThreshold, zeroCount, count, sum: String(sum), customValues, gauge, sides });
}

/** Decides between histograms of one time. */
export function histogramOrder(histogram: FloatHistogram): string {
  return Buffer.from(histogramBytes(histogram)).toString('latin1');
}

export function richPayload(samples: readonly RichSample[]): Uint8Array {
  const out = new ByteWriter();
  for (const sample of samples) writeRichSample(out, sample);
  return out.done().slice();
}

/** The samples as text by time; what is said of resets must be true. */
export function columnTexts(columns: SampleColumns): Map<number, string> {
  const texts = new Map<number, string>();
  const bits = new BigUint64Array(columns.values.buffer, columns.values.byteOffset, columns.count);
  for (let i = 0; i < columns.count; i++) {
    const kind = columns.plain ? 0 : columns.kinds[i]!;
    const startMs = columns.hasStarts ? columns.starts[i]! : 0;
    texts.set(columns.times[i]!, `${textAt(columns, i, kind, bits[i]!)} ${startMs}`);
    if (kind !== HISTOGRAM || columns.histograms[i]!.resetHint !== 'not_reset' || i === 0) continue;
    const before = columns.histograms[i - 1];
    assert.ok(columns.kinds[i - 1] === HISTOGRAM && before !== undefined, `no histogram before ${columns.times[i]}`);
    const now = withResetHint(columns.histograms[i]!, 'unknown');
    assert.ok(!detectReset(now, withResetHint(before, 'unknown')), `there is a reset at ${columns.times[i]}`);
  }
  return texts;
}

function textAt(columns: SampleColumns, i: number, kind: number, bits: bigint): string {
  if (kind === STALE) return 'stale';
  if (kind === STALE_HISTOGRAM) return 'stale histogram';
  return kind === HISTOGRAM ? histogramText(columns.histograms[i]!) : bits.toString(16);
}
