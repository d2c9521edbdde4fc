import { workerData } from 'node:worker_threads';
import { realDisk } from '../ingester/disk.ts';
import { Shard, type ShardOptions } from '../ingester/shard.ts';
import type { ShardThreadRole } from '../ingester/shard-contract.ts';
import { shardRole } from '../ingester/shard-role.ts';
import { serve } from '../kit/service/channel.ts';
import { serveWorker } from '../kit/service/worker.ts';
import { systemClock } from '../lib/clock.ts';

// A shard in a thread of its own.

/** What the thread is started with. */
export type ShardData = Pick<
  ShardOptions,
  'folder' | 'windowMs' | 'headBytesMax' | 'seriesSecret' | 'fsync' | 'fsyncIntervalMs' | 'keepFlushedMs'
>;

/** Until the parent fetches them: its logger has the level, and the place to write to. */
const lines: { level: 'info' | 'warn' | 'error'; text: string; fields: Record<string, unknown> | undefined }[] = [];

const shard = new Shard({
  ...(workerData as ShardData),
  disk: realDisk,
  clock: systemClock,
  log: (level, text, fields) => lines.push({ level, text, fields }),
  fatal(error) {
    // after a failed sync nobody knows what is on the disk: only a new start from what is there is safe
    process.stderr.write(`fatal: the write-ahead log could not be synced, ending: ${error.message}\n`);
    process.exit(1);
  },
});
const role: ShardThreadRole = {
  ...shardRole(shard, systemClock),
  connect: ({ port }) => serve(port, role),
  takeLogLines: () => lines.splice(0),
};
serveWorker(role);
