import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { loadConfig } from '../../kit/config/load.ts';
import { silentLogger } from '../../kit/observe/log.ts';
import { Registry } from '../../kit/observe/metrics.ts';
import type { Service, Stop } from '../../kit/service/service.ts';
import { ManualClock } from '../../lib/manual-clock.ts';
import type { App } from '../app.ts';
import { sections } from '../config.ts';
import { storePeersModule } from './store-peers.ts';

const STOP: Stop = { signal: AbortSignal.abort(), progress: () => {} };
const OPEN = { closed: false };
const { signal: unaborted } = new AbortController();

test('where others are told the address of a queue or a front end, it listens there or not at all', async (t) => {
  const other = net.createServer().listen(0, '127.0.0.1');
  t.after(() => other.close());
  await new Promise((resolve) => other.once('listening', resolve));
  const { port } = other.address() as net.AddressInfo;
  const serviceOf = async (target: string, gate = OPEN, own = `127.0.0.1:${port}`): Promise<Service> => {
    const args = [`-target=${target}`, `-server.peer-listen-address=${own}`, '-schema.store=cassandra'];
    const config = loadConfig(sections, { args, env: {} }).values;
    const app = {
      config,
      log: silentLogger,
      registry: new Registry(),
      clock: new ManualClock(),
      gate,
      parts: {},
    };
    const [service] = await storePeersModule.build(app as unknown as App);
    return service!;
  };
  for (const target of ['ruler,query-frontend', 'ruler,query-scheduler']) {
    await assert.rejects((await serviceOf(target)).start!(unaborted), /EADDRINUSE/, target);
    const closed = await serviceOf(target, { closed: true }, '127.0.0.1:0');
    await assert.rejects(closed.start!(unaborted), /users are configured.*-server\.peer-key-file/, target);
  }
  const anywhere = await serviceOf('ruler');
  await anywhere.start!(unaborted);
  await anywhere.stop!(STOP);
});

test('with users it listens for processes of its store only where these can prove who they are', async () => {
  const args = ['-target=alertmanager', '-server.peer-listen-address=127.0.0.1:0', '-schema.store=cassandra'];
  for (const closed of [false, true]) {
    const config = loadConfig(sections, { args, env: {} }).values;
    const app = {
      ...{ config, log: silentLogger, registry: new Registry(), clock: new ManualClock() },
      gate: { closed },
      parts: {} as App['parts'],
    };
    const [service] = await storePeersModule.build(app as unknown as App);
    await service!.start!(unaborted);
    assert.equal(app.parts.peers!.address === '', closed);
    await service!.stop!(STOP);
  }
});
