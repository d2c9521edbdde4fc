import assert from 'node:assert/strict';
import { HeldRange } from '../ingester/head/held-range.ts';
import { MemoryDisk } from '../ingester/log/test-disk.ts';
import { IngesterMember } from '../ingester/member.ts';
import { Replica } from '../ingester/replica.ts';
import { Shard } from '../ingester/shard/shard.ts';
import { ShardsClient } from '../ingester/shard/shard-client.ts';
import type { ShardRole } from '../ingester/shard/shard-messages.ts';
import { shardRole } from '../ingester/shard/shard-role.ts';
import { silentLogger } from '../kit/observe/log.ts';
import type { PeerSecurity } from '../kit/rpc/security.ts';
import { RpcServer } from '../kit/rpc/server.ts';
import { connectInThread } from '../kit/thread/channel.ts';
import { systemClock } from '../lib/clock.ts';
import { memberRole } from '../peer/member-role.ts';
import type { RingSource } from '../ring/view.ts';

// An ingester of a ring behind a listener of its own, for tests: real heads and logs, in memory.

/** Series have the same keys everywhere. */
export const SECRET = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
const KEY = new TextEncoder().encode('the key that all processes of this cluster share');
export const security = () => ({ keys: [KEY] });

export interface PeerIngester {
  readonly port: number;
  readonly shards: readonly { readonly shard: Shard }[];
  /** Cuts its connections off, and listens no more. */
  stop(): Promise<void>;
  close(): Promise<void>;
}

export async function startPeerIngester(
  ring: RingSource,
  name: string,
  port = 0,
  secured: () => PeerSecurity = security,
): Promise<PeerIngester> {
  const disk = new MemoryDisk();
  const shards = [0, 1].map((i) => {
    const held = HeldRange.everything();
    const shard = new Shard({
      folder: `shard-${i}`,
      windowMs: 7_200_000,
      headBytesMax: 1 << 30,
      seriesSecret: SECRET,
      fsync: 'interval',
      fsyncIntervalMs: 60_000,
      keepFlushedMs: 60_000,
      held,
      disk,
      clock: systemClock,
      log: () => {},
      fatal: (error) => assert.fail(error),
    });
    const link = connectInThread<ShardRole>(shardRole(shard, systemClock));
    return { shard, channel: link.channel, held, link };
  });
  const target = new IngesterMember({ shards: () => shards.map(({ channel }) => channel), ring });
  const reader = new Replica({ ring, shards: new ShardsClient(shards) });
  const listener = new RpcServer({
    host: '127.0.0.1',
    port,
    self: { name, cluster: {} },
    security: secured,
    role: memberRole({ target, reader }),
    clock: systemClock,
    log: silentLogger,
  });
  await Promise.all(shards.map(({ shard }) => shard.ready));
  await listener.start();
  const stop = () => listener.stop({ signal: AbortSignal.abort(), progress: () => {} });
  return {
    port: listener.port,
    shards,
    stop,
    async close() {
      await stop();
      for (const { shard, link } of shards) {
        link.close();
        await shard.close({ checkpoint: false });
      }
    },
  };
}
