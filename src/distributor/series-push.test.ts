import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PushedSeries } from '../contract/push.ts';
import { seededRandom } from '../lib/random.ts';
import { PlainSeriesWriter } from '../wire/plain-series.ts';
import { decodeRemoteWrite1 } from '../wire/remote-write-1.ts';
import { encodeRemoteWrite1 } from '../wire/remote-write-encode.ts';
import { inflateSnappy, storeSnappy } from '../wire/snappy.ts';
import { WriteSamples } from '../wire/write-request.ts';
import { encodeSeriesPush } from './series-push.ts';

const TEXTS = ['', 'a', 'job', 'grün', '世界', '😀', '\ud800', 'x'.repeat(127), 'y'.repeat(128), 'z'.repeat(20_000)];
const TIMES = [0, 1, 127, 128, 2 ** 31, 2 ** 32, 2 ** 35 - 1, 1_767_231_000_000, 2 ** 53, -1, -(2 ** 31), -(2 ** 40)];

test('plain series are written as the encoder of remote write writes them', () => {
  const random = seededRandom(3);
  const some = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const words = () => Math.floor(random() * 2 ** 32) | 0;
  const writer = new PlainSeriesWriter();
  for (let round = 0; round < 200; round++) {
    const series = Array.from({ length: Math.floor(random() * 20) }, () => ({
      pairs: Array.from({ length: 2 * Math.floor(random() * 6) }, () => some(TEXTS)),
      samples: Array.from({ length: Math.floor(random() * 3) }, () => ({
        timeMs: some(TIMES),
        high: words(),
        low: words(),
      })),
    }));
    for (const { pairs, samples } of series) writer.add(pairs, samples);
    const want = encodeRemoteWrite1({
      metadata: [],
      series: series.map(({ pairs, samples }) => {
        const all = new WriteSamples();
        for (const { timeMs, high, low } of samples) all.push(timeMs, high, low, 0);
        return { pairs, labelsFault: undefined, samples: all, histograms: [], exemplars: [] };
      }),
    });
    assert.ok(Buffer.from(want).equals(writer.take()), `round ${round}`);
  }
});

test('what is stored is what a reader of snappy finds', () => {
  for (const length of [0, 1, 59, 60, 61, 127, 65_535, 65_536, 65_537, 200_000]) {
    const bytes = Uint8Array.from({ length }, (_, i) => i % 251);
    assert.deepEqual(inflateSnappy(storeSnappy(bytes), 1e6, 'test'), bytes);
  }
});

test('a push has its values, stale markers and times', () => {
  const series: PushedSeries[] = [
    { pairs: ['__name__', 'a'], samples: [{ timeMs: 5, value: 1.5 }, { timeMs: 6, stale: true }] }, // biome-ignore format: short
    { pairs: ['__name__', 'b'], samples: [{ timeMs: 7, value: Number.NEGATIVE_INFINITY }] },
  ];
  const { body } = encodeSeriesPush(series);
  const read = [...decodeRemoteWrite1(inflateSnappy(body, 1e6, 'test')).series];
  assert.deepEqual(
    read.map(({ samples }) => Array.from({ length: samples.count }, (_, i) => [samples.times[i], samples.value(i)])),
    [
      [
        [5, 1.5],
        [6, Number.NaN],
      ],
      [[7, Number.NEGATIVE_INFINITY]],
    ],
  );
  assert.equal(read[0]!.samples.isStale(1), true);
});
