import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../kit/observe/log.ts';
import type { RpcRole } from '../../kit/rpc/role.ts';
import { systemClock } from '../../lib/clock.ts';
import type { LimitsService } from '../../limits/limits-service.ts';
import type { PeerHost } from '../cluster/peer-host.ts';
import type { AlertmanagerWorkerData } from './alertmanager-role.ts';
import { AlertmanagerThread } from './alertmanager-thread.ts';

test('a thread that has not started lets go of a tenant at once: it may wait for the one who asks', async () => {
  let role: RpcRole = {};
  const thread = new AlertmanagerThread({
    data: {} as AlertmanagerWorkerData,
    externalUrl: () => assert.fail('it starts'),
    readFallback: () => undefined,
    isNeeded: async () => false,
    limits: { onChange: () => {} } as unknown as LimitsService,
    ownersMoved: () => assert.fail('nothing has moved'),
    peers: {
      answer(given: RpcRole) {
        role = given;
      },
    } as PeerHost,
    log: silentLogger,
    clock: systemClock,
  });
  const head = { tenant: 't' };
  const call = { signal: new AbortController().signal };
  await role.alertmanagerRelease!({ head, body: new Uint8Array() } as never, call as never);
  await thread.stop();
});
