import type { PushedSample, PushedSeries, PushRequest } from '../../src/contract/push.ts';
import { highWord, lowWord } from '../../src/lib/float-bits.ts';
import { encodeRemoteWrite2 } from '../../src/wire/remote-write-encode.ts';
import { deflateSnappy } from '../../src/wire/snappy.ts';
import { type WriteHistogram, WriteSamples } from '../../src/wire/write-request.ts';

/** Series as a sender of the load has them. */
export interface SentSeries extends PushedSeries {
  /** Start timestamp of all their samples, Unix ms; undefined: they have none. */
  readonly startMs?: number;
}

/** A stale marker, high word and low. */
const STALE_BITS = [0x7ff00000, 2] as const;

const HEADERS = {
  'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
  'content-encoding': 'snappy',
  'x-prometheus-remote-write-version': '2.0.0',
};

/** A request of remote write 2.0: version 1.0 has no start timestamps. */
export function encodeSent(series: readonly SentSeries[]): Pick<PushRequest, 'headers' | 'body'> {
  const body = encodeRemoteWrite2({
    metadata: [],
    series: series.map(({ pairs, samples, startMs = 0 }) => ({
      pairs,
      labelsFault: undefined,
      samples: floatsOf(samples, startMs),
      histograms: samples.flatMap((sample) => histogramOf(sample, startMs)),
      exemplars: [],
    })),
  });
  return { headers: HEADERS, body: deflateSnappy(body) };
}

function floatsOf(samples: readonly PushedSample[], startMs: number): WriteSamples {
  const out = new WriteSamples();
  for (const sample of samples) {
    if ('value' in sample) out.push(sample.timeMs, highWord(sample.value), lowWord(sample.value), startMs);
    else if ('stale' in sample) out.push(sample.timeMs, ...STALE_BITS, startMs);
  }
  return out;
}

function histogramOf(sample: PushedSample, startMs: number): WriteHistogram[] {
  if (!('histogram' in sample)) return [];
  const { timeMs, histogram } = sample;
  return [{ timeMs, startMs, stale: false, histogram, fault: undefined }];
}
