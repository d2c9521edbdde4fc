import { workerData } from 'node:worker_threads';
import type { FrameTarget } from '../../contract/ingest.ts';
import { Edge } from '../../distributor/edge.ts';
import type { ShardRole } from '../../ingester/shard-messages.ts';
import { Channel } from '../../kit/thread/channel.ts';
import { serveWorker } from '../../kit/thread/worker.ts';
import { systemClock } from '../../lib/clock.ts';
import type { EdgeRole } from './edge-role.ts';

// An edge in a thread of its own.

export interface EdgeData {
  readonly rawBytesMax: number;
  /** That of the shards. */
  readonly seriesSecret: Uint8Array;
}

let edge: Edge | undefined;

const role: EdgeRole = {
  connect({ shards }) {
    edge = new Edge({
      ...(workerData as EdgeData),
      clock: systemClock,
      targets: shards.map((port) => shardTarget(new Channel<ShardRole>(port))),
    });
  },
  push(request) {
    if (edge === undefined) throw new Error('bug: push before connect');
    return edge.push(request);
  },
};
serveWorker(role);

function shardTarget(shard: Channel<ShardRole>): FrameTarget {
  return {
    push: (request) => shard.call('push', request, { transfer: [request.frames] }),
    setMetadata: (request) => shard.call('setMetadata', request),
  };
}
