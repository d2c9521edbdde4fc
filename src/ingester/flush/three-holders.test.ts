import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Kernel } from '../../chunk/kernel.ts';
import { kindOf, ROW_GROUP } from '../../chunkstore/keys.ts';
import { ChunkStoreReader } from '../../chunkstore/reader.ts';
import { Schema, TABLE_MS_DEFAULT } from '../../chunkstore/schema.ts';
import { testContext } from '../../chunkstore/test-series.ts';
import { ChunkStoreWriter } from '../../chunkstore/writer.ts';
import { connectInThread } from '../../kit/thread/channel.ts';
import { highWord, lowWord } from '../../lib/float-bits.ts';
import { ManualClock } from '../../lib/manual-clock.ts';
import { seededRandom } from '../../lib/random.ts';
import { encodeLabels } from '../../model/canonical.ts';
import { Labels } from '../../model/labels.ts';
import { LabelMatcher } from '../../model/matcher.ts';
import { membersOf, ringOf } from '../../ring/test-ring.ts';
import { encodeVersion, hashOfVersion } from '../../ring/version.ts';
import { RingView } from '../../ring/view.ts';
import { SampleColumns } from '../../storage/columns.ts';
import { MemoryTableStore } from '../../table/memory.ts';
import { FrameWriter } from '../../wire/frames.ts';
import { type FlushTurns, turnsOf } from '../flush-turn.ts';
import { MemoryDisk } from '../log/test-disk.ts';
import { Shard } from '../shard/shard.ts';
import type { ShardRole } from '../shard/shard-messages.ts';
import { shardRole } from '../shard/shard-role.ts';
import { Flusher } from './flush.ts';
import { FLUSH_ALL, type FlushReport } from './flush-contract.ts';
import { FlushPlan } from './flush-plan.ts';

// Three holders of the same, overlapping or different samples, and one store.

const WINDOW_MS = 7_200_000;
const MINUTE = 60_000;
const START_MS = 20_000 * 86_400_000;
const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: WINDOW_MS, exemplarsMax: 0 };
const kernel = Kernel.create();
const version = ringOf(membersOf(3, 3), 64, 3);
const view = new RingView({
  chain: [version],
  hash: hashOfVersion(encodeVersion(version)),
  confirmed: 1,
  words: new Map(),
  wordMs: 0,
});

interface Sample {
  readonly metric: string;
  readonly series: number;
  readonly timeMs: number;
  readonly value: number;
}

class Holder {
  readonly turns: FlushTurns;
  readonly plan = new FlushPlan({ windowMs: WINDOW_MS, delayMs: 15 * MINUTE, spreadMs: 45 * MINUTE });
  readonly #disk = new MemoryDisk();
  readonly #store: Store;
  #shard: Shard;
  #link: ReturnType<typeof connectInThread<ShardRole>>;
  #flusher: Flusher;

  constructor(index: number, store: Store) {
    this.turns = turnsOf(view, version.members[index]!.id);
    this.#store = store;
    this.#shard = this.#open();
    this.#link = connectInThread<ShardRole>(shardRole(this.#shard, store.clock));
    this.#flusher = this.#newFlusher();
  }

  #open(): Shard {
    return new Shard({
      folder: 'shard',
      windowMs: WINDOW_MS,
      headBytesMax: 1e9,
      fsync: 'interval',
      fsyncIntervalMs: MINUTE,
      keepFlushedMs: 0,
      disk: this.#disk,
      clock: this.#store.clock,
      log: () => {},
      fatal: (error) => assert.fail(error),
    });
  }

  #newFlusher(): Flusher {
    const { schema, clock } = this.#store;
    const writer = new ChunkStoreWriter(schema, Kernel.create(), { clock });
    return new Flusher({ shards: [this.#link.channel], writer, kernel, windowMs: WINDOW_MS, clock });
  }

  get arenas() {
    return this.#shard.arenas();
  }

  async restart(): Promise<void> {
    await this.close();
    this.#shard = this.#open();
    this.#link = connectInThread<ShardRole>(shardRole(this.#shard, this.#store.clock));
    this.#flusher = this.#newFlusher();
    this.plan.reached([]);
    await this.#shard.ready;
  }

  async push(samples: readonly Sample[]): Promise<void> {
    await this.#shard.ready;
    const frames = new FrameWriter(kernel);
    for (const { metric, series, timeMs, value } of samples) {
      frames.series(encodeLabels(Labels.of({ __name__: metric, instance: `host-${series}` })), Buffer.from(metric), 1);
      frames.sample(timeMs, highWord(value), lowWord(value));
    }
    const { counts } = await this.#shard.push('t', frames.bytes.slice(), LIMITS);
    assert.equal(counts[0], samples.length);
  }

  /** Writes slots that are due now. @param all everything there is */
  async flush(all = false): Promise<FlushReport | undefined> {
    await this.#shard.ready;
    const request = all
      ? { ...FLUSH_ALL, turns: this.turns }
      : this.plan.due([this.#shard.arenas()], this.#store.clock.nowMs(), false, this.turns);
    if (request === undefined) return undefined;
    const report = await this.#flusher.flush(request);
    this.plan.reached(report.progress);
    return report;
  }

  async close(): Promise<void> {
    this.#link.close();
    await this.#shard.close({ checkpoint: false });
  }
}

class Store {
  readonly clock = new ManualClock(START_MS);
  readonly tables = new MemoryTableStore();
  readonly schema = new Schema([
    { fromMs: Number.NEGATIVE_INFINITY, tables: this.tables, tablePrefix: 't_', tableMs: TABLE_MS_DEFAULT },
  ]);
  /** Rows and their bytes; groups among them. */
  async size(): Promise<{ rows: number; bytes: number; groups: number }> {
    const size = { rows: 0, bytes: 0, groups: 0 };
    for (const table of await this.tables.list()) {
      for await (const page of this.tables.scan(table)) {
        for (const row of page) {
          size.rows++;
          size.bytes += row.hash.length + row.range.length + row.value.length;
          if (kindOf(row.hash) === ROW_GROUP) size.groups++;
        }
      }
    }
    return size;
  }

  /** Samples in groups, one in two groups twice. */
  async samplesWritten(): Promise<number> {
    const { verify } = await import('../../chunkstore/verify.ts');
    return (await verify(this.schema, kernel)).samples;
  }

  async read(): Promise<string[]> {
    const reader = new ChunkStoreReader(this.schema, kernel, this.clock);
    const matchers = [LabelMatcher.of('__name__', '!=', '')];
    const set = await reader.select('t', { matchers, startMs: START_MS, endMs: START_MS + 86_400_000 }, testContext());
    const out = new SampleColumns(1);
    const found: string[] = [];
    for (const [i, labels] of set.series.entries()) {
      set.read(i, out);
      for (let j = 0; j < out.count; j++) {
        found.push(`${labels.metricName} ${labels.get('instance')} ${out.times[j]} ${out.values[j]}`);
      }
    }
    set.close();
    return found.sort();
  }
}

function cluster(t: TestContext) {
  const store = new Store();
  const holders = [0, 1, 2].map((index) => new Holder(index, store));
  t.after(async () => {
    for (const holder of holders) await holder.close();
  });
  return { store, holders };
}

function* samplesOf(metrics: number, series: number, steps: number): Generator<Sample> {
  for (let step = 0; step < steps; step++) {
    for (let m = 0; m < metrics; m++) {
      for (let s = 0; s < series; s++) {
        yield { metric: `m${m}`, series: s, timeMs: START_MS + 1000 + step * MINUTE, value: step * 1000 + s };
      }
    }
  }
}

const textOf = ({ metric, series, timeMs, value }: Sample) => `${metric} host-${series} ${timeMs} ${value}`;

test('holders of the same samples write them once, each in its turn, whoever looks first', async (t) => {
  const { store, holders } = cluster(t);
  const samples = [...samplesOf(3, 5, 20)];
  for (const holder of holders) await holder.push(samples);
  const wrote: number[] = [];
  const at: number[] = [];
  for (let minute = 0; minute <= 90; minute++) {
    store.clock.set(START_MS + WINDOW_MS + minute * MINUTE);
    for (const [i, holder] of holders.entries()) {
      const report = await holder.flush();
      if (report === undefined) continue;
      assert.deepEqual(report.failures, []);
      if (report.groups > 0) wrote.push(i);
      if (report.windows > 0) at.push(minute);
    }
  }
  assert.equal(wrote.length, 1, 'one holder wrote the only group');
  assert.deepEqual(holders[wrote[0]!]!.turns.orders.includes(0), true);
  assert.equal((await store.size()).groups, 1);
  assert.deepEqual(at, [75, 75, 75], 'each is through with the window when its last slots have had their turn');
  assert.deepEqual(await store.read(), samples.map(textOf).sort());
});

test('who holds less writes less: what others lack comes as one more group, and only that', async (t) => {
  const { store, holders } = cluster(t);
  const samples = [...samplesOf(2, 4, 30)];
  const missed = samples.filter(({ timeMs, series }) => timeMs === START_MS + 1000 + 7 * MINUTE && series < 3);
  await holders[0]!.push(samples.filter((each) => !missed.includes(each)));
  await holders[1]!.push(samples);
  await holders[2]!.push(samples);
  store.clock.set(START_MS + WINDOW_MS);
  for (const holder of holders) assert.deepEqual((await holder.flush(true))!.failures, []);
  assert.deepEqual(await store.read(), samples.map(textOf).sort());
  assert.equal(await store.samplesWritten(), samples.length);
  assert.equal((await store.size()).groups, 2);
});

test('a stored sample that readers would prefer counts as having it, one that they would not does not', async (t) => {
  const { store, holders } = cluster(t);
  const sample = (value: number): Sample => ({ metric: 'm', series: 0, timeMs: START_MS + 1000, value });
  await holders[0]!.push([sample(5)]);
  await holders[1]!.push([sample(3)]);
  await holders[2]!.push([sample(8)]);
  for (const holder of holders) await holder.flush(true);
  assert.deepEqual(await store.read(), [textOf(sample(8))]);
  assert.equal(await store.samplesWritten(), 2);
});

test('overlapping samples, any order of flushes, restarts and a store that fails in between: all there, once', async (t) => {
  for (let seed = 1; seed <= 4; seed++) {
    const random = seededRandom(seed);
    const { store, holders } = cluster(t);
    const samples = [...samplesOf(3, 4, 12)];
    const pushed = new Set<string>();
    for (const holder of holders) {
      const own = samples.filter(() => random() < 0.7);
      for (const each of own) pushed.add(textOf(each));
      // one after another in its own order of arrival
      for (let from = 0; from < own.length; from += 30) {
        const part = own.slice(from, from + 30);
        await holder.push(random() < 0.5 ? part : part.reverse().sort((a, b) => a.timeMs - b.timeMs));
      }
    }
    const { write, query } = store.tables.client;
    let fails = false;
    const failing = <A extends unknown[], R>(call: (...args: A) => R) =>
      function (this: unknown, ...args: A): R {
        if (fails && random() < 0.3) throw new Error('away');
        return call.apply(this, args);
      };
    store.tables.client.write = failing(write);
    store.tables.client.query = failing(query);
    store.clock.set(START_MS + WINDOW_MS);
    for (let step = 0; step < 12; step++) {
      fails = true;
      const holder = holders[Math.floor(random() * 3)]!;
      if (random() < 0.3) await holder.restart();
      await holder.flush(true).catch(() => {});
    }
    fails = false;
    for (const holder of holders) assert.deepEqual((await holder.flush(true))!.failures, []);
    for (const holder of holders) assert.ok(holder.arenas.every(({ flushedMs }) => flushedMs > 0));
    store.tables.client.write = write;
    store.tables.client.query = query;
    const read = await store.read();
    assert.deepEqual(read, [...pushed].sort(), `seed ${seed}`);
    assert.equal(await store.samplesWritten(), read.length, `seed ${seed}: a sample is in one group`);
  }
});
