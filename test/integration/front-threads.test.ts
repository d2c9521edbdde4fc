import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Agent, request as send } from 'undici';
import { Pallium } from '../harness/pallium.ts';
import { freePort } from '../harness/ports.ts';
import { WRITE_HEADERS, writeBody } from '../harness/remote-write.ts';
import { scratchFolder } from '../harness/scratch-folder.ts';

// Threads that listen and take writes: what is one for the process stays one, on whatever connection a request comes.

const FLAGS = ['-server.front-threads=3', '-ingester.shards=2', '-ingester.window=2h'];
const NOW_MS = Math.floor(Date.now() / 15_000) * 15_000;

/** On a connection of its own, so that all threads have some. */
async function post(url: string, body: Uint8Array, tenant: string): Promise<{ status: number; text: string }> {
  const dispatcher = new Agent({ pipelining: 0 });
  try {
    const headers = { ...WRITE_HEADERS, 'x-scope-orgid': tenant };
    const answer = await send(`${url}/api/v1/push`, { method: 'POST', body, headers, dispatcher });
    return { status: answer.statusCode, text: await answer.body.text() };
  } finally {
    await dispatcher.close();
  }
}

const severally = <T>(count: number, work: (i: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, i) => work(i)));

function samples(name: string, count: number, first = 0): Uint8Array {
  return writeBody(
    Array.from({ length: count }, (_, i) => ({
      labels: { __name__: name, n: String(first + i) },
      samples: [[NOW_MS - 60_000, first + i]],
    })),
  );
}

async function value(url: string, tenant: string, query: string): Promise<number | undefined> {
  const at = `${url}/api/v1/query?${new URLSearchParams({ query, time: String(NOW_MS / 1000) })}`;
  const answer = (await (await fetch(at, { headers: { 'x-scope-orgid': tenant } })).json()) as {
    data: { result: { value: [number, string] }[] };
  };
  const [first] = answer.data.result;
  return first && Number(first.value[1]);
}

async function counter(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

test('every sample that is acknowledged is there once, and counted once, on whichever connection it came', async () => {
  const folder = scratchFolder('front-threads');
  const server = await Pallium.start({ flags: FLAGS, dataDir: join(folder, 'data') });
  const { url } = server;
  // while writes are under way the spread of the larger tenant over shards changes
  const sent = await severally(24, async (i) => {
    const tenant = i % 2 === 0 ? 'small' : 'large';
    const size = tenant === 'small' ? 50 : 2_000;
    for (let k = 0; k < 3; k++) {
      const { status, text } = await post(url, samples('m', size, (i * 3 + k) * size), tenant);
      assert.equal(status, 204, text);
    }
    return { tenant, samples: 3 * size };
  });
  const total = (tenant: string) => sent.reduce((sum, each) => sum + (each.tenant === tenant ? each.samples : 0), 0);
  for (const tenant of ['small', 'large']) {
    assert.equal(await value(url, tenant, 'count(m)'), total(tenant));
    assert.equal(await value(url, tenant, 'count(count by (n) (m))'), total(tenant));
  }
  assert.equal(await counter(url, 'pallium_distributor_received_samples_total'), total('small') + total('large'));
  // a late one is seen at once, though the answer before it is cached
  const range = { query: 'count(m)', start: `${NOW_MS / 1000 - 7200}`, end: `${NOW_MS / 1000}`, step: '60' };
  const ask = async () => {
    const answer = await fetch(`${url}/api/v1/query_range?${new URLSearchParams(range)}`, {
      headers: { 'x-scope-orgid': 'small' },
    });
    return ((await answer.json()) as { data: { result: unknown[] } }).data.result.length;
  };
  assert.equal(await ask(), 1);
  const { code } = await server.stop();
  assert.equal(code, 0);
  await using again = await Pallium.start({
    flags: [...FLAGS, '-server.front-threads=1'],
    dataDir: join(folder, 'data'),
  });
  for (const tenant of ['small', 'large']) assert.equal(await value(again.url, tenant, 'count(m)'), total(tenant));
});

test('rates and numbers of series hold over all threads, and other limits are in force once they are read again', async () => {
  const folder = scratchFolder('front-limits');
  const file = join(folder, 'limits.yaml');
  const write = (limits: object) => writeFileSync(file, JSON.stringify({ overrides: limits }));
  write({ slow: { ingestion_rate: 1, ingestion_burst_size: 1_000 }, few: { max_series_per_user: 100 } });
  await using server = await Pallium.start({
    flags: [...FLAGS, `-runtime-config.file=${file}`, '-runtime-config.reload-period=1h'],
  });
  const { url } = server;
  const beganMs = Date.now();
  const rated = await severally(40, (i) => post(url, samples('m', 100, i * 100), 'slow'));
  const taken = rated.filter(({ status }) => status === 204).length;
  // what comes by the rate meanwhile is no hundred
  assert.ok(Date.now() - beganMs < 100_000);
  assert.equal(taken, 10);
  assert.ok(rated.every(({ status }) => status === 204 || status === 429));
  await severally(12, (i) => post(url, samples('m', 20, i * 20), 'few'));
  const kept = (await value(url, 'few', 'count(m)'))!;
  assert.ok(kept > 50 && kept <= 100, `${kept}`);
  // the threads count, and tell it once a second, or before metrics are read
  assert.ok((await counter(url, 'pallium_discarded_samples_total')) > 0);
  const status = await fetch(`${url}/api/v1/status/tenant`, { headers: { 'x-scope-orgid': 'few' } });
  const { data } = (await status.json()) as { data: { discarded: { samples: Record<string, number> } } };
  assert.deepEqual(data.discarded.samples, { per_user_series_limit: 240 - kept });
  write({ slow: { ingestion_rate: 1, ingestion_burst_size: 10 } });
  assert.equal((await fetch(`${url}/-/reload`, { method: 'POST' })).status, 200);
  const after = await severally(12, () => post(url, samples('m', 20), 'slow'));
  assert.deepEqual(new Set(after.map(({ status }) => status)), new Set([429]));
  // one that failed has left what was in force
  writeFileSync(file, 'overrides: 1');
  assert.notEqual((await fetch(`${url}/-/reload`, { method: 'POST' })).status, 200);
  assert.equal((await post(url, samples('m', 20), 'slow')).status, 429);
});

/** The status of a request on a connection of its own. */
async function status(url: string, options: Parameters<typeof send>[1]): Promise<number> {
  const dispatcher = new Agent({ pipelining: 0 });
  try {
    const { statusCode, body } = await send(url, { ...options, dispatcher });
    await body.dump();
    return statusCode;
  } finally {
    await dispatcher.close();
  }
}

test('a session holds in all threads, for pages of this server alone, and ends in all with its user', async () => {
  const folder = scratchFolder('front-sessions');
  const users = join(folder, 'users.yaml');
  writeFileSync(users, 'users: [{name: ann, password: right}, {name: bob, password: other}]');
  await using server = await Pallium.start({ flags: [...FLAGS, `-auth.users-file=${users}`] });
  const login = await fetch(`${server.url}/api/v1/session`, {
    method: 'POST',
    body: JSON.stringify({ name: 'ann', password: 'right' }),
  });
  assert.equal(login.status, 200);
  const cookie = login.headers.get('set-cookie')!.split(';')[0]!;
  const page = { cookie, 'sec-fetch-site': 'same-origin' };
  const everywhere = async (options: Parameters<typeof send>[1], path = '/api/v1/query?query=1') =>
    new Set(await severally(12, () => status(server.url + path, options)));
  assert.deepEqual(await everywhere({ headers: page }), new Set([200]));
  assert.deepEqual(await everywhere({ headers: { ...page, 'sec-fetch-site': 'cross-site' } }), new Set([401]));
  const other = { ...page, origin: 'http://other.test' };
  assert.deepEqual(await everywhere({ method: 'POST', headers: other }, '/api/v1/push'), new Set([403]));
  writeFileSync(users, 'users: [{name: bob, password: other}]');
  const authorization = `Basic ${Buffer.from('bob:other').toString('base64')}`;
  assert.equal(await status(`${server.url}/-/reload`, { method: 'POST', headers: { authorization } }), 200);
  assert.deepEqual(await everywhere({ headers: page }), new Set([401]));
  assert.deepEqual(await everywhere({ headers: { authorization } }), new Set([200]));
});

test('of processes at one port one listens, also where they start at once', async () => {
  const port = await freePort();
  const start = (threads: number) =>
    Pallium.start({ flags: [...FLAGS, `-server.front-threads=${threads}`], port, waitReady: false });
  const refused = async (server: Pallium) => {
    assert.equal((await server.ended).code, 1);
    assert.match(readFileSync(server.logFile, 'utf8'), /another process does already/);
  };
  const both = await Promise.all([start(2), start(2)]);
  try {
    const first = await Promise.race(both.map((server) => server.ended.then(() => server)));
    await refused(first);
    const left = both.find((server) => server !== first)!;
    await left.ready();
    for (const threads of [1, 2]) {
      await using late = await start(threads);
      await refused(late);
    }
    assert.ok(left.alive);
  } finally {
    for (const server of both) await server[Symbol.asyncDispose]();
  }
});

test('it is refused in a cluster', async () => {
  const server = await Pallium.start({ flags: [...FLAGS, '-target=distributor'], waitReady: false });
  assert.equal((await server.ended).code, 1);
  assert.match(readFileSync(server.logFile, 'utf8'), /-server\.front-threads 3 is refused in a cluster/);
  await server[Symbol.asyncDispose]();
});
