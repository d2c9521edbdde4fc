import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../kit/observe/log.ts';
import { Registry } from '../../kit/observe/metrics.ts';
import { Loops } from '../../kit/service/loops.ts';
import { systemClock } from '../../lib/clock.ts';
import { PeerListener } from './peer-host.ts';
import { NO_CREDENTIALS } from './test-credentials.ts';

const SETTINGS = { ...NO_CREDENTIALS, peerListenAddress: '127.0.0.1:0', peerAdvertiseAddress: '' };

for (const [name, isClosed, peerInsecure, isHeard] of [
  ['where anybody may do all', false, false, true],
  ['not where users must prove who they are and other processes cannot', true, false, false],
  ['where that is set not to matter', true, true, true],
] as const) {
  test(`a process listens for others on loopback ${name}`, async () => {
    const peers = new PeerListener({
      settings: { ...SETTINGS, peerInsecure },
      isClosed: () => isClosed,
      loops: new Loops(systemClock),
      log: silentLogger,
      registry: new Registry(),
      clock: systemClock,
    });
    await peers.start();
    try {
      assert.match(peers.address, isHeard ? /^127\.0\.0\.1:\d+$/ : /^$/);
    } finally {
      await peers.stop({ signal: AbortSignal.timeout(1000), progress: () => {} });
    }
  });
}
