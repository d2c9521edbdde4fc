import assert from 'node:assert/strict';
import type { Clock } from '../../lib/clock.ts';
import { MemoryDisk } from '../log/test-disk.ts';
import { Shard, type ShardOptions } from './shard.ts';

const HOUR_MS = 3_600_000;

/** A shard on a disk of its own, ready: windows of an hour where nothing else is said, and no sync. */
export async function testShard(clock: Clock, options: Partial<ShardOptions> = {}): Promise<Shard> {
  const shard = new Shard({
    folder: 'shard',
    windowMs: HOUR_MS,
    headBytesMax: 1e9,
    fsync: 'interval',
    fsyncIntervalMs: HOUR_MS,
    keepFlushedMs: HOUR_MS,
    disk: new MemoryDisk(),
    clock,
    log: () => {},
    fatal: (error) => assert.fail(error),
    ...options,
  });
  await shard.ready;
  return shard;
}
