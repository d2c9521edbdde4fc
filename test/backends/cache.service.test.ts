import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Cache } from '../../src/cache/client.ts';
import { openMemcached } from '../../src/cache/memcached/client.ts';
import { memcachedConfig } from '../../src/cache/memcached/config.ts';
import { openRedis } from '../../src/cache/redis/client.ts';
import { redisConfig } from '../../src/cache/redis/config.ts';
import { defaultsOf } from '../../src/kit/config/section.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { TcpProxy } from '../faults/tcp-proxy.ts';
import { until } from '../harness/wait.ts';

/** Long enough for an answer on a busy machine. */
const TIMEOUT_MS = 5000;
const caches: [name: string, port: string | undefined, open: (port: number) => Promise<Cache>][] = [
  [
    'memcached',
    process.env.MEMCACHED_PORT,
    (port) =>
      openMemcached(
        { ...defaultsOf(memcachedConfig), addresses: [`127.0.0.1:${port}`], timeoutMs: TIMEOUT_MS },
        { clock: systemClock },
      ),
  ],
  [
    'redis',
    process.env.REDIS_PORT,
    (port) =>
      openRedis(
        { ...defaultsOf(redisConfig), endpoint: `127.0.0.1:${port}`, timeoutMs: TIMEOUT_MS },
        { clock: systemClock },
      ),
  ],
];

describe('caches', { concurrency: caches.length }, () => {
  for (const [name, port, open] of caches) {
    if (port === undefined) test(`${name}: needs its port`, { skip: true });
    else describe(name, { concurrency: 1 }, () => testsOf(name, port, open));
  }
});

function testsOf(name: string, port: string, open: (port: number) => Promise<Cache>): void {
  test(`${name} gives back what it was given, of any bytes, for as long as it may`, async () => {
    const cache = await open(Number(port));
    const every = Uint8Array.from({ length: 256 }, (_, i) => i);
    const large = new Uint8Array(900_000).fill(9);
    const key = (text: string) => `${process.pid} ${text}`;
    await cache.set([
      { key: key('every'), value: every, ttlMs: 60_000 },
      { key: key('large'), value: large, ttlMs: 60_000 },
      { key: key('empty'), value: new Uint8Array(0), ttlMs: 60_000 },
      { key: key('brief'), value: every, ttlMs: 1000 },
    ]);
    const got = await cache.get(['every', 'none', 'large', 'empty'].map(key));
    assert.deepEqual(
      got.map((value) => value?.length),
      [256, undefined, 900_000, 0],
    );
    assert.equal(Buffer.compare(got[0]!, every), 0);
    assert.equal(Buffer.compare(got[2]!, large), 0);
    await cache.set([{ key: key('every'), value: large, ttlMs: 60_000 }]);
    assert.equal((await cache.get([key('every')]))[0]?.length, 900_000);
    await new Promise((resolve) => setTimeout(resolve, 2100));
    assert.deepEqual(await cache.get([key('brief')]), [undefined]);
    await cache.close();
  });

  test(`${name} away: misses within its time, and it is used again`, { timeout: 240_000 }, async () => {
    const proxy = await TcpProxy.listen(Number(port));
    const cache = await open(proxy.port);
    const entry = { key: `away ${process.pid}`, value: new Uint8Array([1]), ttlMs: 600_000 };
    await cache.set([entry]);
    assert.deepEqual((await cache.get([entry.key])).length, 1);
    proxy.weather = { refuse: true };
    proxy.cutAll();
    const startMs = performance.now();
    assert.deepEqual(await cache.get([entry.key]), [undefined]);
    assert.ok(performance.now() - startMs < 2 * TIMEOUT_MS);
    proxy.weather = {};
    await until('it is used again', async () => (await cache.get([entry.key]))[0] !== undefined, { intervalMs: 100 });
    await cache.close();
    await proxy.close();
  });
}
