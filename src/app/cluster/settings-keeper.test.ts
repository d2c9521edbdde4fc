import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryDisk } from '../../ingester/log/test-disk.ts';
import { silentLogger } from '../../kit/observe/log.ts';
import type { KvClient } from '../../kv/client.ts';
import { MemoryKv } from '../../kv/memory.ts';
import { ManualClock } from '../../lib/manual-clock.ts';
import { type ClusterSettings, decodeSettings, encodeSettings } from '../../ring/settings.ts';
import { SettingsKeeper } from './settings-keeper.ts';

const own: ClusterSettings = {
  windowMs: 60_000,
  replicas: 3,
  arcs: 64,
  keepFlushedMs: 60_000,
  splitMetricSeries: 1000,
  periods: [{ fromMs: null, place: 'somewhere' }],
};

function keeperOf(
  clock: ManualClock,
  kv: KvClient,
  disk?: MemoryDisk,
  other?: () => SettingsKeeper,
  onOtherKey = () => {},
) {
  disk?.makeFolder('ingester');
  const others = async () => other?.().known;
  const lookMs = 15_000;
  const log = silentLogger;
  return new SettingsKeeper({ kv, own, disk, folder: 'ingester', others, onOtherKey, lookMs, log, clock });
}

test('a store of the ring that comes back empty gets the key of series from who kept it, and not from who starts just then', async () => {
  const clock = new ManualClock();
  const { signal } = new AbortController();
  const keeper = keeperOf.bind(undefined, clock);
  let kv = new MemoryKv();
  const disk = new MemoryDisk();
  const before = keeper(kv, disk);
  await before.agree(signal);
  const key = before.seriesKey!;

  kv = new MemoryKv();
  const querier = keeper(kv, undefined);
  const agreed = querier.agree(signal);
  await clock.turn();
  await clock.advance(5_000);
  assert.equal(querier.seriesKey, undefined);
  const ingester = keeper(kv, disk);
  await ingester.agree(signal);
  await clock.advance(5_000);
  await agreed;
  assert.deepEqual(querier.seriesKey, key);

  // nobody puts any there: it starts without them
  const alone = keeper(new MemoryKv(), undefined);
  const begun = alone.agree(signal);
  await clock.turn();
  await clock.advance(70_000);
  await begun;
  assert.equal(alone.seriesKey, undefined);
});

test('others tell the settings where the store of the ring is away, and where it is empty to an ingester with an empty folder', async () => {
  const clock = new ManualClock();
  const { signal } = new AbortController();
  const first = keeperOf(clock, new MemoryKv(), new MemoryDisk());
  await first.agree(signal);
  const away = {
    ...new MemoryKv(),
    get: () => Promise.reject(new Error('the store is away')),
  } as unknown as MemoryKv;
  const querier = keeperOf(clock, away, undefined, () => first);
  await querier.agree(signal);
  assert.deepEqual(querier.seriesKey, first.seriesKey);
  const empty = new MemoryKv();
  const ingester = keeperOf(clock, empty, new MemoryDisk(), () => first);
  await ingester.agree(signal);
  assert.deepEqual(ingester.seriesKey, first.seriesKey);
  // and the store has it again
  const late = keeperOf(clock, empty, new MemoryDisk());
  await late.agree(signal);
  assert.deepEqual(late.seriesKey, first.seriesKey);
});

test('of two keys that were drawn the earlier one is put back, and who drew the other one asks to be started again', async () => {
  const clock = new ManualClock(1_000);
  const stop = new AbortController();
  const [disk, lateDisk] = [new MemoryDisk(), new MemoryDisk()];
  const first = keeperOf(clock, new MemoryKv(), disk);
  await first.agree(stop.signal);
  clock.set(5_000);
  const kv = new MemoryKv();
  let asked = 0;
  const late = keeperOf(clock, kv, lateDisk, undefined, () => asked++);
  await late.agree(stop.signal);
  assert.notDeepEqual(late.seriesKey, first.seriesKey);
  const again = keeperOf(clock, kv, disk);
  await again.agree(stop.signal);
  late.watch(stop.signal);
  again.watch(stop.signal);
  assert.equal(late.problem, undefined);
  // a look that finds it twice
  await clock.advance(20_000);
  assert.equal(asked, 0);
  await clock.advance(20_000);
  assert.match(String(late.problem), /another key of series/);
  assert.equal(asked, 1);
  assert.deepEqual([again.problem, again.seriesKey], [undefined, first.seriesKey]);
  stop.abort();
  await clock.advance(20_000);
  const started = keeperOf(clock, kv, lateDisk);
  await started.agree(new AbortController().signal);
  assert.deepEqual(started.seriesKey, first.seriesKey);
});

test('a folder of another cluster, or one that does not say when its key was drawn, does not replace the key of those that run', async () => {
  for (const drawnMs of [500, undefined]) {
    const clock = new ManualClock(1_000);
    const stop = new AbortController();
    const kv = new MemoryKv();
    const running: SettingsKeeper[] = [];
    const knownBut = (self: () => SettingsKeeper) => async () => {
      const told = running.filter((each) => each !== self()).map(({ known }) => known!);
      return { asked: told.length, told };
    };
    const keeper = (disk: MemoryDisk) => {
      disk.makeFolder('ingester');
      const made: SettingsKeeper = new SettingsKeeper({
        kv,
        own,
        disk,
        folder: 'ingester',
        everyOther: knownBut(() => made),
        lookMs: 15_000,
        log: silentLogger,
        clock,
      });
      return made;
    };
    for (let i = 0; i < 2; i++) {
      const made = keeper(new MemoryDisk());
      await made.agree(stop.signal);
      running.push(made);
      made.watch(stop.signal);
    }
    const key = running[0]!.seriesKey;
    const stale = new MemoryDisk();
    stale.makeFolder('ingester');
    const other = { ...own, seriesKey: '0'.repeat(32), ...(drawnMs !== undefined && { drawnMs }) };
    stale.writeWhole('ingester/ring-settings.json', encodeSettings(other));
    const newcomer = keeper(stale);
    await newcomer.agree(stop.signal);
    running.push(newcomer);
    newcomer.watch(stop.signal);
    await clock.advance(40_000);
    for (const each of running) assert.deepEqual([each.seriesKey, each.problem], [key, undefined], `${drawnMs}`);
    stop.abort();
    await clock.advance(20_000);
  }
});

test('an earlier key that most of those that run know is put back, though one drew another', async () => {
  const clock = new ManualClock(1_000);
  const { signal } = new AbortController();
  const disk = new MemoryDisk();
  const first = keeperOf(clock, new MemoryKv(), disk);
  await first.agree(signal);
  clock.set(5_000);
  const kv = new MemoryKv();
  const late = keeperOf(clock, kv, new MemoryDisk());
  await late.agree(signal);
  const everyOther = async () => ({ asked: 3, told: [first.known!, late.known!, first.known!] });
  const shared = { kv, own, disk, folder: 'ingester', lookMs: 15_000, log: silentLogger, clock };
  const again = new SettingsKeeper({ ...shared, everyOther });
  await again.agree(signal);
  assert.deepEqual(again.seriesKey, first.seriesKey);
  const { value } = (await kv.get('ring/settings'))!;
  assert.equal(decodeSettings(value)?.seriesKey, first.known!.seriesKey);
});

test('who cannot reach most of the others leaves the key of series in the store as it is, and goes on with its own', async () => {
  const clock = new ManualClock(1_000);
  const stop = new AbortController();
  const disk = new MemoryDisk();
  disk.makeFolder('ingester');
  const kv = new MemoryKv();
  let told = 0;
  const everyOther = async () => ({ asked: 2, told: Array.from({ length: told }, () => alone.known!) });
  const alone: SettingsKeeper = new SettingsKeeper({
    kv,
    own,
    disk,
    folder: 'ingester',
    everyOther,
    lookMs: 15_000,
    log: silentLogger,
    clock,
  });
  await alone.agree(stop.signal);
  const key = alone.known!.seriesKey;
  const entry = (await kv.get('ring/settings'))!;
  const other = { ...own, seriesKey: '0'.repeat(32), drawnMs: 5_000 };
  await kv.compareAndSet('ring/settings', entry.revision, encodeSettings(other));
  alone.watch(stop.signal);
  const inStore = async () => decodeSettings((await kv.get('ring/settings'))!.value)?.seriesKey;
  await clock.advance(40_000);
  assert.deepEqual([await inStore(), alone.problem], [other.seriesKey, undefined]);
  told = 1;
  await clock.advance(20_000);
  assert.deepEqual([await inStore(), alone.problem], [key, undefined]);
  stop.abort();
  await alone.settled();
});
