import type { Cache, CacheEntry, CacheStats } from '../../cache/client.ts';
import { MemoryCache } from '../../cache/memory.ts';
import type { BlockCache } from '../../chunkstore/block-fetcher.ts';
import type { RowCache } from '../../chunkstore/kept-rows.ts';
import type { Channel } from '../../kit/thread/channel.ts';
import type { Clock } from '../../lib/clock.ts';
import { uncountedBytes } from '../../lib/uncounted-bytes.ts';
import type { CacheSettings, QueryWorkerData, SharedCachesRole } from './query-role.ts';

/** Groups never change, so that what is cached of them holds for ever; this is only to have servers forget what nobody asks for. */
const BLOCK_TTL_MS = 14 * 86_400_000;

export interface OpenedCache {
  readonly blocks: BlockCache;
  /** How it did since it was last asked. */
  takeStats(): CacheStats;
}

/** The cache of sub-blocks, or undefined where there is to be none. */
export async function openBlockCache(spec: CacheSettings, clock: Clock): Promise<OpenedCache | undefined> {
  const cache = await openCache(spec, clock);
  if (cache === undefined) return undefined;
  let taken: CacheStats = { hits: 0, misses: 0, failures: 0 };
  return {
    blocks: {
      isMemory: spec.chunkStore.cacheBackend === 'memory',
      get: async (key) => (await cache.get([key]))[0],
      set(key, value) {
        void cache.set([{ key, value, ttlMs: BLOCK_TTL_MS }]); // never fails
      },
    },
    takeStats() {
      const now = { ...cache.stats };
      const since = {
        hits: now.hits - taken.hits,
        misses: now.misses - taken.misses,
        failures: now.failures - taken.failures,
      };
      taken = now;
      return since;
    },
  };
}

/** Rows of less than this, as it is stored, are made as quickly as they are asked for. */
const STORED_BYTES_MIN = 64 * 1024;
/** Rows are kept where what they are made of is stored in so many times their bytes. */
const STORED_PER_ROW_BYTE = 2;
const ROWS_BYTES_MAX = 2 * 2 ** 20;

/** Rows that all query workers share. */
export function sharedRows(channel: Channel<SharedCachesRole>): RowCache {
  return {
    isWorth: (bytes, storedBytes) =>
      bytes <= ROWS_BYTES_MAX && storedBytes >= Math.max(STORED_BYTES_MIN, STORED_PER_ROW_BYTE * bytes),
    get: (key, signal) => channel.call('rows', { key }, { signal }),
    set(tenant, key, rows) {
      channel.call('keepRows', { tenant, key, rows }).catch(() => {}); // what is not kept is made again
    },
  };
}

/** The cache of answers, or undefined where there is to be none. @param channel to the one in memory */
export async function openResultsCache(
  { queryRange, caches: { memcached, redis } }: Pick<QueryWorkerData, 'queryRange' | 'caches'>,
  channel: Channel<SharedCachesRole>,
  clock: Clock,
): Promise<Cache> {
  switch (queryRange.resultsCacheBackend) {
    case 'memory': {
      return {
        get: (keys, signal) => channel.call('get', { keys }, signal === undefined ? {} : { signal }),
        set: (entries) => channel.call('set', { entries: entries.map(movable) }),
        close: async () => {},
      };
    }
    case 'memcached':
      return (await import('../../cache/memcached/client.ts')).openMemcached(memcached, { clock });
    case 'redis':
      return (await import('../../cache/redis/client.ts')).openRedis(redis, { clock });
  }
}

async function openCache(
  { chunkStore, memcached, redis }: CacheSettings,
  clock: Clock,
): Promise<(Cache & { readonly stats: CacheStats }) | undefined> {
  switch (chunkStore.cacheBackend) {
    case 'memory':
      return chunkStore.cacheSize === 0 ? undefined : new MemoryCache({ bytesMax: chunkStore.cacheSize, clock });
    case 'memcached':
      return (await import('../../cache/memcached/client.ts')).openMemcached(memcached, { clock });
    case 'redis':
      return (await import('../../cache/redis/client.ts')).openRedis(redis, { clock });
  }
}

/** In memory that threads share, most of it: they read it where it lies, and V8 does not collect a heap for it. */
function movable({ value, ...entry }: CacheEntry): CacheEntry {
  const own = uncountedBytes(value.length);
  own.set(value);
  return { ...entry, value: own };
}
