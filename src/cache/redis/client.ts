import type { Clock } from '../../lib/clock.ts';
import { RemoteCache, type RemoteStore } from '../remote.ts';
import type { RedisConfig } from './config.ts';

export async function openRedis(config: RedisConfig, parts: { readonly clock: Clock }): Promise<RemoteCache> {
  const { Redis } = await import('ioredis');
  const colon = config.endpoint.lastIndexOf(':');
  const client = new Redis({
    host: config.endpoint.slice(0, colon),
    port: Number(config.endpoint.slice(colon + 1)),
    username: config.username || undefined,
    password: config.password || undefined,
    db: config.db,
    tls: config.tlsEnabled ? {} : undefined,
    connectTimeout: config.timeoutMs,
    commandTimeout: config.timeoutMs,
    maxRetriesPerRequest: 1,
  });
  client.on('error', () => {}); // it connects again by itself; what fails meanwhile is counted
  const store: RemoteStore = {
    async get(keys) {
      const values = await client.mgetBuffer(...keys);
      return values.map((value) => value ?? undefined);
    },
    async set(entries) {
      const pipeline = client.pipeline();
      for (const { key, value, ttlMs } of entries) {
        pipeline.set(key, Buffer.from(value.buffer, value.byteOffset, value.length), 'PX', Math.floor(ttlMs));
      }
      const results = await pipeline.exec();
      const failed = results?.find(([error]) => error !== null);
      if (failed) throw failed[0];
    },
    async close() {
      client.disconnect();
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
