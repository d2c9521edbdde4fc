import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Kernel } from '../../src/chunk/kernel.ts';
import { ChunkStoreReader } from '../../src/chunkstore/reader.ts';
import { Schema, TABLE_MS_DEFAULT } from '../../src/chunkstore/schema.ts';
import { ChunkStoreWriter } from '../../src/chunkstore/writer.ts';
import { Edge } from '../../src/distributor/edge.ts';
import { Flusher } from '../../src/ingester/flush/flush.ts';
import { FLUSH_ALL } from '../../src/ingester/flush/flush-contract.ts';
import { HeldRange } from '../../src/ingester/head/held-range.ts';
import { realDisk } from '../../src/ingester/log/disk.ts';
import { Shard } from '../../src/ingester/shard/shard.ts';
import { ShardsClient } from '../../src/ingester/shard/shard-client.ts';
import type { ShardRole } from '../../src/ingester/shard/shard-messages.ts';
import { shardRole } from '../../src/ingester/shard/shard-role.ts';
import { type Channel, connectInThread } from '../../src/kit/thread/channel.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { type FloatHistogram, floatHistogram } from '../../src/model/histogram.ts';
import { type Histogram, toFloatHistogram, toIntegerHistogram } from '../../src/model/histogram-integer.ts';
import { LabelMatcher } from '../../src/model/matcher.ts';
import { HeadSource } from '../../src/querier/head-source.ts';
import { StoreSource } from '../../src/querier/store-source.ts';
import { HISTOGRAM, SampleColumns } from '../../src/storage/columns.ts';
import type { SampleSource } from '../../src/storage/source.ts';
import { MemoryTableStore } from '../../src/table/memory.ts';
import { encodeRemoteWrite1, encodeRemoteWrite2 } from '../../src/wire/remote-write-encode.ts';
import { deflateSnappy } from '../../src/wire/snappy.ts';
import { type WriteHistogram, WriteSamples, type WriteSeries } from '../../src/wire/write-request.ts';
import { Pallium, tempFolder } from '../harness/pallium.ts';

const START_MS = Date.UTC(2026, 0, 1);
const STEP_MS = 15_000;
const STEPS = 240;

const HEADERS = {
  v1: { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' },
  v2: {
    'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
    'content-encoding': 'snappy',
    'x-prometheus-remote-write-version': '2.0.0',
  },
} as const;
type Version = keyof typeof HEADERS;

/** A counter of whole numbers that is reset once, and gets a bucket more half way. */
function integerAt(i: number): Histogram {
  const n = i < 150 ? i : i - 150;
  const positiveBuckets = n < 60 ? [n, 2 * n] : [n, 2 * n, n - 60];
  return toIntegerHistogram(
    floatHistogram({
      schema: 1,
      zeroThreshold: 0.001,
      zeroCount: n,
      count: n + positiveBuckets.reduce((sum, k) => sum + k, 0),
      sum: 1.5 * n,
      positiveSpans: [{ offset: -2, length: positiveBuckets.length }],
      positiveBuckets,
    }),
  );
}

/** A gauge of floats with bounds of its own. */
function floatAt(i: number): FloatHistogram {
  const positiveBuckets = [1 + Math.sin(i), 2.5, i / 7];
  return floatHistogram({
    resetHint: 'gauge',
    schema: -53,
    count: positiveBuckets.reduce((sum, k) => sum + k, 0),
    sum: i * 0.1,
    positiveSpans: [{ offset: 0, length: 3 }],
    positiveBuckets,
    customValues: [0.1, 0.25],
  });
}

const NONE = { labelsFault: undefined, samples: WriteSamples.none, histograms: [], exemplars: [] } as const;

function pairs(name: string, version: Version): string[] {
  return ['__name__', name, 'protocol', version];
}

function histogramOf(timeMs: number, histogram: Histogram | FloatHistogram, stale = false): WriteHistogram {
  return { timeMs, startMs: START_MS - 1000, stale, histogram, fault: undefined };
}

/** All series at step i. */
function seriesAt(i: number, version: Version): WriteSeries[] {
  const timeMs = START_MS + i * STEP_MS;
  const startMs = version === 'v2' ? START_MS - 5000 + (i < 100 ? 0 : timeMs - START_MS) : 0;
  return [
    { ...NONE, pairs: pairs('integers', version), histograms: [histogramOf(timeMs, integerAt(i))] },
    { ...NONE, pairs: pairs('floats', version), histograms: [histogramOf(timeMs, floatAt(i))] },
    {
      ...NONE,
      pairs: pairs('counter', version),
      samples: WriteSamples.of([{ timeMs, value: i * 3, startMs }]),
      exemplars:
        i % 40 === 0
          ? [{ pairs: ['trace_id', `t${i}`], labelsFault: undefined, value: i / 2, timeMs: timeMs - 10 }]
          : [],
    },
    // turns from one into the other and back
    i % 50 < 25
      ? { ...NONE, pairs: pairs('mixed', version), samples: WriteSamples.of([{ timeMs, value: i }]) }
      : { ...NONE, pairs: pairs('mixed', version), histograms: [histogramOf(timeMs, integerAt(i))] },
  ];
}

function bodyAt(i: number, version: Version): Uint8Array {
  const request = { series: seriesAt(i, version), metadata: [] };
  return deflateSnappy(version === 'v1' ? encodeRemoteWrite1(request) : encodeRemoteWrite2(request));
}

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
  outOfOrderTimeWindowMs: 0,
  maxSeriesPerUser: 0,
  maxSeriesPerMetric: 0,
  maxGlobalSeriesPerUser: 0,
  maxGlobalSeriesPerMetric: 0,
  maxExemplars: 100,
};

/** Samples that the source holds, one by one; histograms without their hint, save a gauge's, which alone is known for sure. */
async function held(source: SampleSource): Promise<Map<string, unknown[]>> {
  const all = new Map<string, unknown[]>();
  const matchers = [LabelMatcher.of('__name__', '=~', '.+')];
  const context = {
    signal: new AbortController().signal,
    budget: {
      addChunks() {},
      addSeries() {},
      addFetchedBytes() {},
      addMemory() {},
      addFetches() {},
      addCacheHits() {},
      addGroups() {},
    },
  };
  const found = await source.select('t', { matchers, startMs: 0, endMs: 4e12 }, context);
  const columns = new SampleColumns();
  for (const [index, labels] of found.labels.entries()) {
    found.read(index, columns);
    const samples: unknown[] = [];
    for (let i = 0; i < columns.count; i++) {
      const histogram = columns.plain || columns.kinds[i] !== HISTOGRAM ? undefined : columns.histograms[i]!;
      samples.push({
        timeMs: columns.times[i],
        startMs: columns.hasStarts ? columns.starts[i] : 0,
        kind: columns.plain ? 0 : columns.kinds[i],
        value: histogram === undefined ? columns.values[i] : plainHistogram(histogram),
      });
    }
    all.set(labels.toString(), samples);
  }
  found.close();
  return all;
}

function plainHistogram(histogram: FloatHistogram): unknown {
  const { resetHint, positiveBuckets, positiveSpans, ...rest } = histogram;
  // trailing empty buckets come and go with the layout of the chunk
  const filled = positiveBuckets.flatMap((count, i) => (count === 0 ? [] : [[positiveSpans[0]!.offset + i, count]]));
  return { ...rest, gauge: resetHint === 'gauge', filled };
}

/** Samples that were sent. */
function sent(): Map<string, unknown[]> {
  const all = new Map<string, unknown[]>();
  for (const version of ['v1', 'v2'] as const) {
    for (let i = 0; i < STEPS; i++) {
      for (const { pairs: own, samples, histograms } of seriesAt(i, version)) {
        const key = `{__name__="${own[1]}", protocol="${own[3]}"}`;
        const list = all.get(key) ?? [];
        all.set(key, list);
        for (let k = 0; k < samples.count; k++) {
          list.push({ timeMs: samples.times[k], startMs: samples.starts[k], kind: 0, value: samples.value(k) });
        }
        for (const { timeMs, startMs, histogram } of histograms) {
          const float = 'positiveDeltas' in histogram ? toFloatHistogram(histogram) : histogram;
          const known = version === 'v2' ? startMs : 0;
          list.push({ timeMs, startMs: known, kind: HISTOGRAM, value: plainHistogram(float) });
        }
      }
    }
  }
  return all;
}

test('histograms and start timestamps are the same from the head, after replay, from a checkpoint and from the store', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pallium-rich-'));
  const windowMs = 1_800_000;
  const open = () =>
    new Shard({
      folder,
      windowMs,
      headBytesMax: 1e9,
      fsync: 'interval',
      fsyncIntervalMs: 3_600_000,
      keepFlushedMs: 0,
      disk: realDisk,
      clock: systemClock,
      log: () => {},
      fatal: (error) => assert.fail(error),
    });
  const kernel = Kernel.create();
  const connect = (shard: Shard) => connectInThread<ShardRole>(shardRole(shard, systemClock));
  const headOf = (channel: Channel<ShardRole>) =>
    new HeadSource(new ShardsClient([{ channel, held: HeldRange.everything() }], true), kernel);
  const shard = open();
  await shard.ready;
  const first = connect(shard);
  const edge = new Edge({
    clock: systemClock,
    rawBytesMax: 1e8,
    targets: [
      {
        push: (request) => first.channel.call('push', request, { transfer: [request.frames] }),
        setMetadata: async () => ({}),
      },
    ],
  });
  for (let i = 0; i < STEPS; i++) {
    for (const version of ['v1', 'v2'] as const) {
      const { response } = await edge.push({
        tenant: 't',
        headers: HEADERS[version],
        body: bodyAt(i, version),
        limits: LIMITS,
      });
      assert.equal(response.status, 204, response.text);
      if (version === 'v1') continue;
      const isFloat = i % 50 < 25;
      assert.deepEqual(response.headers, {
        'X-Prometheus-Remote-Write-Samples-Written': isFloat ? '2' : '1',
        'X-Prometheus-Remote-Write-Histograms-Written': isFloat ? '2' : '3',
        'X-Prometheus-Remote-Write-Exemplars-Written': i % 40 === 0 ? '1' : '0',
      });
    }
  }
  const want = sent();
  const sorted = (all: Map<string, unknown[]>) => new Map([...all].sort(([a], [b]) => (a < b ? -1 : 1)));
  assert.deepEqual(sorted(await held(headOf(first.channel))), sorted(want), 'from the head');
  const exemplars = await first.channel.call('exemplars', { tenant: 't', matchers: [[]], startMs: 0, endMs: 4e12 });
  assert.equal(exemplars.length, 2);
  assert.equal(exemplars[0]!.exemplars.length, 6);

  // no end, only a new beginning from the log; then one from a checkpoint
  let again = open();
  for (const what of ['after replay', 'from a checkpoint']) {
    await again.ready;
    const { channel, close } = connect(again);
    assert.deepEqual(sorted(await held(headOf(channel))), sorted(want), what);
    const kept = await channel.call('exemplars', { tenant: 't', matchers: [[]], startMs: 0, endMs: 4e12 });
    assert.deepEqual(kept, exemplars, what);
    close();
    await again.close({ checkpoint: true });
    again = open();
  }
  await again.ready;

  const last = connect(again);
  const tables = new MemoryTableStore();
  const schema = new Schema([
    { fromMs: Number.NEGATIVE_INFINITY, tables, tablePrefix: 't_', tableMs: TABLE_MS_DEFAULT },
  ]);
  const writer = new ChunkStoreWriter(schema, kernel, { clock: systemClock });
  const flusher = new Flusher({ shards: [last.channel], writer, kernel, windowMs, clock: systemClock });
  assert.deepEqual((await flusher.flush(FLUSH_ALL)).failures, []);
  await again.dropFlushed();
  assert.equal(again.stats().richSeries, 0);
  assert.equal((await held(headOf(last.channel))).size, 0);
  const store = new StoreSource(new ChunkStoreReader(schema, kernel, systemClock, { windowMs }));
  assert.deepEqual(sorted(await held(store)), sorted(want), 'from the store');
  last.close();
  first.close();
  await again.close({ checkpoint: false });
  await shard.close({ checkpoint: false });
  rmSync(folder, { recursive: true });
});

test('a server answers the same of them before and after it is killed, flushed and started again', async () => {
  const dataDir = tempFolder('rich');
  let server = await Pallium.start({ dataDir });
  for (let i = 0; i < 60; i++) {
    for (const version of ['v1', 'v2'] as const) {
      const answer = await fetch(`${server.url}/api/v1/push`, {
        method: 'POST',
        headers: HEADERS[version],
        body: bodyAt(i, version) as Uint8Array<ArrayBuffer>,
      });
      assert.equal(answer.status, 204, await answer.text());
    }
  }
  const time = (START_MS + 59 * STEP_MS) / 1000;
  const answers = async () => {
    const api = server.api();
    const [all, quantile, rate] = await Promise.all(
      ['{protocol!=""}[1h]', 'histogram_quantile(0.9, integers)', 'rate(integers[5m])'].map((query) =>
        api.instant(query, time),
      ),
    );
    const exemplars = await api.data('/api/v1/query_exemplars', { query: 'counter', start: 0, end: time });
    return { all, quantile, rate, exemplars };
  };
  const before = await answers();
  assert.equal(before.all!.result.length, 8);
  assert.equal((before.exemplars as unknown[]).length, 2);
  await server.kill();
  server = await Pallium.start({ dataDir });
  assert.deepEqual(await answers(), before, 'after a kill');
  await server.flush();
  assert.deepEqual(await answers(), before, 'after a flush');
  await server.stop();
  server = await Pallium.start({ dataDir });
  assert.deepEqual(await answers(), before, 'after a flush and a restart');
  await server.stop();
  rmSync(dataDir, { recursive: true });
});
