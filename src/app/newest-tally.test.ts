import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Kernel } from '../chunk/kernel.ts';
import { HeldRange } from '../ingester/head/held-range.ts';
import { MemoryDisk } from '../ingester/log/test-disk.ts';
import { Shard } from '../ingester/shard/shard.ts';
import { ShardsClient } from '../ingester/shard/shard-client.ts';
import type { ShardRole } from '../ingester/shard/shard-messages.ts';
import { shardRole } from '../ingester/shard/shard-role.ts';
import { testFrames } from '../ingester/shard/test-frames.ts';
import { connectInThread } from '../kit/thread/channel.ts';
import { systemClock } from '../lib/clock.ts';
import { type Random, seededRandom } from '../lib/random.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { LimitedBudget } from '../limits/query-budget.ts';
import { Engine } from '../promql/engine.ts';
import { HeadSource } from '../querier/head-source.ts';
import { mergedQueryable } from '../storage/merge.ts';
import type { Queryable } from '../storage/queryable.ts';

const T = 1_767_225_600_000;
const STEP_MS = 15_000;
/** As `testFrames` takes it. */
const STALE = undefined;
/** Samples of any age are kept, also of a time that has one. */
const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 3_600_000, exemplarsMax: 100 };

async function headOf(t: TestContext, series: readonly TestSeries[]) {
  const held = HeldRange.everything();
  const shard = new Shard({
    folder: 'shard',
    windowMs: 600_000,
    headBytesMax: 1e9,
    fsync: 'interval',
    fsyncIntervalMs: 1000,
    keepFlushedMs: 900_000,
    held,
    disk: new MemoryDisk(),
    clock: systemClock,
    log: () => {},
    fatal: (error) => assert.fail(error),
  });
  await shard.ready;
  for (let at = 0; at < series.length; at += 500) await shard.push('t', testFrames(series.slice(at, at + 500)), LIMITS);
  const { channel, close } = connectInThread<ShardRole>(shardRole(shard, systemClock));
  t.after(async () => {
    close();
    await shard.close({ checkpoint: false });
  });
  const recent = new HeadSource(new ShardsClient([{ channel, held }]), Kernel.create());
  const queryable = mergedQueryable('t', { recent, overlapMs: Number.POSITIVE_INFINITY, clock: systemClock });
  return queryable;
}

interface TestSeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly samples: readonly (readonly [timeMs: number, value: number | undefined])[];
}

function randomSeries(random: Random, i: number): TestSeries {
  const pick = (of: number) => Math.floor(random() * of);
  const all: [number, number | undefined][] = [];
  const from = pick(60);
  const to = from + 1 + pick(120);
  for (let step = from; step < to; step++) {
    if (random() < 0.1) continue;
    all.push([T + step * STEP_MS + pick(3), random() < 0.08 ? STALE : pick(5)]);
  }
  // some come late, and some times twice with another value
  for (let late = pick(4); late > 0 && all.length > 0; late--) {
    const [timeMs] = all[pick(all.length)]!;
    all.push([timeMs - pick(2) * 7000, random() < 0.3 ? STALE : pick(5)]);
  }
  const zone = ['', 'é', '\uffee', '😀', 'a'][pick(5)]!;
  return { labels: { __name__: `m${pick(3)}`, i: `${i}`, job: `j${pick(7)}`, zone }, samples: all };
}

/** The query's answer, and how often each kind of question was put to the storage. */
async function asked(queryable: Queryable, expr: string, timeMs: number) {
  const counts = { tally: 0, stream: 0, select: 0 };
  const { tally, stream } = queryable;
  const counted: Queryable = {
    ...queryable,
    select(...args) {
      counts.select++;
      return queryable.select(...args);
    },
    ...(stream && {
      stream(...args) {
        counts.stream++;
        return stream(...args);
      },
    }),
    ...(tally && {
      tally(...args) {
        counts.tally++;
        return tally(...args);
      },
    }),
  };
  const context = { signal: new AbortController().signal, budget: new LimitedBudget(DEFAULT_LIMITS) };
  const { value, stats } = await new Engine().query(counted, { expr, timeMs }, context);
  assert.equal(value.type, 'vector');
  const rows = value.type === 'vector' ? value.samples : [];
  return { counts, rows: JSON.stringify(rows), samples: stats.totalQueryableSamples };
}

const QUERIES = [
  'count({job=~".+"})',
  'count(m1)',
  'group by (job) (m0)',
  'count by (job) ({job!=""})',
  'count by (zone, job, nothing) ({job!=""})',
  'count by (__name__) ({job=~"j[1-3]"})',
  'count by (i) ({job="j1"})',
  'count(m0 offset 5m)',
  'count(m0 @ 1767226000)',
  'count(nothing)',
  'count by (job) (m1) / count by (job) (m2)',
];

test('counts that the head makes are those of its samples, in their order, at any time', async (t) => {
  const random = seededRandom(20_261_129);
  const series = Array.from({ length: 3000 }, (_, i) => randomSeries(random, i));
  const queryable = await headOf(t, series);
  const { tally: _, ...plain } = queryable;
  for (let k = 0; k < 60; k++) {
    const expr = QUERIES[k % QUERIES.length]!;
    const timeMs = T + Math.floor(random() * 220 * STEP_MS);
    const { counts, ...answer } = await asked(queryable, expr, timeMs);
    const { counts: others, ...right } = await asked(plain, expr, timeMs);
    assert.deepEqual(answer, right, `${expr} at ${timeMs}`);
    assert.deepEqual([counts.select + counts.stream, others.tally], [0, 0], expr);
  }
});

test('what the head cannot count is read', async (t) => {
  const many = Array.from({ length: 12_000 }, (_, i) => ({
    labels: { __name__: 'm', i: `${i}` },
    samples: [[T, 1]] as const,
  }));
  const queryable = await headOf(t, many);
  // more groups than an answer may have
  const { counts, samples } = await asked(queryable, 'count by (i) (m)', T);
  assert.deepEqual(counts, { tally: 1, stream: 1, select: 0 });
  assert.equal(samples, 12_000);
  const one = await asked(queryable, 'count without (i) (m)', T);
  assert.deepEqual(one.counts, { tally: 0, stream: 1, select: 0 });
});
