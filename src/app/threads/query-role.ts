import type { MessagePort } from 'node:worker_threads';
import type { CacheEntry } from '../../cache/client.ts';
import type { MemcachedConfig } from '../../cache/memcached/config.ts';
import type { RedisConfig } from '../../cache/redis/config.ts';
import type { ChunkStoreConfig } from '../../chunkstore/config.ts';
import type { StoreSpec } from '../../chunkstore/open.ts';
import type { ApiRequest, ApiResponse } from '../../contract/api.ts';
import type { TenantDeletion } from '../../contract/control.ts';
import type {
  InstantOutcome,
  InstantRequest,
  PartialRequest,
  PartialResult,
  QueryResult,
  RangeRequest,
} from '../../contract/query.ts';
import type { QueryRangeConfig } from '../../frontend/config.ts';
import type { AnsweredJob, JobAnswer, WantedJob } from '../../frontend/job-desk.ts';
import type { TraceParent } from '../../kit/observe/trace.ts';
import type { CallContext, Transferred } from '../../kit/thread/channel.ts';
import type { JoinedLimits } from '../../limits/query-limits.ts';
import type { PurgerConfig, QuerierConfig } from '../../querier/config.ts';
import type { Asked, Worked } from '../../querier/service.ts';
import type { ThreadPeers } from '../cluster/thread-peers.ts';
import type { RingPorts } from '../cluster/thread-ring.ts';
import type { ShardConnection, ShardReplacement } from './shard-connection.ts';

// A query worker answers to these calls.

export type QueryRole = {
  /** Resolves when the worker is as quick as it gets; queries are answered before, too. */
  connect(request: { readonly heads: HeadPorts; readonly shared: MessagePort }): Promise<void>;
  /** The way to a shard that was started again. */
  reconnect(request: ShardReplacement): Promise<void>;
  /** An answer with parts begins with a `PartedHead`, and the call is under way until the last part is taken. */
  handle(
    request: { readonly request: ApiRequest; readonly turn?: JobTurn } & Limited,
    call: CallContext,
  ): Promise<Transferred<Worked<ApiResponse>>>;
  instant(request: Asked<InstantRequest> & Limited, call: CallContext): Promise<Worked<QueryResult>>;
  range(request: Asked<RangeRequest> & Limited, call: CallContext): Promise<Worked<QueryResult>>;
  partial(request: Asked<PartialRequest> & Limited, call: CallContext): Promise<Worked<PartialResult>>;
  instants(
    request: Asked<readonly InstantRequest[]> & Limited,
    call: CallContext,
  ): Promise<Worked<readonly InstantOutcome[]>>;
  /** Works at a job of a front end elsewhere; an answer with parts, if it may have some, begins with a `PartedJob`. */
  job(
    request: { readonly tenant: string; readonly payload: Uint8Array; readonly inParts: boolean } & Limited,
    call: CallContext,
  ): Promise<Transferred<Worked<JobAnswer>>>;
  documentTenants(request: { readonly kind: string }, call: CallContext): Promise<readonly string[]>;
  /** Answers that are cached of a tenant's days, both ends inclusive, are no longer served to queries that begin once this is answered. */
  moveDays(request: { readonly tenant: string; readonly fromMs: number; readonly toMs: number }): Promise<void>;
  /** Queries leave out what the tenant has until now from when this is answered. */
  deleteTenant(request: { readonly tenant: string }, call: CallContext): Promise<TenantDeletion>;
  /** The newest request; undefined: there is none. */
  tenantDeletion(request: { readonly tenant: string }, call: CallContext): Promise<TenantDeletion | undefined>;
};

/** The first of an answer that comes in parts: the others go through the port. */
export type PartedHead = Pick<Worked<ApiResponse>, 'answer' | 'metrics'> & Parted;
export type PartedJob = JobAnswer & Parted;

interface Parted {
  readonly parts: MessagePort;
}

/** Who evaluates: this process, which reads recent samples from its shards or from the owners on the ring; or queriers elsewhere. */
export type HeadPorts =
  | { readonly shards: readonly ShardConnection[] }
  | { readonly ring: RingPorts }
  | { readonly jobs: MessagePort };

/** The jobs of a front end, as its threads leave them. */
export type JobsRole = {
  /** @param request with the trace that it is of, for calls that it takes */
  ask(
    request: Omit<WantedJob, 'inParts'> & { readonly trace: TraceParent | undefined },
    call: CallContext,
  ): Promise<Transferred<AnsweredJob>>;
};

/** Caches that all query workers share: of answers in memory, and of rows of stored series (`RowCache`). */
export type SharedCachesRole = {
  get(request: { readonly keys: readonly string[] }): Promise<readonly (Uint8Array | undefined)[]>;
  set(request: { readonly entries: readonly CacheEntry[] }): Promise<void>;
  rows(request: { readonly key: string }): Uint8Array | undefined;
  keepRows(request: { readonly tenant: string; readonly key: string; readonly rows: Uint8Array }): void;
};

/** Where the jobs of a request stand among those that wait. */
export type JobTurn = Pick<WantedJob, 'query' | 'costMs' | 'priority'>;

interface Limited {
  readonly limits: JoinedLimits;
}

/** Where parts of chunk groups are cached. */
export interface CacheSettings {
  readonly chunkStore: ChunkStoreConfig;
  readonly memcached: MemcachedConfig;
  readonly redis: RedisConfig;
}

export interface QueryWorkerData {
  readonly config: QuerierConfig;
  readonly queryRange: QueryRangeConfig;
  readonly purger: PurgerConfig;
  readonly store: StoreSpec;
  readonly caches: CacheSettings;
  readonly windowMs: number;
  /** How long a window stays in the head when the store has it: lists of rows that are cached must expire sooner. */
  readonly keepFlushedMs: number;
  /** Age from which answers are cached, but for tenants' own limits; undefined: they are not. */
  readonly cacheAgeMs: number | undefined;
  /** Counts of `GenerationReads`. */
  readonly generationReads: SharedArrayBuffer;
  /** For reading from a ring. */
  readonly peers?: ThreadPeers;
  readonly status: {
    readonly version: string;
    readonly startTimeMs: number;
    readonly flags: Readonly<Record<string, string>>;
    readonly configYaml: string;
  };
}
