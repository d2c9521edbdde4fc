import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { MessageChannel } from 'node:worker_threads';
import { HeldRange } from '../../ingester/head/held-range.ts';
import type { OwnShardRole } from '../../ingester/shard/shard-role.ts';
import { loadConfig } from '../../kit/config/load.ts';
import { silentLogger } from '../../kit/observe/log.ts';
import { Registry } from '../../kit/observe/metrics.ts';
import { RpcServer } from '../../kit/rpc/server.ts';
import { skipsCertificates, TestCertificates } from '../../kit/rpc/test-certificates.ts';
import { Loops } from '../../kit/service/loops.ts';
import { serve } from '../../kit/thread/channel.ts';
import { MemoryKv } from '../../kv/memory.ts';
import { ManualClock } from '../../lib/manual-clock.ts';
import { sections } from '../config.ts';
import { ShardListener } from '../threads/shard-listener.ts';
import { ClusterNode } from './cluster-node.ts';
import { LateKv } from './late-kv.ts';
import type { ListenerHostRole } from './listener-roles.ts';
import { PeerListener } from './peer-host.ts';

const LOOPBACK = '127.0.0.1';
const STOP = { signal: AbortSignal.abort(), progress: () => {} };
const SELF = { name: 'member', cluster: {} };

test('each listener of a process shows the certificate that it has read again', {
  skip: skipsCertificates,
  timeout: 120_000,
}, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'pallium-certificates-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const certificates = new TestCertificates(dir);
  certificates.makeAuthority('authority');
  const use = (name: string) => {
    for (const end of ['pem', 'key']) copyFileSync(join(dir, `${name}.${end}`), join(dir, `now.${end}`));
  };
  for (const name of ['first', 'second']) certificates.makeCertificate(name, 'authority');
  use('first');
  const files = certificates.files('now', 'authority');
  const clock = new ManualClock();
  const loops = new Loops(clock);
  const options = { loops, log: silentLogger, clock, isClosed: () => false };

  const alone = new PeerListener({
    ...options,
    settings: { ...files, peerListenAddress: `${LOOPBACK}:0`, peerAdvertiseAddress: '' },
    registry: new Registry(),
  });
  await alone.start();
  t.after(() => alone.stop(STOP));

  const { values } = loadConfig(sections, { args: ['-distributor.replication-factor=3'], env: {} });
  const node = new ClusterNode({
    ...options,
    config: { ...values, server: { ...values.server, ...files, peerListenAddress: `${LOOPBACK}:0` } },
    kv: new LateKv(async () => ({ kv: new MemoryKv(), close: async () => {} }), clock),
    registry: new Registry(),
  });
  const ended = new AbortController();
  const started = node.start(ended.signal).catch(() => {});
  t.after(async () => {
    ended.abort();
    await started;
    await node.stop(STOP);
  });

  // keeps the port of the shard's thread, as the main thread does; nobody connects to it
  const keeper = new RpcServer({
    host: LOOPBACK,
    port: 0,
    sharing: 'first',
    self: SELF,
    security: () => ({}),
    role: {},
    clock,
    log: silentLogger,
  });
  await keeper.start();
  keeper.leavePort();
  const { port1, port2 } = new MessageChannel();
  const standing = { change: 0, number: 0, hash: '', writing: 0, refused: undefined, readsUntilMs: 0 };
  serve(port1, { standing: () => standing } as Partial<ListenerHostRole>);
  const shard = new ShardListener(
    {
      host: LOOPBACK,
      port: keeper.port,
      peers: { self: SELF, files },
      methods: [],
      change: new SharedArrayBuffer(4),
      calls: port2,
    },
    { shard: {} as OwnShardRole, held: HeldRange.everything(), lateAfterMs: undefined, clock, log: silentLogger },
  );
  await shard.start();
  t.after(async () => {
    await shard.stop();
    await keeper.stop();
    port1.close();
  });

  /** Names of the certificates that are shown at the three ports. */
  const shown = () =>
    Promise.all(
      [alone.address, node.address, `${LOOPBACK}:${keeper.port}`].map(async (address) => {
        const socket = connect({ host: LOOPBACK, port: Number(address.split(':').at(-1)), rejectUnauthorized: false });
        // this one shows none, and is cut off afterwards
        socket.on('error', () => {});
        await once(socket, 'secureConnect');
        const name = socket.getPeerCertificate().subject.CN;
        socket.destroy();
        return name;
      }),
    );
  while (loops.states.filter(({ name }) => name === 'peer-certificates').length < 2) await clock.turn();
  assert.deepEqual(await shown(), ['first', 'first', 'first']);
  use('second');
  await clock.advance(30_000);
  assert.deepEqual(await shown(), ['second', 'second', 'second']);
});
