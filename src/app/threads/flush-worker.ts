import { workerData } from 'node:worker_threads';
import { Kernel } from '../../chunk/kernel.ts';
import { openStore } from '../../chunkstore/open.ts';
import { ChunkStoreWriter } from '../../chunkstore/writer.ts';
import { Flusher } from '../../ingester/flush/flush.ts';
import type { ShardRole } from '../../ingester/shard/shard-messages.ts';
import { Channel } from '../../kit/thread/channel.ts';
import { serveWorker } from '../../kit/thread/worker.ts';
import { systemClock } from '../../lib/clock.ts';
import type { FlushData, FlushRole } from './flush-role.ts';

// Encoding and writing to the store, in a thread of its own: it comes when there is something to flush, and goes afterwards with all
// the memory that it took.

const { store, seen, ...options } = workerData as FlushData;
const kernel = Kernel.create();
const opened = openStore(store, systemClock);
let writer: ChunkStoreWriter | undefined;
let flusher: Promise<Flusher> | undefined;
/** Ends soon after it was aborted: whoever asked for it does not wait for that. */
let readingBack: Promise<unknown> = Promise.resolve();

const role: FlushRole = {
  connect({ shards }) {
    const channels = shards.map((port) => new Channel<ShardRole>(port));
    flusher = opened.then(({ schema }) => {
      writer = new ChunkStoreWriter(schema, Kernel.create(), { seen, clock: systemClock });
      return new Flusher({ ...options, shards: channels, writer, kernel, clock: systemClock });
    });
  },
  async flush(request) {
    if (flusher === undefined) throw new Error('bug: flush before connect');
    await readingBack;
    return (await flusher).flush(request);
  },
  async readDeletions(request) {
    if (flusher === undefined) throw new Error('bug: deletions are read before connect');
    await (await flusher).readDeletions(request);
  },
  async readBack(request, { signal }) {
    if (flusher === undefined) throw new Error('bug: samples are read back before connect');
    await readingBack;
    const reading = (await flusher).readBack(request, signal);
    readingBack = reading.catch(() => {});
    return reading;
  },
  seen: () => writer?.seen ?? seen,
};
serveWorker(role);
