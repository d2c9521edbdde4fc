import { workerData } from 'node:worker_threads';
import { Edge } from '../../distributor/edge.ts';
import { SharedRates } from '../../distributor/shared-rates.ts';
import { freeMoved } from '../../kit/thread/movable.ts';
import { serveWorker } from '../../kit/thread/worker.ts';
import { systemClock } from '../../lib/clock.ts';
import { peersOfThread, type ThreadPeers } from '../cluster/thread-peers.ts';
import { EdgeOfShards, type EdgeOfShardsOptions } from './edge-of-shards.ts';
import type { EdgeRole } from './edge-role.ts';

// An edge in a thread of its own.

export interface EdgeData extends EdgeOfShardsOptions {
  /** For an edge before a ring. */
  readonly peers?: ThreadPeers;
}

let edge: Edge | undefined;
let ofShards: EdgeOfShards | undefined;

const role: EdgeRole = {
  connect({ shards }) {
    const { peers: _, ...data } = workerData as EdgeData;
    ofShards = new EdgeOfShards(data, shards);
    edge = ofShards.edge;
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
  reconnect: (replacement) => ofShards?.reconnect(replacement),
  push(request) {
    if (edge === undefined) throw new Error('bug: push before connect');
    return edge.push(request, () => freeMoved(request.body));
  },
};
serveWorker(role);
