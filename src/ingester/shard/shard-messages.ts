import type { FrameAnswer, FramePush, KnownDeletion, MetadataPush } from '../../contract/ingest.ts';
import type {
  HeadExemplarRequest,
  HeadExemplars,
  HeadLabels,
  HeadSelect,
  HeadSize,
  HeadSizeRequest,
  HeadTally,
  HeadTenantStats,
} from '../../contract/ingester.ts';
import type { ReplicaLoss } from '../../contract/replica.ts';

import type { LoopState } from '../../kit/service/loops.ts';
import type { CallContext, Channel, Transferred } from '../../kit/thread/channel.ts';
import type { MetricMetadata } from '../../model/metric-metadata.ts';
import type { SeriesTally } from '../../model/series-tally.ts';
import type { ExportedSlots, HeldSlots } from '../head/export-order.ts';
import type { HeadMemory, KeptSelect } from '../head/head-reader.ts';
import type { HeldDigest } from '../head/held-digests.ts';
import type { ShardClose, ShardStats } from './shard.ts';

// Messages that a shard answers to, so that it can live in a thread of its own.

/** A part of an answer to `select`; `cursor` 0: it was the last. */
export interface ShardSlice {
  readonly cursor: number;
  readonly bytes: Uint8Array;
  readonly warnings: readonly string[];
  /** Only of a first one, where that was asked for and is possible. */
  readonly kept?: KeptSelect | undefined;
}

export interface ShardSelect extends HeadSelect {
  /** Whether the asker gives back what is lent to it (`LentMemory`). */
  readonly mayLend?: boolean;
  /** Whether the asker reads the same series by itself the next time. */
  readonly keeps?: boolean;
}

/** Asks for a tenant's series of one arena, ordered by slot, then metric. */
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

/** A window of a shard, as flushes go by it; arenas with the same LSN are confirmed together. */
export interface UnflushedWindow {
  readonly window: number;
  /** 0: open. */
  readonly sealLsn: number;
  readonly arenas: readonly number[];
}

export type ShardRole = {
  push(request: FramePush): Promise<Transferred<FrameAnswer>>;
  /** Delete requests of a tenant that are kept, in the place of those known. */
  setDeletions(request: { readonly tenant: string; readonly deletions: readonly KnownDeletion[] }): void;
  /** Delete requests of all tenants were read, from then on. */
  deletionsRead(request: { readonly atMs: number }): void;
  /** Since when, in Unix ms, all samples have come that the store is to get: requests that were through by then are known. */
  deletionsReadMs(request: Record<string, never>): number;
  /** Counts as having read them now: an operator vouches for it. */
  vouchDeletions(request: Record<string, never>): void;
  setMetadata(request: MetadataPush): Promise<Readonly<Record<string, number>>>;
  /** Where readers in other threads find its series. */
  memory(request: Record<string, never>): HeadMemory;
  select(request: ShardSelect, call?: CallContext): Promise<Transferred<ShardSlice>>;
  /** Several, one after another; undefined: it failed. */
  selects(
    request: { readonly requests: readonly ShardSelect[] },
    call?: CallContext,
  ): Promise<Transferred<readonly (ShardSlice | undefined)[]>>;
  selectNext(request: { readonly cursor: number }): Promise<Transferred<ShardSlice>>;
  selectClose(request: { readonly cursor: number }): void;
  /** Undefined where only the samples can tell. */
  tally(request: HeadTally, call?: CallContext): Promise<SeriesTally | undefined>;
  size(request: HeadSizeRequest, call?: CallContext): Promise<HeadSize>;
  /** Losses that touch a range, both ends inclusive. */
  losses(request: { readonly startMs: number; readonly endMs: number }): readonly ReplicaLoss[];
  labels(request: HeadLabels, call?: CallContext): Promise<readonly string[]>;
  metadata(request: { readonly tenant: string }): readonly MetricMetadata[];
  exemplars(request: HeadExemplarRequest, call?: CallContext): Promise<readonly HeadExemplars[]>;
  /** All that are sealed by then. */
  seal(request: SealRequest): Promise<readonly UnflushedWindow[]>;
  /** Those that are open too, which stay so. */
  unflushed(request: Record<string, never>): Promise<readonly UnflushedWindow[]>;
  /** All that are held, those that the store has too. */
  held(request: Record<string, never>): readonly UnflushedWindow[];
  /** Answered in slices, as `select` is. */
  export(request: ShardExport): Promise<Transferred<ShardSlice>>;
  /** Slots that an export would have. */
  slots(request: ShardExport): Promise<HeldSlots>;
  /** Digests of what an export would have, by slot; slots that cannot be told are left out. */
  digests(request: ShardExport): Promise<readonly HeldDigest[]>;
  /** Indexes of the tenants that have chunks in an arena: they stay theirs until it is dropped. */
  tenantsOf(request: { readonly arena: number; readonly only?: string }): Promise<Uint32Array>;
  /** Some of them, a bounded number at a time (`TENANTS_AT_ONCE_MAX`). */
  arenaTenants(request: { readonly indexes: Uint32Array; readonly metricSeriesMin: number }): readonly ArenaTenant[];
  /** One tenant's series, and its metrics that have more than so many; undefined: it has none. */
  sizeOf(request: { readonly tenant: string; readonly metricSeriesMin: number }): ArenaTenant | undefined;
  /** Forgets all that a tenant has, in the log too. */
  deleteTenant(request: { readonly tenant: string }): Promise<void>;
  confirmFlushed(request: { readonly sealLsn: number }): Promise<void>;
  ready(request: Record<string, never>): Promise<void>;
  /** Asked each second: nothing in it grows with the number of tenants. */
  stats(request: Record<string, never>): ShardStats;
  /** Work in the background. */
  loops(request: Record<string, never>): readonly LoopState[];
  /** One tenant, or a part of all: those with an index of `from` or more. */
  tenants(request: { readonly tenant: string } | { readonly from: number }): TenantPage;
  /** Counts of what a tenant's series are made of; undefined: it has none here. */
  headStats(request: { readonly tenant: string; readonly limit: number }): Promise<HeadTenantStats | undefined>;
  close(request: ShardClose): Promise<void>;
};

/** A shard to be asked: in a thread of its own, or in this one. */
export type ShardCalls = Pick<Channel<ShardRole>, 'call'>;

export interface TenantStats {
  readonly tenant: string;
  readonly series: number;
}

export interface TenantPage {
  readonly tenants: readonly TenantStats[];
  /** Where the next part begins; 0: there is none. */
  readonly next: number;
}

/** Selects in one message. */
export const SELECTS_AT_ONCE_MAX = 64;

/** Tenants in one message. */
export const TENANTS_AT_ONCE_MAX = 4_096;

/** All tenants of a shard, part by part: one that comes or goes meanwhile may be left out. */
export async function* allTenants(shard: ShardCalls): AsyncGenerator<TenantStats> {
  for (let from = 0; ; ) {
    const { tenants, next } = await shard.call('tenants', { from });
    yield* tenants;
    if (next === 0) return;
    from = next;
  }
}
