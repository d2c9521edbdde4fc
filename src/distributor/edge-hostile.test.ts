import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FramePush, FrameTarget } from '../contract/ingest.ts';
import { systemClock } from '../lib/clock.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { SAMPLES_PER_FRAME_MAX } from '../wire/frame-layout.ts';
import { FrameView } from '../wire/frames.ts';
import { encodeRemoteWrite1, encodeRemoteWrite2 } from '../wire/remote-write-encode.ts';
import { deflateSnappy } from '../wire/snappy.ts';
import { WriteSamples, type WriteSeries } from '../wire/write-request.ts';
import { Edge } from './edge.ts';

// Requests that are built to cost more than they weigh.

const MIB = 1024 * 1024;
const V1 = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' };
const V2 = { ...V1, 'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request' };
const NOW = Date.now();

/** Remembers what it gets: by push its tenant and the samples of each frame. */
class Recorder implements FrameTarget {
  readonly pushes: { readonly tenant: string; readonly bytes: number; readonly samples: readonly number[] }[] = [];

  onPush = () => {};

  async push({ tenant, frames, bytes }: FramePush) {
    this.onPush();
    const samples: number[] = [];
    for (const frame = new FrameView(new Uint8Array(frames, 0, bytes)); frame.next(); ) samples.push(frame.samples);
    this.pushes.push({ tenant, bytes, samples });
    await new Promise((resolve) => setImmediate(resolve));
    const result = {
      counts: [samples.reduce((sum, n) => sum + n, 0), 0, 0, 0, 0, 0],
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

function edgeOf(target = new Recorder()) {
  return new Edge({ clock: systemClock, rawBytesMax: 32 * MIB, targets: [target] });
}

function send(edge: Edge, raw: Uint8Array, headers = V1, tenant = 'attacker') {
  return edge.push({ tenant, headers, body: deflateSnappy(raw).slice(), limits: DEFAULT_LIMITS });
}

function repeated(hex: string, bytes: number): Uint8Array {
  const unit = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  return Buffer.alloc(Math.floor(bytes / unit.length) * unit.length, unit);
}

function seriesOf(pairs: readonly string[], times: readonly number[]): WriteSeries {
  const samples = WriteSamples.of(times.map((timeMs) => ({ timeMs, value: 1 })));
  return { pairs, labelsFault: undefined, samples, histograms: [], exemplars: [] };
}

/** CPU time of this process that `work` takes, ms. */
async function cpuMs(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

const BOMBS: readonly (readonly [name: string, hex: string, headers: typeof V1])[] = [
  ['empty series', '0a00', V1],
  ['empty metadata', '1a00', V1],
  ['series of an empty exemplar', '0a021a00', V1],
  ['series of an empty histogram', '0a022200', V1],
  ['series of an empty label', '0a040a020a00', V1],
  ['empty series of remote write 2.0', '2a00', V2],
  ['empty symbols', '2200', V2],
  ['series of an empty histogram in 2.0', '2a021a00', V2],
  ['series of an empty exemplar in 2.0', '2a022200', V2],
];

for (const [name, hex, headers] of BOMBS) {
  test(`32 MiB of ${name} are refused before they become objects`, async () => {
    const edge = edgeOf();
    const body = repeated(hex, 31.9 * MIB);
    let status = 0;
    const took = await cpuMs(async () => {
      status = (await send(edge, body, headers)).response.status;
    });
    assert.ok(status === 413 || status === 400, `${status}`);
    assert.ok(took < 3_000, `${took} ms of CPU, compression of the body included`);
  });
}

test('of many series without a name the first is told, and all are counted', async () => {
  const series = 150_000;
  const raw = encodeRemoteWrite1({ series: [seriesOf(['instance', 'host-1:9090'], [NOW])], metadata: [] });
  const answer = await send(edgeOf(), Buffer.alloc(raw.length * series, raw));
  assert.equal(answer.response.status, 400);
  assert.deepEqual(answer.discarded, { missing_metric_name: series });
  assert.ok(answer.response.text.length < 500, answer.response.text);
});

test('samples of the future are counted, and their series is told once and in short', async () => {
  const pairs = ['__name__', 'x', ...Array.from({ length: 28 }, (_, i) => [`l${10 + i}`, 'v'.repeat(2_000)]).flat()];
  const times = Array.from({ length: 20_000 }, (_, i) => NOW + 86_400_000 + i);
  const answer = await send(edgeOf(), encodeRemoteWrite1({ series: [seriesOf(pairs, times)], metadata: [] }));
  assert.equal(answer.response.status, 400);
  assert.deepEqual(answer.discarded, { too_far_in_future: times.length });
  assert.ok(answer.response.text.length < 500, answer.response.text);
});

test('samples of a series that are out of bounds are left out, the others kept', async () => {
  const target = new Recorder();
  const series = seriesOf(['__name__', 'x'], [NOW - 1, NOW + 86_400_000, NOW, NOW + 86_400_001]);
  const answer = await send(edgeOf(target), encodeRemoteWrite1({ series: [series], metadata: [] }));
  assert.deepEqual(answer.discarded, { too_far_in_future: 2 });
  assert.match(answer.response.text, new RegExp(`timestamp ${NOW + 86_400_000} of {__name__="x"}|of x `));
  assert.deepEqual(
    target.pushes.map(({ samples }) => samples),
    [[2]],
  );
});

test('symbols of remote write 2.0 are bounded as they are written out', async () => {
  const wide = Array.from({ length: 27 }, (_, i) => [`l${10 + i}`, 'v'.repeat(2_000)]).flat();
  const series = Array.from({ length: 3_000 }, (_, i) =>
    seriesOf(['__name__', 'x', ...wide, 'z', String(10_000 + i)], [NOW]),
  );
  const target = new Recorder();
  const answer = await send(edgeOf(target), encodeRemoteWrite2({ series, metadata: [] }), V2);
  assert.equal(answer.response.status, 413);
  assert.match(answer.response.text, /max-recv-msg-size/);
  assert.equal(target.pushes.length, 0);
});

test('a series with more labels than can be is refused by name', async () => {
  const pairs = ['__name__', 'x', ...Array.from({ length: 6_000 }, (_, i) => [`l${9_999 - i}`, 'v']).flat()];
  const answer = await send(edgeOf(), encodeRemoteWrite1({ series: [seriesOf(pairs, [NOW])], metadata: [] }));
  assert.ok([400, 413].includes(answer.response.status));
  assert.match(answer.response.text, /labels|label names/);
});

test('a large body goes to the target in parts, and others come in between', async () => {
  const target = new Recorder();
  const edge = edgeOf(target);
  const padding = 'p'.repeat(200);
  const series = Array.from({ length: 30_000 }, (_, i) =>
    seriesOf(['__name__', 'big', 'id', String(i), 'padding', padding], [NOW]),
  );
  const begun = new Promise<void>((resolve) => {
    target.onPush = resolve;
  });
  const large = send(edge, encodeRemoteWrite1({ series, metadata: [] }));
  await begun;
  const up = encodeRemoteWrite1({ series: [seriesOf(['__name__', 'up'], [NOW])], metadata: [] });
  const small = await send(edge, up, V1, 'victim');
  assert.equal(small.response.status, 204);
  const { response, samples } = await large;
  assert.deepEqual([response.status, samples], [204, series.length]);
  const parts = target.pushes.filter(({ tenant }) => tenant === 'attacker');
  assert.ok(parts.length > 5 && parts.every(({ bytes }) => bytes < 1.1 * MIB), `${parts.length} parts`);
  assert.ok(target.pushes.at(-1)!.tenant === 'attacker', 'the small one did not wait for it');
});

test('many samples of one series are several frames', async () => {
  const target = new Recorder();
  const times = Array.from({ length: 3 * SAMPLES_PER_FRAME_MAX + 7 }, (_, i) => NOW - 1_000_000 + i);
  const series = [seriesOf(['__name__', 'x'], times)];
  assert.equal((await send(edgeOf(target), encodeRemoteWrite1({ series, metadata: [] }))).response.status, 204);
  const max = SAMPLES_PER_FRAME_MAX;
  assert.deepEqual(
    target.pushes.flatMap(({ samples }) => samples),
    [max, max, max, 7],
  );
});

test('bytes that are not UTF-8 cost no exception each', async () => {
  // {__name__="x", a="\xff"} with unsorted labels, so that no count by the scan will do
  const unit = '0a22 0a06 0a0161 1201ff 0a0d 0a085f5f6e616d655f5f 120178 1209 09000000000000f03f'.replaceAll(' ', '');
  const answer = await send(edgeOf(), repeated(unit, 4 * MIB));
  assert.equal(answer.response.status, 400);
});

test('a target gets a few hundred samples with start timestamps in one go', async () => {
  const target = new Recorder();
  const samples = WriteSamples.of(
    Array.from({ length: 5_000 }, (_, i) => ({ timeMs: NOW - 5_000 + i, value: i, startMs: NOW - 10_000 })),
  );
  const series = { pairs: ['__name__', 'm'], labelsFault: undefined, samples, histograms: [], exemplars: [] };
  const { response } = await send(edgeOf(target), encodeRemoteWrite2({ series: [series], metadata: [] }), V2);
  assert.equal(response.status, 204);
  const sums = target.pushes.map((push) => push.samples.reduce((sum, n) => sum + n, 0));
  assert.equal(
    sums.reduce((sum, n) => sum + n, 0),
    5_000,
  );
  assert.ok(Math.max(...sums) <= 768, `${sums}`);
});
