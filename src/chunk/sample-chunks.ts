import { STALE_HIGH, STALE_LOW } from '../lib/float-bits.ts';
import { HISTOGRAM, type SampleColumns, STALE, STALE_HISTOGRAM } from '../storage/columns.ts';
import { type HistogramAppended, HistogramWriter } from './histogram.ts';
import { Int64 } from './int64.ts';
import { XorWriter } from './xor.ts';

/** Samples that make a full chunk, as in Prometheus. */
const CHUNK_SAMPLES = 120;

/** Samples in one of Prometheus' encodings, ascending by time. */
export interface SampleChunk {
  readonly fromMs: number;
  /** Included. */
  readonly toMs: number;
  readonly encoding: 'xor' | 'floathistogram';
  readonly bytes: Uint8Array;
}

const time = new Int64();

/** Floats and histograms of a series in chunks of their own, in order of time. */
export function chunksOf(samples: SampleColumns): SampleChunk[] {
  const chunks: SampleChunk[] = [];
  let at = 0;
  while (at < samples.count) {
    const from = at;
    const histograms = isHistogram(samples, at);
    let bytes: Uint8Array;
    if (histograms) {
      const writer = HistogramWriter.create('floathistogram');
      while (canTake(samples, from, at, true) && appendHistogram(writer, samples, at).outcome !== 'cut') at++;
      bytes = writer.toBytes();
    } else {
      const writer = XorWriter.create();
      for (; canTake(samples, from, at, false); at++) {
        const stale = !samples.plain && samples.kinds[at] === STALE;
        // by its bits, since a NaN need not keep them on its way through a number
        if (stale) writer.appendBits(time.setNumber(samples.times[at]!), STALE_HIGH, STALE_LOW);
        else writer.append(samples.times[at]!, samples.values[at]!);
      }
      bytes = writer.toBytes();
    }
    const encoding = histograms ? 'floathistogram' : 'xor';
    chunks.push({ fromMs: samples.times[from]!, toMs: samples.times[at - 1]!, encoding, bytes });
  }
  return chunks;
}

function isHistogram(samples: SampleColumns, i: number): boolean {
  return !samples.plain && (samples.kinds[i] === HISTOGRAM || samples.kinds[i] === STALE_HISTOGRAM);
}

function canTake(samples: SampleColumns, from: number, at: number, histograms: boolean): boolean {
  return at < samples.count && at - from < CHUNK_SAMPLES && isHistogram(samples, at) === histograms;
}

/** The first of a chunk is never cut off. */
function appendHistogram(writer: HistogramWriter, samples: SampleColumns, i: number): HistogramAppended {
  const histogram = samples.histograms[i];
  const timeMs = samples.times[i]!;
  return histogram === undefined ? writer.appendStale(timeMs) : writer.append(timeMs, histogram);
}
