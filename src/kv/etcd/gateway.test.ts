import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { defaultsOf } from '../../kit/config/section.ts';
import { systemClock } from '../../lib/clock.ts';
import { etcdConfig } from './config.ts';
import { EtcdGateway } from './gateway.ts';

test('a call that is given up while all wait for the login fails no other', { timeout: 60_000 }, async (t) => {
  const asked = Promise.withResolvers<ServerResponse>();
  let logins = 0;
  const server = createServer((request, response) => {
    if (request.url === '/v3/auth/authenticate') {
      logins++;
      asked.resolve(response);
    } else response.end(JSON.stringify({ path: request.url, token: request.headers.authorization }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const config = { ...defaultsOf(etcdConfig), endpoints: [`127.0.0.1:${port}`], username: 'a', password: 'b' };
  const gateway = new EtcdGateway({ ...config, timeoutMs: 60_000 }, systemClock);
  t.after(async () => {
    await gateway.close();
    server.closeAllConnections();
    server.close();
  });
  const leave = new AbortController();
  const given = gateway.call('/v3/kv/range', {}, { signal: leave.signal, isRepeatable: true });
  const swap = gateway.call('/v3/kv/txn', {}, { isRepeatable: false });
  const login = await asked.promise;
  leave.abort(new Error('no longer'));
  await assert.rejects(given, /no longer/);
  login.end(JSON.stringify({ token: 'the token' }));
  assert.deepEqual(await swap, { path: '/v3/kv/txn', token: 'the token' });
  assert.equal(logins, 1);
});
