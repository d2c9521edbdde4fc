import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { Kernel } from '../../chunk/kernel.ts';
import { kindOf, ROW_GROUP } from '../../chunkstore/keys.ts';
import { ChunkStoreReader } from '../../chunkstore/reader.ts';
import { Schema, TABLE_MS_DEFAULT } from '../../chunkstore/schema.ts';
import { testContext } from '../../chunkstore/test-series.ts';
import { Tombstones } from '../../chunkstore/tombstones.ts';
import { ChunkStoreWriter } from '../../chunkstore/writer.ts';
import { connectInThread } from '../../kit/thread/channel.ts';
import { highWord, lowWord } from '../../lib/float-bits.ts';
import { ManualClock } from '../../lib/manual-clock.ts';
import { seededRandom } from '../../lib/random.ts';
import { encodeLabels } from '../../model/canonical.ts';
import { Labels } from '../../model/labels.ts';
import { LabelMatcher } from '../../model/matcher.ts';
import { membersOf, ringOf, viewOf } from '../../ring/test-ring.ts';
import { SampleColumns } from '../../storage/columns.ts';
import { MemoryTableStore } from '../../table/memory.ts';
import { FrameWriter } from '../../wire/frames.ts';
import { type FlushTurns, turnsOf } from '../flush-turn.ts';
import { MemoryDisk } from '../log/test-disk.ts';
import { Shard } from '../shard/shard.ts';
import type { ShardRole } from '../shard/shard-messages.ts';
import { shardRole } from '../shard/shard-role.ts';
import { Flusher } from './flush.ts';
import { FLUSH_ALL, type FlushReport, type ReadBackReport } from './flush-contract.ts';
import { FlushPlan } from './flush-plan.ts';

// Three holders of the same, overlapping or different samples, and one store.

export const WINDOW_MS = 7_200_000;
export const MINUTE = 60_000;
export const DAY = 86_400_000;
export const START_MS = 20_000 * 86_400_000;
const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: WINDOW_MS, exemplarsMax: 0 };
const kernel = Kernel.create();
const version = ringOf(membersOf(3, 3), 64, 3);
const view = viewOf(version);

export interface Sample {
  readonly metric: string;
  readonly series: number;
  readonly timeMs: number;
  readonly value: number;
}

export class Holder {
  readonly turns: FlushTurns;
  readonly plan = new FlushPlan({ windowMs: WINDOW_MS, delayMs: 15 * MINUTE, spreadMs: 45 * MINUTE });
  readonly #disk = new MemoryDisk();
  readonly #store: Store;
  #shard: Shard;
  #link: ReturnType<typeof connectInThread<ShardRole>>;
  #flusher: Flusher;
  /** Times that its samples were taken out of the head. */
  exports = 0;

  constructor(index: number, store: Store) {
    this.turns = turnsOf(view, version.members[index]!.id);
    this.#store = store;
    this.#shard = this.#open();
    this.#link = this.#connect();
    this.#flusher = this.#newFlusher();
  }

  #connect() {
    const role = shardRole(this.#shard, this.#store.clock);
    const counted: ShardRole = {
      ...role,
      export: (request) => {
        this.exports++;
        return role.export(request);
      },
    };
    return connectInThread<ShardRole>(counted);
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
    return new Flusher({
      shards: [this.#link.channel],
      writer,
      kernel,
      windowMs: WINDOW_MS,
      clock,
      deleteRequestCancelPeriodMs: DAY,
      walAgeMaxMs: 7 * DAY,
    });
  }

  /** Memory of the kernel that all holders decode with. */
  get kernelBytes(): number {
    return kernel.u8.length;
  }

  get arenas() {
    return this.#shard.arenas();
  }

  async restart(): Promise<void> {
    await this.close();
    this.#shard = this.#open();
    this.#link = this.#connect();
    this.#flusher = this.#newFlusher();
    this.plan.reached([]);
    await this.#shard.ready;
  }

  async push(samples: readonly Sample[], taken = samples.length): Promise<void> {
    await this.#shard.ready;
    const frames = new FrameWriter(kernel);
    for (const { metric, series, timeMs, value } of samples) {
      frames.series(encodeLabels(Labels.of({ __name__: metric, instance: `host-${series}` })), Buffer.from(metric), 1);
      frames.sample(timeMs, highWord(value), lowWord(value));
    }
    await this.pushFrames(frames.bytes.slice(), taken);
  }

  async pushFrames(frames: Uint8Array, taken: number): Promise<void> {
    await this.#shard.ready;
    const { counts } = await this.#shard.push('t', frames, LIMITS);
    assert.equal(counts[0], taken, `answers ${counts}`);
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

  readBack(signal = new AbortController().signal): Promise<ReadBackReport> {
    return this.#flusher.readBack({ turns: this.turns }, signal);
  }

  readDeletions(everyTenant = false): Promise<void> {
    return this.#flusher.readDeletions({ everyTenant });
  }

  vouch(): void {
    this.#shard.vouchDeletions();
  }

  get deletionsReadMs(): number {
    return this.#shard.deletionsReadMs;
  }

  async close(): Promise<void> {
    this.#link.close();
    await this.#shard.close({ checkpoint: false });
  }
}

export class Store {
  readonly clock = new ManualClock(START_MS);
  readonly tables = new MemoryTableStore();
  readonly schema = new Schema([
    { fromMs: Number.NEGATIVE_INFINITY, tables: this.tables, tablePrefix: 't_', tableMs: TABLE_MS_DEFAULT },
  ]);
  readonly requests = new Tombstones(this.schema, this.clock, seededRandom(9), DAY);

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

  async read(matchers = [LabelMatcher.of('__name__', '!=', '')]): Promise<string[]> {
    const reader = new ChunkStoreReader(this.schema, kernel, this.clock);
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

export function cluster(t: TestContext) {
  const store = new Store();
  const holders = [0, 1, 2].map((index) => new Holder(index, store));
  t.after(async () => {
    for (const holder of holders) await holder.close();
  });
  return { store, holders };
}

export function* samplesOf(metrics: number, series: number, steps: number): Generator<Sample> {
  for (let step = 0; step < steps; step++) {
    for (let m = 0; m < metrics; m++) {
      for (let s = 0; s < series; s++) {
        yield { metric: `m${m}`, series: s, timeMs: START_MS + 1000 + step * MINUTE, value: step * 1000 + s };
      }
    }
  }
}

export const textOf = ({ metric, series, timeMs, value }: Sample) => `${metric} host-${series} ${timeMs} ${value}`;
