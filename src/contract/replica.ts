import type { MetricMetadata } from '../model/metric-metadata.ts';
import type { HeadExemplarRequest, HeadExemplars, HeadLabels, HeadSelect, HeadTenantStats } from './ingester.ts';
import type { RingStamp } from './ring-stamp.ts';

// Reading from one of the ingesters of a ring.

/**
 * An ingester of the ring that answers reads, by whatever wire. It answers with all that it holds of what is asked for, whoever owns
 * the arc. A call that fails, at once or in the middle, makes it an owner that is away: as long as it replays, and where it does not
 * know the caller's version.
 */
export interface ReplicaReader {
  /** Slices of series (wire/slices.ts), one after another. */
  select(
    request: HeadSelect,
    version: RingStamp,
    signal: AbortSignal,
  ): Promise<ReplicaAnswer<AsyncIterable<Uint8Array>>>;
  labels(request: HeadLabels, version: RingStamp, signal: AbortSignal): Promise<ReplicaAnswer<readonly string[]>>;
  metadata(tenant: string, version: RingStamp, signal: AbortSignal): Promise<ReplicaAnswer<readonly MetricMetadata[]>>;
  headStats(
    request: { readonly tenant: string; readonly limit: number },
    version: RingStamp,
    signal: AbortSignal,
  ): Promise<ReplicaAnswer<HeadTenantStats | undefined>>;
  exemplars(
    request: HeadExemplarRequest,
    version: RingStamp,
    signal: AbortSignal,
  ): Promise<ReplicaAnswer<readonly HeadExemplars[]>>;
}

export interface ReplicaAnswer<T> {
  /** The newest version that the member knows, where the caller's is older: the answer does not count then. */
  readonly newer?: RingStamp | undefined;
  /** Losses known for good that touch the range asked for. */
  readonly losses: readonly ReplicaLoss[];
  readonly value: T;
}

export interface ReplicaLoss {
  readonly text: string;
  /** Whether the store has what the member still had of the windows that it touches. */
  readonly settled: boolean;
}
