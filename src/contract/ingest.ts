import type { MetricMetadata } from '../model/metric-metadata.ts';
import type { HeadMatcher } from './ingester.ts';

// Checked series on their way to those that hold them.

/** Answers for a sample, as the kernel gives them (kernel/chunks.ts). */
export const APPENDED = 0;
/** The very same sample is there: success. */
export const HELD = 1;
export const OUT_OF_ORDER = 2;
export const DUPLICATE_TIME = 3;
export const TOO_OLD = 4;
export const NO_ROOM = 5;
/** Its tenant may begin no further window so far from now. */
export const WINDOW_DENIED = 6;

/** A delete request covers it. */
export const DELETED = 7;

/** Reasons for which a new series is refused. */
export const REFUSED_NO_ROOM = 1;
export const REFUSED_PER_USER = 2;
export const REFUSED_PER_METRIC = 3;
/** Its labels are longer than a series' may be (LABELS_BYTES_MAX). */
export const REFUSED_LABELS_TOO_LONG = 4;

/** Longest canonical labels of a series: a record of the log holds them whole. kernel/ingest.ts has the number too. */
export const LABELS_BYTES_MAX = 256 * 1024;

/** Delete requests of a tenant that a shard holds samples against: each is looked at for each series that comes with samples in its range. */
export const DELETIONS_MAX = 1_000;

/** A delete request: until it is forgotten, samples that it covers are refused, so that a log which still has some cannot tell them from new ones. */
export interface KnownDeletion {
  /** All must hold; none: everything that the tenant has. */
  readonly matchers: readonly HeadMatcher[];
  /** Both ends inclusive. */
  readonly startMs: number;
  readonly endMs: number;
  /** When it is forgotten, Unix ms: from then on what it covers may come again. */
  readonly untilMs: number;
}

/** Takes what an edge has checked: a shard of this process, or another process. */
export interface FrameTarget {
  /** Takes frames; resolves when they are safe. The buffer comes back with the answer. */
  push(request: FramePush): Promise<FrameAnswer>;
  /** Resolves when what was taken is safe, with how many entries were not, by reason. */
  setMetadata(request: MetadataPush): Promise<Readonly<Record<string, number>>>;
}

export interface MetadataPush {
  readonly tenant: string;
  readonly entries: readonly MetricMetadata[];
  readonly limits: MetadataLimits;
}

/** A tenant's limits on metadata at one target; 0: no limit. */
export interface MetadataLimits {
  /** Metrics that have metadata. */
  readonly metricsMax: number;
  /** Different metadata of one metric. */
  readonly perMetricMax: number;
}

export interface FramePush {
  readonly tenant: string;
  /** Frames (wire/frame-layout.ts); none: only the answer's `tenantSeries` is wanted. Moves to the target, and back with the answer so that it can be filled again. */
  readonly frames: ArrayBuffer;
  readonly bytes: number;
  /** Whether they are blocks as they came from another process (wire/frame-columns.ts), which nobody has looked at. */
  readonly areBlocks?: boolean;
  readonly limits: FrameLimits;
  /** Whether the answer goes by frames: what of each was refused, and numbers of those that are unknown. */
  readonly byFrame?: boolean;
}

export interface FrameAnswer {
  readonly result: IngestResult;
  readonly frames: ArrayBuffer;
  /** Whether the target takes frames with keys from now on. */
  readonly keysTaken: boolean;
  /** Series of the tenant that the target holds; absent: it does not know yet. */
  readonly tenantSeries?: number | undefined;
}

/** A tenant's limits at one target. */
export interface FrameLimits {
  /** 0: no limit. */
  readonly seriesPerUserMax: number;
  /** Series that other targets hold: they count, too. Absent: none. */
  readonly seriesElsewhere?: number;
  readonly seriesPerMetricMax: number;
  /** How far behind a series' newest sample one may be that comes late; 0: samples out of order are refused. */
  readonly outOfOrderMs: number;
  readonly exemplarsMax: number;
  /** Windows far from now that the tenant may have open; 0: no limit of its own. Absent: the default. */
  readonly oldWindowsMax?: number;
}

export interface IngestResult {
  /** Samples by answer: APPENDED … NO_ROOM. */
  readonly counts: readonly number[];
  /** How many of those that were not kept are histograms. */
  readonly histogramsLost: number;
  readonly exemplarsLost: number;
  /** Samples of new series that were refused. */
  readonly refused: number;
  /** Samples with the answer WINDOW_DENIED; absent: none. */
  readonly windowsDenied?: number;
  /** Samples with the answer DELETED; absent: none. */
  readonly deleted?: number;
  readonly first: Refusal | undefined;
  /** Oldest time of a sample that is so old that answers of its time may be cached: they are told of it first. Absent: none is. */
  readonly lateMs?: number;
  /** Where frames begin that name a series by a key that the target does not have: they are to come with labels. Their numbers, where the answer goes by frames. */
  readonly unknown: readonly number[];
  /** Refusals, frame by frame (wire/frame-refusals.ts), where that was asked; absent: nothing was. */
  readonly refusals?: Uint8Array<ArrayBuffer> | undefined;
}

/** The first sample or series that was not kept. */
export interface Refusal {
  /** OUT_OF_ORDER … DELETED, or undefined where the series was refused. */
  readonly answer: number | undefined;
  /** REFUSED_…, where the series was. */
  readonly series: number | undefined;
  /** As text. */
  readonly labels: string;
  readonly timeMs: number;
  /** The newest sample of the series; for DELETED when it may come again. */
  readonly newestMs: number;
}
