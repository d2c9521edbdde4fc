import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Agent, request as send } from 'undici';
import { scratchFolder } from '../../../test/harness/scratch-folder.ts';
import { until } from '../../../test/harness/wait.ts';
import { loadConfig } from '../../kit/config/load.ts';
import { Gate } from '../../kit/http/auth.ts';
import type { Route } from '../../kit/http/message.ts';
import { SharedLogins } from '../../kit/http/shared-logins.ts';
import { createLogger, silentLogger } from '../../kit/observe/log.ts';
import { Registry, readMetrics } from '../../kit/observe/metrics.ts';
import { WorkerThread } from '../../kit/thread/worker.ts';
import { systemClock } from '../../lib/clock.ts';
import { LimitsService } from '../../limits/limits-service.ts';
import { queryErrors } from '../../model/errors-query.ts';
import { sections } from '../config.ts';
import type { FrontRole } from './front-role.ts';
import { FrontThreads, frontThreads } from './front-threads.ts';

const THREADS = 3;

interface Given {
  readonly flags?: readonly string[];
  readonly routes?: readonly Route[];
  readonly users?: string;
  /** Called before each thread that is started. */
  readonly starting?: () => void;
}

async function listen(t: TestContext, { flags = [], routes = [], users, starting }: Given = {}) {
  const args = ['-server.http-listen-port=0', ...(users ? ['-auth.users-file=users.yaml'] : []), ...flags];
  const config = loadConfig(sections, { args, env: {} }).values;
  const registry = new Registry();
  const common = { log: silentLogger, clock: systemClock, registry };
  const logins = FrontThreads.logins();
  const key = new Uint8Array(32);
  const gate = Gate.of(config.auth, {
    ...common,
    readText: () => users ?? '',
    sessionKey: () => key,
    logins: new SharedLogins(logins, () => systemClock.nowMs()),
  });
  const limits = LimitsService.of({ ...common, defaults: config.limits, config: config.runtime });
  const threads: WorkerThread<FrontRole>[] = [];
  const fronts = new FrontThreads({
    ...common,
    ...{ config, threads: THREADS, gate, logins, limits, sessionKey: () => key },
    start(spec) {
      starting?.();
      assert.equal(spec.resourceLimits?.maxOldGenerationSizeMb, config.server.frontHeapMb);
      const thread = WorkerThread.start<FrontRole>(spec);
      threads.push(thread);
      return thread;
    },
  });
  fronts.add(routes);
  await fronts.start();
  t.after(() => fronts.stop({ signal: AbortSignal.abort(), progress: () => {} }));
  const metric = async (name: string) => {
    const found = (await readMetrics(registry, [fronts.metricSource])).find((each) => each.name === name);
    return (found?.values ?? []).reduce((sum, { value }) => sum + value, 0);
  };
  return { fronts, threads, url: fronts.url, port: Number(new URL(fronts.url).port), metric };
}

const echo: Route = {
  path: '/echo/:name',
  methods: ['GET', 'POST'],
  needs: 'read',
  tenant: 'one',
  bodyBytesMax: 1 << 20,
  bodyLimit: 'server.test',
  handle: ({ method, path, query, body, tenant, params, headers, address }) => ({
    status: 201,
    headers: { 'x-had': String(headers['x-given']), 'content-type': 'application/json' },
    body: JSON.stringify([method, path, query, Buffer.from(body).toString(), tenant, params, address]),
  }),
};

/** Requests on connections of their own, so that all threads have some. */
async function ask(url: string, options: Parameters<typeof send>[1] = {}) {
  const dispatcher = new Agent({ pipelining: 0, connect: { rejectUnauthorized: false } });
  try {
    const answer = await send(url, { ...options, dispatcher });
    return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
  } finally {
    await dispatcher.close();
  }
}

const severally = <T>(count: number, work: (i: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, i) => work(i)));

test('requests are handled in the main thread as if it had their connections, whichever thread they came to', async (t) => {
  const kept = Buffer.from('kept bytes');
  const route = (path: string, handle: Route['handle'], more: Partial<Route> = {}): Route => ({
    ...{ path, methods: ['GET'], needs: 'read', handle },
    ...more,
  });
  const routes = [
    echo,
    route('/kept', () => ({ status: 200, body: kept })),
    route('/given', () => ({ status: 200, body: Uint8Array.from(Buffer.from('mine')) })),
    route('/none', () => ({ status: 204 })),
    route(
      '/refused',
      () => {
        throw queryErrors.queryRejected({});
      },
      { failures: 'api' },
    ),
    route('/bug', () => {
      throw new Error('a bug');
    }),
  ];
  const { url, metric } = await listen(t, { routes });
  await severally(12, async (i) => {
    const { status, headers, text } = await ask(`${url}/echo/a%2Fb?x=%20${i}`, {
      method: 'POST',
      body: 'abc',
      headers: { 'x-scope-orgid': `t${i}`, 'x-given': 'yes' },
    });
    assert.equal(status, 201);
    assert.equal(headers['x-had'], 'yes');
    assert.deepEqual(JSON.parse(text), [
      'POST',
      '/echo/a/b',
      `x=%20${i}`,
      'abc',
      `t${i}`,
      { name: 'a/b' },
      '127.0.0.1',
    ]);
  });
  const answers = async (path: string) => {
    const { status, text } = await ask(`${url}${path}`);
    return [status, text];
  };
  for (let i = 0; i < 4; i++) {
    assert.deepEqual(await answers('/kept'), [200, 'kept bytes']);
    assert.deepEqual(await answers('/given'), [200, 'mine']);
    assert.deepEqual(await answers('/none'), [204, '']);
    assert.equal((await answers('/echo/x'))[0], 201);
  }
  const [status, text] = await answers('/refused');
  assert.deepEqual([status, JSON.parse(text as string).errorType], [422, 'execution']);
  assert.equal((await answers('/bug'))[0], 500);
  assert.equal((await answers('/nowhere'))[0], 404);
  assert.equal((await ask(`${url}/kept`, { method: 'DELETE' })).status, 405);
  assert.equal((await ask(`${url}/echo/a`, { method: 'POST', body: 'x'.repeat((1 << 20) + 1) })).status, 413);
  assert.ok((await metric('pallium_request_duration_seconds')) > 0);
  assert.equal(kept.toString(), 'kept bytes');
});

test('an answer comes part by part, and whoever makes it hears when nobody takes the rest', async (t) => {
  let ended = 0;
  let aborted = 0;
  async function* parts(count: number) {
    try {
      for (let i = 0; i < count; i++) yield new TextEncoder().encode(`${i} ${'x'.repeat(50_000)}\n`);
    } finally {
      ended++;
    }
  }
  const routes: Route[] = [
    {
      path: '/parts/:count',
      methods: ['GET'],
      needs: 'read',
      handle: ({ params, signal }) => {
        signal.addEventListener('abort', () => aborted++);
        return { status: 200, body: parts(Number(params!.count)) };
      },
    },
  ];
  const { url, port } = await listen(t, { routes });
  const { text } = await ask(`${url}/parts/20`);
  assert.deepEqual(
    text.split('\n').map((line) => line.slice(0, 2).trim()),
    [...Array.from({ length: 20 }, (_, i) => String(i)), ''],
  );
  assert.deepEqual([ended, aborted], [1, 0]);
  const socket = connect(port, '127.0.0.1');
  socket.write('GET /parts/1000000 HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n');
  // the head may come alone
  let had = 0;
  for await (const piece of socket) {
    had += (piece as Buffer).length;
    if (had > 10_000) break;
  }
  await until('the rest was given up', async () => ended === 2 && aborted === 1);
});

test('a client has so many connections in all threads together, and has them again when they are closed', async (t) => {
  const { port, metric } = await listen(t, { flags: ['-server.http-connections-per-client-max=6'], routes: [echo] });
  const open = async () => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write('GET /echo/a HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n');
    // not `once`, which fails where the connection is reset
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.on('data', () => resolve(true));
      socket.on('close', () => resolve(false));
    });
    return { socket, isOpen };
  };
  const first = await severally(24, open);
  assert.equal(first.filter(({ isOpen }) => isOpen).length, 6);
  assert.equal(await metric('pallium_connections_dropped_total'), 18);
  for (const { socket } of first) socket.destroy();
  await until('there is room again', async () => {
    const { socket, isOpen } = await open();
    socket.destroy();
    return isOpen;
  });
});

/** A request whose body goes on and on; resolves with what the server says to it, undefined: nothing yet. */
async function hold(
  port: number,
  tenant: string,
  bytes: number,
): Promise<{ socket: Socket; said: string | undefined }> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  let said: string | undefined;
  socket.on('data', (data: Buffer) => {
    said = (said ?? '') + data.toString('latin1');
  });
  socket.write(
    `POST /echo/a HTTP/1.1\r\nhost: 127.0.0.1\r\nx-scope-orgid: ${tenant}\r\ncontent-length: ${1 << 20}\r\n\r\n${'x'.repeat(bytes)}`,
  );
  await systemClock.sleep(100);
  return { socket, said };
}

test('a tenant has one share of the room for bodies in all threads, which a dead one gives back', async (t) => {
  const { port, url, threads, metric } = await listen(t, {
    flags: ['-server.inflight-body-bytes-max=1MiB', '-server.http-read-timeout=5m'],
    routes: [echo],
  });
  const held: Socket[] = [];
  t.after(() => held.forEach((socket) => void socket.destroy()));
  // three quarters of the room
  for (let i = 0; i < 7; i++) {
    const { socket, said } = await hold(port, 'greedy', 100_000);
    assert.equal(said, undefined);
    held.push(socket);
  }
  await until('they have no more', async () => {
    const { socket, said } = await hold(port, 'greedy', 200_000);
    socket.destroy();
    return said?.startsWith('HTTP/1.1 503');
  });
  const other = await ask(`${url}/echo/a`, {
    method: 'POST',
    body: 'x'.repeat(50_000),
    headers: { 'x-scope-orgid': 'b' },
  });
  assert.equal(other.status, 201);
  await Promise.all(threads.slice(0, THREADS).map((thread) => thread.terminate()));
  await until('there is room again', async () => {
    const answer = await ask(`${url}/echo/a`, {
      method: 'POST',
      body: 'x'.repeat(700_000),
      headers: { 'x-scope-orgid': 'greedy' },
    }).catch(() => undefined);
    return answer?.status === 201;
  });
  assert.equal(await metric('pallium_front_thread_restarts_total'), THREADS);
});

test('a thread that dies is replaced, and the others answer meanwhile', async (t) => {
  const { url, threads } = await listen(t, { routes: [echo] });
  await threads[1]!.terminate();
  const answers = await severally(12, () => ask(`${url}/echo/a`).then(({ status }) => status));
  assert.deepEqual(new Set(answers), new Set([201]));
  await until('another one is there', async () => threads.length === THREADS + 1);
  await threads[THREADS]!.channel.call('metrics', {});
  await severally(12, async () => assert.equal((await ask(`${url}/echo/a`)).status, 201));
});

test('logins that fail count in all threads, and users are those that the main thread has read', async (t) => {
  const { url } = await listen(t, { routes: [echo], users: 'users: [{name: ann, password: right}]' });
  const as = async (pair: string) => {
    const authorization = `Basic ${Buffer.from(pair).toString('base64')}`;
    return (await ask(`${url}/echo/a`, { headers: { authorization } })).status;
  };
  assert.equal(await as('ann:right'), 201);
  const beganMs = performance.now();
  const answers = await severally(40, (i) => as(`ann:wrong${i}`));
  const looked = answers.filter((status) => status === 401).length;
  // one more for each second, and between look and count another thread may look, too
  const seconds = Math.ceil((performance.now() - beganMs) / 1_000);
  assert.ok(looked >= 20 && looked < 20 + seconds + THREADS, `${looked} in ${seconds} s`);
  assert.equal(answers.filter((status) => status === 429).length, 40 - looked);
  // those that were right are right in each thread
  await severally(9, async () => assert.equal(await as('ann:right'), 201));
});

test('a port is taken while no thread listens there: before the first one does, and when all have died', {
  skip: process.platform !== 'linux' && 'there are no names that go with a process',
}, async (t) => {
  const { port: free, fronts } = await listen(t);
  await fronts.stop({ signal: AbortSignal.abort(), progress: () => {} });
  const flags = [`-server.http-listen-port=${free}`];
  const refused: Promise<void>[] = [];
  const { threads, url } = await listen(t, {
    flags,
    routes: [echo],
    starting: () => refused.push(assert.rejects(listen(t, { flags }), /another process does already/)),
  });
  await Promise.all(refused);
  assert.equal(refused.length, THREADS);
  await Promise.all(threads.map((thread) => thread.terminate()));
  await assert.rejects(listen(t, { flags }), /another process does already/);
  await until('it answers again', async () => (await ask(`${url}/echo/a`)).status === 201);
});

test('what a thread had counted is not lost with it', async (t) => {
  const { url, threads, metric } = await listen(t, { routes: [echo] });
  await severally(30, () => ask(`${url}/echo/a`));
  const counts = () =>
    Promise.all(
      ['pallium_response_body_bytes_total', 'pallium_request_duration_seconds'].map(async (name) => metric(name)),
    );
  const before = await counts();
  assert.ok(before.every((count) => count > 0));
  await Promise.all(threads.map((thread) => thread.terminate()));
  assert.deepEqual(await counts(), before);
  await until('they are there again', async () => threads.length === 2 * THREADS);
  await Promise.all(threads.slice(THREADS).map(({ channel }) => channel.call('metrics', {})));
  assert.deepEqual(await counts(), before);
  // what tells of a moment is not added up
  assert.equal(await metric('pallium_inflight_requests'), 0);
});

test('a thread that is replaced has the certificates in force, whatever lies in the files by then', {
  skip: spawnSync('openssl', ['version']).status !== 0 && 'openssl is not installed',
}, async (t) => {
  const folder = scratchFolder('front-certificates');
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'];
  execFileSync('openssl', ['req', '-x509', ...curve, '-keyout', key, '-out', cert, '-subj', '/CN=a'], {
    stdio: 'ignore',
  });
  const { threads, url, fronts } = await listen(t, {
    flags: [`-server.http-tls-cert-path=${cert}`, `-server.http-tls-key-path=${key}`],
    routes: [echo],
  });
  writeFileSync(key, 'no key');
  await assert.rejects(fronts.reload(), /-server\.http-tls-key-path/);
  await Promise.all(threads.map((thread) => thread.terminate()));
  await until('they answer again', async () => (await ask(`${url}/echo/a`)).status === 201, { timeoutMs: 20_000 });
});

test('two processes do not listen at one port, and a system that does not spread connections has one thread', async (t) => {
  const { port } = await listen(t);
  await assert.rejects(listen(t, { flags: [`-server.http-listen-port=${port}`] }), /another process does already/);
  const lines: string[] = [];
  const log = createLogger({ level: 'info', format: 'json' }, { write: (line) => lines.push(line) });
  const configOf = (...flags: string[]) =>
    loadConfig(sections, { args: ['-server.front-threads=4', ...flags], env: {} }).values;
  assert.equal(frontThreads(configOf(), log, 'linux'), 4);
  assert.equal(lines.length, 0);
  assert.equal(frontThreads(configOf(), log, 'darwin'), 1);
  assert.match(lines[0]!, /one thread listens/);
  assert.throws(
    () => frontThreads(configOf('-distributor.edge-workers=2'), log),
    /-distributor.edge-workers 2 is refused/,
  );
});
