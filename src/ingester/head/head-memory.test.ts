import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scratchFolder } from '../../../test/harness/scratch-folder.ts';
import { systemClock } from '../../lib/clock.ts';
import { realDisk } from '../log/disk.ts';
import { Shard } from '../shard/shard.ts';
import { testFrames } from '../shard/test-frames.ts';

const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 100 };

test("the head's memory grows in few steps: V8 takes each for as much garbage as there is memory", async () => {
  const shard = new Shard({
    folder: scratchFolder('memory'),
    windowMs: 60_000,
    headBytesMax: 1e9,
    fsync: 'interval',
    fsyncIntervalMs: 1000,
    keepFlushedMs: 900_000,
    disk: realDisk,
    clock: systemClock,
    log: () => {},
    fatal: (error) => assert.fail(error),
  });
  await shard.ready;
  const { kernel } = shard.head;
  const seen = new Set<unknown>();
  for (let from = 0; from < 100_000; from += 500) {
    const some = Array.from({ length: 500 }, (_, i) => ({
      labels: { __name__: 'm', id: `${from + i}${'x'.repeat(200)}` },
      samples: [[1000, 1]] as const,
    }));
    await shard.push('t', testFrames(some), LIMITS);
    seen.add(kernel.u8.buffer);
  }
  const mb = (kernel.exports.pagesUsed() * 65_536) / 1e6;
  assert.ok(mb > 30, `${mb} MB`);
  assert.ok(seen.size < 12, `${seen.size} steps to ${mb} MB`);
  await shard.close({ checkpoint: false });
});
