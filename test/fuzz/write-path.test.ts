import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ChunkDecoder } from '../../src/chunk/head-chunk.ts';
import { Kernel } from '../../src/chunk/kernel.ts';
import { Edge } from '../../src/distributor/edge.ts';
import { realDisk } from '../../src/ingester/log/disk.ts';
import { Shard } from '../../src/ingester/shard/shard.ts';
import { shardRole } from '../../src/ingester/shard/shard-role.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { type Random, seededRandom } from '../../src/lib/random.ts';
import { floatHistogram } from '../../src/model/histogram.ts';
import { toIntegerHistogram } from '../../src/model/histogram-integer.ts';
import { SampleColumns } from '../../src/storage/columns.ts';
import { encodeRemoteWrite1, encodeRemoteWrite2 } from '../../src/wire/remote-write-encode.ts';
import { SliceView } from '../../src/wire/slices.ts';
import { deflateSnappy } from '../../src/wire/snappy.ts';
import { WriteSamples, type WriteSeries } from '../../src/wire/write-request.ts';

// Requests with histograms, start timestamps and exemplars whose bytes are changed at random: none makes the path fail, and whatever of
// it is kept can be read, now and after a restart. FUZZ_RUNS and FUZZ_SEED change how many and which.

const RUNS = Number(process.env.FUZZ_RUNS ?? 3000);
const SEED = Number(process.env.FUZZ_SEED ?? 1);

const LIMITS = {
  ingestionRate: 0,
  ingestionBurstSize: 0,
  maxLabelNameLength: 1024,
  maxLabelValueLength: 2048,
  maxLabelNamesPerSeries: 30,
  maxLabelsSizeBytes: 0,
  maxMetadataLength: 1024,
  maxMetadataPerUser: 0,
  maxMetadataPerMetric: 0,
  maxOldWindowsPerUser: 0,
  rejectOldSamples: false,
  rejectOldSamplesMaxAgeMs: 0,
  creationGracePeriodMs: 600_000,
  outOfOrderTimeWindowMs: 3_600_000,
  maxSeriesPerUser: 0,
  maxSeriesPerMetric: 0,
  maxGlobalSeriesPerUser: 0,
  maxGlobalSeriesPerMetric: 0,
  maxExemplars: 100,
};

function randomSeries(random: Random, nowMs: number): WriteSeries {
  const timeMs = nowMs - Math.floor(random() * 100_000);
  const startMs = random() < 0.5 ? 0 : timeMs - 1000;
  const positiveBuckets = Array.from({ length: 1 + Math.floor(random() * 5) }, () => Math.floor(random() * 9));
  const float = floatHistogram({
    schema: Math.floor(random() * 5),
    count: positiveBuckets.reduce((sum, n) => sum + n, 0),
    sum: random(),
    positiveSpans: [{ offset: Math.floor(random() * 9 - 4), length: positiveBuckets.length }],
    positiveBuckets,
  });
  const histogram = random() < 0.5 ? float : toIntegerHistogram(float);
  const histograms = [{ timeMs, startMs, stale: random() < 0.1, histogram, fault: undefined }];
  return {
    pairs: ['__name__', `m${Math.floor(random() * 20)}`, 'job', 'x'],
    labelsFault: undefined,
    samples: random() < 0.5 ? WriteSamples.of([{ timeMs, value: random(), startMs }]) : WriteSamples.none,
    histograms: random() < 0.7 ? histograms : [],
    exemplars: random() < 0.3 ? [{ pairs: ['trace_id', 'y'], labelsFault: undefined, value: random(), timeMs }] : [],
  };
}

const SECRET = new Uint8Array(16).fill(7);

test(`changed requests: none makes the path fail (${RUNS} from seed ${SEED})`, async () => {
  const random = seededRandom(SEED);
  const folder = mkdtempSync(join(tmpdir(), 'pallium-write-fuzz-'));
  const open = () =>
    new Shard({
      folder,
      windowMs: 7_200_000,
      headBytesMax: 2e9,
      seriesSecret: SECRET,
      fsync: 'interval',
      fsyncIntervalMs: 3_600_000,
      keepFlushedMs: 0,
      disk: realDisk,
      clock: systemClock,
      log: (level, text, fields) => assert.notEqual(level, 'error', `${text} ${JSON.stringify(fields)}`),
      fatal: (error) => assert.fail(error),
    });
  let shard = open();
  await shard.ready;
  const edge = new Edge({
    clock: systemClock,
    rawBytesMax: 1e7,
    seriesSecret: SECRET,
    targets: [
      {
        async push({ tenant, frames, bytes, limits }) {
          const result = await shard.push(tenant, new Uint8Array(frames, 0, bytes), limits);
          const { first } = result;
          return {
            result: { ...result, first: first && { ...first, labels: first.labels.toString() } },
            keysTaken: true,
            frames,
          };
        },
        setMetadata: async () => ({}),
      },
    ],
  });
  const statuses = new Map<number, number>();
  for (let i = 0; i < RUNS; i++) {
    const series = Array.from({ length: 1 + Math.floor(random() * 4) }, () => randomSeries(random, Date.now()));
    const v2 = random() < 0.5;
    const body = (v2 ? encodeRemoteWrite2 : encodeRemoteWrite1)({ series, metadata: [] });
    const changes = Math.floor(random() * 4);
    for (let k = 0; k < changes; k++) body[Math.floor(random() * body.length)] = Math.floor(random() * 256);
    const proto = v2 ? 'io.prometheus.write.v2.Request' : 'prometheus.WriteRequest';
    const headers = { 'content-type': `application/x-protobuf;proto=${proto}`, 'content-encoding': 'snappy' };
    const { response } = await edge.push({ tenant: 't', headers, body: deflateSnappy(body), limits: LIMITS });
    assert.ok(response.status < 500, `run ${i}: ${response.status} ${response.text}`);
    statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
  }
  assert.ok(statuses.get(204)! > RUNS / 4, JSON.stringify([...statuses]));
  const held = async () => {
    const all = new Map<string, number>();
    const decoder = new ChunkDecoder(Kernel.create());
    const columns = new SampleColumns();
    const role = shardRole(shard, systemClock);
    const request = { tenant: 't', matchers: [], startMs: -1e19, endMs: 1e19, labelsOnly: false };
    for (let slice = (await role.select(request)).value; ; ) {
      for (const series = new SliceView(slice.bytes); series.next(); ) {
        const { labels, chunks } = series;
        decoder.read(chunks, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, columns);
        for (let i = 1; i < columns.count; i++) assert.ok(columns.times[i]! > columns.times[i - 1]!);
        all.set(Buffer.from(labels).toString('latin1'), columns.count);
      }
      if (slice.cursor === 0) return all;
      slice = (await role.selectNext({ cursor: slice.cursor })).value;
    }
  };
  const before = await held();
  await shard.close({ checkpoint: random() < 0.5 });
  shard = open();
  await shard.ready;
  assert.deepEqual(await held(), before);
  await shard.close({ checkpoint: false });
  rmSync(folder, { recursive: true });
});
