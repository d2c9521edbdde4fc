import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { ChunkDecoder, parseSlice } from '../chunk/head-chunk.ts';
import { Kernel } from '../chunk/kernel.ts';
import { systemClock } from '../lib/clock.ts';
import { type Random, seededRandom } from '../lib/random.ts';
import { decodeLabels, encodeLabels } from '../model/canonical.ts';
import { Labels } from '../model/labels.ts';
import { SampleColumns } from '../storage/columns.ts';
import { FrameWriter } from '../wire/frames.ts';
import { realDisk } from './disk.ts';
import { PlainHead } from './plain-head.ts';
import { Shard } from './shard.ts';
import { shardRole } from './shard-role.ts';

// Random requests, restarts, checkpoints, seals and drops: the kernel's head beside the plain one, which must agree on every answer
// and on every sample. FUZZ_RUNS and FUZZ_SEED change how much and what.

const RUNS = Number(process.env.FUZZ_RUNS ?? 12);
const SEED = Number(process.env.FUZZ_SEED ?? 1);
const WINDOW_MS = 60_000;

const kernel = Kernel.create();
const frames = new FrameWriter(kernel);
const decoder = new ChunkDecoder(kernel);
const columns = new SampleColumns();
const doubles = new Float64Array(1);
const bits = new BigUint64Array(doubles.buffer);
const words = new Int32Array(doubles.buffer);

function labelsOf(i: number): Labels {
  return Labels.of({ __name__: `metric_${i % 5}`, instance: `host-${i}`, ...(i % 3 === 0 ? { zone: 'a b "c"' } : {}) });
}

function randomValue(random: Random): number {
  const kind = random();
  if (kind < 0.4) return Math.floor(random() * 1000);
  if (kind < 0.6) return random() * 1e-3;
  if (kind < 0.7) return 0;
  if (kind < 0.75) return -0;
  if (kind < 0.8) return Number.POSITIVE_INFINITY;
  if (kind < 0.85) return Math.fround(random());
  if (kind < 0.9) return -Math.floor(random() * 2 ** 50);
  return random() * 10 ** Math.floor(random() * 600 - 300);
}

async function held(shard: Shard, tenant: string): Promise<Map<string, Map<number, bigint>>> {
  await shard.ready;
  const role = shardRole(shard, systemClock);
  const all = new Map<string, Map<number, bigint>>();
  const request = { tenant, matchers: [], startMs: -1e15, endMs: 1e15, labelsOnly: false };
  for (let slice = (await role.select(request)).value; ; ) {
    for (const { labelsFrom, labelsTo, chunks } of parseSlice(slice.bytes)) {
      decoder.read(chunks, -1e15, 1e15, columns);
      const samples = new Map<number, bigint>();
      const valueBits = new BigUint64Array(columns.values.buffer, 0, columns.count);
      for (let i = 0; i < columns.count; i++) samples.set(columns.times[i]!, valueBits[i]!);
      all.set(decodeLabels(slice.bytes, labelsFrom, labelsTo).key, samples);
    }
    if (slice.cursor === 0) return all;
    slice = (await role.selectNext({ cursor: slice.cursor })).value;
  }
}

async function run(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pallium-fuzz-'));
  const open = () =>
    new Shard({
      folder,
      windowMs: WINDOW_MS,
      headBytesMax: 1e9,
      fsync: 'interval',
      fsyncIntervalMs: 1000,
      keepFlushedMs: 900_000,
      disk: realDisk,
      clock: systemClock,
      log: () => {},
      fatal: (error) => assert.fail(error),
    });
  let shard = open();
  await shard.ready;
  const plain = new PlainHead(WINDOW_MS);
  const tenants = ['a', 'b'];
  const check = async (what: string) => {
    for (const tenant of tenants) {
      assert.deepEqual(await held(shard, tenant), plain.held(tenant), `seed ${seed}: ${what}, tenant ${tenant}`);
    }
  };
  let nowMs = 1_700_000_000_000 - (1_700_000_000_000 % WINDOW_MS);
  const sealedUpTo = { window: Number.NEGATIVE_INFINITY };
  for (let step = 0; step < 60; step++) {
    nowMs += Math.floor(random() * 20_000);
    const action = random();
    if (action < 0.8) {
      const tenant = tenants[Math.floor(random() * tenants.length)]!;
      const outOfOrderMs = random() < 0.3 ? 90_000 : 0;
      frames.clear();
      const samples: { series: string; timeMs: number; bits: bigint }[] = [];
      for (let s = 0; s < 1 + random() * 8; s++) {
        const labels = labelsOf(Math.floor(random() * 40));
        const count = 1 + Math.floor(random() * 12);
        frames.series(encodeLabels(labels), new TextEncoder().encode(labels.metricName), count);
        for (let i = 0; i < count; i++) {
          // within the windows that no drop has touched: what is dropped is only in the store, and the head does not know it
          const low = Math.max(nowMs - 150_000, (sealedUpTo.window + 1) * WINDOW_MS);
          const timeMs = random() < 0.7 ? nowMs + i * 500 : Math.max(low, nowMs - Math.floor(random() * 150_000));
          doubles[0] = random() < 0.2 ? Number.NaN : randomValue(random);
          if (random() < 0.05) bits[0] = 0x7ff0000000000002n;
          frames.sample(timeMs, words[1]!, words[0]!);
          samples.push({ series: labels.key, timeMs, bits: bits[0]! });
        }
      }
      const limits = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs, exemplarsMax: 100 };
      const got = await shard.push(tenant, frames.bytes.slice(), limits);
      const want = plain.ingest(tenant, samples, outOfOrderMs);
      assert.deepEqual(got.counts, want, `seed ${seed}: answers of step ${step}`);
    } else if (action < 0.85) await shard.checkpoint();
    else if (action < 0.92) {
      if (random() < 0.5) await shard.close({ checkpoint: random() < 0.5 });
      shard = open();
      await shard.ready;
      // replay brings back what was dropped, since the store has it only for a moment
      await shard.dropFlushed(systemClock.nowMs());
      await check(`restart at step ${step}`);
    } else {
      const beforeMs = nowMs - 120_000;
      const sealed = await shard.seal(beforeMs);
      for (const { sealLsn, window } of sealed) {
        await shard.confirmFlushed(sealLsn);
        sealedUpTo.window = Math.max(sealedUpTo.window, window);
      }
      if (sealed.length > 0) {
        await shard.dropFlushed(systemClock.nowMs());
        for (const { window } of sealed) plain.drop(window);
      }
    }
  }
  await check('the end');
  await shard.close({ checkpoint: true });
  shard = open();
  await shard.ready;
  await shard.dropFlushed(systemClock.nowMs());
  await check('the last restart');
  await shard.close({ checkpoint: false });
  fs.rmSync(folder, { recursive: true });
}

test(`the kernel's head agrees with the plain one (${RUNS} runs from seed ${SEED})`, async () => {
  for (let i = 0; i < RUNS; i++) await run(SEED + i);
});
