import type { PushedSample, PushedSeries, PushRequest } from '../contract/push.ts';
import { highWord, lowWord, STALE_HIGH, STALE_LOW } from '../lib/float-bits.ts';
import { PlainSeriesWriter } from '../wire/plain-series.ts';
import { encodeRemoteWrite1 } from '../wire/remote-write-encode.ts';
import { storeSnappy } from '../wire/snappy.ts';
import { type WriteHistogram, WriteSamples } from '../wire/write-request.ts';

const HEADERS = {
  'content-type': 'application/x-protobuf',
  'content-encoding': 'snappy',
  'x-prometheus-remote-write-version': '0.1.0',
};

const plain = new PlainSeriesWriter();

/** Series as a request of remote write 1.0: they go the way that all writes go, not compressed, for they do not leave the machine. */
export function encodeSeriesPush(
  series: readonly PushedSeries[],
  encoded: readonly Uint8Array[] = [],
): Pick<PushRequest, 'headers' | 'body'> {
  if (series.length === 0) return { headers: HEADERS, body: storeSnappy(joined(encoded)) };
  const own = series.every(isPlain) ? encodedPlain(series) : encodedAny(series);
  return { headers: HEADERS, body: storeSnappy(encoded.length === 0 ? own : joined([...encoded, own])) };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

function isPlain({ samples }: PushedSeries): boolean {
  return samples.every((sample) => !('histogram' in sample));
}

function encodedPlain(series: readonly PushedSeries[]): Uint8Array {
  for (const { pairs, samples } of series) {
    plain.add(
      pairs,
      samples.map((sample) => {
        const { timeMs } = sample;
        if ('value' in sample) return { timeMs, high: highWord(sample.value), low: lowWord(sample.value) };
        return { timeMs, high: STALE_HIGH, low: STALE_LOW };
      }),
    );
  }
  return plain.take();
}

function encodedAny(series: readonly PushedSeries[]): Uint8Array {
  return encodeRemoteWrite1({
    metadata: [],
    series: series.map(({ pairs, samples }) => ({
      pairs,
      labelsFault: undefined,
      samples: floatsOf(samples),
      histograms: histogramsOf(samples),
      exemplars: [],
    })),
  });
}

function floatsOf(samples: readonly PushedSample[]): WriteSamples {
  const out = new WriteSamples();
  for (const sample of samples) {
    if ('stale' in sample) out.push(sample.timeMs, STALE_HIGH, STALE_LOW, 0);
    else if ('value' in sample) out.push(sample.timeMs, highWord(sample.value), lowWord(sample.value), 0);
  }
  return out;
}

function histogramsOf(samples: readonly PushedSample[]): WriteHistogram[] {
  return samples.flatMap((sample) =>
    'histogram' in sample
      ? [{ timeMs: sample.timeMs, startMs: 0, stale: false, histogram: sample.histogram, fault: undefined }]
      : [],
  );
}
