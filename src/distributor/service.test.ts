import assert from 'node:assert/strict';
import { test } from 'node:test';
import { APPENDED, type FramePush, type FrameTarget } from '../contract/ingest.ts';
import { Registry } from '../kit/observe/metrics.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { DEFAULT_LIMITS, type TenantLimits } from '../limits/limits.ts';
import { decodeLabels } from '../model/canonical.ts';
import { processErrors } from '../model/errors-process.ts';
import { floatHistogram } from '../model/histogram.ts';
import { FRAME_ASIDE, FRAME_SLOW, SAMPLE_BYTES, SAMPLE_TIME_AT, SAMPLE_VALUE_AT } from '../wire/frame-layout.ts';
import { FrameView } from '../wire/frames.ts';
import { Edge } from './edge.ts';
import type { EdgeAnswer, EdgePush } from './edge-push.ts';
import { WHOLE } from './local-slots.ts';
import { encodeSeriesPush } from './series-push.ts';
import { DistributorService } from './service.ts';

// The service with an edge in this thread.

const NOW_MS = 1_767_231_000_000;
const STALE_BITS = 0x7ff0000000000002n;

/** Keeps what it gets as text. */
class Collector implements FrameTarget {
  readonly kept: string[] = [];

  async push({ frames, bytes }: FramePush) {
    const counts = [0, 0, 0, 0, 0, 0];
    const view = new DataView(frames, 0, bytes);
    for (const frame = new FrameView(new Uint8Array(frames, 0, bytes)); frame.next(); ) {
      if (frame.has(FRAME_SLOW)) continue; // it comes again behind, or not at all
      const name = decodeLabels(frame.labels, 0, frame.labelsBytes).toString();
      counts[APPENDED]! += frame.samples;
      if (frame.has(FRAME_ASIDE)) {
        this.kept.push(`${name} ${frame.samples} aside`);
        continue;
      }
      for (let i = 0, at = frame.samplesAt; i < frame.samples; i++, at += SAMPLE_BYTES) {
        const timeMs = Number(view.getBigInt64(at + SAMPLE_TIME_AT, true));
        const stale = view.getBigUint64(at + SAMPLE_VALUE_AT, true) === STALE_BITS;
        const value = stale ? 'stale' : view.getFloat64(at + SAMPLE_VALUE_AT, true);
        this.kept.push(`${name} ${timeMs - NOW_MS} ${value}`);
      }
    }
    const result = { counts, histogramsLost: 0, exemplarsLost: 0, refused: 0, first: undefined, unknown: [] };
    return { result, frames, keysTaken: false };
  }

  async setMetadata() {
    return {};
  }
}

function serviceWith(limits: (tenant: string) => TenantLimits = () => DEFAULT_LIMITS, distributors?: () => number) {
  const clock = new ManualClock(NOW_MS);
  const target = new Collector();
  const edge = new Edge({ clock, rawBytesMax: 1 << 20, targets: [target] });
  const registry = new Registry();
  const service = new DistributorService({
    edges: edge,
    limits,
    registry,
    clock,
    ...(distributors === undefined ? {} : { distributors }),
  });
  const metric = async (name: string) => (await registry.getSingleMetricAsString(name)).split('\n').slice(2);
  return { service, kept: target.kept, clock, metric };
}

test('a body is taken, counted, and rated', async () => {
  const { service, kept, clock, metric } = serviceWith();
  const pairs = ['__name__', 'up', 'job', 'a'];
  const write = encodeSeriesPush([{ pairs, samples: [{ timeMs: NOW_MS, value: 1.5 }] }]);
  assert.deepEqual(await service.push({ tenant: 'a', ...write }), { status: 204, headers: {}, text: '' });
  assert.deepEqual(kept, ['{__name__="up", job="a"} 0 1.5']);
  assert.deepEqual(await metric('pallium_distributor_received_samples_total'), [
    'pallium_distributor_received_samples_total 1',
  ]);
  clock.set(clock.nowMs() + 15_000);
  assert.ok(service.rates.of('a') > 0);
  assert.equal(service.rates.of('b'), 0);
});

test('series come in by themselves: floats, ends, histograms', async () => {
  const { service, kept } = serviceWith();
  const histogram = floatHistogram({
    count: 2,
    sum: 3,
    positiveSpans: [{ offset: 0, length: 1 }],
    positiveBuckets: [2],
  });
  const answer = await service.pushSeries({
    tenant: 'a',
    series: [
      {
        pairs: ['__name__', 'rule:up', 'job', 'a'],
        samples: [
          { timeMs: NOW_MS - 15_000, value: Number.NaN },
          { timeMs: NOW_MS, stale: true },
        ],
      },
      { pairs: ['job', 'b', '__name__', 'rule:latency'], samples: [{ timeMs: NOW_MS, histogram }] },
    ],
  });
  assert.deepEqual(answer, { status: 204, headers: {}, text: '' });
  assert.deepEqual(kept.sort(), [
    '{__name__="rule:latency", job="b"} 1 aside',
    '{__name__="rule:up", job="a"} -15000 NaN',
    '{__name__="rule:up", job="a"} 0 stale',
  ]);
});

test('a local rate is of each distributor, a global one of all together', async () => {
  const pairs = ['__name__', 'up'];
  for (const [ingestionRateStrategy, distributors, rate] of [
    ['local', 4, 20],
    ['global', 4, 5],
    ['global', undefined, 20],
  ] as const) {
    const limits = { ...DEFAULT_LIMITS, ingestionRate: 20, ingestionBurstSize: 0, ingestionRateStrategy };
    const { service } = serviceWith(() => limits, distributors && (() => distributors));
    const answer = await service.pushSeries({
      tenant: 'a',
      series: [{ pairs, samples: [{ timeMs: NOW_MS, value: 1 }] }],
    });
    assert.equal(answer.status, 429);
    assert.match(answer.text, new RegExp(`ingestion rate limit \\(${rate}\\) exceeded`));
  }
});

test("each tenant's limits are its own, and what is refused is counted by reason", async () => {
  const { service, kept, metric } = serviceWith((tenant) =>
    tenant === 'small' ? { ...DEFAULT_LIMITS, maxLabelNamesPerSeries: 1 } : DEFAULT_LIMITS,
  );
  const series = [{ pairs: ['__name__', 'up', 'job', 'a'], samples: [{ timeMs: NOW_MS, value: 1 }] }];
  assert.equal((await service.pushSeries({ tenant: 'large', series })).status, 204);
  const refused = await service.pushSeries({ tenant: 'small', series });
  assert.equal(refused.status, 400);
  assert.match(refused.text, /max_label_names_per_series|label names/);
  assert.equal(kept.length, 1);
  const [line] = await metric('pallium_discarded_samples_total');
  assert.match(line!, /user="small".*} 1$/);
});

test('an edge that is gone or busy is a status, with the time to come back', async () => {
  const registry = new Registry();
  const clock = new ManualClock(NOW_MS);
  const edges = { push: () => Promise.reject(processErrors.workerQueueFull({ pool: 'edge', limit: 3 })) };
  const service = new DistributorService({ edges, limits: () => DEFAULT_LIMITS, registry, clock });
  const answer = await service.push({ tenant: 'a', headers: {}, body: new Uint8Array(0) });
  assert.equal(answer.status, 503);
  assert.ok('retry-after' in answer.headers);
  assert.match(answer.text, /3/);
});

test('a body of another kind is refused', async () => {
  const { service } = serviceWith();
  const headers = { 'content-type': 'text/plain' };
  assert.equal((await service.push({ tenant: 'a', headers, body: new Uint8Array(1) })).status, 415);
});

test('a write goes on at once where this thread knows how its tenant is spread', async () => {
  const pushed: EdgePush[] = [];
  const answers: PromiseWithResolvers<EdgeAnswer> = Promise.withResolvers();
  const service = new DistributorService({
    edges: {
      push(request) {
        pushed.push(request);
        return answers.promise;
      },
    },
    limits: () => DEFAULT_LIMITS,
    slots: { of: (tenant) => (tenant === 'asked' ? Promise.resolve(WHOLE) : WHOLE), report() {} },
    registry: new Registry(),
    clock: new ManualClock(NOW_MS),
  });
  const write = { headers: {}, body: new Uint8Array(0) };
  void service.push({ tenant: 'known', ...write });
  assert.deepEqual(
    pushed.map(({ tenant, slots }) => [tenant, slots]),
    [['known', WHOLE]],
  );
  void service.push({ tenant: 'asked', ...write });
  assert.equal(pushed.length, 1);
  await Promise.resolve();
  assert.deepEqual(pushed[1]?.slots, WHOLE);
});
