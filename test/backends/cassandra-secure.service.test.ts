import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createServer } from 'node:tls';
import { auth, Client } from 'cassandra-driver';
import { AppError } from '../../src/model/errors.ts';
import type { CassandraConfig } from '../../src/table/cassandra/config.ts';
import { until } from '../harness/wait.ts';
import { singleNode, withStore } from './cassandra.ts';
import { all, bytes, row, show } from './table-suite.ts';

// A Cassandra that lets nobody in without a certificate and a password.

const { CASSANDRA_SECURE_PORT: port, CASSANDRA_SECURE_TLS: tls = '' } = process.env;
const dir = mkdtempSync(join(tmpdir(), 'pallium-secure-'));
after(() => rmSync(dir, { recursive: true, force: true }));

/** An operator's settings: all that is needed to be let in. */
const right: CassandraConfig = {
  ...singleNode(port, 'secure'),
  ssl: true,
  caPath: join(tls, 'ca.pem'),
  tlsCertPath: join(tls, 'client.pem'),
  tlsKeyPath: join(tls, 'client.key'),
  auth: true,
  username: 'cassandra',
  password: 'cassandra',
  maxRetries: 0,
  timeoutMs: 20_000,
};

if (port === undefined) test('cassandra with TLS and users: needs CASSANDRA_SECURE_PORT', { skip: true });
else {
  before(async () => {
    // the first user is made when the port is open already
    await until(
      'the user cassandra can log in',
      () => withStore(right, (store) => store.admin.list()).then(() => true),
      {
        timeoutMs: 60_000,
        intervalMs: 500,
      },
    );
    makeAuthority();
  });

  test('cassandra with TLS, a certificate and a password: what is written is read', async () => {
    await withStore(right, async (store) => {
      await store.admin.create('secret');
      await store.client.write('secret', [row('h', 'r', 'v')]);
      const [got] = await all(store.client.query({ table: 'secret', hash: bytes('h') }));
      assert.equal(show(got!.value), 'v');
    });
    writeFileSync(join(dir, 'password'), 'cassandra\n');
    const { password: _, ...rest } = right;
    await withStore({ ...rest, password: '', passwordFile: join(dir, 'password') }, (store) => store.admin.list());
  });

  const wrong: [what: string, settings: Partial<CassandraConfig>, id: string, text: RegExp][] = [
    ['without encryption', { ssl: false }, 'store-unavailable', /./],
    ['without a certificate', { tlsCertPath: '', tlsKeyPath: '' }, 'store-unavailable', /certificate|ECONNRESET/],
    [
      'with an authority that signed nothing',
      { caPath: join(dir, 'other-ca.pem') },
      'store-unavailable',
      /certificate/,
    ],
    ['with the wrong password', { password: 'not so secret' }, 'store-denied', /incorrect/],
    ['as a user that there is not', { username: 'nobody' }, 'store-denied', /incorrect/],
    ['without logging in', { auth: false }, 'store-denied', /[Aa]uthenticat/],
  ];
  for (const [what, settings, id, text] of wrong) {
    test(`cassandra ${what}: refused, and the error says so without the password`, async () => {
      const thrown = await withStore({ ...right, timeoutMs: 5000, ...settings }, (store) => store.admin.list()).then(
        () => assert.fail('it was let in'),
        (error) => error as Error,
      );
      assert.ok(thrown instanceof AppError, String(thrown.stack));
      assert.equal(thrown.facts.id, id, thrown.message);
      assert.match(thrown.message, text);
      assert.ok(!thrown.message.includes('not so secret'));
    });
  }

  test('cassandra with an authority that signed nothing is let pass where nobody is to check', async () => {
    const settings = { ...right, caPath: join(dir, 'other-ca.pem'), hostVerification: false };
    await withStore(settings, (store) => store.admin.list());
  });

  test("cassandra with another's certificate, signed by the right authority: refused for its name", async () => {
    const key = readFileSync(join(dir, 'stranger.key'));
    const cert = readFileSync(join(dir, 'stranger.pem'));
    let sent = 0;
    const server = createServer({ key, cert }, (socket) => {
      sent++;
      const onward = connectTcp(Number(port), '127.0.0.1');
      socket.pipe(onward).pipe(socket);
      socket.on('error', () => {});
    });
    server.on('tlsClientError', () => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const settings = { ...right, port: (server.address() as AddressInfo).port, timeoutMs: 5000 };
      await assert.rejects(
        withStore({ ...settings, caPath: join(dir, 'other-ca.pem') }, (store) => store.admin.list()),
        /altnames|IP: 127\.0\.0\.1 is not/i,
      );
      assert.equal(sent, 0);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  test('cassandra user who may only read: reads, and is denied the rest', async () => {
    await withStore(right, async (store) => {
      await store.admin.create('shared');
      await store.client.write('shared', [row('h', 'r', 'v')]);
    });
    const admin = new Client({
      contactPoints: ['127.0.0.1'],
      localDataCenter: 'datacenter1',
      protocolOptions: { port: right.port },
      authProvider: new auth.PlainTextAuthProvider(right.username, right.password),
      sslOptions: {
        ca: [readFileSync(right.caPath)],
        cert: readFileSync(right.tlsCertPath),
        key: readFileSync(right.tlsKeyPath),
      },
    });
    await admin.execute("CREATE ROLE IF NOT EXISTS reader WITH PASSWORD = 'reads' AND LOGIN = true");
    await admin.execute('GRANT SELECT ON KEYSPACE secure TO reader');
    await admin.shutdown();
    await withStore({ ...right, username: 'reader', password: 'reads' }, async (store) => {
      assert.equal((await all(store.client.query({ table: 'shared', hash: bytes('h') }))).length, 1);
      for (const denied of [
        () => store.client.write('shared', [row('h', 'x')]),
        () => store.client.delete('shared', [row('h', 'r')]),
        () => store.client.compareAndSet('shared', row('h', 'x'), undefined, bytes('v')),
        () => store.admin.create('another'),
        () => store.admin.drop('shared'),
      ]) {
        await assert.rejects(denied, (thrown) => thrown instanceof AppError && thrown.facts.id === 'store-denied');
      }
      assert.equal((await all(store.client.query({ table: 'shared', hash: bytes('h') }))).length, 1);
    });
  });
}

/** An authority of our own, and a certificate that it signed, for another name than any node has. */
function makeAuthority(): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'ignore' });
  const form = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...form, '-days', '1', '-subj', '/CN=other', '-keyout', 'other.key', '-out', 'other-ca.pem');
  openssl('req', ...form, '-subj', '/CN=stranger', '-keyout', 'stranger.key', '-out', 'stranger.csr');
  writeFileSync(join(dir, 'names'), 'subjectAltName=DNS:stranger.example');
  const signed = ['-CA', 'other-ca.pem', '-CAkey', 'other.key', '-CAcreateserial', '-days', '1', '-extfile', 'names'];
  openssl('x509', '-req', '-in', 'stranger.csr', ...signed, '-out', 'stranger.pem');
}
