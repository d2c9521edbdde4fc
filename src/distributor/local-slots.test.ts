import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../lib/manual-clock.ts';
import { LocalSlotSizes, type SavedSlots, type SlotsFile } from './local-slots.ts';

const HOUR_MS = 3_600_000;
const START_MS = 1_700_000_000_000;

class MemoryFile implements SlotsFile {
  saved: SavedSlots | undefined;
  load = () => this.saved;
  save = (slots: SavedSlots) => {
    this.saved = slots;
  };
}

function opened(file: MemoryFile, clock = new ManualClock(START_MS), shards = 4): LocalSlotSizes {
  const sizes = new LocalSlotSizes({ shards, file, clock });
  sizes.open();
  return sizes;
}

test('a tenant is one slot up to 20,000 series, then sixteen, also after a start', () => {
  const file = new MemoryFile();
  const clock = new ManualClock(START_MS);
  const sizes = opened(file, clock);
  assert.deepEqual(sizes.of('a'), { buckets: 1, moved: 0 });
  sizes.report('a', 20_000);
  assert.deepEqual(sizes.of('a'), { buckets: 1, moved: 0 });
  sizes.report('a', 20_001);
  assert.deepEqual(sizes.of('a'), { buckets: 16, moved: 20_001 });
  assert.deepEqual(sizes.of('b'), { buckets: 1, moved: 0 });
  assert.deepEqual(opened(file, clock).of('a'), { buckets: 16, moved: 20_001 });
  clock.set(START_MS + 8 * HOUR_MS);
  assert.deepEqual(sizes.of('a'), { buckets: 16, moved: 0 });
  sizes.report('a', 1_000_000);
  assert.deepEqual(sizes.of('a'), { buckets: 16, moved: 0 }, 'sixteen are enough for so many shards');
});

test('with many shards a large tenant has 256', () => {
  const sizes = opened(new MemoryFile(), undefined, 17);
  sizes.report('a', 300_001);
  assert.equal(sizes.of('a').buckets, 256);
});

test('a tenant that was small for a day is one slot again, and then forgotten', () => {
  const file = new MemoryFile();
  const clock = new ManualClock(START_MS);
  const sizes = opened(file, clock);
  sizes.report('a', 30_000);
  for (let hour = 1; hour <= 72; hour++) {
    clock.set(START_MS + hour * HOUR_MS);
    sizes.report('a', hour === 20 ? 10_001 : 5_000);
    const { buckets } = sizes.of('a');
    if (hour <= 24) assert.equal(buckets, 16, `hour ${hour}`);
  }
  assert.deepEqual(sizes.of('a'), { buckets: 1, moved: 0 });
  clock.set(START_MS + 100 * HOUR_MS);
  sizes.report('a', 5_000);
  assert.deepEqual(file.saved, { shards: 4, tenants: [] });
});

test('with another number of shards everything may lie elsewhere, for some windows', () => {
  const file = new MemoryFile();
  const clock = new ManualClock(START_MS);
  assert.equal(opened(file, clock).of('a').moved, 0, 'a new folder');
  const sizes = opened(file, clock, 5);
  assert.ok(sizes.of('a').moved > 1e9);
  clock.set(START_MS + 8 * HOUR_MS);
  assert.equal(sizes.of('a').moved, 0);
  assert.equal(opened(file, clock, 5).of('a').moved, 0);
});
