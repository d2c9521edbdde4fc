import { Edge, type EdgeOptions } from '../../distributor/edge.ts';
import { ownCalls } from '../../kit/thread/channel.ts';
import { freeMoved } from '../../kit/thread/movable.ts';
import type { PooledWorker } from '../../kit/thread/worker-pool.ts';
import type { Clock } from '../../lib/clock.ts';
import type { ClusterNode } from '../cluster/cluster-node.ts';
import type { PushRole } from './edge-role.ts';

/** An edge in the main thread, on the connections that the process has to members anyway. */
export function ownEdge(
  { rawBytesMax, seriesSecret, rates }: Pick<EdgeOptions, 'rawBytesMax' | 'seriesSecret' | 'rates'>,
  cluster: ClusterNode,
  clock: Clock,
): PooledWorker<PushRole> {
  const edge = new Edge({
    rawBytesMax,
    seriesSecret,
    ...(rates && { rates }),
    clock,
    ring: {
      source: cluster,
      member: (id) => cluster.members.of(cluster, id),
      learn: (_, from) => cluster.members.meet(cluster, from),
    },
  });
  const channel = ownCalls<PushRole>({ push: (request) => edge.push(request, () => freeMoved(request.body)) });
  return { channel, gone: new Promise(() => {}), terminate: async () => {} };
}
