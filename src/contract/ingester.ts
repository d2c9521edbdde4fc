import type { MatchOp } from '../model/matcher.ts';
import type { MetricMetadata } from '../model/metric-metadata.ts';
import type { PlanData } from '../model/regex/plan.ts';
import type { SeriesShard } from '../model/series-shard.ts';
import type { SeriesTally } from '../model/series-tally.ts';
import type { AskedMember } from '../storage/asked-members.ts';

/** The holders of recent data, as a querier asks them: one process' shards, or other processes. */
export interface IngesterClient {
  /** Whether every series comes from several holders, in slices that lie apart. Absent: only where the number of shards has changed. */
  readonly replicated?: boolean;
  /**
   * Monotonic time when a holder was last heard to say that the store has all it held: who asks here and the store lists the store's
   * rows later than that. Absent: no holder ever goes.
   */
  storedSinceMs?(): number;
  /** Series that match, in slices: see `HeadSlice`. Ends when all have been handed over. */
  select(request: HeadSelect, signal: AbortSignal): AsyncIterable<HeadSlice>;
  /** All slices, where no shard has more than one; else undefined, and nothing is left open. Absent: `select` is all there is. */
  selectWhole?(request: HeadSelect, signal: AbortSignal): Promise<readonly HeadSlice[] | undefined>;
  /** How many series have a sample in a range: undefined where only their samples can tell. Absent: it never knows. */
  tally?(request: HeadTally, signal: AbortSignal): Promise<SeriesTally | undefined>;
  /** A selection's size, before any samples of it are read. Absent: it never knows. */
  size?(request: HeadSizeRequest, signal: AbortSignal): Promise<HeadSize>;
  /** Names, or for `name` values, of the labels of matching series; in no order. */
  labels(request: HeadLabels, signal: AbortSignal): Promise<readonly string[]>;
  metadata(tenant: string, signal: AbortSignal): Promise<readonly MetricMetadata[]>;
  /** @param limit of each list; undefined: the tenant has nothing here */
  headStats(tenant: string, limit: number, signal: AbortSignal): Promise<HeadTenantStats | undefined>;
  exemplars(request: HeadExemplarRequest, signal: AbortSignal): Promise<readonly HeadExemplars[]>;
}

/** Orders that an operator, and the parts of a process, may give an ingester. */
export interface IngesterAdmin {
  /** Writes what the head holds to the store. With `wait` it resolves when all is there, else when it has begun. */
  flush(request: { readonly tenant: string | undefined; readonly wait: boolean }, signal: AbortSignal): Promise<void>;
  /** Forgets all that a tenant has here. What a flush under way has read of it already still goes to the store. */
  deleteTenant(tenant: string): Promise<void>;
  /** Since when all samples have come that the store is to get, Unix ms: delete requests that were in force then are left out of them. */
  deletionsReadMs(): Promise<number>;
  /** All tenants that are known here, with their series. */
  tenantSeries(): Promise<readonly TenantSeries[]>;
  /** Series that one tenant has here. */
  seriesOf(tenant: string): Promise<number>;
}

export interface TenantSeries {
  readonly tenant: string;
  readonly series: number;
}

/** Times in Unix ms, both ends included. */
export interface HeadSelect {
  readonly tenant: string;
  readonly matchers: readonly HeadMatcher[];
  readonly startMs: number;
  readonly endMs: number;
  readonly labelsOnly: boolean;
  /** Whether who asks reads packed chunks, as all versions but the first do; else they come as XOR. */
  readonly packed?: boolean;
  /** Holders that are away may be left out: `HeadSlice.missing` tells of them. */
  readonly allowPartial?: boolean;
  /** `HeadSlice.members` tells who was asked. */
  readonly tellsMembers?: boolean;
  /** Absent: the series of all shards. */
  readonly shard?: SeriesShard | undefined;
}

/** Times in Unix ms, both ends included. */
export interface HeadTally {
  readonly tenant: string;
  readonly matchers: readonly HeadMatcher[];
  readonly startMs: number;
  readonly endMs: number;
  /** Names of the labels that make a group. */
  readonly by: readonly string[];
}

/** Times in Unix ms, both ends included. */
export interface HeadSizeRequest {
  readonly tenant: string;
  readonly matchers: readonly HeadMatcher[];
  readonly startMs: number;
  readonly endMs: number;
  /** Samples from here on are seen at steps. */
  readonly coverFromMs: number;
  /** A sample is taken to be there for so long at most. */
  readonly spacingMs: number;
}

/** A selection's size, at the least. */
export interface HeadSize {
  /** Series with samples near the range. */
  readonly series: number;
  /** For how long they have samples, ms, all together; histograms are left out. */
  readonly coveredMs: number;
}

export interface HeadLabels {
  readonly tenant: string;
  /** Any of these lists may match; no list: everything. */
  readonly matchers: readonly (readonly HeadMatcher[])[];
  /** Absent: label names are asked for. */
  readonly name?: string;
  readonly startMs: number;
  readonly endMs: number;
}

/** A matcher as it travels. */
export interface HeadMatcher {
  readonly name: string;
  readonly op: MatchOp;
  /** The value as text; empty for a long regular expression, as its plan says all. */
  readonly value: string;
  /** A regular expression as whoever asks has compiled it. */
  readonly plan?: PlanData;
}

/** Series and their chunks, one after another: docs/formats/slices.md, and wire/slices.ts to read them. */
export interface HeadSlice {
  readonly bytes: Uint8Array;
  /** No other slice of the answer has series of this one, as where one shard has all. */
  readonly alone: boolean;
  /** All series of the shard that it comes from are in it; absent: others may follow. */
  readonly isAll?: boolean;
  /** Known permanent loss that touches the answer. */
  readonly warnings: readonly string[];
  /** Whatever could not be had of those who are away. */
  readonly missing?: readonly string[];
  /** The holders that were asked, where they are several processes and who asks wants to know; in one slice of the answer. */
  readonly members?: readonly AskedMember[];
  /** To be called when the bytes will not be looked at again: they may be lent. Absent: they are the asker's. */
  readonly giveBack?: () => void;
}

export interface HeadExemplarRequest {
  readonly tenant: string;
  /** Any of these lists may match. */
  readonly matchers: readonly (readonly HeadMatcher[])[];
  readonly startMs: number;
  readonly endMs: number;
}

/** Exemplars of a series, ascending by time; labels as name, value, … */
export interface HeadExemplars {
  readonly pairs: readonly string[];
  readonly exemplars: readonly { readonly timeMs: number; readonly value: number; readonly pairs: readonly string[] }[];
}

/** The make-up of a tenant's recent series; each list holds the largest, descending. */
export interface HeadTenantStats {
  readonly series: number;
  /** Distinct pairs of a label and its value. */
  readonly labelPairs: number;
  readonly chunks: number;
  /** Unix ms; 0 where there are no chunks. */
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly seriesByMetric: readonly (readonly [metric: string, series: number])[];
  readonly valuesByLabel: readonly (readonly [name: string, values: number])[];
  /** Bytes of the label's values, each value counted for every series that has it. */
  readonly bytesByLabel: readonly (readonly [name: string, bytes: number])[];
  readonly seriesByPair: readonly (readonly [pair: string, series: number])[];
}
