import { workerData } from 'node:worker_threads';
import { Edge } from '../../distributor/edge.ts';
import { HeldRange } from '../../ingester/head/held-range.ts';
import { realDisk } from '../../ingester/log/disk.ts';
import { heldDisk } from '../../ingester/log/held-disk.ts';
import { Shard, type ShardOptions } from '../../ingester/shard/shard.ts';
import { shardRole } from '../../ingester/shard/shard-role.ts';
import { FolderHold, type HoldToken } from '../../kit/folder/hold.ts';
import type { Logger } from '../../kit/observe/log.ts';
import { serve } from '../../kit/thread/channel.ts';
import { freeMoved } from '../../kit/thread/movable.ts';
import { serveWorker } from '../../kit/thread/worker.ts';
import { systemClock } from '../../lib/clock.ts';
import type { ListenRequest } from '../cluster/listener-roles.ts';
import type { EdgeRole } from './edge-role.ts';
import type { ShardListener } from './shard-listener.ts';
import type { ShardLogLine, ShardThreadRole } from './shard-thread-role.ts';

// A shard in a thread of its own; where processors are few, with the edge that fills it.

/** Data that the thread is started with. */
export type ShardData = Pick<
  ShardOptions,
  | 'folder'
  | 'windowMs'
  | 'headBytesMax'
  | 'seriesSecret'
  | 'fsync'
  | 'fsyncIntervalMs'
  | 'keepFlushedMs'
  | 'walAgeMaxMs'
  | 'machineRun'
  | 'lateAfterMs'
> & { readonly held: SharedArrayBuffer; readonly hold: HoldToken };

/** Until the parent fetches them: its logger has the level, and the place to write to. */
const lines: ShardLogLine[] = [];
/** Lines that wait; what comes beyond is left out. */
const LINES_MAX = 10_000;

const { held, hold, ...options } = workerData as ShardData;
const shard = new Shard({
  ...options,
  held: new HeldRange(held),
  disk: heldDisk(realDisk, new FolderHold(hold, systemClock)),
  clock: systemClock,
  log: keep,
  fatal(error) {
    // after a failed sync nobody knows what is on the disk, after a replay that failed what is in memory: only a new start is safe
    process.stderr.write(
      `the write-ahead log cannot be relied on, the shard ends and is started again from it: ${error.message}\n`,
    );
    process.exit(1);
  },
});
const { take, ...own } = shardRole(shard, systemClock);
let listener: ShardListener | undefined;
/** Resolves when it listens, or has failed to. */
let beginning: Promise<void> = Promise.resolve();
const role: ShardThreadRole = {
  ...own,
  connect: ({ port }) => serve(port, role),
  connectEdge({ port, rawBytesMax }) {
    const edge = new Edge({
      rawBytesMax,
      seriesSecret: options.seriesSecret,
      clock: systemClock,
      targets: [
        {
          push: async (request) => (await own.push(request)).value,
          setMetadata: (request) => own.setMetadata(request),
        },
      ],
    });
    const edgeRole: EdgeRole = {
      connect: () => {},
      connectRing: () => {},
      reconnect: () => {},
      push: (request) => edge.push(request).finally(() => freeMoved(request.body)),
    };
    serve(port, edgeRole);
  },
  listen(request) {
    const begins = beginListening(request);
    beginning = begins.catch(() => {});
    return begins;
  },
  standing: (standing) => listener?.standing(standing),
  settleWrites: async ({ number }) => listener?.settled(number),
  async stopListening() {
    await beginning;
    await listener?.stop();
  },
  metrics: async () => listener?.metrics() ?? [],
  loops: (request) => [...own.loops(request), ...(listener?.loopStates ?? [])],
  takeLogLines: () => lines.splice(0),
};
serveWorker(role);

async function beginListening(request: ListenRequest): Promise<void> {
  // no other shard loads it
  const { ShardListener } = await import('./shard-listener.ts');
  const made = new ShardListener(request, {
    shard: { ...own, take },
    held: new HeldRange(held),
    lateAfterMs: options.lateAfterMs,
    clock: systemClock,
    log: listenerLog({}),
  });
  // told of changes while it begins
  listener = made;
  try {
    await made.start();
  } catch (error) {
    listener = undefined;
    await made.stop();
    throw error;
  }
}

function keep(level: ShardLogLine['level'], text: string, fields: Record<string, unknown> | undefined): void {
  if (lines.length < LINES_MAX) lines.push({ level, text, fields });
}

/** Fields first, as loggers have it. */
function listenerLog(own: Record<string, unknown>): Logger {
  const of = (level: ShardLogLine['level']) => (fields: unknown, text?: string) =>
    typeof fields === 'string'
      ? keep(level, fields, own)
      : keep(level, text ?? '', { ...own, ...(fields as Record<string, unknown>) });
  return {
    debug: of('debug'),
    info: of('info'),
    warn: of('warn'),
    error: of('error'),
    child: (fields) => listenerLog({ ...own, ...fields }),
  };
}
