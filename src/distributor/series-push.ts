import type { PushedSample, PushedSeries, PushRequest } from '../contract/push.ts';
import { highWord, lowWord, STALE_HIGH, STALE_LOW } from '../lib/float-bits.ts';
import { encodeRemoteWrite1 } from '../wire/remote-write-encode.ts';
import { deflateSnappy } from '../wire/snappy.ts';
import { type WriteHistogram, WriteSamples } from '../wire/write-request.ts';

const HEADERS = {
  'content-type': 'application/x-protobuf',
  'content-encoding': 'snappy',
  'x-prometheus-remote-write-version': '0.1.0',
};

/** Series as a request of remote write 1.0: they go the way that all writes go. */
export function encodeSeriesPush(series: readonly PushedSeries[]): Pick<PushRequest, 'headers' | 'body'> {
  const raw = encodeRemoteWrite1({
    metadata: [],
    series: series.map(({ pairs, samples }) => ({
      pairs,
      labelsFault: undefined,
      samples: floatsOf(samples),
      histograms: histogramsOf(samples),
      exemplars: [],
    })),
  });
  return { headers: HEADERS, body: deflateSnappy(raw) };
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
