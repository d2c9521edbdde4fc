import type { HeadTenantStats } from '../contract/ingester.ts';
import type { KeptDays } from '../contract/kept-day.ts';
import type { QueryRunner } from '../contract/query.ts';
import type { RulePreviewer } from '../contract/rules.ts';
import type { Clock } from '../lib/clock.ts';
import type { SharedMemory } from '../limits/query-budget.ts';
import type { QueryLimits } from '../limits/query-limits.ts';
import type { LabelMatcher } from '../model/matcher.ts';
import type { ParserOptions } from '../promql/parser/parser.ts';
import type { ExemplarSource } from '../storage/exemplars.ts';
import type { MetadataSource } from '../storage/metadata.ts';
import type { Queryable, QueryContext } from '../storage/queryable.ts';

/** All that the API stands on. Whoever hosts it puts it together; tests give small real ones. */
export interface ApiSources {
  readonly queries: QueryRunner;
  /** Syntax that the parser takes beyond the stable language; that of `queries` must be the same. */
  readonly syntax: ParserOptions;
  /** Shared by all calls of a thread. */
  readonly memory?: SharedMemory;
  queryable(tenant: string): Queryable;
  /** Samples and bytes by metric that the store has of the request's tenants, one answer each, in their order. Absent: nobody knows. */
  weights?(
    selection: { readonly matchers: readonly LabelMatcher[]; readonly startMs: number; readonly endMs: number },
    context: QueryContext,
  ): Promise<readonly MetricWeights[]>;
  /** Finds of before about days of the request's tenant. Absent: nothing is kept. */
  readonly keptDay?: KeptDays;
  readonly metadata: MetadataSource;
  readonly exemplars: ExemplarSource;
  readonly status: StatusSource;
  /** Undefined: what could do harm is switched off. */
  readonly deletes: DeleteSource | undefined;
  /** Absent: rules cannot be tried. */
  readonly previewer?: RulePreviewer;
  /** For how long a delete request can be cancelled. */
  readonly deleteCancelMs: number;
  limits(tenant: string): QueryLimits;
  readonly clock: Clock;
  /** Whether `stats=all` counts samples for each step. */
  readonly perStepStats: boolean;
  readonly searchEnabled: boolean;
  /** A query that takes longer is ended; a request may ask for less. */
  readonly timeoutMs: number;
  readonly lookbackMs: number;
}

/** Samples, and the bytes that they take in the store, index left out. */
export interface Weight {
  readonly samples: number;
  readonly bytes: number;
}

/** Stored samples and bytes by metric, and the newest sample up to which the store has them, Unix ms. */
export interface MetricWeights {
  readonly byMetric: ReadonlyMap<string, Weight & { readonly lastMs: number }>;
}

/** The process, as it describes itself. */
export interface StatusSource {
  readonly version: string;
  readonly startTimeMs: number;
  readonly flags: Readonly<Record<string, string>>;
  /** The configuration as YAML, secrets masked. */
  readonly configYaml: string;
  /** Statistics of the recent series; undefined where there are none. @param limit of each list, inclusive */
  headStats(tenant: string, limit: number, signal: AbortSignal): Promise<HeadTenantStats | undefined>;
}

/** Delete requests: queries leave their samples out at once, the store after a while. */
export interface DeleteSource {
  create(
    tenant: string,
    request: { readonly matchers: readonly LabelMatcher[]; readonly startMs: number; readonly endMs: number },
    signal: AbortSignal,
  ): Promise<DeleteRequest>;
  list(tenant: string, signal: AbortSignal): Promise<readonly DeleteRequest[]>;
  /** @throws deleteRequestNotFound, deleteRequestTooLate */
  cancel(tenant: string, id: string, signal: AbortSignal): Promise<void>;
}

export interface DeleteRequest {
  readonly id: string;
  readonly matchers: readonly LabelMatcher[];
  readonly startMs: number;
  readonly endMs: number;
  readonly createdMs: number;
  readonly state: 'pending' | 'processed';
}
