import type { FrameAnswer, FramePush, MetadataPush } from '../../contract/ingest.ts';
import type {
  HeadExemplarRequest,
  HeadExemplars,
  HeadLabels,
  HeadSelect,
  HeadTenantStats,
} from '../../contract/ingester.ts';
import type { CallContext, Channel, Transferred } from '../../kit/thread/channel.ts';
import type { MetricMetadata } from '../../model/metric-metadata.ts';
import type { ExportedSlots } from '../head/export-order.ts';
import type { ShardStats } from './shard.ts';

// What a shard answers to: messages, so that it can live in a thread of its own.

/** A part of an answer to `select`; `cursor` 0: it was the last. */
export interface ShardSlice {
  readonly cursor: number;
  readonly bytes: Uint8Array;
  readonly warnings: readonly string[];
}

/** Asks for a tenant's series of one sealed arena, ordered by slot, then metric. */
export interface ShardExport extends ExportedSlots {
  readonly arena: number;
  readonly tenant: string;
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
  push(request: FramePush): Promise<Transferred<FrameAnswer>>;
  setMetadata(request: MetadataPush): Promise<Readonly<Record<string, number>>>;
  select(request: HeadSelect, call?: CallContext): Promise<Transferred<ShardSlice>>;
  selectNext(request: { readonly cursor: number }): Promise<Transferred<ShardSlice>>;
  selectClose(request: { readonly cursor: number }): void;
  labels(request: HeadLabels, call?: CallContext): Promise<readonly string[]>;
  metadata(request: { readonly tenant: string }): readonly MetricMetadata[];
  exemplars(request: HeadExemplarRequest, call?: CallContext): Promise<readonly HeadExemplars[]>;
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

/** A shard to be asked: in a thread of its own, or in this one. */
export type ShardCalls = Pick<Channel<ShardRole>, 'call'>;

export interface TenantStats {
  readonly tenant: string;
  readonly series: number;
  readonly newestMs: number;
}
