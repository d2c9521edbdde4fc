import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { ingesterConfig } from '../../ingester/config.ts';
import { type TestSeries, testFrames } from '../../ingester/shard/test-frames.ts';
import { defaultsOf } from '../../kit/config/section.ts';
import { silentLogger } from '../../kit/observe/log.ts';
import { Registry } from '../../kit/observe/metrics.ts';
import { WorkerThread } from '../../kit/thread/worker.ts';
import { systemClock } from '../../lib/clock.ts';
import { systemBytes } from '../../lib/random.ts';
import { DataFolder } from '../data-folder.ts';
import type { ShardThreadRole } from './shard-thread-role.ts';
import { ShardThreads } from './shard-threads.ts';
import {
  type DirectReaderData,
  READ_TENANTS,
  type ReaderReport,
  SERIES,
  STEP_MS,
  STEPS_HELD,
  sampleValue,
  type ToReader,
} from './test-direct-reader.ts';

// Readers in threads of their own read the memory of a shard that takes writes, late samples, new series, drops windows and tenants, grows,
// and is killed. DIRECT_STEPS changes for how many writes.

const STEPS = Number(process.env.DIRECT_STEPS ?? 500);
const KILLS = 2;
const SECONDS_MIN = 8;
const READERS = 2;
const WINDOW_MS = STEPS_HELD * STEP_MS;
const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 4 * WINDOW_MS, exemplarsMax: 0 };

test('readers in other threads never see what is half written, gone, or another tenant’s', async (t) => {
  const path = await mkdtemp(join(tmpdir(), 'pallium-direct-'));
  t.after(() => rm(path, { recursive: true }));
  const folder = DataFolder.of(path, '1.2.3', systemClock);
  await folder.start();
  t.after(() => folder.stop());
  const threads: WorkerThread<ShardThreadRole>[] = [];
  const shards = new ShardThreads({
    config: { ...defaultsOf(ingesterConfig), windowMs: WINDOW_MS, keepFlushedMs: 0 },
    layout: {
      shards: 1,
      edges: 1,
      edgeWithinShard: false,
      queryThreads: 1,
      queryThreadsMin: 1,
      directQueries: 4,
    },
    dir: join(path, 'ingester'),
    hold: folder.hold,
    log: silentLogger,
    clock: systemClock,
    randomBytes: systemBytes,
    registry: new Registry(),
    start(spec) {
      const thread = WorkerThread.start<ShardThreadRole>(spec);
      threads.push(thread);
      return thread;
    },
  });
  await shards.start();
  t.after(() => shards.stop());
  const [shard] = shards.all;
  await shard!.call('ready', {});

  const progress = new SharedArrayBuffer(8);
  const acknowledged = new Int32Array(progress);
  const startMs = Math.floor(Date.now() / WINDOW_MS) * WINDOW_MS - 20 * WINDOW_MS;
  const readers = Array.from({ length: READERS }, (_, seed) => {
    let reader: Worker | undefined;
    const { promise: gone, resolve } = Promise.withResolvers<void>();
    const [connection] = shards.connect((_, replaced) => {
      reader!.postMessage({ connection: replaced } satisfies ToReader, [replaced.port]);
    }, gone);
    reader = new Worker(new URL('./test-direct-reader.ts', import.meta.url), {
      workerData: { connection: connection!, progress, startMs, seed } satisfies DirectReaderData,
      transferList: [connection!.port],
    });
    reader.on('exit', () => resolve());
    return reader;
  });
  t.after(() => Promise.all(readers.map((reader) => reader.terminate())));

  const push = async (tenant: string, series: readonly TestSeries[]) => {
    const frames = testFrames(series);
    const { result } = await shard!.call('push', {
      tenant,
      frames: frames.buffer as ArrayBuffer,
      bytes: frames.length,
      limits: { ...LIMITS, oldWindowsMax: 3000 },
    });
    assert.deepEqual(result.counts.slice(2), [0, 0, 0, 0], `${tenant}: ${JSON.stringify(result.first)}`);
  };
  const fixed = (tenant: string, metric: string, timesMs: readonly number[]): TestSeries[] =>
    Array.from({ length: SERIES }, (_, i) => ({
      labels: { __name__: metric, kind: 'fix', i: String(i) },
      samples: timesMs.map((timeMs) => [timeMs, sampleValue(tenant, metric, i, timeMs)] as const),
    }));
  const write = async (step: number) => {
    const timeMs = startMs + step * STEP_MS;
    const late = step % 3 === 0 && step > 10 ? [timeMs, timeMs - 7 * STEP_MS + 1000] : [timeMs];
    const all = READ_TENANTS.map((tenant) =>
      push(tenant, [...fixed(tenant, 'm', [timeMs]), ...fixed(tenant, 'late', late)]),
    );
    // series that come, so that what readers keep is right no more
    if (step % 40 === 0)
      all.push(push('one', [{ labels: { __name__: 'm', kind: 'other', i: `c${step}` }, samples: [[timeMs, 1]] }]));
    if (step % 25 === 0) all.push(push('gone', fixed('gone', 'm', [timeMs])));
    if (step % 50 === 0) {
      const many = Array.from({ length: 2000 }, (_, i) => ({
        labels: { __name__: 'many', i: `${step} ${i}`, text: `${step} ${i} `.repeat(300) },
        samples: [[timeMs, i]] as const,
      }));
      all.push(push('many', many));
    }
    const done = await Promise.allSettled(all);
    return done.every(({ status }) => status === 'fulfilled');
  };
  const drop = async (step: number) => {
    const beforeMs = startMs + (step - STEPS_HELD - 1) * STEP_MS;
    for (const { sealLsn } of await shard!.call('seal', { beforeMs })) await shard!.call('confirmFlushed', { sealLsn });
  };

  const beganBytes = (await shard!.call('stats', {})).kernelBytes;
  let kills = 0;
  let drops = 0;
  const until = performance.now() + SECONDS_MIN * 1000;
  let step = 0;
  for (; step < STEPS || performance.now() < until; step++) {
    if (kills < KILLS && step === Math.round((STEPS * (kills + 1)) / (KILLS + 1.5))) {
      kills++;
      Atomics.store(acknowledged, 1, 1);
      await Promise.all([write(step), threads.at(-1)!.terminate()]);
    }
    while (!(await write(step))) await sleep(50);
    Atomics.store(acknowledged, 0, step);
    Atomics.store(acknowledged, 1, 0);
    if (step % 150 === 149) await shard!.call('deleteTenant', { tenant: 'gone' }).catch(() => {});
    if (step % 60 === 59) {
      await drop(step).catch(() => {});
      drops++;
    }
  }
  const reports = await Promise.all(
    readers.map(async (reader) => {
      reader.postMessage('stop' satisfies ToReader);
      const [report] = (await once(reader, 'message')) as [ReaderReport];
      return report;
    }),
  );
  const stats = await shard!.call('stats', {});
  t.diagnostic(
    `${step} steps, ${kills} kills, ${drops} drops, ${stats.kernelBytes >> 20} MiB, ${stats.arenas.length} windows`,
  );
  for (const { wrong, ...counts } of reports) {
    t.diagnostic(JSON.stringify(counts));
    assert.deepEqual(wrong, []);
    assert.ok(counts.reads > 100 && counts.asked < counts.reads / 2, JSON.stringify(counts));
  }
  assert.ok(kills === KILLS && drops >= 2 && stats.kernelBytes > 1.5 * beganBytes);
});
