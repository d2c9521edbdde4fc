import type { Clock } from '../../lib/clock.ts';
import type { CacheEntry } from '../client.ts';
import { RemoteCache, type RemoteStore } from '../remote.ts';
import type { MemcachedConfig } from './config.ts';

/** Memcached takes longer times for dates. */
const TTL_S_MAX = 30 * 86_400;

export async function openMemcached(config: MemcachedConfig, parts: { readonly clock: Clock }): Promise<RemoteCache> {
  const { default: memjs } = await import('memjs');
  const timeout = config.timeoutMs / 1000;
  const client = memjs.Client.create(config.addresses.join(','), {
    retries: 1,
    timeout,
    conntimeout: timeout,
    username: config.username || undefined,
    password: config.password || undefined,
    keepAlive: true,
    logger: { log() {} }, // failures are counted
  });
  const store: RemoteStore = {
    get: (keys) => Promise.all(keys.map(async (key) => (await client.get(key)).value ?? undefined)),
    async set(entries: readonly CacheEntry[]) {
      await Promise.all(
        entries.map(({ key, value, ttlMs }) =>
          client.set(key, Buffer.from(value.buffer, value.byteOffset, value.length), {
            expires: Math.min(TTL_S_MAX, Math.floor(ttlMs / 1000)),
          }),
        ),
      );
    },
    async close() {
      client.close();
    },
  };
  return new RemoteCache(store, {
    keyPrefix: config.keyPrefix,
    timeoutMs: config.timeoutMs,
    valueBytesMax: config.maxItemSize,
    parallelMax: config.maxConcurrency,
    ...parts,
  });
}
