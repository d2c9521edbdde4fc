// Flushing a window that three ingesters hold, all three together, beside flushing it from one that is alone: all in one thread, CPU time.
// node bench/flush-replicas.ts [--series 20000] [--samples 240] [--rounds 5]

import { Kernel } from '../src/chunk/kernel.ts';
import { Schema, TABLE_MS_DEFAULT } from '../src/chunkstore/schema.ts';
import { ChunkStoreWriter } from '../src/chunkstore/writer.ts';
import { Flusher } from '../src/ingester/flush/flush.ts';
import { FLUSH_ALL } from '../src/ingester/flush/flush-contract.ts';
import { turnsOf } from '../src/ingester/flush-turn.ts';
import { MemoryDisk } from '../src/ingester/log/test-disk.ts';
import { Shard } from '../src/ingester/shard/shard.ts';
import type { ShardRole } from '../src/ingester/shard/shard-messages.ts';
import { shardRole } from '../src/ingester/shard/shard-role.ts';
import { testFrames } from '../src/ingester/shard/test-frames.ts';
import { connectInThread } from '../src/kit/thread/channel.ts';
import { ManualClock } from '../src/lib/manual-clock.ts';
import { seededRandom } from '../src/lib/random.ts';
import { MemoryObjectClient } from '../src/object/memory.ts';
import { membersOf, ringOf, viewOf } from '../src/ring/test-ring.ts';
import { MemoryTableStore } from '../src/table/memory.ts';
import { benchOptions } from './options.ts';

const RATIO_MAX = 3.5;
const WINDOW_MS = 7_200_000;
const START_MS = 20_000 * 86_400_000;
const STEP_MS = 30_000;
const METRICS = 40;
/** Series in one write. */
const BATCH = 1000;
const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 0 };

const options = benchOptions({ series: '20000', samples: '240', rounds: '5' });
const [series, samples, rounds] = [Number(options.series), Number(options.samples), Number(options.rounds)];

const version = ringOf(membersOf(3, 3), 64, 3);
const view = viewOf(version);
const clock = new ManualClock(START_MS);

function storeOf(): Schema {
  return new Schema([
    {
      fromMs: Number.NEGATIVE_INFINITY,
      tables: new MemoryTableStore(),
      objects: new MemoryObjectClient(clock),
      tablePrefix: 't_',
      tableMs: TABLE_MS_DEFAULT,
    },
  ]);
}

/** An ingester whose series came in an order of its own. */
async function holderOf(seed: number) {
  const shard = new Shard({
    folder: 'shard',
    windowMs: WINDOW_MS,
    headBytesMax: 2e9,
    fsync: 'interval',
    fsyncIntervalMs: 3_600_000,
    keepFlushedMs: 0,
    disk: new MemoryDisk(),
    clock,
    log: () => {},
    fatal: (error) => {
      throw error;
    },
  });
  await shard.ready;
  const random = seededRandom(seed);
  const order = Array.from({ length: series }, (_, i) => i).sort(() => random() - 0.5);
  for (let from = 0; from < series; from += BATCH) {
    await shard.push('t', testFrames(order.slice(from, from + BATCH).map(seriesOf)), LIMITS);
  }
  const link = connectInThread<ShardRole>(shardRole(shard, clock));
  const kernel = Kernel.create();
  const flush = async (schema: Schema, member: string | undefined) => {
    const writer = new ChunkStoreWriter(schema, Kernel.create(), { clock });
    const flusher = new Flusher({ shards: [link.channel], writer, kernel, windowMs: WINDOW_MS, clock });
    const turns = member === undefined ? {} : { turns: turnsOf(view, member) };
    const before = process.cpuUsage();
    const { failures, groups } = await flusher.flush({ ...FLUSH_ALL, ...turns });
    const { user, system } = process.cpuUsage(before);
    if (failures.length > 0) throw new Error(failures.join('; '));
    return { cpuMs: (user + system) / 1000, groups };
  };
  const close = async () => {
    link.close();
    await shard.close({ checkpoint: false });
  };
  return { flush, close };
}

function seriesOf(i: number) {
  const random = seededRandom(i);
  let value = Math.round(random() * 1e6);
  const labels = {
    __name__: `node_metric_${i % METRICS}_total`,
    cpu: String(i % 16),
    instance: `host-${i}:9100`,
    job: 'node',
    mode: 'idle',
  };
  const points = Array.from({ length: samples }, (_, k) => {
    value += Math.round(random() * 100) / 10;
    return [START_MS + k * STEP_MS, value] as const;
  });
  return { labels, samples: points };
}

const ratios: number[] = [];
for (let round = 0; round <= rounds; round++) {
  clock.set(START_MS);
  const alone = await holderOf(4 * round);
  const all = [await holderOf(4 * round + 1), await holderOf(4 * round + 2), await holderOf(4 * round + 3)];
  clock.set(START_MS + WINDOW_MS);
  const one = await alone.flush(storeOf(), undefined);
  const schema = storeOf();
  const each: number[] = [];
  let groups = 0;
  for (const [i, holder] of all.entries()) {
    const flushed = await holder.flush(schema, version.members[i]!.id);
    each.push(flushed.cpuMs);
    groups += flushed.groups;
  }
  for (const holder of [alone, ...all]) await holder.close();
  const ratio = each.reduce((sum, ms) => sum + ms, 0) / one.cpuMs;
  const told = `alone ${one.cpuMs.toFixed(0)} ms (${one.groups} groups); three ${each.map((ms) => ms.toFixed(0)).join(' + ')} ms (${groups} groups): ${ratio.toFixed(2)} ×`;
  console.log(round === 0 ? `warm-up: ${told}` : told);
  if (round > 0) ratios.push(ratio);
  if (groups !== one.groups) throw new Error('three holders leave other groups than one');
}
const median = ratios.sort((a, b) => a - b)[ratios.length >> 1]!;
console.log(`three holders flush for ${median.toFixed(2)} × the CPU of one; at most ${RATIO_MAX} ×`);
if (median > RATIO_MAX) process.exitCode = 1;
