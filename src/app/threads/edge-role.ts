import type { MessagePort } from 'node:worker_threads';
import type { EdgeAnswer, EdgePush } from '../../distributor/edge-push.ts';
import type { RingPorts } from '../cluster/thread-ring.ts';
import type { ShardReplacement } from './shard-connection.ts';

// An edge worker answers to these calls.

export type EdgeRole = {
  /** Ports on which the shards answer (`ShardRole`), in their order. */
  connect(request: { readonly shards: readonly MessagePort[] }): void;
  /** Where the ring of this process answers, in place of shards. */
  connectRing(request: { readonly ports: RingPorts }): void;
  /** The way to a shard that was started again. */
  reconnect(request: ShardReplacement): void;
  push(request: EdgePush): Promise<EdgeAnswer>;
};
