import type { MessagePort } from 'node:worker_threads';
import type { EdgeAnswer, EdgePush } from '../../distributor/edge-push.ts';

// What an edge worker answers to.

export type EdgeRole = {
  /** Ports on which the shards answer (`ShardRole`), in their order. */
  connect(request: { readonly shards: readonly MessagePort[] }): void;
  push(request: EdgePush): Promise<EdgeAnswer>;
};
