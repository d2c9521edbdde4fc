import type { MessagePort } from 'node:worker_threads';
import type { ShardRole } from '../../ingester/shard/shard-messages.ts';
import type { MetricSnapshot } from '../../kit/observe/metrics.ts';
import type { PooledWorker } from '../../kit/thread/worker-pool.ts';
import type { ListenRequest, MemberStanding } from '../cluster/listener-roles.ts';
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
  /** Listens for other processes; resolves when it does. */
  listen(request: ListenRequest): Promise<void>;
  standing(standing: MemberStanding): void;
  /** Resolves when no write of another process under a version up to `number` is under way here any more. */
  settleWrites(request: { readonly number: number }): Promise<void>;
  /** Listens no more; resolves when calls under way are answered. */
  stopListening(request: Record<string, never>): Promise<void>;
  /** Metrics of its listener. */
  metrics(request: Record<string, never>): Promise<MetricSnapshot>;
  takeLogLines(request: Record<string, never>): readonly ShardLogLine[];
};

export interface ShardLogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly text: string;
  readonly fields: Record<string, unknown> | undefined;
}
