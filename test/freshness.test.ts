import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryCache } from '../src/cache/memory.ts';
import { Kernel } from '../src/chunk/kernel.ts';
import { Generations } from '../src/chunkstore/generations.ts';
import { Schema, TABLE_MS_DEFAULT } from '../src/chunkstore/schema.ts';
import { Tombstones } from '../src/chunkstore/tombstones.ts';
import { ChunkStoreWriter } from '../src/chunkstore/writer.ts';
import type { QueryRunner, RangeRequest } from '../src/contract/query.ts';
import { Frontend } from '../src/frontend/frontend.ts';
import { ResultsCache } from '../src/frontend/results-cache.ts';
import { answersOf, comparableAnswer } from '../src/frontend/test-answers.ts';
import { Flusher } from '../src/ingester/flush/flush.ts';
import { FLUSH_ALL } from '../src/ingester/flush/flush-contract.ts';
import { HeldRange } from '../src/ingester/head/held-range.ts';
import { MemoryDisk } from '../src/ingester/log/test-disk.ts';
import { Shard } from '../src/ingester/shard/shard.ts';
import { ShardsClient } from '../src/ingester/shard/shard-client.ts';
import type { ShardRole } from '../src/ingester/shard/shard-messages.ts';
import { shardRole } from '../src/ingester/shard/shard-role.ts';
import { type TestSeries, testFrames } from '../src/ingester/shard/test-frames.ts';
import { defaultsOf } from '../src/kit/config/section.ts';
import { connectInThread } from '../src/kit/thread/channel.ts';
import { ManualClock } from '../src/lib/manual-clock.ts';
import { type Random, seededRandom } from '../src/lib/random.ts';
import { DEFAULT_LIMITS } from '../src/limits/limits.ts';
import { joinedLimits } from '../src/limits/query-limits.ts';
import { LabelMatcher } from '../src/model/matcher.ts';
import { MemoryObjectClient } from '../src/object/memory.ts';
import { ParsedExprs } from '../src/promql/parser/parsed.ts';
import { purgerConfig, querierConfig } from '../src/querier/config.ts';
import { Querier, querierEngine, querierSyntax } from '../src/querier/querier.ts';
import { KernelRows } from '../src/querier/row-kernel.ts';
import { MemoryTableStore } from '../src/table/memory.ts';

// Two front ends that share a cache: a query that begins after late samples, an import or a delete were acknowledged sees them, whichever
// front end it asks and whichever has cached. `npm run test:freshness` asks 10,000 times.

const ROUNDS = Number(process.env.ROUNDS ?? 120);
const SEED = Number(process.env.SEED ?? Date.now() % 1e9);

const TENANT = 't';
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const WINDOW_MS = 30 * MINUTE_MS;
const INTERVAL_MS = 6 * HOUR_MS;
const AGE_MS = HOUR_MS;
const SPAN_MS = 30 * HOUR_MS;
const NOW_MS = Date.UTC(2026, 0, 10, 7);
const LIMITS = {
  seriesPerUserMax: 0,
  seriesPerMetricMax: 0,
  outOfOrderMs: 100 * SPAN_MS,
  exemplarsMax: 0,
  oldWindowsMax: 0,
};
const EXPRS = [
  'm',
  'sum by (a) (m)',
  'max_over_time(m[10m])',
  'sum(rate(m[20m]))',
  'count(m offset 1h)',
  'm offset -40m',
];

const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)]!;

function shardOver(disk: MemoryDisk, folder: string, clock: ManualClock): Shard {
  const options = { windowMs: WINDOW_MS, headBytesMax: 2 ** 30, fsync: 'interval', fsyncIntervalMs: 60_000 } as const;
  const rest = { keepFlushedMs: 0, lateAfterMs: AGE_MS / 2, disk, clock, log: () => {} };
  return new Shard({ folder, ...options, ...rest, fatal: (error) => assert.fail(error) });
}

async function startWorld(random: Random) {
  const clock = new ManualClock(NOW_MS);
  const tables = new MemoryTableStore();
  const objects = new MemoryObjectClient(clock);
  const period = { fromMs: Number.NEGATIVE_INFINITY, tables, objects, tablePrefix: 't_', tableMs: TABLE_MS_DEFAULT };
  const schema = new Schema([period]);
  const generations = new Generations(schema, clock, (count) =>
    Uint8Array.from({ length: count }, () => Math.floor(random() * 256)),
  );
  const tombstones = new Tombstones(schema, clock, random, 24 * HOUR_MS);
  const disk = new MemoryDisk();
  const holders = ['ingester', 'import'].map((folder) => {
    const shard = shardOver(disk, folder, clock);
    const { channel, close } = connectInThread<ShardRole>(shardRole(shard, clock));
    const writer = new ChunkStoreWriter(schema, Kernel.create(), { clock, inlineBytesMax: 4096 });
    const common = { kernel: Kernel.create(), windowMs: WINDOW_MS, clock };
    const flusher = new Flusher({ ...common, shards: [channel], writer, splitSeries: 1000 });
    return {
      shard,
      channel,
      close,
      async flush() {
        assert.deepEqual((await flusher.flush(FLUSH_ALL)).failures, []);
        await shard.dropFlushed();
      },
    };
  });
  const [ingester, importer] = [holders[0]!, holders[1]!];
  for (const { shard } of holders) await shard.ready;
  const config = defaultsOf(querierConfig);
  const engine = querierEngine(config, new KernelRows());
  const sources = () => {
    const own = new Querier({
      config,
      purger: { ...defaultsOf(purgerConfig), enableAdminApi: true },
      engine,
      ingester: new ShardsClient([{ channel: ingester.channel, held: HeldRange.everything() }]),
      schema,
      blockCache: undefined,
      // lists of rows that are cached know of an import later
      rowCacheBytesMax: 0,
      windowMs: WINDOW_MS,
      keepFlushedMs: 900_000,
      clock,
      random,
    });
    const limits = joinedLimits(TENANT, () => DEFAULT_LIMITS);
    return own.sources(TENANT, limits);
  };
  const querier = (): QueryRunner => sources().queries;
  const deletes = sources().deletes!;
  const cache = new MemoryCache({ bytesMax: 1 << 24, clock });
  let evaluated = 0;
  const frontend = (): Frontend => {
    const own = querier();
    return new Frontend({
      querier: {
        instant: own.instant.bind(own),
        partial: own.partial.bind(own),
        range(tenant, request, context) {
          evaluated += (request.endMs - request.startMs) / request.stepMs + 1;
          return own.range(tenant, request, context);
        },
      },
      parsed: new ParsedExprs(querierSyntax(config)),
      rules: { delayedNameRemoval: false },
      splitIntervalMs: INTERVAL_MS,
      shards: 0,
      cache: new ResultsCache({
        cache,
        generations: (tenant, signal) => generations.of(tenant, signal),
        flags: '',
        intervalMs: INTERVAL_MS,
        clock,
      }),
      cacheLimits: { ageMs: AGE_MS, retentionMs: 0, ttlMs: 0 },
      lookbackMs: config.lookbackDeltaMs,
      alignToStep: false,
      parallelMax: 2,
      memory: () => ({ addMemory() {}, close() {} }),
      samplesMax: 50_000_000,
      retriesMax: 2,
      timeoutMs: 120_000,
      clock,
    });
  };
  const deleted: string[] = [];
  return {
    clock,
    plain: querier(),
    frontends: [frontend(), frontend()],
    cache,
    evaluated: () => evaluated,
    flush: () => ingester.flush(),
    /** Acknowledged when it resolves. */
    async write(series: TestSeries[]): Promise<boolean> {
      const { lateMs } = await ingester.shard.push(TENANT, testFrames(series), LIMITS);
      if (lateMs !== undefined) await generations.move(TENANT, lateMs, clock.nowMs() - AGE_MS / 2);
      return lateMs !== undefined;
    },
    async import(series: TestSeries[]): Promise<void> {
      await importer.shard.push(TENANT, testFrames(series), LIMITS);
      await importer.flush();
      await generations.moveAll(TENANT);
    },
    async delete(a: string, startMs: number, endMs: number): Promise<void> {
      const matchers = [LabelMatcher.of('a', '=', a)];
      deleted.push((await tombstones.create(TENANT, matchers, startMs, endMs)).id);
    },
    async cancel(): Promise<void> {
      const id = deleted.pop();
      if (id !== undefined) await deletes.cancel(TENANT, id, new AbortController().signal);
    },
    async close() {
      for (const { shard, close } of holders) {
        close();
        await shard.close({ checkpoint: false });
      }
    },
  };
}

const labelsOf = (i: number) => ({ __name__: 'm', a: `${i % 3}`, b: `${i}` });

test(`${ROUNDS} queries after late samples, imports and deletes see them`, async (t) => {
  console.log(`SEED=${SEED}`);
  const random = seededRandom(SEED);
  const world = await startWorld(random);
  t.after(() => world.close());
  const { clock } = world;
  const all = Array.from({ length: SPAN_MS / (5 * MINUTE_MS) }, (_, i) => NOW_MS - SPAN_MS + i * 5 * MINUTE_MS);
  await world.write(
    Array.from({ length: 6 }, (_, i) => ({
      labels: labelsOf(i),
      samples: all.map((timeMs) => [timeMs, Math.floor(random() * 1000)] as const),
    })),
  );
  await world.flush();

  const someTime = () => clock.nowMs() - Math.floor(random() * SPAN_MS);
  const someSeries = (count: number, timeMs: () => number): TestSeries[] =>
    Array.from({ length: count }, () => ({
      labels: labelsOf(Math.floor(random() * 8)),
      samples: [[timeMs(), Math.floor(random() * 1000)]],
    }));
  /** The same few questions again and again, over a sliding time. */
  const someRequest = (): RangeRequest => {
    const stepMs = pick(random, [10, 30]) * MINUTE_MS;
    const endMs = Math.floor(clock.nowMs() / stepMs) * stepMs - Math.floor(random() * 4) * stepMs;
    return { expr: pick(random, EXPRS), startMs: endMs - pick(random, [12, 24]) * HOUR_MS, endMs, stepMs };
  };
  const done = { late: 0, imports: 0, deletes: 0, cancels: 0, flushes: 0, steps: 0 };
  const change = async () => {
    const dice = random();
    if (dice < 0.35) {
      if (await world.write(someSeries(1 + Math.floor(random() * 3), someTime))) done.late++;
    } else if (dice < 0.4) {
      await world.import(someSeries(2, someTime));
      done.imports++;
    } else if (dice < 0.45) {
      const startMs = someTime();
      await world.delete(`${Math.floor(random() * 3)}`, startMs, startMs + Math.floor(random() * 2 * HOUR_MS));
      done.deletes++;
    } else if (dice < 0.5) {
      await world.cancel();
      done.cancels++;
    } else if (dice < 0.53) {
      await world.flush();
      done.flushes++;
    } else if (dice < 0.7) {
      await clock.advance(Math.floor(random() * 3) * MINUTE_MS);
      await world.write(someSeries(3, () => clock.nowMs()));
    }
  };
  const ask = (request: RangeRequest) => {
    done.steps += (request.endMs - request.startMs) / request.stepMs + 1;
    return answersOf(pick(random, world.frontends), request, TENANT);
  };
  for (let round = 0; round < ROUNDS; round++) {
    // some ask meanwhile, and keep what they found
    const meanwhile = random() < 0.4 ? ask(someRequest()) : undefined;
    if (random() < 0.5) await change();
    const request = someRequest();
    const [answer, plain] = await Promise.all([ask(request), answersOf(world.plain, request, TENANT)]);
    const where = `${JSON.stringify(request)} in round ${round}, SEED=${SEED}`;
    assert.deepEqual(comparableAnswer(answer), comparableAnswer(plain), where);
    await meanwhile;
    if (random() < 0.5) for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
  }
  console.log(JSON.stringify({ ...done, evaluated: world.evaluated(), ...world.cache.stats }));
  assert.ok(done.late > ROUNDS / 20 && done.deletes > 0 && world.cache.stats.hits > ROUNDS);
  // most steps were answered from the cache
  assert.ok(world.evaluated() < done.steps);
});
