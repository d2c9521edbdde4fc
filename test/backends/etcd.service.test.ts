import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { createServer } from 'node:tls';
import { defaultsOf } from '../../src/kit/config/section.ts';
import { EtcdKv } from '../../src/kv/etcd/client.ts';
import { type EtcdConfig, etcdConfig } from '../../src/kv/etcd/config.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { systemBytes } from '../../src/lib/random.ts';
import { TcpProxy } from '../faults/tcp-proxy.ts';
import { kvSuite } from './kv-suite.ts';

const { ETCD_PORT: port } = process.env;

if (port === undefined) test('etcd: needs ETCD_PORT', { skip: true });
else {
  const config = { ...defaultsOf(etcdConfig), endpoints: [`127.0.0.1:${port}`], keyPrefix: `t${process.pid}/` };
  const open = (
    endpoints: readonly string[] = config.endpoints,
    changed: Partial<EtcdConfig> = {},
    silenceMs = 15_000,
  ) =>
    new EtcdKv({
      config: { ...config, endpoints, ...changed },
      clock: systemClock,
      randomBytes: systemBytes,
      silenceMs,
    });
  kvSuite({ name: 'etcd', open: async () => open() });

  test('etcd: a member that is away leaves calls and watches to another', async () => {
    const kv = open(['127.0.0.1:1', `127.0.0.1:${port}`]);
    await kv.put('away/a', Uint8Array.of(1));
    assert.equal(await kv.compareAndSet('away/b', undefined, Uint8Array.of(2)), true);
    const stop = new AbortController();
    for await (const { key } of kv.watch('away/', stop.signal)) if (key === 'away/b') stop.abort();
    await kv.close();
    const none = open(['127.0.0.1:1']);
    await assert.rejects(none.get('a'), /the etcd key-value store did not answer \/v3\/kv\/range: ECONNREFUSED/);
    await none.close();
  });

  test('etcd: a watch ends with an error when its connection is cut, and when it is silent though something changes', async () => {
    const proxy = await TcpProxy.listen(Number(port));
    const [direct, behind] = [open(), open([`127.0.0.1:${proxy.port}`])];
    const impatient = open([`127.0.0.1:${proxy.port}`], { timeoutMs: 300 }, 200);
    const endOf = async (kv: EtcdKv, onFirst: () => Promise<void>) => {
      await direct.put('cut/a', Uint8Array.of(1));
      for await (const _ of kv.watch('cut/', new AbortController().signal)) setTimeout(() => void onFirst(), 50);
    };
    await assert.rejects(
      endOf(behind, async () => proxy.cutAll()),
      /did not answer \/v3\/watch/,
    );
    await assert.rejects(
      endOf(impatient, async () => {
        // the watch's connection tells nothing more; others are made anew
        proxy.stallAll();
        await direct.put('cut/a', Uint8Array.of(2));
      }),
      /nothing was told for 200 ms, though something changed|did not answer/,
    );
    await Promise.all([direct.close(), behind.close(), impatient.close(), proxy.close()]);
  });

  test('etcd: speaks TLS with members whose certificate is right, and shows its own', async (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'pallium-etcd-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const [key, cert] = [path.join(folder, 'key.pem'), path.join(folder, 'cert.pem')];
    const form = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    const name = ['-subj', '/CN=etcd', '-addext', 'subjectAltName=DNS:etcd.test'];
    execFileSync('openssl', ['req', ...form, ...name, '-keyout', key, '-out', cert], { stdio: 'ignore' });
    const pems = { key: readFileSync(key), cert: readFileSync(cert), ca: readFileSync(cert) };
    const server = createServer({ ...pems, requestCert: true, rejectUnauthorized: true }, (socket) => {
      socket.on('error', () => {});
      socket
        .pipe(connect(Number(port), '127.0.0.1'))
        .on('error', () => {})
        .pipe(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const endpoints = [`127.0.0.1:${(server.address() as AddressInfo).port}`];
    const own = { tlsCertPath: cert, tlsKeyPath: key };
    const right = { tlsEnabled: true, tlsCaPath: cert, tlsServerName: 'etcd.test', maxRetries: 0 };
    const kv = open(endpoints, { ...right, ...own });
    await kv.put('tls/a', Uint8Array.of(7));
    assert.equal((await kv.get('tls/a'))!.value[0], 7);
    await kv.close();
    const wrong = [{ ...right }, { ...right, ...own, tlsServerName: '' }, { ...right, ...own, tlsCaPath: '' }];
    for (const each of wrong) {
      const refused = open(endpoints, each);
      await assert.rejects(refused.get('tls/a'), /did not answer/);
      await refused.close();
    }
  });

  test('etcd: users log in with name and password, and again when their token is not taken any more', async () => {
    const call = async (path: string, body: object, token = '') => {
      const response = await fetch(`http://127.0.0.1:${port}/v3/${path}`, {
        method: 'POST',
        headers: token === '' ? {} : { authorization: token },
        body: JSON.stringify(body),
      });
      const answer = (await response.json()) as { token?: string };
      const text = JSON.stringify(answer);
      assert.ok(response.ok || /already exists/.test(text), `${path} ${text}`);
      return answer;
    };
    const root = { name: 'root', password: 'pass word' };
    await call('auth/user/add', root);
    await call('auth/role/add', { name: 'root' });
    await call('auth/user/grant', { user: 'root', role: 'root' });
    await call('auth/enable', {});
    try {
      const named = (password: string) => open(config.endpoints, { username: 'root', password });
      const [kv, wrong, nobody] = [named('pass word'), named('wrong'), open()];
      await kv.put('user/a', Uint8Array.of(1));
      // tokens of before a change of users are refused
      const { token } = await call('auth/authenticate', root);
      await call('auth/user/add', { name: 'other', password: 'x' }, token);
      assert.equal((await kv.get('user/a'))!.value[0], 1);
      await assert.rejects(wrong.get('user/a'), /authentication failed, invalid user ID or password/);
      await assert.rejects(nobody.get('user/a'), /user name is empty/);
      for (const each of [kv, wrong, nobody]) await each.close();
    } finally {
      const { token } = await call('auth/authenticate', root);
      await call('auth/disable', {}, token);
    }
  });
}
