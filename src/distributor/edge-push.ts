import type { PushRequest, PushResponse } from '../contract/push.ts';
import type { LocalSlots } from './local-slots.ts';

/** Edges behind their service: in threads of their own, or one in this thread. */
export interface Edges {
  push(request: EdgePush): Promise<EdgeAnswer>;
}

export interface EdgePush extends PushRequest {
  readonly limits: EdgeLimits;
  /** Where the tenant's rate is counted that several edges grant together (`SharedRates`); absent: the edge counts it alone. */
  readonly ratePlace?: number;
  /** How the tenant's series are spread over the shards of a process without a ring; absent: they are in one. */
  readonly slots?: LocalSlots;
}

/** The limits of a tenant that concern writes; names as in `limits.ts`. */
export interface EdgeLimits {
  readonly ingestionRate: number;
  readonly ingestionBurstSize: number;
  readonly maxLabelNameLength: number;
  readonly maxLabelValueLength: number;
  readonly maxLabelNamesPerSeries: number;
  readonly maxLabelsSizeBytes: number;
  readonly maxMetadataLength: number;
  readonly maxMetadataPerUser: number;
  readonly maxMetadataPerMetric: number;
  readonly rejectOldSamples: boolean;
  readonly rejectOldSamplesMaxAgeMs: number;
  readonly creationGracePeriodMs: number;
  /** Samples before are refused, Unix ms; 0 or absent: none for that. */
  readonly minSampleMs?: number;
  /** Samples older than this are refused; 0 or absent: they are kept for ever. */
  readonly retentionPeriodMs?: number;
  readonly outOfOrderTimeWindowMs: number;
  readonly maxSeriesPerUser: number;
  readonly maxSeriesPerMetric: number;
  readonly maxGlobalSeriesPerUser: number;
  readonly maxGlobalSeriesPerMetric: number;
  readonly maxExemplars: number;
  readonly maxOldWindowsPerUser: number;
  /** Rules on labels (`rewriteText`); empty or absent: none. */
  readonly rewrite?: string;
}

export interface EdgeAnswer {
  readonly response: PushResponse;
  readonly samples: number;
  readonly series: number;
  readonly metadata: number;
  /** Samples that were not kept, by reason. */
  readonly discarded: Readonly<Record<string, number>>;
  /** Metadata entries that were not kept, by reason. */
  readonly discardedMetadata: Readonly<Record<string, number>>;
  /** Series of the tenant in the shards that the request went to; absent: they do not know. */
  readonly tenantSeries?: number;
  /** Oldest time of a sample that is late (`IngestResult.lateMs`); absent: none is. */
  readonly lateMs?: number;
  /** Bytes of the body, inflated. */
  readonly rawBytes: number;
}
