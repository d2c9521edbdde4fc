import type { CacheStats } from '../../cache/client.ts';
import type { MemcachedConfig } from '../../cache/memcached/config.ts';
import type { RedisConfig } from '../../cache/redis/config.ts';
import type { ChunkStoreConfig } from '../../chunkstore/config.ts';
import type { StoreSpec } from '../../chunkstore/open.ts';
import type { ApiRequest, ApiResponse } from '../../contract/api.ts';
import type { TenantDeletion } from '../../contract/control.ts';
import type { CallContext, Transferred } from '../../kit/thread/channel.ts';
import type { TenantLimits } from '../../limits/limits.ts';
import type { PurgerConfig, QuerierConfig } from '../../querier/config.ts';
import type { ShardConnection } from './shard-thread.ts';

// What a query worker answers to.

export type QueryRole = {
  /** Resolves when the worker is as quick as it gets; queries are answered before, too. */
  connect(request: { readonly shards: readonly ShardConnection[] }): Promise<void>;
  handle(
    request: { readonly request: ApiRequest; readonly limits: TenantLimits },
    call: CallContext,
  ): Promise<Transferred<QueryAnswer>>;
  /** Queries leave out what the tenant has until now from when this is answered. */
  deleteTenant(request: { readonly tenant: string }, call: CallContext): Promise<TenantDeletion>;
  /** The newest request; undefined: there is none. */
  tenantDeletion(request: { readonly tenant: string }, call: CallContext): Promise<TenantDeletion | undefined>;
};

export interface QueryAnswer {
  readonly response: ApiResponse;
  /** How the worker's cache did since its last answer; undefined: it has none. */
  readonly cache: CacheStats | undefined;
}

/** Where parts of chunk groups are cached. */
export interface CacheSettings {
  readonly chunkStore: ChunkStoreConfig;
  readonly memcached: MemcachedConfig;
  readonly redis: RedisConfig;
}

export interface QueryWorkerData {
  readonly config: QuerierConfig;
  readonly purger: PurgerConfig;
  readonly store: StoreSpec;
  readonly caches: CacheSettings;
  readonly windowMs: number;
  /** How long a window stays in the head when the store has it: lists of rows that are cached must expire sooner. */
  readonly keepFlushedMs: number;
  readonly status: {
    readonly version: string;
    readonly startTimeMs: number;
    readonly flags: Readonly<Record<string, string>>;
    readonly configYaml: string;
  };
}
