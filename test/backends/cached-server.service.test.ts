import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import memjs from 'memjs';
import { TcpProxy } from '../faults/tcp-proxy.ts';
import { Pallium, tempFolder } from '../harness/pallium.ts';
import { freePort } from '../harness/ports.ts';
import { push, writeBody } from '../harness/remote-write.ts';
import { until } from '../harness/wait.ts';

/** Time in which a cache that is there answers, on a busy machine too. */
const TIMEOUT_MS = 30_000;
/** Time after which one that does not answer is a miss. */
const SHORT_TIMEOUT_MS = 2000;
/** Many timeouts of a cache that does not answer. */
const ANSWER_MS_MAX = 60_000;
/** Asked for one at a time. */
const METRICS = 40;
/** Enough that what is asked for lies in objects. */
const FEW_METRICS = 8;
const SERIES = 400;
const SAMPLES = 10;
const START_MS = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 12 * 3_600_000;

const services = join(import.meta.dirname, '../services');
const { MEMCACHED_PORT, REDIS_PORT } = process.env;
type CacheName = 'memcached' | 'redis';
const caches: [
  name: CacheName,
  port: string | undefined,
  flags: (port: number) => string[],
  spoil: (port: number, prefix: string) => Promise<number>,
][] = [
  ['memcached', MEMCACHED_PORT, (port) => [`-memcached.addresses=127.0.0.1:${port}`], spoilMemcached],
  ['redis', REDIS_PORT, (port) => [`-redis.endpoint=127.0.0.1:${port}`], spoilRedis],
];

// they wait more than they compute: caches beside each other
describe('caches', { concurrency: caches.length }, () => {
  for (const [name, port, ...parts] of caches) {
    if (port === undefined) test(`a server with ${name}: needs its port`, { skip: true });
    else describe(name, { concurrency: 1 }, () => testsOf(name, port, ...parts));
  }
});

function testsOf(
  name: CacheName,
  port: string,
  flagsOf: (port: number) => string[],
  spoil: (port: number, prefix: string) => Promise<number>,
): void {
  test(`a server with ${name} uses it, and answers right when it is wrong, slow or away`, async () => {
    const proxy = await TcpProxy.listen(Number(port));
    const dataDir = tempFolder('cached');
    const prefix = `t${randomBytes(4).toString('hex')}:`;
    const flags = [
      ...flagsOf(proxy.port),
      `-chunk-store.cache-backend=${name}`,
      `-${name}.key-prefix=${prefix}`,
      '-querier.workers=1',
    ];
    try {
      await fill(dataDir, flags, FEW_METRICS);
      // what is opened stays with a worker: a new server each time, so that the cache is asked
      const asked = async (tenants: readonly string[], timeoutMs = TIMEOUT_MS) => {
        await using server = await Pallium.start({ dataDir, flags: [...flags, `-${name}.timeout=${timeoutMs}ms`] });
        const stats = [];
        for (const tenant of tenants) stats.push(await ask(server, tenant));
        await server.stop();
        return stats;
      };
      const [first, other] = await asked(['a', 'b']);
      assert.ok(first!.fetchedObjects > 0);
      // the same bytes, but of another tenant
      assert.deepEqual([first!.cachedBlocks, other!.cachedBlocks], [0, 0]);
      const [again] = await asked(['a']);
      assert.equal(again!.fetchedObjects, 0);
      assert.ok(again!.cachedBlocks > 0);

      assert.ok((await spoil(Number(port), prefix)) > 0);
      const [spoilt] = await asked(['a']);
      assert.equal(spoilt!.cachedBlocks, 0);
      assert.ok(spoilt!.fetchedObjects > 0);
      const [mended] = await asked(['a']);
      assert.deepEqual(mended, again);

      proxy.weather = { stall: 1 };
      const [slow] = await asked(['a'], SHORT_TIMEOUT_MS);
      assert.equal(slow!.cachedBlocks, 0);
      proxy.weather = { refuse: true };
      proxy.cutAll();
      const [away] = await asked(['a'], SHORT_TIMEOUT_MS);
      assert.equal(away!.cachedBlocks, 0);
    } finally {
      await proxy.close();
      rmSync(dataDir, { recursive: true, force: true });
      rmSync(`${dataDir}.log`, { force: true });
    }
  });

  test(`${name} killed while a server runs: every answer stays right, and it is used again when it is back`, async () => {
    const ownPort = await freePort();
    const service = new OwnService(name, ownPort);
    const dataDir = tempFolder('cache-killed');
    const flags = [
      ...flagsOf(ownPort),
      `-chunk-store.cache-backend=${name}`,
      `-${name}.timeout=${TIMEOUT_MS}ms`,
      '-querier.workers=1',
    ];
    try {
      await service.start();
      await fill(dataDir, flags, METRICS);
      await using server = await Pallium.start({ dataDir, flags });
      // what was read stays open with the worker, so each question is about another metric
      const metrics = Array.from({ length: METRICS }, (_, i) => `m${i}`);
      const askNext = () => ask(server, 'a', metrics.shift()!);
      await askNext();
      const before = await cacheCounts(server, name);
      assert.ok(before.fetched > 0);
      assert.deepEqual([before.hits, before.failures], [0, 0]);
      await service.kill();
      for (let i = 0; i < 5; i++) assert.equal((await askNext()).cachedBlocks, 0);
      const away = await cacheCounts(server, name);
      assert.ok(away.failures > 0 && away.hits === 0, JSON.stringify(away));
      await service.start();
      // left alone for some seconds after many failures
      const back = await until(
        'it is asked again',
        async () => {
          const { failures } = await cacheCounts(server, name);
          const metric = metrics[0]!;
          await askNext();
          return (await cacheCounts(server, name)).failures === failures && metric;
        },
        { intervalMs: 1000 },
      );
      await using another = await Pallium.start({ dataDir: copyOf(dataDir), flags });
      assert.ok((await ask(another, 'a', back)).cachedBlocks > 0);
      // not all: what metrics share was read when nothing could be kept
      assert.ok((await cacheCounts(another, name)).hits > 0);
    } finally {
      await service.kill();
      for (const folder of [dataDir, `${dataDir}-copy`]) {
        rmSync(folder, { recursive: true, force: true });
        rmSync(`${folder}.log`, { force: true });
      }
    }
  });
}

/** A service of the test's own, to be killed. */
class OwnService {
  readonly #name: string;
  readonly #port: number;
  readonly #instance: string;

  constructor(name: string, port: number) {
    this.#name = name;
    this.#port = port;
    this.#instance = `test-${process.pid}-killed-${name}`;
  }

  async start(): Promise<void> {
    const env = {
      ...process.env,
      [`${this.#name.toUpperCase()}_PORT`]: String(this.#port),
      SERVICES_INSTANCE: this.#instance,
    };
    await promisify(execFile)(join(services, `start-${this.#name}`), { env });
  }

  /** At once, as a machine that is gone. */
  async kill(): Promise<void> {
    const run = join(process.env.SERVICES_HOME ?? join(homedir(), '.cache/pallium-services'), 'run', this.#instance);
    if (!existsSync(join(run, 'pid'))) return;
    const pid = Number(readFileSync(join(run, 'pid'), 'utf8'));
    process.kill(pid, 'SIGKILL');
    rmSync(run, { recursive: true });
    await until(
      'it is gone',
      () => !existsSync(`/proc/${pid}`) || /State:\s+Z/.test(readFileSync(`/proc/${pid}/status`, 'utf8')),
    );
  }
}

/** The counts of the cache, from `/metrics`. */
async function cacheCounts(server: Pallium, cache: string) {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const count = (name: string) => {
    const [, value] = new RegExp(`^pallium_cache_${name}_total\\{cache="${cache}"\\} (\\d+)$`, 'm').exec(text) ?? [];
    assert.ok(value !== undefined, `${name} in\n${text}`);
    return Number(value);
  };
  return { fetched: count('fetched_keys'), hits: count('hits'), failures: count('failures') };
}

/** A folder as another server would have it. */
function copyOf(dataDir: string): string {
  cpSync(join(dataDir, 'store'), join(`${dataDir}-copy`, 'store'), { recursive: true });
  return `${dataDir}-copy`;
}

/** Two tenants with the same series, in objects, and an empty head. */
async function fill(dataDir: string, flags: readonly string[], metrics: number): Promise<void> {
  await using server = await Pallium.start({ dataDir, flags });
  const series = Array.from({ length: metrics }, (_, metric) =>
    Array.from({ length: SERIES }, (_, i) => ({
      labels: { __name__: `m${metric}`, id: randomBytes(64).toString('hex') },
      samples: Array.from({ length: SAMPLES }, (_, at) => [START_MS + at * 60_000, i] as const),
    })),
  ).flat();
  for (const tenant of ['a', 'b']) {
    const answer = await push(`${server.url}/api/v1/push`, writeBody(series), { 'x-scope-orgid': tenant });
    assert.ok(answer.status < 300, answer.text);
  }
  await server.flush();
  await server.stop();
  rmSync(join(dataDir, 'ingester'), { recursive: true });
}

interface StoreStats {
  readonly fetchedObjects: number;
  readonly cachedBlocks: number;
}

/** Asks for everything. @throws where the answer is not right, or took longer than many timeouts of the cache */
async function ask(server: Pallium, tenant: string, metric = 'm0'): Promise<StoreStats> {
  const beganMs = performance.now();
  const { result, stats } = await server
    .api({ 'x-scope-orgid': tenant })
    .data<{ result: { value: [number, string] }[]; stats: { store: StoreStats } }>('/api/v1/query', {
      query: `sum(sum_over_time(${metric}[${SAMPLES}m]))`,
      time: (START_MS + (SAMPLES - 1) * 60_000) / 1000,
      stats: 'all',
    });
  const tookMs = performance.now() - beganMs;
  assert.equal(result[0]!.value[1], String((SAMPLES * SERIES * (SERIES - 1)) / 2));
  assert.ok(tookMs < ANSWER_MS_MAX, `${tookMs} ms`);
  const { fetchedObjects, cachedBlocks } = stats.store;
  return { fetchedObjects, cachedBlocks };
}

/** Puts other bytes of the same length in place of each entry. @returns how many */
async function spoilRedis(port: number, prefix: string): Promise<number> {
  const client = new Redis({ host: '127.0.0.1', port });
  const keys = await client.keys(`${prefix}*`);
  for (const key of keys) await client.set(key, spoilt((await client.getBuffer(key))!));
  client.disconnect();
  return keys.length;
}

async function spoilMemcached(port: number, prefix: string): Promise<number> {
  const client = memjs.Client.create(`127.0.0.1:${port}`);
  const keys = (await dumpMemcached(port)).filter((key) => key.startsWith(prefix));
  for (const key of keys) await client.set(key, spoilt((await client.get(key)).value!), { expires: 600 });
  client.close();
  return keys.length;
}

function spoilt(value: Uint8Array): Buffer {
  const bytes = Buffer.from(value);
  bytes[bytes.length >> 1]! ^= 1;
  return bytes;
}

/** All keys (memcached's doc/protocol.txt, "LRU_Crawler"). */
function dumpMemcached(port: number): Promise<string[]> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.write('lru_crawler metadump all\r\n'));
    socket.setEncoding('latin1').on('error', reject);
    socket.on('data', (part: string) => {
      text += part;
      if (!text.endsWith('END\r\n')) return;
      socket.destroy();
      resolve([...text.matchAll(/^key=(\S+)/gm)].map(([, key]) => decodeURIComponent(key!)));
    });
  });
}
