import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, test } from 'node:test';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { Registry } from 'prom-client';
import { Agent, request as send } from 'undici';
import { scratchFolder } from '../../../test/harness/scratch-folder.ts';
import { until } from '../../../test/harness/wait.ts';
import { systemClock } from '../../lib/clock.ts';
import { storeErrors } from '../../model/errors-store.ts';
import { writeErrors } from '../../model/errors-write.ts';
import { defaultsOf } from '../config/section.ts';
import { createLogger, silentLogger } from '../observe/log.ts';
import { Gate } from './auth.ts';
import { BrowserGuard } from './browser.ts';
import { authConfig, serverConfig, type TenantFederationConfig } from './config.ts';
import { HttpListener } from './listener.ts';
import { type Route, textResponse } from './message.ts';

const stops: (() => Promise<void>)[] = [];
after(() => Promise.all(stops.map((stop) => stop())));

async function listen(
  routes: Route[],
  settings: {
    server?: Partial<typeof serverConfig.type>;
    auth?: Partial<typeof authConfig.type>;
    users?: string;
    federation?: TenantFederationConfig;
  } = {},
): Promise<{ url: string; listener: HttpListener; registry: Registry }> {
  const config = { ...defaultsOf(serverConfig), ...settings.server };
  const registry = new Registry();
  const listener = HttpListener.of({
    name: 'test',
    host: '127.0.0.1',
    port: 0,
    config,
    gate: Gate.of(
      { ...defaultsOf(authConfig), ...settings.auth },
      {
        readText: () => settings.users ?? '',
        clock: systemClock,
        ...(settings.federation && { federation: settings.federation }),
      },
    ),
    log: silentLogger,
    clock: systemClock,
    registry,
  });
  listener.add(routes);
  await listener.start();
  stops.push(() => listener.stop({ signal: AbortSignal.abort(), progress: () => {} }));
  return { url: listener.url, listener, registry };
}

const echo: Route = {
  path: '/echo/:name',
  methods: ['GET', 'POST'],
  needs: 'read',
  tenant: 'one',
  cors: true,
  head: false,
  bodyBytesMax: 10,
  bodyLimit: 'server.test-bytes-max',
  handle: ({ method, path, query, body, tenant }) =>
    textResponse(200, JSON.stringify([method, path, query, Buffer.from(body).toString(), tenant])),
};
const big: Route = { path: '/big', methods: ['GET'], needs: 'read', handle: () => textResponse(200, 'x'.repeat(5000)) };

test('paths are decoded without loss, bodies stay as they came', async () => {
  const { url } = await listen([echo]);
  const get = async (path: string) => (await (await send(`${url}${path}`)).body.json()) as string[];
  assert.deepEqual(await get('/echo/a%2Fb?x=%20'), ['GET', '/echo/a/b', 'x=%20', '', 'anonymous']);
  assert.equal((await get('/echo/%ff%C3%BC'))[1], '/echo/\udcffü');
  assert.equal((await get('/echo/100%'))[1], '/echo/100%');
  const post = await send(`${url}/echo/a`, {
    method: 'POST',
    body: 'abc',
    headers: { 'x-scope-orgid': 't1', 'content-encoding': 'snappy' },
  });
  assert.deepEqual(await post.body.json(), ['POST', '/echo/a', '', 'abc', 't1']);
});

test("an answer's own memory is freed once it is sent, and no other's", async () => {
  const bodies: Uint8Array[] = [];
  const route = (path: string, isOwn: boolean, size: number): Route => ({
    path,
    methods: ['GET'],
    needs: 'read',
    handle() {
      const body = new Uint8Array(size).fill(120);
      bodies.push(body);
      return { status: 200, body, isOwn };
    },
  });
  const { url } = await listen([
    route('/some', true, 50_000),
    route('/many', true, 3_000_000),
    route('/kept', false, 50_000),
  ]);
  for (const [path, size] of [
    ['/some', 50_000],
    ['/many', 3_000_000],
    ['/kept', 50_000],
  ] as const) {
    for (const headers of [{}, { 'accept-encoding': 'gzip' }]) {
      const { body } = await send(`${url}${path}`, { headers });
      const bytes = Buffer.from(await body.arrayBuffer());
      const plain = 'accept-encoding' in headers ? gunzipSync(bytes) : bytes;
      assert.ok(plain.length === size && plain.every((byte) => byte === 120));
    }
  }
  // what a client has is not at once known to have gone out
  await until('freed', async () => bodies.slice(0, 4).every(({ length }) => length === 0));
  assert.deepEqual(
    bodies.slice(4).map(({ length }) => length),
    [50_000, 50_000],
  );
});

test('memory of an answer is there until a slow client has all of it', async () => {
  const bodies: Uint8Array[] = [];
  const size = 24_000_000;
  const slow: Route = {
    path: '/slow',
    methods: ['GET'],
    needs: 'read',
    handle() {
      const body = new Uint8Array(size).fill(120);
      bodies.push(body);
      return { status: 200, body, isOwn: true };
    },
  };
  const { url } = await listen([slow]);
  const ask = async () => {
    const before = bodies.length;
    const client = connect(Number(new URL(url).port), '127.0.0.1');
    client.pause();
    client.write('GET /slow HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n');
    await until('made', async () => bodies.length > before);
    await new Promise((resolve) => setTimeout(resolve, 50));
    return client;
  };
  const reads = await ask();
  assert.equal(bodies[0]!.length, size);
  const pieces: Buffer[] = [];
  reads.on('data', (piece: Buffer) => pieces.push(piece));
  reads.resume();
  await until('freed', async () => bodies[0]!.length === 0);
  await until('all is there', async () => pieces.reduce((sum, { length }) => sum + length, 0) > size);
  reads.destroy();
  const answer = Buffer.concat(pieces);
  const body = answer.subarray(answer.indexOf('\r\n\r\n') + 4);
  assert.ok(body.length === size && body.every((byte) => byte === 120));

  const goes = await ask();
  goes.destroy();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(bodies[1]!.length, size, 'left to V8');
});

test('a body is alone in its memory, and may be empty or cut short', async () => {
  const seen: [number, number][] = [];
  const { url } = await listen([
    {
      path: '/push',
      methods: ['POST'],
      needs: 'read',
      handle({ body }) {
        seen.push([body.length, body.buffer.byteLength]);
        return textResponse(200, '');
      },
    },
  ]);
  for (const body of ['', 'abc', Readable.from(['ab', 'cde'])])
    await (await send(`${url}/push`, { method: 'POST', body })).body.dump();
  assert.deepEqual(seen, [
    [0, 0],
    [3, 3],
    [5, 5],
  ]);
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.end('POST /push HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc');
  await new Promise((resolve) => socket.on('close', resolve).resume());
  assert.equal(seen.length, 3, 'a part of a body never reaches its handler');
});

test('what is not served says so', async () => {
  const { url } = await listen([echo, big]);
  const put = await send(`${url}/echo/a`, { method: 'PUT', body: 'x' });
  assert.deepEqual(
    [put.statusCode, put.headers.allow, await put.body.text()],
    [405, 'GET, OPTIONS, POST', 'Method Not Allowed\n'],
  );
  const head = await send(`${url}/echo/a`, { method: 'HEAD' });
  assert.equal(head.statusCode, 405);
  assert.equal((await send(`${url}/big`, { method: 'HEAD' })).statusCode, 200);
  const none = await send(`${url}/nope`);
  assert.deepEqual([none.statusCode, await none.body.text()], [404, '404 page not found\n']);
});

test('CORS for all is that of Prometheus, but for the tenant', async () => {
  const { url } = await listen([echo], { server: { httpCorsOrigins: ['*'] } });
  const options = await send(`${url}/echo/a`, { method: 'OPTIONS', headers: { origin: 'http://x' } });
  assert.equal(options.statusCode, 204);
  assert.equal(options.headers['access-control-allow-origin'], '*');
  assert.equal(options.headers.vary, 'Origin');
  const plain = await send(`${url}/echo/a`);
  assert.equal(plain.headers['access-control-allow-origin'], undefined);
  assert.equal(plain.headers.vary, 'Origin');
  await plain.body.dump();
  assert.doesNotMatch(String(options.headers['access-control-allow-headers']), /org/i);
});

test('CORS is off unless an origin is named, which may then name a tenant', async () => {
  const asked = async (url: string, origin: string) => {
    const { headers, body } = await send(`${url}/echo/a`, { method: 'OPTIONS', headers: { origin } });
    await body.dump();
    return [headers['access-control-allow-origin'], headers['access-control-allow-headers']];
  };
  const off = await listen([echo]);
  assert.deepEqual(await asked(off.url, 'http://x'), [undefined, undefined]);
  const named = await listen([echo], { server: { httpCorsOrigins: ['https://graf.example:3000'] } });
  assert.deepEqual(await asked(named.url, 'http://x'), [undefined, undefined]);
  const [origin, headers] = await asked(named.url, 'https://graf.example:3000');
  assert.equal(origin, 'https://graf.example:3000');
  assert.match(String(headers), /X-Scope-OrgID/);
});

test('a page of another origin changes nothing, and one of another name gets nothing', async () => {
  const reading: Route = { ...echo, path: '/read' };
  const { url } = await listen([{ ...echo, needs: 'write' }, reading], {
    server: { httpCorsOrigins: ['https://graf.example', '*'], httpHostNames: ['metrics.example'] },
  });
  const query = async (to: string) => {
    const answer = await send(`${to}/read`, { method: 'POST', headers: { origin: 'http://x' } });
    await answer.body.dump();
    return answer.statusCode;
  };
  assert.equal(await query(url), 200, 'a query changes nothing, and all may read');
  assert.equal(await query((await listen([reading])).url), 403);
  const own = new URL(url).host;
  const ask = async (method: 'GET' | 'POST', headers: Record<string, string>) => {
    const answer = await send(`${url}/echo/a`, { method, headers });
    await answer.body.dump();
    return answer.statusCode;
  };
  for (const headers of [
    { origin: 'http://evil.example' },
    { origin: 'null' },
    { origin: `http://${own}.evil.example` },
    { origin: 'http://127.0.0.1:1' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { origin: `http://${own}`, 'sec-fetch-site': 'cross-site' },
  ] as Record<string, string>[]) {
    assert.equal(await ask('POST', headers), 403, JSON.stringify(headers));
    assert.equal(await ask('GET', headers), 200, JSON.stringify(headers));
  }
  for (const headers of [
    {},
    { origin: `http://${own}`, 'sec-fetch-site': 'same-origin' },
    { 'sec-fetch-site': 'none' },
    { origin: 'https://graf.example', 'sec-fetch-site': 'cross-site' },
    { host: 'metrics.example', origin: 'https://metrics.example' },
  ] as Record<string, string>[]) {
    assert.equal(await ask('POST', headers), 200, JSON.stringify(headers));
  }
  for (const host of [
    'evil.example',
    `evil.example:${new URL(url).port}`,
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '',
  ]) {
    assert.equal(await ask('GET', { host }), 403, host);
  }
  for (const host of [
    'localhost',
    'LOCALHOST:9009',
    'a.localhost',
    '[::1]:9009',
    '10.1.2.3',
    'metrics.example.',
    'Metrics.Example:80',
  ]) {
    assert.equal(await ask('GET', { host }), 200, host);
  }
});

test('a listener for other machines may be asked by any name, unless names are given', async () => {
  const any = BrowserGuard.of({ host: '0.0.0.0', tls: false, hostNames: [], corsOrigins: [] });
  any.check('GET', { host: 'whatever.example' });
  const named = BrowserGuard.of({ host: '0.0.0.0', tls: true, hostNames: ['m.example'], corsOrigins: [] });
  named.check('POST', { host: 'm.example', origin: 'https://m.example' });
  assert.throws(
    () => named.check('POST', { host: 'm.example', origin: 'http://m.example' }),
    /may change nothing here/,
  );
  assert.throws(() => named.check('GET', { host: 'whatever.example' }), /-server\.http-host-names/);
  for (const wrong of ['graf.example', 'https://graf.example/', 'ftp://x', 'https://u@x']) {
    assert.throws(() => serverConfig.fields.httpCorsOrigins.parse(wrong), /is no origin/);
  }
});

test('a body over its limit is refused by name, with or without a length', async () => {
  const { url } = await listen([echo]);
  const known = await send(`${url}/echo/a`, { method: 'POST', body: 'x'.repeat(11) });
  assert.equal(known.statusCode, 413);
  assert.equal(await known.body.text(), 'the request body is larger than 10 bytes (server.test-bytes-max)\n');
  async function* chunks() {
    for (let i = 0; i < 4; i++) yield Buffer.from('abcdef');
  }
  const chunked = await send(`${url}/echo/a`, { method: 'POST', body: Readable.from(chunks()) });
  assert.equal(chunked.statusCode, 413);
  await chunked.body.dump();
});

test('large answers are compressed as asked', async () => {
  const { url } = await listen([big, echo]);
  const ask = async (encoding: string) => {
    const answer = await send(`${url}/big`, { headers: { 'accept-encoding': encoding } });
    return { encoding: answer.headers['content-encoding'], bytes: Buffer.from(await answer.body.arrayBuffer()) };
  };
  const gzip = await ask('gzip');
  assert.equal(gunzipSync(gzip.bytes).length, 5000);
  const zstd = await ask('gzip, deflate, br, zstd');
  assert.equal(zstd.encoding, 'zstd');
  assert.equal(zstdDecompressSync(zstd.bytes).length, 5000);
  assert.equal((await ask('zstd;q=0.1, gzip')).encoding, 'gzip');
  assert.equal((await ask('identity, gzip;q=0')).encoding, undefined);
  const small = await send(`${url}/echo/a`, { headers: { 'accept-encoding': 'gzip' } });
  assert.equal(small.headers['content-encoding'], undefined);
  await small.body.dump();
});

test('tenants: optional, required, single', async () => {
  const ask = async (url: string, tenant?: string) => {
    const answer = await send(`${url}/echo/a`, { headers: tenant === undefined ? {} : { 'x-scope-orgid': tenant } });
    const text = await answer.body.text();
    return [answer.statusCode, answer.statusCode === 200 ? JSON.parse(text)[4] : text.trim()];
  };
  const optional = await listen([echo]);
  assert.deepEqual(await ask(optional.url), [200, 'anonymous']);
  assert.deepEqual(await ask(optional.url, 'a/b'), [400, `tenant ID 'a/b' contains unsupported character '/'`]);
  const required = await listen([echo], { auth: { tenancy: 'required' } });
  assert.deepEqual(await ask(required.url), [401, 'no org id']);
  assert.deepEqual(await ask(required.url, 'a'), [200, 'a']);
  const single = await listen([echo], { auth: { tenancy: 'single', defaultTenant: 'fake' } });
  assert.deepEqual(await ask(single.url), [200, 'fake']);
  assert.equal((await ask(single.url, 'other'))[0], 403);
});

test('basic authentication and bearer tokens name the tenants that are allowed', async () => {
  const users =
    'users:\n- {name: ann, password: pw, tenants: [a]}\n- {name: bot, token: "0123456789", tenants: [a, b]}\n';
  const open: Route = {
    path: '/ready',
    methods: ['GET'],
    needs: 'nothing',
    handle: () => textResponse(200, 'ready\n'),
  };
  const { url } = await listen([echo, open], {
    auth: { usersFile: 'users.yaml', basicUser: 'root', basicPassword: 'r' },
    users,
  });
  const basic = (pair: string) => `Basic ${Buffer.from(pair).toString('base64')}`;
  const ask = async (authorization: string, tenant = '') => {
    const answer = await send(`${url}/echo/a`, { headers: { authorization, 'x-scope-orgid': tenant } });
    await answer.body.dump();
    return answer.statusCode;
  };
  assert.equal(await ask(''), 401);
  assert.equal(await ask(basic('ann:no')), 401);
  assert.equal(await ask(basic('ann:pw')), 200);
  assert.equal(await ask(basic('ann:pw'), 'b'), 403);
  assert.equal(await ask('bearer 0123456789', 'b'), 200);
  assert.equal(await ask('Bearer 0123456789'), 403, 'two tenants and none named');
  assert.equal(await ask(basic('root:r'), 'anything'), 200);
  assert.equal((await send(`${url}/ready`)).statusCode, 200);
  const denied = await send(`${url}/echo/a`);
  assert.match(String(denied.headers['www-authenticate']), /^Basic /);
  assert.throws(
    () =>
      Gate.of(
        { ...defaultsOf(authConfig), usersFile: 'u' },
        { readText: () => 'users: [{name: x, passwort: y}]', clock: systemClock },
      ),
    /passwort/,
  );
});

test('errors keep their status; a bug is a 500', async () => {
  const { url, registry } = await listen([
    {
      path: '/full',
      methods: ['GET'],
      needs: 'read',
      handle: () => Promise.reject(writeErrors.headFull({ usedBytes: 2, limitBytes: 1 })),
    },
    {
      path: '/bug',
      methods: ['GET'],
      needs: 'read',
      handle: () => {
        throw new TypeError('x is undefined');
      },
    },
  ]);
  const full = await send(`${url}/full`);
  assert.deepEqual([full.statusCode, full.headers['retry-after']], [503, '1']);
  const bug = await send(`${url}/bug`);
  assert.equal(bug.statusCode, 500);
  assert.match(
    await registry.metrics(),
    /pallium_request_duration_seconds_count\{method="GET",route="\/full",status_code="503"\} 1/,
  );
  assert.match(await registry.metrics(), /pallium_request_duration_seconds_sum\{[^}]*"503"\} 0\.0/);
});

test('a client that goes away aborts its handler', async () => {
  const aborted = Promise.withResolvers<void>();
  const started = Promise.withResolvers<void>();
  const { url } = await listen([
    {
      path: '/slow',
      methods: ['GET'],
      needs: 'read',
      handle: ({ signal }) => {
        started.resolve();
        return new Promise((_, reject) =>
          signal.addEventListener('abort', () => {
            aborted.resolve();
            reject(signal.reason);
          }),
        );
      },
    },
  ]);
  const leave = new AbortController();
  const answer = send(`${url}/slow`, { signal: leave.signal });
  await started.promise;
  leave.abort();
  await assert.rejects(answer);
  await aborted.promise;
});

test('slow headers are cut off; garbage is a 400', async () => {
  const { url } = await listen([big], { server: { httpHeaderTimeoutMs: 100, httpReadTimeoutMs: 200 } });
  const { port } = new URL(url);
  const raw = (text: string) =>
    new Promise<string>((resolve) => {
      let seen = '';
      const socket = connect(Number(port), '127.0.0.1', () => socket.write(text));
      socket.on('data', (data) => (seen += data));
      socket.on('close', () => resolve(seen));
      socket.on('error', () => resolve(seen));
    });
  // 503 where this process itself stood still meanwhile
  assert.match(await raw('GET /big HTTP/1.1\r\nHo'), /^HTTP\/1.1 (408|503) .*server\.http_header_timeout/s);
  assert.match(await raw('garbage\r\n\r\n'), /^HTTP\/1.1 400 .*this is no HTTP request/s);
  const long = `GET /big?${'a'.repeat(1 << 20)} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
  assert.match(
    await raw(long),
    /^HTTP\/1.1 431 .*larger than 65536 bytes \(server\.http_header_bytes_max\); a long query goes as a form, with POST/s,
  );
  const two = await raw('GET /big HTTP/1.1\r\nHost: localhost\r\n\r\ngarbage\r\n\r\n');
  assert.equal(two.match(/HTTP\/1\.1 /g)?.length, 1, 'one answer is not put into another');
});

test('a request that is cut off where the process stood still is to be sent again', async () => {
  const { url } = await listen([big], { server: { httpHeaderTimeoutMs: 100, httpReadTimeoutMs: 200 } });
  let seen = '';
  const closed = Promise.withResolvers<void>();
  const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write('GET /big HTTP/1.1\r\nHo'));
  socket.on('data', (data) => (seen += data));
  socket.on('close', () => closed.resolve());
  await once(socket, 'ready');
  // nothing of this process runs
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 4000);
  await closed.promise;
  assert.match(seen, /^HTTP\/1.1 503 .*server\.http_header_timeout/s);
});

test('addresses may be as long as headers are allowed to be', async () => {
  const asked: number[] = [];
  const long: Route = {
    path: '/long',
    methods: ['GET'],
    needs: 'read',
    async handle({ query }) {
      asked.push(query.length);
      return textResponse(200, '');
    },
  };
  const { url } = await listen([long], { server: { httpHeaderBytesMax: 1 << 20 } });
  const get = async (bytes: number) => {
    const { statusCode, body } = await send(`${url}/long?${'a'.repeat(bytes)}`);
    return [statusCode, await body.text()];
  };
  assert.deepEqual(await get((1 << 20) - 1024), [200, '']);
  assert.deepEqual(asked, [(1 << 20) - 1024]);
  const [status, text] = await get(1 << 20);
  assert.equal(status, 431);
  assert.match(String(text), /larger than 1048576 bytes \(server\.http_header_bytes_max\)/);
});

test('a stop lets requests under way finish', async () => {
  const started = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<void>();
  const { url, listener } = await listen([
    {
      path: '/slow',
      methods: ['GET'],
      needs: 'read',
      async handle() {
        started.resolve();
        await finish.promise;
        return textResponse(200, 'done');
      },
    },
  ]);
  const answer = send(`${url}/slow`);
  await started.promise;
  const stopped = listener.stop({ signal: new AbortController().signal, progress: () => {} });
  finish.resolve();
  assert.equal(await (await answer).body.text(), 'done');
  await stopped;
  await assert.rejects(send(`${url}/slow`));
});

test('bodies under way together are bounded', async () => {
  const started = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<void>();
  const { url } = await listen(
    [
      {
        path: '/push',
        methods: ['POST'],
        needs: 'read',
        bodyBytesMax: 2 << 20,
        async handle() {
          started.resolve();
          await finish.promise;
          return textResponse(200, 'done');
        },
      },
    ],
    { server: { inflightBodyBytesMax: 1 << 20 } },
  );
  const first = send(`${url}/push`, { method: 'POST', body: Buffer.alloc(1.5 * 2 ** 20) });
  await started.promise;
  const second = await send(`${url}/push`, { method: 'POST', body: Buffer.alloc(100) });
  assert.deepEqual([second.statusCode, second.headers['retry-after']], [503, '1']);
  assert.match(await second.body.text(), /server\.inflight_body_bytes_max/);
  finish.resolve();
  await (await first).body.dump();
  const third = await send(`${url}/push`, { method: 'POST', body: Buffer.alloc(100) });
  assert.equal(third.statusCode, 200);
  await third.body.dump();
});

test('TLS, with a client certificate where one is required', async (t) => {
  const folder = scratchFolder('tls');
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  try {
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const form = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'];
    execFileSync('openssl', ['req', '-x509', ...form, '-keyout', key, '-out', cert, ...subject], { stdio: 'ignore' });
  } catch {
    t.skip('openssl is not installed');
    return;
  }
  const tls = { httpTlsCertPath: cert, httpTlsKeyPath: key };
  const ca = readFileSync(cert);
  const { url } = await listen([big], { server: tls });
  assert.match(url, /^https:/);
  const dispatcher = new Agent({ connect: { ca } });
  assert.equal((await send(`${url}/big`, { dispatcher })).statusCode, 200);
  const mutual = await listen([big], { server: { ...tls, httpTlsCaPath: cert, httpTlsClientAuth: 'require' } });
  await assert.rejects(send(`${mutual.url}/big`, { dispatcher }));
  const known = new Agent({ connect: { ca, cert: ca, key: readFileSync(key) } });
  assert.equal((await send(`${mutual.url}/big`, { dispatcher: known })).statusCode, 200);
  await assert.rejects(
    listen([], { server: { ...tls, httpTlsKeyPath: 'nope' } }),
    /-server\.http-tls-key-path: .*nope/,
  );
  const asked = await listen([big], { server: { ...tls, httpTlsCaPath: cert, httpTlsClientAuth: 'request' } });
  assert.equal((await send(`${asked.url}/big`, { dispatcher })).statusCode, 200, 'it may be left out');
  assert.equal((await send(`${asked.url}/big`, { dispatcher: known })).statusCode, 200);
  const [key2, cert2] = [join(folder, 'key2.pem'), join(folder, 'cert2.pem')];
  const form = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1', '-subj', '/CN=x'];
  execFileSync('openssl', ['req', '-x509', ...form, '-keyout', key2, '-out', cert2], { stdio: 'ignore' });
  const stranger = new Agent({ connect: { ca, cert: readFileSync(cert2), key: readFileSync(key2) } });
  await assert.rejects(send(`${asked.url}/big`, { dispatcher: stranger }), 'but one that is shown must be right');

  const empty = join(folder, 'empty.pem');
  writeFileSync(empty, '');
  const refused: [RegExp, Partial<typeof serverConfig.type>][] = [
    [/^-server\.http-tls-key-path is missing/, { httpTlsCertPath: cert }],
    [/^-server\.http-tls-cert-path is missing/, { httpTlsKeyPath: key }],
    [/^-server\.http-tls-cert-path is missing/, { httpTlsCaPath: cert }],
    [/^-server\.http-tls-cert-path is missing/, { httpTlsClientAuth: 'require' }],
    [/^-server\.http-tls-ca-path is missing/, { ...tls, httpTlsClientAuth: 'require' }],
    [/^-server\.http-tls-ca-path is missing/, { ...tls, httpTlsClientAuth: 'request' }],
    [/^-server\.http-tls-client-auth is none/, { ...tls, httpTlsCaPath: cert }],
    [
      /^-server\.http-tls-ca-path: .*empty\.pem holds nothing/,
      { ...tls, httpTlsCaPath: empty, httpTlsClientAuth: 'require' },
    ],
    [/^-server\.http-tls-cert-path: .*empty\.pem holds nothing/, { ...tls, httpTlsCertPath: empty }],
    [/^-server\.http-tls-cert-path, -server\.http-tls-key-path: /, { ...tls, httpTlsKeyPath: key2 }],
  ];
  for (const [message, server] of refused) await assert.rejects(listen([], { server }), { message });
});

const PIECE = new Uint8Array(64 << 10).fill(120);
/** A body without an end, and how many pieces of it were asked for. */
function endless(delayAfter = Number.POSITIVE_INFINITY) {
  const counts = { asked: 0, returned: false };
  async function* body() {
    try {
      for (;;) {
        if (++counts.asked > delayAfter) await new Promise((resolve) => setTimeout(resolve, 20));
        yield PIECE;
      }
    } finally {
      counts.returned = true;
    }
  }
  return { counts, body: body() };
}

test('a body may be a stream, compressed as asked', async () => {
  const { url } = await listen([
    {
      path: '/stream',
      methods: ['GET'],
      needs: 'read',
      handle: () => ({
        status: 200,
        headers: { 'content-type': 'text/plain' },
        body: (async function* () {
          for (let i = 0; i < 100; i++) yield PIECE;
        })(),
      }),
    },
    {
      path: '/fails',
      methods: ['GET'],
      needs: 'read',
      handle: () => ({
        status: 200,
        body: (async function* () {
          yield PIECE;
          throw new Error('half-way');
        })(),
      }),
    },
    {
      path: '/whole',
      methods: ['GET'],
      needs: 'read',
      handle: () => ({ status: 200, body: new Uint8Array(3 << 20).fill(121) }),
    },
  ]);
  const bytesOf = async (path: string, encoding = 'identity', method: 'GET' | 'HEAD' = 'GET') => {
    const { headers, body } = await send(`${url}${path}`, { method, headers: { 'accept-encoding': encoding } });
    return { headers, bytes: Buffer.from(await body.arrayBuffer()) };
  };
  assert.equal((await bytesOf('/stream')).bytes.length, 100 * PIECE.length);
  assert.equal(gunzipSync((await bytesOf('/stream', 'gzip')).bytes).length, 100 * PIECE.length);
  assert.equal(zstdDecompressSync((await bytesOf('/stream', 'zstd')).bytes).length, 100 * PIECE.length);
  assert.equal((await bytesOf('/stream', 'identity', 'HEAD')).bytes.length, 0);
  const whole = await bytesOf('/whole');
  assert.deepEqual([whole.headers['content-length'], whole.bytes.length], [String(3 << 20), 3 << 20]);
  assert.equal(zstdDecompressSync((await bytesOf('/whole', 'zstd')).bytes).length, 3 << 20);
  for (const encoding of ['identity', 'gzip'])
    await assert.rejects(bytesOf('/fails', encoding), /closed|terminated|aborted/);
});

test('an answer that nobody reads holds little and ends in time', async () => {
  const { counts, body } = endless();
  const { url } = await listen(
    [
      { path: '/endless', methods: ['GET'], needs: 'read', handle: () => ({ status: 200, body }) },
      {
        path: '/whole',
        methods: ['GET'],
        needs: 'read',
        handle: () => ({ status: 200, body: new Uint8Array(64 << 20) }),
      },
    ],
    { server: { httpWriteTimeoutMs: 300 } },
  );
  for (const path of ['/endless', '/whole']) {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    socket.pause();
    const startMs = performance.now();
    // a paused socket learns of its end only when it writes
    const probe = setInterval(() => socket.write('GET / HTTP/1.1\r\n'), 100);
    await new Promise((resolve) => socket.once('error', resolve).once('close', resolve));
    clearInterval(probe);
    socket.destroy();
    assert.ok(performance.now() - startMs < 20_000, path);
  }
  assert.ok(counts.asked < 400, `${counts.asked} pieces were asked for`);
  assert.equal(counts.returned, true, 'whoever makes the body is told');
});

test('whoever leaves ends a stream', async () => {
  const { counts, body } = endless(10);
  const { url } = await listen([
    { path: '/endless', methods: ['GET'], needs: 'read', handle: () => ({ status: 200, body }) },
  ]);
  const answer = await send(`${url}/endless`);
  answer.body.destroy();
  answer.body.on('error', () => {});
  while (!counts.returned) await new Promise((resolve) => setTimeout(resolve, 10));
});

test('errors are worded as their route does, and doubled slashes lead to the clean path', async () => {
  const fails: Route = {
    path: '/api/v1/fails',
    methods: ['GET'],
    needs: 'read',
    tenant: 'one',
    failures: 'api',
    handle: () =>
      Promise.reject(
        storeErrors.storeRefused({ backend: 's3', operation: 'get', reason: 'GET https://k:s3cret@host/x' }),
      ),
  };
  const { url } = await listen([fails, echo]);
  const failed = await send(`${url}/api/v1/fails`);
  const { status, errorType, error } = (await failed.body.json()) as Record<string, string>;
  assert.deepEqual([failed.statusCode, status, errorType], [500, 'error', 'internal']);
  assert.match(String(error), /https:\/\/k:\*{8}@host/);
  const refused = await send(`${url}/api/v1/fails`, { headers: { 'x-scope-orgid': 'a/b' } });
  assert.equal(((await refused.body.json()) as { errorType: string }).errorType, 'bad_data');
  const doubled = await send(`${url}//echo//a?x=//`, { method: 'POST', body: 'abc' });
  assert.deepEqual([doubled.statusCode, doubled.headers.location], [307, '/echo/a?x=//']);
  await doubled.body.dump();
  assert.equal((await send(`${url}/${'a'.repeat(33 << 10)}`)).statusCode, 414);
});

test('each answer with 5xx is logged, in few lines where there are many', async () => {
  const lines: string[] = [];
  const listener = HttpListener.of({
    name: 'test',
    host: '127.0.0.1',
    port: 0,
    config: defaultsOf(serverConfig),
    clock: systemClock,
    gate: Gate.of(defaultsOf(authConfig), { clock: systemClock }),
    log: createLogger({ level: 'info', format: 'logfmt' }, { write: (line) => lines.push(line) }),
  });
  listener.add([
    { path: '/said', methods: ['GET'], needs: 'read', handle: () => textResponse(502, 'the store is away\n') },
    {
      path: '/thrown',
      methods: ['GET'],
      needs: 'read',
      handle: () => Promise.reject(writeErrors.headFull({ usedBytes: 2, limitBytes: 1 })),
    },
  ]);
  await listener.start();
  stops.push(() => listener.stop({ signal: AbortSignal.abort(), progress: () => {} }));
  for (let i = 0; i < 50; i++) await (await send(`${listener.url}/said?token=secret`)).body.dump();
  await (await send(`${listener.url}/thrown`)).body.dump();
  const failed = lines.filter((line) => line.includes('request failed'));
  assert.ok(failed.length >= 2 && failed.length < 25, `${failed.length} lines`);
  assert.match(failed[0]!, /status=502 method=GET url="?\/said\?token=\*+"? error="the store is away" requests=1/);
  assert.match(failed.at(-1)!, /status=503 .*the head holds 2 of 1 bytes/);
});

/** Sends the head of a request and some of its body, and keeps the connection. */
function announce(url: string, tenant: string, announced: number, sent: number) {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => {});
  socket.write(
    `POST /push HTTP/1.1\r\nHost: localhost\r\nX-Scope-OrgID: ${tenant}\r\nContent-Length: ${announced}\r\n\r\n`,
  );
  socket.write(Buffer.alloc(sent));
  let answer = '';
  socket.on('data', (data) => (answer += data));
  return { socket, answer: () => answer };
}

const sink: Route = {
  path: '/push',
  methods: ['POST'],
  needs: 'read',
  tenant: 'one',
  bodyBytesMax: 64 << 20,
  handle: ({ body }) => textResponse(200, String(body.length)),
};

test('what is announced and not sent takes nothing from anybody', async () => {
  const { url } = await listen([sink], { server: { inflightBodyBytesMax: 8 << 20 } });
  const before = process.memoryUsage().arrayBuffers;
  const hoarders = Array.from({ length: 40 }, () => announce(url, 'evil', 32 << 20, 1000));
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.ok(process.memoryUsage().arrayBuffers - before < 64 << 20);
  const victim = await send(`${url}/push`, { method: 'POST', body: Buffer.alloc(1 << 20) });
  assert.deepEqual([victim.statusCode, await victim.body.text()], [200, String(1 << 20)]);
  for (const { socket } of hoarders) socket.destroy();
});

test('bytes under way are shared out: a tenant that sends without end leaves room for others', async () => {
  const { url } = await listen([sink], { server: { inflightBodyBytesMax: 8 << 20 } });
  const hoarders = Array.from({ length: 20 }, () => announce(url, 'evil', 32 << 20, 1 << 20));
  const refused = () => hoarders.filter(({ answer }) => / 503 .*of this tenant, of at most 8388608/s.test(answer()));
  while (refused().length < 12) await new Promise((resolve) => setTimeout(resolve, 20));
  const ask = async (tenant: string, bytes: number) => {
    const answer = await send(`${url}/push`, {
      method: 'POST',
      body: Buffer.alloc(bytes),
      headers: { 'x-scope-orgid': tenant },
    });
    await answer.body.dump();
    return answer.statusCode;
  };
  assert.equal(await ask('good', 1 << 20), 200);
  assert.equal(await ask('evil', 2 << 20), 503);
  for (const { socket } of hoarders) socket.destroy();
  let status = 0;
  for (let i = 0; status !== 200 && i < 100; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    status = await ask('evil', 2 << 20);
  }
  assert.equal(status, 200, 'alone it has most of it');
});

test('whoever joins tenants has no more room than they have apart', async () => {
  const { url } = await listen([{ ...sink, tenant: 'several' }], {
    server: { inflightBodyBytesMax: 8 << 20 },
    federation: { enabled: true, maxTenants: 3 },
  });
  const hoarders = [];
  let free = 8 << 20;
  for (const name of ['a', 'b', 'c', 'a|b', 'a|c', 'b|c', 'a|b|c']) {
    // all that a name of its own would have
    hoarders.push(announce(url, name, 32 << 20, (free / 4) * 3));
    free /= 4;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const answer = await send(`${url}/push`, {
    method: 'POST',
    body: Buffer.alloc(64 << 10),
    headers: { 'x-scope-orgid': 'good' },
  });
  await answer.body.dump();
  assert.equal(answer.statusCode, 200);
  for (const { socket } of hoarders) socket.destroy();
});

test('bodies arrive whole, whatever their size and pieces', async () => {
  const { url } = await listen([
    {
      ...sink,
      handle: ({ body }) =>
        textResponse(200, `${body.length} ${body.buffer.byteLength} ${createHash('md5').update(body).digest('hex')}`),
    },
  ]);
  for (const size of [1, 65_536, 262_143, 262_144, 262_145, 700_000, 5_000_001]) {
    const bytes = Buffer.from(Array.from({ length: size }, (_, i) => (i * 31) >> 3));
    const wanted = `${size} ${size} ${createHash('md5').update(bytes).digest('hex')}`;
    for (const body of [bytes, Readable.from([bytes.subarray(0, size >> 1), bytes.subarray(size >> 1)])]) {
      assert.equal(await (await send(`${url}/push`, { method: 'POST', body })).body.text(), wanted);
    }
  }
});

test('answers that wait to be read are shared out, too', async () => {
  const { url } = await listen(
    [
      {
        path: '/big',
        methods: ['GET'],
        needs: 'read',
        tenant: 'one',
        handle: () => ({ status: 200, body: new Uint8Array(16 << 20) }),
      },
    ],
    { server: { inflightAnswerBytesMax: 64 << 20 } },
  );
  const sockets = Array.from({ length: 8 }, () => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.on('error', () => {});
    socket.write('GET /big HTTP/1.1\r\nHost: localhost\r\nX-Scope-OrgID: evil\r\n\r\n');
    return socket.pause();
  });
  const ask = async (tenant: string) => {
    const { statusCode, body } = await send(`${url}/big`, { headers: { 'x-scope-orgid': tenant } });
    return [statusCode, statusCode === 200 ? (await body.arrayBuffer()).byteLength : await body.text()] as const;
  };
  let refused = '';
  while (refused === '') {
    const [status, text] = await ask('evil');
    if (status === 503) refused = String(text);
  }
  assert.match(refused, /50331648 of them of this tenant, of at most 67108864 \(server\.inflight_answer_bytes_max\)/);
  assert.equal((await ask('good'))[0], 503, 'what is left is a share of the smallest only');
  for (const socket of sockets) socket.destroy();
  for (let status = 0; status !== 200; ) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    [status] = await ask('evil');
  }
});

test('a client has so many connections only', async () => {
  const { url } = await listen([big], { server: { httpConnectionsPerClientMax: 3 } });
  const port = Number(new URL(url).port);
  const open = () => connect(port, '127.0.0.1').on('error', () => {});
  const sockets = [open(), open(), open()];
  await new Promise((resolve) => setTimeout(resolve, 100));
  const further = open();
  await new Promise((resolve) => further.once('close', resolve));
  sockets[0]!.destroy();
  await new Promise((resolve) => setTimeout(resolve, 100));
  const again = open();
  again.write('GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n');
  assert.match(String(await new Promise((resolve) => again.once('data', resolve))), /^HTTP\/1\.1 200 /);
  for (const socket of [...sockets, again]) socket.destroy();
});

test('a connection that does not wait for answers has so many requests under way only', async () => {
  let most = 0;
  let running = 0;
  const { url } = await listen([
    {
      path: '/slow',
      methods: ['GET'],
      needs: 'read',
      async handle() {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 50));
        running--;
        return textResponse(200, 'done');
      },
    },
  ]);
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.write('GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(300));
  let seen = '';
  socket.on('data', (data) => (seen += data));
  while ((seen.match(/HTTP\/1\.1 /g) ?? []).length < 300) await new Promise((resolve) => setTimeout(resolve, 20));
  socket.destroy();
  assert.equal(most, 64);
  assert.match(seen, /429 .*more than 64 requests of one connection/s);
});
