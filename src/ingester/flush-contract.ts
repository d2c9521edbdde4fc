import type { MessagePort } from 'node:worker_threads';
import type { StoreSpec } from '../chunkstore/open.ts';
import type { SavedSeen } from '../chunkstore/seen.ts';

// What the flush worker answers to: it takes sealed windows out of shards and writes them to the store.

export type FlushRole = {
  connect(request: { readonly shards: readonly MessagePort[] }): void;
  /** Seals what ends at or before `beforeMs`, writes all that is sealed, and confirms it to the shards. */
  flush(request: { readonly beforeMs: number }): Promise<FlushReport>;
  /** What rows it has written lately: for the worker that comes after it. */
  seen(request: Record<string, never>): SavedSeen;
};

export interface FlushData {
  readonly store: StoreSpec;
  readonly windowMs: number;
  /** From the worker before. */
  readonly seen: SavedSeen;
}

export interface FlushReport {
  readonly windows: number;
  readonly groups: number;
  readonly series: number;
  readonly samples: number;
  /** At rest. */
  readonly bytes: number;
  /** Windows that could not be written: they stay in the head and in the log, and are tried again. */
  readonly failures: readonly string[];
}
