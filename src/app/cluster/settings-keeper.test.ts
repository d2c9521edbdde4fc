import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryDisk } from '../../ingester/log/test-disk.ts';
import { silentLogger } from '../../kit/observe/log.ts';
import { MemoryKv } from '../../kv/memory.ts';
import { ManualClock } from '../../lib/manual-clock.ts';
import type { ClusterSettings } from '../../ring/settings.ts';
import { SettingsKeeper } from './settings-keeper.ts';

const own: ClusterSettings = {
  windowMs: 60_000,
  replicas: 3,
  arcs: 64,
  keepFlushedMs: 60_000,
  splitMetricSeries: 1000,
  periods: [{ fromMs: null, place: 'somewhere' }],
};

test('a store of the ring that comes back empty gets the key of series from who kept it, and not from who starts just then', async () => {
  const clock = new ManualClock();
  const { signal } = new AbortController();
  const keeper = (kv: MemoryKv, disk: MemoryDisk | undefined) => {
    disk?.makeFolder('ingester');
    return new SettingsKeeper({ kv, own, disk, folder: 'ingester', log: silentLogger, clock });
  };
  let kv = new MemoryKv();
  const disk = new MemoryDisk();
  const before = keeper(kv, disk);
  await before.agree(signal);
  const key = before.seriesKey!;

  kv = new MemoryKv();
  const querier = keeper(kv, undefined);
  const agreed = querier.agree(signal);
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
  await clock.advance(70_000);
  await begun;
  assert.equal(alone.seriesKey, undefined);
});
