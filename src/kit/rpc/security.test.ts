import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { systemClock } from '../../lib/clock.ts';
import { ManualClock } from '../../lib/manual-clock.ts';
import { silentLogger } from '../observe/log.ts';
import { Registry } from '../observe/metrics.ts';
import { Loops } from '../service/loops.ts';
import { encodeValue } from './codec.ts';
import { PeerCredentials } from './credentials.ts';
import { frameHead, HELLO, PROOF } from './frame.ts';
import { introduction, makeHello } from './handshake.ts';
import { servedMetrics } from './metrics.ts';
import { RpcServer } from './server.ts';
import { noPeerFiles, skipsCertificates, TestCertificates } from './test-certificates.ts';
import { meetStrangers, startClient, startServer } from './test-rpc.ts';

const dir = mkdtempSync(join(tmpdir(), 'pallium-peer-'));
after(() => rmSync(dir, { recursive: true }));

const role = { secret: async () => ({ head: 'what members tell each other' }) };
const keyOf = (text: string) => new TextEncoder().encode(text.padEnd(32, '.'));
const [OURS, THEIRS] = [keyOf('ours'), keyOf('theirs')];
const skip = skipsCertificates;
const certificates = new TestCertificates(dir);

/** All that the listener sends to who says `frames`, until it ends the connection. */
async function answerTo(server: RpcServer, frames: readonly Buffer[]): Promise<Buffer> {
  const socket = connectTcp(server.port, '127.0.0.1');
  const parts: Buffer[] = [];
  socket.on('data', (data: Buffer) => parts.push(data));
  for (const frame of frames) socket.write(frame);
  await once(socket, 'close');
  return Buffer.concat(parts);
}

const frame = (number: number, kind: number, head: Buffer) =>
  frameHead({ kind, call: 0, head, bodyBytes: 0, piece: Buffer.alloc(0) }, number);

test('a process without the key learns nothing, and one with it knows that it talks to another', async (t) => {
  const server = await startServer(t, role, { security: () => ({ keys: [OURS] }) });
  const fits = startClient(t, server, { security: () => ({ keys: [OURS] }) });
  assert.equal((await fits.call('secret', null)).head, 'what members tell each other');
  for (const keys of [[THEIRS], undefined]) {
    const stranger = startClient(t, server, { security: () => ({ keys }) });
    await assert.rejects(stranger.call('secret', null), /shared key/);
  }
  // a listener that has none cannot pretend
  const open = await startServer(t, role);
  await assert.rejects(startClient(t, open, { security: () => ({ keys: [OURS] }) }).call('secret', null), /shared key/);
  const other = await startServer(t, role, { security: () => ({ keys: [THEIRS] }) });
  await assert.rejects(
    startClient(t, other, { security: () => ({ keys: [OURS] }) }).call('secret', null),
    /shared key/,
  );
});

test('a key is changed while members of both keys talk to each other', async (t) => {
  const fresh = keyOf('fresh');
  const server = await startServer(t, role, { security: () => ({ keys: [fresh, OURS] }) });
  for (const keys of [[OURS], [OURS, fresh], [fresh, OURS], [fresh]]) {
    await startClient(t, server, { security: () => ({ keys }) }).call('secret', null);
  }
});

test('the key is not on the wire, and a proof is of one connection and one side only', async (t) => {
  const server = await startServer(t, role, { security: () => ({ keys: [OURS] }) });
  // a listener in between records what a member proves
  const seen: Buffer[] = [];
  const between = createServer((socket) => {
    const to = connectTcp(server.port, '127.0.0.1');
    socket.on('data', (data: Buffer) => seen.push(data));
    to.on('data', (data: Buffer) => seen.push(data));
    socket.pipe(to).pipe(socket);
    for (const each of [socket, to]) each.on('error', () => {});
  });
  between.listen(0, '127.0.0.1');
  await once(between, 'listening');
  t.after(() => between.close());
  const { port } = between.address() as { port: number };
  const client = startClient(t, server, { address: `127.0.0.1:${port}`, security: () => ({ keys: [OURS] }) });
  await client.call('secret', null);
  client.close();
  const all = Buffer.concat(seen);
  assert.ok(all.length > 200);
  assert.equal(all.indexOf(Buffer.from(OURS).subarray(0, 16)), -1);

  // its own hello and proof again: the listener's nonce is another
  const hello = frame(0, HELLO, encodeValue(makeHello(new Uint8Array(32).fill(7), true)));
  const said = encodeValue({ name: 'stranger', cluster: {} });
  for (const side of ['caller', 'listener'] as const) {
    const stale = frame(1, PROOF, encodeValue(introduction(OURS, side, new Uint8Array(32), said)));
    const answer = await answerTo(server, [hello, stale]);
    assert.ok(answer.includes('shared key'));
  }
});

test('a stranger gets a nonce and nothing else, and may say no more than a few words', async (t) => {
  const server = await startServer(t, role, {
    security: () => ({ keys: [OURS] }),
    self: { name: 'the name of the member', cluster: { replicas: 3 } },
  });
  const hello = frame(0, HELLO, encodeValue(makeHello(new Uint8Array(32), true)));
  const request = frame(1, 4, encodeValue(['secret', 1000, 0, null]));
  const answers = await Promise.all([
    answerTo(server, [request]),
    answerTo(server, [hello, request]),
    answerTo(server, [hello, frame(1, PROOF, Buffer.alloc(20_000))]),
    answerTo(server, [Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')]),
    answerTo(server, [hello, frame(1, PROOF, encodeValue({ said: encodeValue({ name: 'x', cluster: {} }) }))]),
  ]);
  for (const answer of answers) {
    assert.ok(answer.length < 400, `${answer.length} bytes`);
    for (const word of ['members tell', 'the name of', 'replicas']) assert.equal(answer.indexOf(word), -1);
  }
  assert.equal(server.connections, 0);
});

test('without key and certificates only loopback is talked to, unless that is said', async (t: TestContext) => {
  const server = new RpcServer({
    host: '0.0.0.0',
    port: 0,
    self: { name: 'server', cluster: {} },
    security: () => ({}),
    role,
    clock: systemClock,
    log: silentLogger,
  });
  await assert.rejects(server.start(), /-server.peer-key-file/);
  const open = await startServer(t, role, { host: '0.0.0.0', security: () => ({ insecure: true }) });
  await startClient(t, open).call('secret', null);
  const away = startClient(t, open, { address: `192.0.2.1:${open.port}` });
  await assert.rejects(away.call('secret', null), /-server.peer-key-file/);
});

test('members show each other certificates of their authority', { skip }, async (t) => {
  for (const name of ['ours', 'theirs']) certificates.makeAuthority(name);
  certificates.makeCertificate('a', 'ours');
  certificates.makeCertificate('b', 'ours');
  certificates.makeCertificate('elsewhere', 'ours', 'DNS:pallium.example.com');
  certificates.makeCertificate('stranger', 'theirs');
  const listener = PeerCredentials.read(certificates.files('a', 'ours'));
  const server = await startServer(t, role, { security: () => listener.current });
  const call = (security: PeerCredentials) => {
    const client = startClient(t, server, { security: () => security.current });
    return client.call('secret', null);
  };
  await call(PeerCredentials.read(certificates.files('b', 'ours')));
  await assert.rejects(
    call(PeerCredentials.read(certificates.files('b', 'theirs'))),
    /self.signed|unable to verify|certificate/i,
  );
  await assert.rejects(call(PeerCredentials.read(certificates.files('stranger', 'ours'))), /cannot be reached/);
  await assert.rejects(call(PeerCredentials.read(noPeerFiles)), /cannot be reached/);

  // one that shows none
  const bare = connectTls({ port: server.port, host: '127.0.0.1', rejectUnauthorized: false });
  let said = 0;
  bare.on('data', (data: Buffer) => {
    said += data.length;
  });
  bare.on('error', () => {});
  bare.write(frame(0, HELLO, encodeValue(makeHello(new Uint8Array(32), false))));
  await new Promise((resolve) => bare.on('close', resolve));
  assert.equal(said, 0);

  // for a name that is not its own
  const wrongName = PeerCredentials.read(certificates.files('elsewhere', 'ours'));
  const other = await startServer(t, role, { security: () => wrongName.current });
  const named = { ...certificates.files('b', 'ours'), peerTlsServerName: 'pallium.example.com' };
  const own = PeerCredentials.read(certificates.files('b', 'ours'));
  await assert.rejects(startClient(t, other, { security: () => own.current }).call('secret', null), /IP|altnames/i);
  const known = PeerCredentials.read(named);
  await startClient(t, other, { security: () => known.current }).call('secret', null);
});

test('strangers that say nothing keep nobody out, and are cut off in the TLS handshake, too', {
  skip,
  timeout: 60_000,
}, async (t) => {
  certificates.makeAuthority('hosts');
  certificates.makeCertificate('host', 'hosts');
  const credentials = PeerCredentials.read(certificates.files('host', 'hosts'));
  const registry = new Registry();
  const server = await startServer(t, role, {
    security: () => credentials.current,
    metrics: servedMetrics(registry),
    // none is cut off for the time that it takes
    introductionMs: 600_000,
  });
  const cut = await meetStrangers(t, server, 300);
  const member = startClient(t, server, { security: () => credentials.current });
  assert.equal((await member.call('secret', null)).head, 'what members tell each other');
  while (cut() < 300 - 256) await systemClock.sleep(5, t.signal);
  const found = await registry.getSingleMetric('pallium_peer_connections_refused_total')!.get();
  assert.ok(found.values[0]!.value >= 300 - 256);
  assert.equal(server.connections, 1);
});

test('certificates and keys are read again when they change', { skip }, async (t) => {
  certificates.makeAuthority('first');
  certificates.makeAuthority('second');
  certificates.makeCertificate('member-1', 'first');
  certificates.makeCertificate('member-2', 'second');
  const use = (number: number, authority: string) => {
    for (const end of ['pem', 'key']) copyFileSync(join(dir, `member-${number}.${end}`), join(dir, `now.${end}`));
    copyFileSync(join(dir, `${authority}.pem`), join(dir, 'authority.pem'));
  };
  use(1, 'first');
  const credentials = PeerCredentials.read(certificates.files('now', 'authority'));
  const server = await startServer(t, role, { security: () => credentials.current });
  const before = startClient(t, server, { security: () => credentials.current });
  await before.call('secret', null);
  assert.equal(credentials.refresh(), false);
  use(2, 'second');
  assert.equal(credentials.refresh(), true);
  server.securityChanged();
  await before.call('secret', null);
  const fresh = PeerCredentials.read(certificates.files('member-2', 'second'));
  await startClient(t, server, { security: () => fresh.current }).call('secret', null);
  const stale = PeerCredentials.read(certificates.files('member-1', 'first'));
  await assert.rejects(startClient(t, server, { security: () => stale.current }).call('secret', null));

  // a file that is written by half keeps the state
  writeFileSync(join(dir, 'now.pem'), '-----BEGIN CERTIFICATE-----\nMII');
  assert.throws(() => credentials.refresh(), /-server.peer-tls-cert-path/);
  await startClient(t, server, { security: () => credentials.current }).call('secret', null);
});

test('settings by half and keys that are too short are refused by name', () => {
  const path = join(dir, 'key');
  writeFileSync(path, 'short\n');
  const of = (part: Partial<typeof noPeerFiles>) => () => PeerCredentials.read({ ...noPeerFiles, ...part });
  assert.throws(of({ peerKeyFile: path }), /-server.peer-key-file: .* a key of 5 characters; at least 32/);
  assert.throws(of({ peerKeyFile: join(dir, 'none') }), /-server.peer-key-file: ENOENT/);
  assert.throws(of({ peerTlsCertPath: path }), /-server.peer-tls-key-path is missing/);
  assert.throws(of({ peerTlsServerName: 'a' }), /-server.peer-tls-cert-path/);
  writeFileSync(path, `${'a'.repeat(32)}\n\n${'b'.repeat(40)}\n`);
  assert.deepEqual(
    of({ peerKeyFile: path })().current.keys?.map(({ length }) => length),
    [32, 40],
  );
});

test('readings of key and certificates are told among the loops, where there are files', async () => {
  const keyFile = join(dir, 'watched');
  writeFileSync(keyFile, 'k'.repeat(32));
  const clock = new ManualClock(1_000_000);
  const loops = new Loops(clock);
  PeerCredentials.read(noPeerFiles).watch(clock, loops, silentLogger).cancel();
  assert.equal(loops.states.length, 0);
  const watch = PeerCredentials.read({ ...noPeerFiles, peerKeyFile: keyFile }).watch(clock, loops, silentLogger);
  await clock.advance(30_000);
  const state = () => loops.states.find(({ name }) => name === 'peer-certificates');
  assert.deepEqual([state()?.rounds, state()?.error], [1, undefined]);
  rmSync(keyFile);
  await clock.advance(30_000);
  assert.deepEqual([state()?.rounds, state()?.failures], [2, 1]);
  watch.cancel();
});
