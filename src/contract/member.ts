import type { FrameLimits, MetadataPush } from './ingest.ts';
import type { RingStamp } from './ring-stamp.ts';

// Checked series on their way to the ingesters that own their arc.

/** An ingester of the ring that takes what an edge has checked, by whatever wire. A call that fails counts as an owner that is away, unless its error says that the request is wrong (4xx). */
export interface MemberTarget {
  /** Resolves when what was kept is safe. */
  push(request: MemberPush): Promise<MemberAnswer>;
  setMetadata(request: MemberMetadata): Promise<MemberMetadataAnswer>;
}

export interface MemberPush {
  readonly tenant: string;
  /** Frames (wire/frame-layout.ts). They stay the caller's, who changes nothing until the answer has come: other owners read them too. */
  readonly frames: Uint8Array;
  /** Whether they are blocks as they came from another process (wire/frame-columns.ts), which nobody has looked at. Absent: they are frames. */
  readonly areBlocks?: boolean;
  readonly limits: FrameLimits;
  readonly version: RingStamp;
  /** Number of the version whose owners the caller writes to: the newest that counts for all that it knows. */
  readonly writing: number;
}

export interface MemberAnswer {
  /** The newest version that the member knows, where the caller's is older, or the one that it writes under is too old: the answer does not count then. */
  readonly newer?: RingStamp | undefined;
  /** Refusals for a sample's own sake (wire/frame-refusals.ts); absent: nothing. */
  readonly refusals?: Uint8Array | undefined;
  readonly exemplarsLost: number;
  /** Numbers of the frames that name a series by a key that the member does not have: they are to come with labels. */
  readonly unknown: readonly number[];
  /** Whether the member takes frames with keys from now on. */
  readonly keysTaken: boolean;
  /** Series of the tenant that the member holds; absent: it does not know yet. */
  readonly tenantSeries?: number | undefined;
}

export interface MemberMetadata extends MetadataPush {
  readonly version: RingStamp;
  /** As in `MemberPush`. */
  readonly writing: number;
}

export interface MemberMetadataAnswer {
  readonly newer?: RingStamp | undefined;
  /** Entries that were not taken, by reason. */
  readonly refused: Readonly<Record<string, number>>;
}
