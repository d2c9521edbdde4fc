import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import https from 'node:https';
import { join } from 'node:path';
import { test } from 'node:test';
import { Pallium, tempFolder } from '../harness/pallium.ts';
import { push, writeBody } from '../harness/remote-write.ts';
import { until } from '../harness/wait.ts';

const NOW_MS = Date.now();
/** Time that a process takes to end at most, by default. */
const DEADLINE_MS = 30_000;
const BODY = writeBody([{ labels: { __name__: 'm', job: 'x' }, samples: [[NOW_MS - 1000, 7]] }]);

async function value(server: Pallium): Promise<string | undefined> {
  const { result } = await server.api().instant('m', NOW_MS / 1000);
  return result[0]?.value?.[1];
}

test('a second process on the same data folder is refused, and does the first one no harm', async () => {
  await using first = await Pallium.start();
  assert.equal((await push(`${first.url}/api/v1/push`, BODY)).status, 204);
  await using second = await Pallium.start({ dataDir: first.dataDir, waitReady: false });
  assert.deepEqual(await second.ended, { code: 1, signal: null });
  assert.match(second.log(), /is in use by process \d+/);
  assert.equal(await value(first), '7');
});

test('SIGTERM ends it clean within its deadline, with writes and queries under way, and all is there after', async () => {
  const dataDir = tempFolder('term');
  const first = await Pallium.start({ dataDir });
  assert.equal((await push(`${first.url}/api/v1/push`, BODY)).status, 204);
  const busy = new AbortController();
  const acknowledged: number[] = [];
  const lanes = Array.from({ length: 4 }, async (_, lane) => {
    for (let i = 0; !busy.signal.aborted; i++) {
      const body = writeBody([{ labels: { __name__: 'busy', lane: `${lane}` }, samples: [[NOW_MS + i, i]] }]);
      try {
        const { status } = await push(`${first.url}/api/v1/push`, body);
        if (status === 204) acknowledged[lane] = i;
        else if (status !== 503) throw new Error(`status ${status}`);
        await first.api().ask('/api/v1/query?query=busy');
      } catch (thrown) {
        if (!(thrown instanceof TypeError)) throw thrown; // the connection is gone
        return;
      }
    }
  });
  await new Promise((done) => setTimeout(done, 1000));
  const from = performance.now();
  assert.deepEqual(await first.stop(), { code: 0, signal: null }, first.logTail());
  assert.ok(performance.now() - from < DEADLINE_MS, first.logTail());
  busy.abort();
  await Promise.all(lanes);

  await using second = await Pallium.start({ dataDir });
  assert.equal(await value(second), '7');
  const { result } = await second.api().instant('last_over_time(busy[1h])', NOW_MS / 1000 + 3000);
  for (const [lane, last] of acknowledged.entries()) {
    const found = result.find(({ metric }) => metric.lane === String(lane));
    assert.ok(
      Number(found?.value?.[1]) >= last,
      `lane ${lane}: ${last} was acknowledged, ${found?.value?.[1]} is there`,
    );
  }
});

test('a clean end with -ingester.flush-on-shutdown=all leaves all in the store', async () => {
  const dataDir = tempFolder('all');
  const flags = ['-ingester.flush-on-shutdown=all'];
  const first = await Pallium.start({ dataDir, flags });
  assert.equal((await push(`${first.url}/api/v1/push`, BODY)).status, 204);
  assert.deepEqual(await first.stop(), { code: 0, signal: null }, first.logTail());
  await using second = await Pallium.start({ dataDir, flags });
  assert.equal(await value(second), '7');
});

test('basic authentication stands before everything but health', async () => {
  await using server = await Pallium.start({ flags: ['-auth.basic-user=u', '-auth.basic-password=p'] });
  const authorization = `Basic ${Buffer.from('u:p').toString('base64')}`;
  assert.equal((await push(`${server.url}/api/v1/push`, BODY)).status, 401);
  assert.equal((await push(`${server.url}/api/v1/push`, BODY, { authorization })).status, 204);
  for (const path of [
    '/api/v1/query?query=1',
    '/metrics',
    '/config',
    '/ingester/flush',
    '/federate?match[]=m',
    '/links',
  ]) {
    assert.equal((await server.api().ask(path)).status, 401, path);
    assert.notEqual((await server.api({ authorization }).ask(path)).status, 401, path);
  }
  // pages are open, what they ask for is not
  for (const path of ['/ready', '/-/ready', '/-/healthy', '/']) {
    assert.equal((await server.api().ask(path)).status, 200, path);
  }
  const wrong = `Basic ${Buffer.from('u:q').toString('base64')}`;
  assert.equal((await server.api({ authorization: wrong }).ask('/api/v1/labels')).status, 401);
});

test('TLS on the listener', { skip: existsSync('/usr/bin/openssl') ? false : 'openssl is not installed' }, async () => {
  const folder = tempFolder('tls');
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const form = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
  execFileSync('openssl', ['req', '-x509', ...form, '-keyout', key, '-out', cert, ...subject], { stdio: 'ignore' });
  await using server = await Pallium.start({
    flags: [`-server.http-tls-cert-path=${cert}`, `-server.http-tls-key-path=${key}`],
    waitReady: false,
    scheme: 'https',
  });
  const ask = () =>
    new Promise<number>((done, fail) => {
      const options = { ca: readFileSync(cert), headers: { connection: 'close' } };
      https
        .get(`${server.url}/ready`, options, (answer) => {
          answer.resume();
          done(answer.statusCode!);
        })
        .once('error', fail);
    });
  await until('it is ready', async () => (await ask()) === 200, { intervalMs: 100 });
  await assert.rejects(fetch(`http://127.0.0.1:${server.port}/ready`), 'plain HTTP is not spoken');
});
