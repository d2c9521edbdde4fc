import type { MessagePort } from 'node:worker_threads';
import type { ShardRole } from '../../ingester/shard/shard-messages.ts';
import type { PooledWorker } from '../../kit/thread/worker-pool.ts';
import type { EdgeRole } from './edge-role.ts';
import type { ShardConnection } from './shard-connection.ts';

/** The shards of a process, for those who connect to them. */
export interface ShardHost {
  /** The shards' secret for keys of series; for those that send them. */
  readonly seriesSecret: Uint8Array;
  /**
   * Every shard, in order, to be handed to another thread; those that take writes come first.
   * @param replaced told the new way to a shard that was started again
   * @param gone resolves when the other thread has ended
   */
  connect(replaced: (shard: number, connection: ShardConnection) => void, gone: Promise<unknown>): ShardConnection[];
  /** An edge in the thread of the only shard that takes writes. */
  edgeWithin(rawBytesMax: number): PooledWorker<EdgeRole>;
}

/** Besides, what only the thread that started it asks. */
export type ShardThreadRole = ShardRole & {
  /** Answers the same messages on another port: an edge's, a query worker's. */
  connect(request: { readonly port: MessagePort }): void;
  /** Answers as an edge on this port, one that fills this shard alone. */
  connectEdge(request: { readonly port: MessagePort; readonly rawBytesMax: number }): void;
  takeLogLines(request: Record<string, never>): readonly ShardLogLine[];
};

export interface ShardLogLine {
  readonly level: 'info' | 'warn' | 'error';
  readonly text: string;
  readonly fields: Record<string, unknown> | undefined;
}
