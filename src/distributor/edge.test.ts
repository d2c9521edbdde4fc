import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FrameTarget } from '../contract/ingest.ts';
import { ByteReader } from '../lib/bytes.ts';
import { systemClock } from '../lib/clock.ts';
import { type Random, seededRandom } from '../lib/random.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { decodeLabels } from '../model/canonical.ts';
import { floatHistogram } from '../model/histogram.ts';
import { Labels } from '../model/labels.ts';
import { labelsFault, sortPairs } from '../model/validate.ts';
import {
  FRAME_ASIDE,
  FRAME_HEADER_BYTES,
  SAMPLE_BYTES,
  SAMPLE_TIME_AT,
  SAMPLE_VALUE_AT,
} from '../wire/frame-layout.ts';
import { FrameView } from '../wire/frames.ts';
import { encodeRemoteWrite1 } from '../wire/remote-write-encode.ts';
import { readRichSample } from '../wire/rich-samples.ts';
import { deflateSnappy } from '../wire/snappy.ts';
import { WriteSamples, type WriteSeries } from '../wire/write-request.ts';
import { Edge } from './edge.ts';
import type { EdgeAnswer } from './edge-push.ts';

// The kernel's scan of a body is compared with a plain reading of it, and is given hostile bytes. EDGE_FUZZ_RUNS changes
// the number of runs.

const RUNS = Number(process.env.EDGE_FUZZ_RUNS ?? 1500);
const LIMITS = { ...DEFAULT_LIMITS, maxLabelNamesPerSeries: 6, maxLabelNameLength: 20, maxLabelValueLength: 40 };
const HEADERS = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' };

/** Keeps what it gets: series as text with their samples. */
class Collector implements FrameTarget {
  readonly series: { labels: string; samples: [number, bigint][] }[] = [];

  async push({ frames, bytes }: Parameters<FrameTarget['push']>[0]) {
    const body = new Uint8Array(frames, 0, bytes);
    const view = new DataView(frames, 0, bytes);
    let kept = 0;
    for (const frame = new FrameView(body); frame.next(); ) {
      const length = frame.end - frame.at;
      assert.ok(length >= FRAME_HEADER_BYTES && length % 8 === 0 && frame.end <= bytes, 'a frame within the buffer');
      // only plain frames: slow ones stand for what comes again behind each
      if (frame.flags === 0) {
        const { samples: count, samplesAt, labelsAt, labelsBytes } = frame;
        assert.equal(samplesAt + SAMPLE_BYTES * count, frame.end);
        const samples = Array.from({ length: count }, (_, i): [number, bigint] => [
          Number(view.getBigInt64(samplesAt + SAMPLE_BYTES * i + SAMPLE_TIME_AT, true)),
          view.getBigUint64(samplesAt + SAMPLE_BYTES * i + SAMPLE_VALUE_AT, true),
        ]);
        const labels = decodeLabels(body, labelsAt, labelsAt + labelsBytes);
        assert.equal(labelsFault(labels.pairs, LIMITS), undefined, `${labels} must not have come through`);
        this.series.push({ labels: labels.toString(), samples });
        kept += count;
      }
    }
    const result = {
      counts: [kept, 0, 0, 0, 0, 0],
      histogramsLost: 0,
      exemplarsLost: 0,
      refused: 0,
      first: undefined,
      unknown: [],
    };
    return { result, frames, keysTaken: false };
  }

  async setMetadata() {
    return {};
  }
}

function edgeWith(target: FrameTarget): Edge {
  return new Edge({ clock: systemClock, rawBytesMax: 1 << 20, targets: [target] });
}

function push(edge: Edge, raw: Uint8Array, body = deflateSnappy(raw)): Promise<EdgeAnswer> {
  return edge.push({ tenant: 't', headers: HEADERS, body: body.slice(), limits: LIMITS });
}

function randomText(random: Random, max: number): string {
  const letters = 'abcXYZ_01 é漢😀"\\';
  return Array.from({ length: Math.floor(random() * max) }, () => [...letters][Math.floor(random() * 16)]!).join('');
}

function randomSeries(random: Random): WriteSeries {
  const labels = new Map([['__name__', `metric_${Math.floor(random() * 5)}`]]);
  for (let i = 0; i < random() * 5; i++) labels.set(`l${Math.floor(random() * 20)}`, randomText(random, 10) || 'x');
  if (random() < 0.1) labels.delete('__name__');
  if (random() < 0.1) labels.set('empty', '');
  if (random() < 0.1) labels.set(randomText(random, 30), randomText(random, 60));
  const pairs = [...labels].sort(([a], [b]) => (a < b ? -1 : 1)).flat();
  if (random() < 0.1) pairs.push(...pairs.slice(0, 2));
  if (random() < 0.1) pairs.reverse();
  const samples = Array.from({ length: Math.floor(random() * 4) }, (_, i) => ({
    timeMs: 1_700_000_000_000 + i * 1000,
    value: random() < 0.2 ? 0 : random() * 100,
  }));
  return {
    pairs: pairs.length % 2 === 0 ? pairs : pairs.slice(1),
    labelsFault: undefined,
    samples: WriteSamples.of(samples),
    histograms: [],
    exemplars: [],
  };
}

test('what the scan takes and refuses is what a plain reading does', async () => {
  const random = seededRandom(3);
  for (let run = 0; run < RUNS / 5; run++) {
    const series = Array.from({ length: 1 + Math.floor(random() * 12) }, () => randomSeries(random));
    const want: { labels: string; samples: [number, bigint][] }[] = [];
    let refused = 0;
    for (const { pairs, samples } of series) {
      const sorted = sortPairs(pairs);
      if (labelsFault(sorted, LIMITS) !== undefined) refused += samples.count;
      else if (samples.count > 0) {
        want.push({
          labels: Labels.fromSortedPairs(sorted).toString(),
          samples: Array.from({ length: samples.count }, (_, i) => [
            samples.times[i]!,
            (BigInt(samples.high(i) >>> 0) << 32n) | BigInt(samples.low(i) >>> 0),
          ]),
        });
      }
    }
    const target = new Collector();
    const { response, discarded } = await push(edgeWith(target), encodeRemoteWrite1({ series, metadata: [] }));
    const byText = (a: { labels: string }, b: { labels: string }) => (a.labels < b.labels ? -1 : 1);
    const got = target.series.filter(({ samples }) => samples.length > 0);
    assert.deepEqual(got.sort(byText), want.sort(byText), `run ${run}`);
    assert.equal(
      Object.values(discarded).reduce((sum, n) => sum + n, 0),
      refused,
      `run ${run}`,
    );
    if (refused > 0) assert.equal(response.status, 400);
  }
});

test('hostile bodies are answered 4xx or taken in part, never more', async () => {
  const random = seededRandom(9);
  const edge = edgeWith(new Collector());
  for (let run = 0; run < RUNS; run++) {
    const series = Array.from({ length: 1 + Math.floor(random() * 6) }, () => randomSeries(random));
    const raw = encodeRemoteWrite1({ series, metadata: [] }).slice();
    if (raw.length === 0) continue;
    const flip = (bytes: Uint8Array) => {
      for (let flips = 1 + random() * 6; flips > 0; flips--)
        bytes[Math.floor(random() * bytes.length)] = random() * 256;
      return random() < 0.2 ? bytes.subarray(0, Math.floor(random() * bytes.length)) : bytes;
    };
    const { response } =
      random() < 0.5 ? await push(edge, flip(raw)) : await push(edge, raw, flip(deflateSnappy(raw).slice()));
    assert.ok(response.status === 204 || response.status === 400 || response.status === 413, `${response.status}`);
  }
});

test('a length that lies is refused before anything is inflated', async () => {
  const edge = edgeWith(new Collector());
  const claims = async (...bytes: number[]) => (await push(edge, new Uint8Array(0), Uint8Array.from(bytes))).response;
  assert.equal((await claims(0xff, 0xff, 0xff, 0xff, 0x0f)).status, 400); // 4 GiB
  assert.equal((await claims(0xff, 0xff, 0xff, 0x7f, 0)).status, 413); // 256 MiB, over the limit
  assert.equal((await claims(0xff, 0xff, 0x3f, 0)).status, 400); // just below the limit, out of two bytes
  const { text } = await claims(0xff, 0xff, 0xff, 0x7f, 0);
  assert.match(text, /268435455 bytes, more than 1048576 \(distributor.max-recv-msg-size\)/);
});

test('headers are judged before the body', async () => {
  const edge = edgeWith(new Collector());
  const status = async (headers: Record<string, string>) =>
    (await edge.push({ tenant: 't', headers, body: new Uint8Array(0), limits: LIMITS })).response.status;
  assert.equal(await status({ 'content-type': 'text/plain' }), 415);
  assert.equal(await status({ ...HEADERS, 'content-encoding': 'gzip' }), 415);
  assert.notEqual(await status({ ...HEADERS, 'content-encoding': ' Snappy' }), 415, 'in any case');
  assert.equal(
    await status({ ...HEADERS, 'content-type': 'application/x-protobuf;proto=io.prometheus.write.v3' }),
    415,
  );
  assert.equal(await status(HEADERS), 400);
});

test('floats and histograms of one series are handed on in the order they were sent', async () => {
  const labels = ['__name__', 'mixed', 'job', 'x'];
  const none = { pairs: labels, labelsFault: undefined, samples: WriteSamples.none, histograms: [], exemplars: [] };
  const float = (timeMs: number): WriteSeries => ({ ...none, samples: WriteSamples.of([{ timeMs, value: 1 }]) });
  const native = (timeMs: number): WriteSeries => ({
    ...none,
    histograms: [{ timeMs, startMs: 0, stale: false, histogram: floatHistogram({}), fault: undefined }],
  });
  const series = [float(1000), native(2000), float(3000), float(4000), native(5000), native(6000)];
  const times: number[] = [];
  const target = new Collector();
  const edge = edgeWith({
    push: (request) => {
      const view = new DataView(request.frames, 0, request.bytes);
      for (const frame = new FrameView(new Uint8Array(request.frames, 0, request.bytes)); frame.next(); ) {
        const { samplesAt } = frame;
        if (frame.flags === 0) times.push(Number(view.getBigInt64(samplesAt + SAMPLE_TIME_AT, true)));
        else if (frame.has(FRAME_ASIDE))
          times.push(readRichSample(new ByteReader(new Uint8Array(request.frames, samplesAt))).timeMs);
      }
      return target.push(request);
    },
    setMetadata: async () => ({}),
  });
  const { response } = await push(edge, encodeRemoteWrite1({ series, metadata: [] }));
  assert.equal(response.status, 204);
  assert.deepEqual(times, [1000, 2000, 3000, 4000, 5000, 6000]);
});

test('metadata that is not kept is counted by reason, and fails nobody’s samples', async () => {
  const asked: unknown[] = [];
  const target = new Collector();
  const edge = edgeWith({
    push: (request) => target.push(request),
    setMetadata: async ({ entries, limits }) => {
      asked.push(
        limits,
        entries.map(({ metric }) => metric),
      );
      return { per_user_metadata_limit: 2 };
    },
  });
  const entry = (metric: string, help = '', unit = '') => ({ metric, type: 'gauge', help, unit });
  const metadata = [
    entry('ok', 'a'.repeat(1024)),
    entry(''),
    entry('m'.repeat(1025)),
    entry('long', 'é'.repeat(513)),
    entry('unit', '', 'u'.repeat(1025)),
  ];
  const { response, discarded, discardedMetadata } = await push(edge, encodeRemoteWrite1({ series: [], metadata }));
  assert.equal(response.status, 204);
  assert.deepEqual(asked, [{ metricsMax: 8000, perMetricMax: 10 }, ['ok']]);
  assert.deepEqual(discarded, {});
  assert.deepEqual(discardedMetadata, {
    missing_metric_name: 1,
    metric_name_too_long: 1,
    help_too_long: 1,
    unit_too_long: 1,
    per_user_metadata_limit: 2,
  });
});

test('samples that would not be kept, or have no time, are refused with a reason of their own', async () => {
  const nowMs = Date.now();
  const DAY_MS = 86_400_000;
  const limits = { ...LIMITS, minSampleMs: 31 * DAY_MS, retentionPeriodMs: 3 * DAY_MS };
  const none = { labelsFault: undefined, samples: WriteSamples.none, histograms: [], exemplars: [] };
  const cases = [
    [0, 'sample_without_time', /min_sample_time/],
    [Math.floor(nowMs / 1000), 'sample_without_time', /no time in milliseconds/],
    [-5, 'sample_without_time', /min_sample_time/],
    [nowMs - 10 * DAY_MS, 'sample_older_than_retention', /older than 259200000 ms.*retention_period/],
  ] as const;
  for (const [timeMs, reason, text] of cases) {
    const pairs = ['__name__', 'm', 'job', 'x'];
    const plain: WriteSeries = { ...none, pairs, samples: WriteSamples.of([{ timeMs, value: 1 }]) };
    const histogram = { timeMs, startMs: 0, stale: false, histogram: floatHistogram({}), fault: undefined };
    const rich: WriteSeries = { ...none, pairs: ['__name__', 'h', 'job', 'x'], histograms: [histogram] };
    for (const series of [plain, rich]) {
      const target = new Collector();
      const { response, discarded } = await edgeWith(target).push({
        tenant: 't',
        headers: HEADERS,
        body: deflateSnappy(encodeRemoteWrite1({ series: [series], metadata: [] })).slice(),
        limits,
      });
      assert.equal(response.status, 400, `${timeMs}`);
      assert.match(response.text, text);
      assert.deepEqual(discarded, { [reason]: 1 });
      assert.ok(target.series.every(({ samples }) => samples.length === 0));
    }
  }
});
