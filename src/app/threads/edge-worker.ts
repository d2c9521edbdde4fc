import { workerData } from 'node:worker_threads';
import type { FrameTarget } from '../../contract/ingest.ts';
import { Edge } from '../../distributor/edge.ts';
import { SharedRates } from '../../distributor/shared-rates.ts';
import type { ShardCalls, ShardRole } from '../../ingester/shard/shard-messages.ts';
import { Channel } from '../../kit/thread/channel.ts';
import { Link } from '../../kit/thread/link.ts';
import { freeMoved } from '../../kit/thread/movable.ts';
import { serveWorker } from '../../kit/thread/worker.ts';
import { systemClock } from '../../lib/clock.ts';
import { processErrors } from '../../model/errors-process.ts';
import { peersOfThread, type ThreadPeers } from '../cluster/thread-peers.ts';
import type { EdgeRole } from './edge-role.ts';

// An edge in a thread of its own.

export interface EdgeData {
  readonly rawBytesMax: number;
  /** That of the shards. */
  readonly seriesSecret: Uint8Array | undefined;
  /** The memory of the `SharedRates` of all edges. */
  readonly rates: SharedArrayBuffer;
  /** For an edge before a ring. */
  readonly peers?: ThreadPeers;
}

let edge: Edge | undefined;
/** The ways to the shards, in their order. */
let links: readonly Link<ShardRole>[] = [];

const role: EdgeRole = {
  connect({ shards }) {
    links = shards.map((port) => new Link(new Channel<ShardRole>(port)));
    const { rates, peers: _, ...data } = workerData as EdgeData;
    edge = new Edge({
      ...data,
      rates: new SharedRates(rates),
      clock: systemClock,
      targets: links.map(shardTarget),
    });
  },
  connectRing({ ports }) {
    const { rates, peers, ...data } = workerData as EdgeData;
    if (peers === undefined) throw new Error('bug: a ring without the way to its members');
    const { ring, member } = peersOfThread(peers, ports);
    edge = new Edge({
      ...data,
      rates: new SharedRates(rates),
      clock: systemClock,
      ring: { source: ring, member, learn: (_, from) => ring.meet(from) },
    });
  },
  reconnect({ shard, connection: { port } }) {
    const reason = processErrors.workerGone({ worker: `shard-${shard}`, reason: 'it was started again' });
    links[shard]!.replace(new Channel<ShardRole>(port), reason);
  },
  push(request) {
    if (edge === undefined) throw new Error('bug: push before connect');
    return edge.push(request, () => freeMoved(request.body));
  },
};
serveWorker(role);

function shardTarget(shard: ShardCalls): FrameTarget {
  return {
    push: (request) => shard.call('push', request, { transfer: [request.frames] }),
    setMetadata: (request) => shard.call('setMetadata', request),
  };
}
