import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Kernel } from '../../src/chunk/kernel.ts';
import { Schema, TABLE_MS_DEFAULT } from '../../src/chunkstore/schema.ts';
import { ChunkStoreWriter } from '../../src/chunkstore/writer.ts';
import type {
  InstantRequest,
  PartialAggregation,
  QueryResult,
  QueryRunner,
  RangeRequest,
} from '../../src/contract/query.ts';
import { Flusher } from '../../src/ingester/flush/flush.ts';
import { FLUSH_ALL } from '../../src/ingester/flush/flush-contract.ts';
import { HeldRange } from '../../src/ingester/head/held-range.ts';
import { MemoryDisk } from '../../src/ingester/log/test-disk.ts';
import { Shard } from '../../src/ingester/shard/shard.ts';
import { ShardsClient } from '../../src/ingester/shard/shard-client.ts';
import type { ShardRole } from '../../src/ingester/shard/shard-messages.ts';
import { shardRole } from '../../src/ingester/shard/shard-role.ts';
import { type TestSeries, testFrames } from '../../src/ingester/shard/test-frames.ts';
import { defaultsOf } from '../../src/kit/config/section.ts';
import { connectInThread } from '../../src/kit/thread/channel.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { type Random, seededRandom } from '../../src/lib/random.ts';
import { DEFAULT_LIMITS } from '../../src/limits/limits.ts';
import { joinedLimits } from '../../src/limits/query-limits.ts';
import { MemoryObjectClient } from '../../src/object/memory.ts';
import { mergePartials } from '../../src/promql/merge-partials.ts';
import { purgerConfig, querierConfig } from '../../src/querier/config.ts';
import { Querier, querierEngine } from '../../src/querier/querier.ts';
import { KernelRows } from '../../src/querier/row-kernel.ts';
import { comparable, partialsOf, plain } from '../../src/querier/test-partials.ts';
import { MemoryTableStore } from '../../src/table/memory.ts';
import { Expressions, type FuzzMetric } from './expressions.ts';

// Aggregations in shards, from two ingester shards and the store, against the same asked whole. Needs no other program.

const COUNT = Number(process.env.FUZZ_EXPRESSIONS ?? 1500);
const SEED = Number(process.env.SEED ?? Date.now() % 1e9);
const STEPS = 120;
const STEP_MS = 15_000;
const WINDOW_MS = 7_200_000;
const START_MS = Math.floor(Date.now() / WINDOW_MS) * WINDOW_MS - WINDOW_MS;
const INGESTERS = 2;
const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 0 };
/** Few, so that metrics are split into parts of their own. */
const SPLIT_SERIES = 20;

/** From 0 to 1, of all 53 bits. */
const fine = (random: Random) => random() + random() * 2 ** -32;

const METRICS: readonly (FuzzMetric & { readonly next: (last: number, random: Random) => number })[] = [
  {
    name: 'requests_total',
    kind: 'float',
    labels: ['instance', 'job', 'code'],
    values: ['0', '1', '2', '3'],
    next: (last, random) => (random() < 0.03 ? Math.floor(random() * 5) : last + Math.floor(random() * 20)),
  },
  {
    name: 'temperature',
    kind: 'float',
    labels: ['instance', 'job'],
    values: ['0', '1', '2', '3', '4'],
    next: (last, random) => last + (fine(random) - 0.5) * 10,
  },
  {
    name: 'seconds',
    kind: 'float',
    labels: ['instance', 'job', 'code'],
    values: ['0', '1', '2'],
    next: (_, random) => fine(random) ** 8,
  },
  {
    name: 'tenths',
    kind: 'float',
    labels: ['instance', 'code'],
    values: ['0', '1', '2', '3', '4', '5'],
    next: (_, random) => Math.floor(random() * 1000) / 10,
  },
  {
    name: 'odd',
    kind: 'float',
    labels: ['instance', 'job'],
    values: ['0', '1', '2'],
    next: (_, random) =>
      random() < 0.05
        ? [Number.NaN, Infinity, -Infinity, 1e308, -1e308, 1e16, 5e-324, -0][Math.floor(random() * 8)]!
        : (fine(random) - 0.5) * 10 ** Math.floor(random() * 20),
  },
];

interface Rig {
  readonly runner: (tenant: string) => QueryRunner;
  flush(): Promise<void>;
  close(): Promise<void>;
}

async function startRig(random: Random): Promise<Rig> {
  const disk = new MemoryDisk();
  const shards = Array.from({ length: INGESTERS }, (_, i) => {
    const options = { windowMs: WINDOW_MS, headBytesMax: 2 ** 30, fsync: 'interval', fsyncIntervalMs: 60_000 } as const;
    const rest = { keepFlushedMs: 0, disk, clock: systemClock, log: () => {} };
    return new Shard({ folder: `shard-${i}`, ...options, ...rest, fatal: (error) => assert.fail(error) });
  });
  const links = shards.map((shard) => connectInThread<ShardRole>(shardRole(shard, systemClock)));
  const channels = links.map(({ channel }) => channel);
  const tables = new MemoryTableStore();
  const objects = new MemoryObjectClient(systemClock);
  const period = { fromMs: Number.NEGATIVE_INFINITY, tables, objects, tablePrefix: 't_', tableMs: TABLE_MS_DEFAULT };
  const schema = new Schema([period]);
  const writer = new ChunkStoreWriter(schema, Kernel.create(), { clock: systemClock, inlineBytesMax: 1024 });
  const common = { kernel: Kernel.create(), windowMs: WINDOW_MS, clock: systemClock };
  const flusher = new Flusher({ ...common, shards: channels, writer, splitSeries: SPLIT_SERIES });
  for (const shard of shards) await shard.ready;
  for (const tenant of ['a', 'b']) {
    for (const [i, shard] of shards.entries()) {
      const own = seriesOf(random).filter((_, at) => at % INGESTERS === i);
      await shard.push(tenant, testFrames(own), LIMITS);
    }
  }
  const config = { ...defaultsOf(querierConfig), enablePromqlExperimentalFunctions: true };
  const querier = () =>
    new Querier({
      config,
      purger: defaultsOf(purgerConfig),
      engine: querierEngine(config, new KernelRows()),
      ingester: new ShardsClient(channels.map((channel) => ({ channel, held: HeldRange.everything() }))),
      schema,
      blockCache: undefined,
      rowCacheBytesMax: 1 << 20,
      windowMs: WINDOW_MS,
      keepFlushedMs: 900_000,
      clock: systemClock,
      random: seededRandom(1),
    });
  let current = querier();
  return {
    runner: (tenant) =>
      current.sources(
        tenant,
        joinedLimits(tenant, () => DEFAULT_LIMITS),
      ).queries,
    async flush() {
      const { failures } = await flusher.flush(FLUSH_ALL);
      assert.deepEqual(failures, []);
      for (const shard of shards) await shard.dropFlushed();
      // one that remembers no rows from before
      current = querier();
    },
    async close() {
      for (const { close } of links) close();
      for (const shard of shards) await shard.close({ checkpoint: false });
    },
  };
}

function seriesOf(random: Random): TestSeries[] {
  return METRICS.flatMap(({ name, labels, values, next }) => {
    let sets: Record<string, string>[] = [{ __name__: name }];
    for (const label of labels) sets = sets.flatMap((set) => values.map((value) => ({ ...set, [label]: value })));
    return sets.map((set) => {
      const samples: [number, number][] = [];
      const phaseMs = Math.floor(random() * STEP_MS);
      let value = next(random() * 50, random);
      for (let step = 0; step < STEPS; step++) {
        value = next(Number.isFinite(value) ? value : 1, random);
        if (random() < 0.97) samples.push([START_MS + step * STEP_MS + phaseMs, value]);
      }
      return { labels: set, samples };
    });
  });
}

const OPS = 'sum sum avg min max count group'.split(' ');
const PER_SERIES = 'rate increase delta avg_over_time sum_over_time max_over_time last_over_time deriv'.split(' ');

function randomExpr(random: Random, expressions: Expressions): string {
  const pick = (list: readonly string[]) => list[Math.floor(random() * list.length)]!;
  const label = () => pick(['instance', 'job', 'code', '__name__', 'instance, job', 'job, code']);
  const grouping = pick(['', '', ` by (${label()})`, ` without (${label()})`]);
  const selector = expressions.selector();
  const inner = [
    () => selector,
    () => `${pick(PER_SERIES)}(${selector}[${pick(['1m', '2m30s', '5m'])}])`,
    () => `-${selector}`,
    () => `${selector} ${pick(['* 3', '/ 7', '> 10', '== bool 1', '+ time()', '% 10'])}`,
    () => `${pick(['abs', 'sqrt', 'ceil', 'timestamp'])}(${selector})`,
    () => `max_over_time(rate(${selector}[1m])[3m:30s])`,
    () => expressions.vector(1 + Math.floor(random() * 2)),
  ][Math.floor(random() * 7)]!();
  return `${pick(OPS)}${grouping}(${inner})`;
}

function randomRequest(random: Random, expressions: Expressions): InstantRequest | RangeRequest {
  const expr = randomExpr(random, expressions);
  const startMs = START_MS + Math.floor(random() * STEPS) * STEP_MS;
  if (random() < 0.4) return { expr, timeMs: startMs };
  const stepMs = [7000, 15_000, 60_000][Math.floor(random() * 3)]!;
  return { expr, startMs, endMs: startMs + stepMs * Math.floor(random() * 30), stepMs };
}

type Answered<T> = { readonly answer: T; readonly error?: undefined } | { readonly error: Error };

function settled<T>(promise: Promise<T>): Promise<Answered<T>> {
  return promise.then(
    (answer) => ({ answer }),
    (error: Error) => ({ error }),
  );
}

/** Cells of sums and means: all, and those where just adding the shards' sums and compensations differs from the plain answer. */
interface Counted {
  cells: number;
  otherwise: number;
}

/** The plain answers, by group and step, against what simple merging would make of the parts. */
function countSimple(parts: readonly PartialAggregation[], { value }: QueryResult, counted: Counted): void {
  const { steps, op } = parts[0]!;
  const cells = new Map<string, { sum: number; lost: number; count: number }>();
  for (const part of parts) {
    for (const [g, { pairs }] of part.groups.entries()) {
      for (let step = 0; step < steps.count; step++) {
        const at = g * steps.count + step;
        if (part.counts[at] === 0) continue;
        const key = JSON.stringify([pairs, steps.startMs + step * steps.stepMs]);
        const cell = cells.get(key) ?? { sum: 0, lost: 0, count: 0 };
        cells.set(key, cell);
        const addend = part.values[at]!;
        const next = cell.sum + addend;
        const taken = next - cell.sum;
        cell.lost += cell.sum - (next - taken) + (addend - taken) + part.lost[at]!;
        cell.sum = next;
        cell.count += part.counts[at]!;
      }
    }
  }
  const want = new Map<string, number>();
  if (value.type === 'vector')
    for (const [i, pairs] of value.pairs.entries()) want.set(JSON.stringify([pairs, value.timeMs]), value.values[i]!);
  else if (value.type === 'matrix') {
    for (const { pairs, times, values } of value.series) {
      for (const [i, timeMs] of times.entries()) want.set(JSON.stringify([pairs, timeMs]), values[i]!);
    }
  }
  for (const [key, { sum, lost, count }] of cells) {
    const expected = want.get(key)!;
    if (!Number.isFinite(expected)) continue;
    counted.cells++;
    if (!Object.is(op === 'avg' ? sum / count + lost / count : sum + lost, expected)) counted.otherwise++;
  }
}

test(`${COUNT} random aggregations in shards have the answers that they have whole`, async (t) => {
  console.log(`SEED=${SEED}`);
  const random = seededRandom(SEED);
  const rig = await startRig(random);
  t.after(() => rig.close());
  const expressions = new Expressions({ random, metrics: METRICS, legacy: true });
  const simple: Record<string, Counted> = { sum: { cells: 0, otherwise: 0 }, avg: { cells: 0, otherwise: 0 } };
  for (const place of ['head', 'store']) {
    if (place === 'store') await rig.flush();
    const outcomes = new Map<string, number>();
    for (let i = 0; i < COUNT / 2; i++) {
      const request = randomRequest(random, expressions);
      const tenant = random() < 0.5 ? 'a' : 'b';
      const count = [2, 4, 4, 16][Math.floor(random() * 4)]!;
      const where = `${JSON.stringify(request)} of ${tenant} in ${count} from the ${place}, SEED=${SEED}`;
      const runner = rig.runner(tenant);
      const whole = await settled(plain(runner, tenant, request));
      const parts = await settled(partialsOf(runner, tenant, request, count));
      if (parts.error !== undefined) {
        assert.equal(parts.error.message, whole.error?.message, where);
        continue;
      }
      const answer = await mergePartials(parts.answer);
      const op = request.expr.slice(0, request.expr.search(/\W/));
      const outcome = `${op} ${'type' in answer ? answer.reason : 'same'}`;
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      if (whole.error !== undefined) assert.ok('type' in answer, `${where}: ${whole.error.message}`);
      else if (!('type' in answer)) assert.deepEqual(comparable(answer), comparable(whole.answer), where);
      const answered = parts.answer.filter((part) => part.type === 'partial');
      if (op in simple && answered.length === count && whole.error === undefined)
        countSimple(answered, whole.answer, simple[op]!);
    }
    console.log(
      `from the ${place}: ${[...outcomes]
        .sort()
        .map((each) => each.join(': '))
        .join(', ')}`,
    );
    const of = (outcome: string) => outcomes.get(outcome) ?? 0;
    // of sums of one metric nearly all can be merged
    assert.ok(of('sum same') > 10 * of('sum rounding') && of('sum same') > COUNT / 20);
    for (const op of ['avg', 'min', 'max', 'count', 'group']) assert.ok(of(`${op} same`) > COUNT / 100, op);
  }
  for (const [op, { cells, otherwise }] of Object.entries(simple)) {
    console.log(`simply added, ${otherwise} of ${cells} cells of ${op} would be others`);
  }
});
