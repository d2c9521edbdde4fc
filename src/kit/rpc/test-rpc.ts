import { once } from 'node:events';
import { connect } from 'node:net';
import type { TestContext } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../observe/log.ts';
import { RpcClient, type RpcClientOptions } from './client.ts';
import type { RpcRole } from './role.ts';
import { RpcServer, type RpcServerOptions } from './server.ts';

/** A server on loopback that ends with the test. */
export async function startServer(
  t: TestContext,
  role: RpcRole,
  options: Partial<RpcServerOptions> = {},
): Promise<RpcServer> {
  const server = new RpcServer({
    host: '127.0.0.1',
    port: 0,
    self: { name: 'server', cluster: {} },
    security: () => ({}),
    role,
    clock: systemClock,
    log: silentLogger,
    ...options,
  });
  await server.start();
  t.after(() => server.stop({ signal: AbortSignal.abort(), progress: () => {} }));
  return server;
}

/** A client that ends with the test. */
export function startClient(t: TestContext, server: RpcServer, options: Partial<RpcClientOptions> = {}): RpcClient {
  const client = new RpcClient({
    address: `127.0.0.1:${server.port}`,
    self: { name: 'client', cluster: {} },
    security: () => ({}),
    clock: systemClock,
    ...options,
  });
  t.after(() => client.close());
  return client;
}

/** TCP connections to a server that say nothing, until the test ends. @returns how many of them it has cut off so far */
export async function meetStrangers(t: TestContext, { port }: RpcServer, count: number): Promise<() => number> {
  const strangers = Array.from({ length: count }, () => connect(port, '127.0.0.1'));
  t.after(() => {
    for (const socket of strangers) socket.destroy();
  });
  let cut = 0;
  for (const socket of strangers) {
    socket.on('error', () => {});
    socket.on('close', () => {
      cut++;
    });
  }
  await Promise.all(strangers.map((socket) => once(socket, 'connect')));
  return () => cut;
}
