import type { MessagePort } from 'node:worker_threads';
import type { Placement } from '../chunkstore/placement.ts';
import type { Transferred } from '../kit/service/channel.ts';
import type {
  HeadExemplarRequest,
  HeadExemplars,
  HeadLabels,
  HeadSelect,
  HeadTenantStats,
  MetricMetadata,
} from '../storage/ingester-client.ts';
import type { IngestLimits, IngestResult } from './head.ts';
import type { ShardStats } from './shard.ts';

// What a shard answers to: messages, so that it can live in a thread of its own.

export interface ShardPush {
  readonly tenant: string;
  /** Frames (kernel/write-request.ts). Moves to the shard, and back with the answer so that it can be filled again. */
  readonly frames: ArrayBuffer;
  readonly bytes: number;
  readonly limits: IngestLimits;
}

export interface ShardPushAnswer {
  readonly result: ShardIngestResult;
  /** Whether series may be named by their keys alone from now on. */
  readonly keysTaken: boolean;
  readonly frames: ArrayBuffer;
}

/** An `IngestResult` as it travels: the labels as text. */
export interface ShardIngestResult extends Omit<IngestResult, 'first'> {
  readonly first: (Omit<NonNullable<IngestResult['first']>, 'labels'> & { readonly labels: string }) | undefined;
}

export interface ShardMetadata {
  readonly tenant: string;
  readonly entries: readonly MetricMetadata[];
}

/** A part of an answer to `select`; `cursor` 0: it was the last. */
export interface ShardSlice {
  readonly cursor: number;
  readonly bytes: Uint8Array;
  readonly warnings: readonly string[];
}

/** Asks for a tenant's series of one sealed arena, ordered by slot, then metric. */
export interface ShardExport {
  readonly arena: number;
  readonly tenant: string;
  readonly placement: Placement;
  /** Only slots with such a phase (`slotPhase`), the second excluded. */
  readonly phases: readonly [from: number, to: number];
}

export interface SealRequest {
  /** Windows that end at or before are sealed. */
  readonly beforeMs: number;
  /** Windows that are not. */
  readonly except?: readonly number[];
}

/** A tenant that has chunks in an arena. */
export interface ArenaTenant {
  readonly tenant: string;
  /** In the shard, now. */
  readonly series: number;
  /** Those of metrics that have more than what was asked for. */
  readonly metrics: ReadonlyMap<string, number>;
}

/** Windows that the store does not have yet; arenas with the same LSN are confirmed together. */
export interface SealedWindow {
  readonly window: number;
  readonly sealLsn: number;
  readonly arenas: readonly number[];
}

export type ShardRole = {
  push(request: ShardPush): Promise<Transferred<ShardPushAnswer>>;
  setMetadata(request: ShardMetadata): Promise<void>;
  select(request: HeadSelect): Promise<Transferred<ShardSlice>>;
  selectNext(request: { readonly cursor: number }): Promise<Transferred<ShardSlice>>;
  selectClose(request: { readonly cursor: number }): void;
  labels(request: HeadLabels): readonly string[];
  metadata(request: { readonly tenant: string }): readonly MetricMetadata[];
  exemplars(request: HeadExemplarRequest): readonly HeadExemplars[];
  seal(request: SealRequest): Promise<readonly SealedWindow[]>;
  /** Answered in slices, as `select` is. */
  export(request: ShardExport): Promise<Transferred<ShardSlice>>;
  tenantsOf(request: { readonly arena: number; readonly metricSeriesMin: number }): readonly ArenaTenant[];
  /** Forgets all that a tenant has, in the log too. */
  deleteTenant(request: { readonly tenant: string }): Promise<void>;
  confirmFlushed(request: { readonly sealLsn: number }): Promise<void>;
  ready(request: Record<string, never>): Promise<void>;
  stats(request: Record<string, never>): ShardStats & { readonly tenants: readonly TenantStats[] };
  /** What a tenant's series are made of; undefined: it has none here. */
  headStats(request: { readonly tenant: string; readonly limit: number }): Promise<HeadTenantStats | undefined>;
  close(request: { readonly checkpoint: boolean }): Promise<void>;
};

/** A shard for another thread: where it answers, and the memory of its `HeldRange`. */
export interface ShardConnection {
  readonly port: MessagePort;
  readonly held: SharedArrayBuffer;
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

export interface TenantStats {
  readonly tenant: string;
  readonly series: number;
  readonly newestMs: number;
}
