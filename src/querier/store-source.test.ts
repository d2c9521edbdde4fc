import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Kernel } from '../chunk/kernel.ts';
import { PLACEMENT_DEFAULT, slotOf } from '../chunkstore/placement.ts';
import { ChunkStoreReader } from '../chunkstore/reader.ts';
import { Schema, TABLE_MS_DEFAULT } from '../chunkstore/schema.ts';
import { seriesOf } from '../chunkstore/test-series.ts';
import { ChunkStoreWriter } from '../chunkstore/writer.ts';
import { systemClock } from '../lib/clock.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { Labels } from '../model/labels.ts';
import { LabelMatcher } from '../model/matcher.ts';
import { MemoryObjectClient } from '../object/memory.ts';
import type { SampleColumns } from '../storage/columns.ts';
import { mergedQueryable } from '../storage/merge.ts';
import type { SelectRequest } from '../storage/queryable.ts';
import { type SeriesBlock, StreamBroken } from '../storage/series-stream.ts';
import type { SampleSource, SourceSeries } from '../storage/source.ts';
import { unlimited } from '../storage/unlimited.ts';
import { MemoryTableStore } from '../table/memory.ts';
import { StoreSource } from './store-source.ts';

const START = Date.UTC(2026, 0, 5);
const KEPT_MS = 900_000;
const LISTS_MS = (KEPT_MS * 2) / 3;
const OVERLAP_MS = KEPT_MS / 3;
const LABELS = Labels.of({ __name__: 'moving' });
const SERIES = seriesOf({ __name__: 'moving' }, [START], () => 1);
const kernel = Kernel.create();
const [tables, objects] = [new MemoryTableStore(), new MemoryObjectClient(systemClock)];
const period = { fromMs: Number.NEGATIVE_INFINITY, tables, objects, tablePrefix: 't_', tableMs: TABLE_MS_DEFAULT };
const schema = new Schema([period]);
const writer = new ChunkStoreWriter(schema, kernel, { clock: systemClock });
const clock = new ManualClock(START);
const reader = new ChunkStoreReader(schema, kernel, clock, { rowCacheTtlMs: LISTS_MS });
let tenants = 0;
const ASKED: SelectRequest = { matchers: [LabelMatcher.of('__name__', '=', 'moving')], startMs: START, endMs: START };

interface Passage {
  /** When the sample is flushed, from when the store's lists were read on. */
  readonly flushMs: number;
  /** How long after the flush a second holder hears of it; absent: there is none. */
  readonly heardMs?: number | undefined;
  readonly queryMs: number;
  /** How long the thread stands still when it has looked at the lists. */
  readonly pauseMs: number;
  readonly answerMs: number;
}

/** A sample that goes over from the head to the store, in the way of a query whose thread has read the store's lists before. */
async function passing({ flushMs, heardMs, queryMs, pauseMs, answerMs }: Passage) {
  const tenant = `t${++tenants}`;
  const begunMs = clock.monotonicMs();
  const passedMs = () => clock.monotonicMs() - begunMs;
  const pass = (ms: number) => clock.set(clock.nowMs() + Math.max(0, ms - passedMs()));
  let storedMs = Number.POSITIVE_INFINITY;
  const goTo = async (ms: number) => {
    if (flushMs <= ms && storedMs === Number.POSITIVE_INFINITY) {
      pass(flushMs);
      const [placement, windowMs] = [PLACEMENT_DEFAULT, 7_200_000];
      const slot = slotOf(placement, SERIES.labels);
      await writer.write([{ tenant, placement, slot, windowStartMs: START, windowMs, series: [SERIES] }]);
      storedMs = passedMs();
    }
    pass(ms);
  };
  /** Holders answer one after the other. */
  const held = async (): Promise<SeriesBlock> => {
    let isThere = false;
    const askedMs = passedMs();
    const holders = heardMs === undefined ? [0] : [heardMs, 0];
    for (const [i, heard] of holders.entries()) {
      await goTo(askedMs + (answerMs * (i + 1)) / holders.length);
      isThere ||= passedMs() < storedMs + heard + KEPT_MS;
    }
    const read = (_: number, out: SampleColumns) => {
      out.clear();
      out.pushFloat(START, 1);
    };
    return { labels: isThere ? [LABELS] : [], warnings: [], read };
  };
  const recent: SampleSource = {
    select: async () => ({ ...(await held()), close() {} }) as SourceSeries,
    async *stream() {
      yield { ...(await held()), isWhole: true };
    },
    whole: async () => ({ ...(await held()), close() {} }),
    labelNames: async () => ({ values: [], warnings: [] }),
    labelValues: async () => ({ values: [], warnings: [] }),
  };
  const stored = new StoreSource(reader);
  const has = stored.hasNothing.bind(stored);
  let saidNothing = 0;
  stored.hasNothing = (...asked) => {
    const isNothing = has(...asked);
    if (isNothing) saidNothing++;
    pass(passedMs() + pauseMs);
    return isNothing;
  };
  await goTo(0);
  await stored.selectUpTo(tenant, ASKED, 0, unlimited());
  await goTo(queryMs);
  const queryable = mergedQueryable(tenant, { recent, stored, overlapMs: OVERLAP_MS, clock });
  return { queryable, saidNothing: () => saidNothing };
}

type Passing = Awaited<ReturnType<typeof passing>>['queryable'];

/** Series that are found in each way of asking; undefined: it says that it does not know. */
const ways = {
  async select(queryable: Passing) {
    const set = await queryable.select(ASKED, unlimited());
    set.close();
    return set.series.length;
  },
  async stream(queryable: Passing) {
    let found = 0;
    try {
      for await (const { labels } of queryable.stream!(ASKED, unlimited())) found += labels.length;
    } catch (thrown) {
      if (thrown instanceof StreamBroken) return undefined;
      throw thrown;
    }
    return found;
  },
  async whole(queryable: Passing) {
    const block = await queryable.whole!(ASKED, unlimited());
    block?.close();
    return block?.labels.length;
  },
};

for (const [way, ask] of Object.entries(ways)) {
  test(`a sample that goes over to the store while lists are kept that have it not is found (${way})`, async () => {
    let spared = 0;
    for (const heardMs of [undefined, 60_000]) {
      for (const flushMs of [0, 1, LISTS_MS - 1, LISTS_MS + OVERLAP_MS]) {
        for (const queryMs of [1, OVERLAP_MS, LISTS_MS - 1, LISTS_MS, KEPT_MS, KEPT_MS + 1]) {
          for (const pauseMs of [0, 2]) {
            for (const answerMs of [0, OVERLAP_MS, OVERLAP_MS + 1, KEPT_MS]) {
              const passage = { flushMs, heardMs, queryMs, pauseMs, answerMs };
              const { queryable, saidNothing } = await passing(passage);
              const found = await ask(queryable);
              assert.ok(found === 1 || found === undefined, JSON.stringify(passage));
              if (found === 1) spared += saidNothing();
            }
          }
        }
      }
    }
    assert.ok(spared > 20, `${spared} were answered without the store`);
  });
}
