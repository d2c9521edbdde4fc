import { STALE_HIGH, STALE_LOW } from '../../src/lib/float-bits.ts';
import type { Histogram } from '../../src/model/histogram-integer.ts';
import { encodeRemoteWrite1 } from '../../src/wire/remote-write-encode.ts';
import { deflateSnappy } from '../../src/wire/snappy.ts';
import { WriteSamples } from '../../src/wire/write-request.ts';

export interface PushSeries {
  readonly labels: Readonly<Record<string, string>>;
  /** [Unix ms, value] */
  readonly samples: readonly (readonly [timeMs: number, value: number])[];
  /** [Unix ms, value, trace] */
  readonly exemplars?: readonly (readonly [timeMs: number, value: number, trace: string])[];
  readonly histograms?: readonly (readonly [timeMs: number, histogram: Histogram])[];
}

export const WRITE_HEADERS = {
  'content-type': 'application/x-protobuf',
  'content-encoding': 'snappy',
  'x-prometheus-remote-write-version': '0.1.0',
  'user-agent': 'pallium-test/1',
};

/** A compressed body of remote write 1.0. A value of undefined is a stale marker. */
export function writeBody(
  series: readonly {
    readonly labels: Readonly<Record<string, string>>;
    readonly samples: readonly (readonly [timeMs: number, value: number | undefined])[];
    readonly exemplars?: PushSeries['exemplars'];
    readonly histograms?: PushSeries['histograms'];
  }[],
): Uint8Array {
  return deflateSnappy(
    encodeRemoteWrite1({
      metadata: [],
      series: series.map(({ labels, samples, exemplars = [], histograms = [] }) => ({
        pairs: Object.entries(labels)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .flat(),
        labelsFault: undefined,
        samples: writeSamples(samples),
        histograms: histograms.map(([timeMs, histogram]) => ({
          timeMs,
          startMs: 0,
          stale: false,
          histogram,
          fault: undefined,
        })),
        exemplars: exemplars.map(([timeMs, value, trace]) => ({
          pairs: ['trace_id', trace],
          labelsFault: undefined,
          value,
          timeMs,
        })),
      })),
    }),
  );
}

// as Prometheus writes the two
const NAN_HIGH = 0x7ff80000;
const NAN_LOW = 1;
const words = new DataView(new ArrayBuffer(8));

/** A value of undefined is a stale marker. */
export function writeSamples(
  samples: readonly (readonly [timeMs: number, value: number | undefined, startMs?: number])[],
): WriteSamples {
  const out = new WriteSamples();
  for (const [timeMs, value, startMs = 0] of samples) {
    words.setFloat64(0, value ?? 0);
    // a NaN's payload need not survive as a JavaScript number, so the marker goes in as words
    if (value === undefined) out.push(timeMs, STALE_HIGH, STALE_LOW, startMs);
    else if (Number.isNaN(value)) out.push(timeMs, NAN_HIGH, NAN_LOW, startMs);
    else out.push(timeMs, words.getUint32(0), words.getUint32(4), startMs);
  }
  return out;
}

export interface PushAnswer {
  readonly status: number;
  readonly text: string;
  readonly retryAfter: string | null;
}

/** Sends a body to `/api/v1/push` of Pallium, or `/api/v1/write` of others. @throws when there is no answer */
export async function push(
  url: string,
  body: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
  signal?: AbortSignal,
): Promise<PushAnswer> {
  const answer = await fetch(url, {
    method: 'POST',
    body: body as Uint8Array<ArrayBuffer>,
    headers: { ...WRITE_HEADERS, ...headers },
    signal,
  });
  return { status: answer.status, text: await answer.text(), retryAfter: answer.headers.get('retry-after') };
}
