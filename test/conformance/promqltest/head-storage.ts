import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kernel } from '../../../src/chunk/kernel.ts';
import { ChunkStoreReader } from '../../../src/chunkstore/reader.ts';
import { Schema, TABLE_MS_DEFAULT } from '../../../src/chunkstore/schema.ts';
import { ChunkStoreWriter } from '../../../src/chunkstore/writer.ts';
import { Flusher } from '../../../src/ingester/flush/flush.ts';
import { FLUSH_ALL } from '../../../src/ingester/flush/flush-contract.ts';
import { HeldRange } from '../../../src/ingester/head/held-range.ts';
import { realDisk } from '../../../src/ingester/log/disk.ts';
import { DirectReads } from '../../../src/ingester/shard/direct-reads.ts';
import { Shard } from '../../../src/ingester/shard/shard.ts';
import { ShardsClient } from '../../../src/ingester/shard/shard-client.ts';
import type { ShardRole } from '../../../src/ingester/shard/shard-messages.ts';
import { shardRole } from '../../../src/ingester/shard/shard-role.ts';
import { connectInThread } from '../../../src/kit/thread/channel.ts';
import { ByteWriter } from '../../../src/lib/bytes.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { highWord, lowWord, STALE_HIGH, STALE_LOW } from '../../../src/lib/float-bits.ts';
import { encodeLabels } from '../../../src/model/canonical.ts';
import type { Labels } from '../../../src/model/labels.ts';
import { MemoryObjectClient } from '../../../src/object/memory.ts';
import { HeadSource } from '../../../src/querier/head-source.ts';
import { StoreSource } from '../../../src/querier/store-source.ts';
import { mergedQueryable } from '../../../src/storage/merge.ts';
import type { LabelRequest, Queryable, QueryContext, SelectRequest } from '../../../src/storage/queryable.ts';
import { MemoryTableStore } from '../../../src/table/memory.ts';
import { FRAME_ASIDE } from '../../../src/wire/frame-layout.ts';
import { FrameWriter } from '../../../src/wire/frames.ts';
import { writeRichSample } from '../../../src/wire/rich-samples.ts';
import { type LoadedItem, loadedItems } from './loaded-items.ts';
import type { TestStorage } from './runner.ts';
import type { LoadCommand } from './script.ts';

const WINDOW_MS = 7_200_000;
const TENANT = 'test';
const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 0 };
const encoder = new TextEncoder();
const kernel = Kernel.create();
const frames = new FrameWriter(kernel);

/** The real path: a shard with its log, and with `flushed` the store, read as queries read them. */
export class HeadStorage implements TestStorage {
  readonly #folder = mkdtempSync(join(tmpdir(), 'pallium-promqltest-'));
  readonly #shard: Shard;
  readonly #head: HeadSource;
  readonly #schema: Schema;
  #queryable: Queryable;
  readonly #flusher: Flusher | undefined;
  readonly #disconnect: () => void;
  #unflushed = false;

  constructor(flushed: boolean) {
    this.#shard = new Shard({
      folder: this.#folder,
      windowMs: WINDOW_MS,
      headBytesMax: 2 ** 30,
      fsync: 'interval',
      fsyncIntervalMs: 3_600_000,
      keepFlushedMs: 0,
      disk: realDisk,
      clock: systemClock,
      log: () => {},
      fatal: (error) => assert.fail(error),
    });
    const { channel, close } = connectInThread<ShardRole>(shardRole(this.#shard, systemClock));
    this.#disconnect = close;
    const tables = new MemoryTableStore();
    const schema = new Schema([
      {
        fromMs: Number.NEGATIVE_INFINITY,
        tables,
        objects: new MemoryObjectClient(systemClock),
        tablePrefix: 't_',
        tableMs: TABLE_MS_DEFAULT,
      },
    ]);
    const held = HeldRange.everything();
    // what is asked for twice is read past the shard
    const direct = new DirectReads(held, { asksMin: 0 });
    direct.connect(channel).catch(() => {}); // closed before it has answered
    this.#head = new HeadSource(new ShardsClient([{ channel, held, direct }], true), kernel);
    this.#schema = schema;
    this.#queryable = mergedQueryable(TENANT, { recent: this.#head, overlapMs: 0, clock: systemClock });
    const writer = new ChunkStoreWriter(schema, kernel, { clock: systemClock });
    if (flushed) {
      this.#flusher = new Flusher({ shards: [channel], writer, kernel, windowMs: WINDOW_MS, clock: systemClock });
    }
  }

  async load(command: LoadCommand): Promise<void> {
    await this.#shard.ready;
    const series = new Map<string, LoadedItem[]>();
    for (const each of loadedItems(command)) {
      if (each.item === undefined) continue;
      const items = series.get(each.labels.key);
      if (items === undefined) series.set(each.labels.key, [each]);
      else items.push(each);
    }
    frames.clear();
    for (const items of series.values()) writeFrames(items[0]!.labels, items);
    await this.#shard.push(TENANT, frames.bytes.slice(), LIMITS);
    this.#unflushed = true;
  }

  async settle(): Promise<void> {
    if (this.#flusher === undefined || !this.#unflushed) return;
    this.#unflushed = false;
    const { failures } = await this.#flusher.flush(FLUSH_ALL);
    assert.deepEqual(failures, []);
    await this.#shard.dropFlushed();
    // a reader of its own: it may remember lists of rows for as long as a head keeps what is flushed, and this one has just let go
    const reader = new ChunkStoreReader(this.#schema, kernel, systemClock, { windowMs: WINDOW_MS });
    this.#queryable = mergedQueryable(TENANT, {
      recent: this.#head,
      stored: new StoreSource(reader),
      // so few that many a query reads in parts
      seriesAtOnce: 4,
      overlapMs: Number.POSITIVE_INFINITY,
      clock: systemClock,
    });
  }

  async close(): Promise<void> {
    this.#disconnect();
    await this.#shard.close({ checkpoint: false });
    rmSync(this.#folder, { recursive: true });
  }

  select(request: SelectRequest, context: QueryContext) {
    return this.#queryable.select(request, context);
  }

  stream(request: SelectRequest, context: QueryContext) {
    return this.#queryable.stream!(request, context);
  }

  labelNames(request: LabelRequest, context: QueryContext) {
    return this.#queryable.labelNames(request, context);
  }

  labelValues(name: string, request: LabelRequest, context: QueryContext) {
    return this.#queryable.labelValues(name, request, context);
  }
}

/** A frame for each run of plain floats or of what is more. */
function writeFrames(labels: Labels, items: readonly LoadedItem[]): void {
  const key = encodeLabels(labels);
  const metric = encoder.encode(labels.metricName);
  for (let from = 0; from < items.length; ) {
    let to = from + 1;
    while (to < items.length && isPlain(items[to]!) === isPlain(items[from]!)) to++;
    const run = items.slice(from, to);
    if (isPlain(items[from]!)) {
      frames.series(key, metric, run.length);
      for (const { timeMs, item } of run) frames.sample(timeMs, ...bitsOf(item));
    } else {
      const payload = new ByteWriter();
      for (const { timeMs, startMs, item } of run) {
        if (typeof item === 'object' && 'histogram' in item) {
          writeRichSample(payload, { timeMs, startMs, histogram: item.histogram });
        } else {
          const [high, low] = bitsOf(item);
          writeRichSample(payload, { timeMs, startMs, high, low });
        }
      }
      frames.aside(key, metric, run.length, payload.done(), FRAME_ASIDE);
    }
    from = to;
  }
}

function isPlain({ item, startMs }: LoadedItem): boolean {
  return startMs === 0 && !(typeof item === 'object' && 'histogram' in item);
}

function bitsOf(item: LoadedItem['item']): [high: number, low: number] {
  if (typeof item === 'object' && 'value' in item) return [highWord(item.value), lowWord(item.value)];
  return [STALE_HIGH, STALE_LOW];
}
