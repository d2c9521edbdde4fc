import type { MessagePort } from 'node:worker_threads';

/** A shard for another thread: where it answers, and the memory of its `HeldRange`. */
export interface ShardConnection {
  readonly port: MessagePort;
  readonly held: SharedArrayBuffer;
}

/** A shard was started again: the way to it. */
export interface ShardReplacement {
  readonly shard: number;
  readonly connection: ShardConnection;
}
