import type { MessagePort } from 'node:worker_threads';
import type { StoreSpec } from '../../chunkstore/open.ts';
import type { SavedSeen } from '../../chunkstore/seen.ts';
import type {
  DeletionsRequest,
  FlushReport,
  FlushRequest,
  ReadBackReport,
  ReadBackRequest,
} from '../../ingester/flush/flush-contract.ts';
import type { CallContext } from '../../kit/thread/channel.ts';

// The flush worker answers to these calls. It takes sealed windows out of shards and writes them to the store.

export type FlushRole = {
  connect(request: { readonly shards: readonly MessagePort[] }): void;
  /** Seals windows, writes what is due of all that is sealed, and confirms to the shards what is written in whole. */
  flush(request: FlushRequest): Promise<FlushReport>;
  /** Reads the delete requests of all tenants that the shards have, and tells the shards. */
  readDeletions(request: DeletionsRequest): Promise<void>;
  /** Reads back from the store all that the shards hold, and writes again what it lacks. */
  readBack(request: ReadBackRequest, call: CallContext): Promise<ReadBackReport>;
  /** Rows that it has written lately, for the worker that comes after it. */
  seen(request: Record<string, never>): SavedSeen;
};

export interface FlushData {
  readonly store: StoreSpec;
  readonly windowMs: number;
  /** Series of a metric that stay together. */
  readonly splitSeries: number;
  readonly deleteRequestCancelPeriodMs: number;
  readonly walAgeMaxMs: number;
  /** From the worker before. */
  readonly seen: SavedSeen;
}
