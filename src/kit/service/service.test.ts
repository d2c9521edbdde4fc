import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../observe/log.ts';
import { type Service, ServiceGroup, StartError } from './service.ts';

/** Services that write down what happens to them. */
function recorded(names: string[], failing = ''): { services: Service[]; seen: string[] } {
  const seen: string[] = [];
  const services = names.map(
    (name): Service => ({
      name,
      async start() {
        if (name === failing) throw new Error('port taken');
        seen.push(`+${name}`);
      },
      async stop() {
        seen.push(`-${name}`);
      },
    }),
  );
  return { services, seen };
}

test('starts in order and stops in reverse, once', async () => {
  const { services, seen } = recorded(['a', 'b', 'c']);
  const group = new ServiceGroup(services, silentLogger, systemClock);
  assert.deepEqual(group.notReady(), ['a: new', 'b: new', 'c: new']);
  await group.start();
  assert.deepEqual(group.notReady(), []);
  await Promise.all([group.stop(1000), group.stop(1000)]);
  assert.deepEqual(seen, ['+a', '+b', '+c', '-c', '-b', '-a']);
  assert.deepEqual(
    group.states.map(([, state]) => state),
    ['terminated', 'terminated', 'terminated'],
  );
});

test('one that does not start stops those before it and is named', async () => {
  const { services, seen } = recorded(['a', 'b', 'c'], 'b');
  const group = new ServiceGroup(services, silentLogger, systemClock);
  await assert.rejects(group.start(), (error: StartError) => {
    assert.ok(error instanceof StartError);
    assert.equal(error.message, 'b did not start: port taken');
    return true;
  });
  assert.deepEqual(seen, ['+a', '-a']);
});

test('the deadline reaches a service that takes too long', async () => {
  const slow: Service = {
    name: 'slow',
    start: async () => {},
    stop: ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  };
  const group = new ServiceGroup([slow], silentLogger, systemClock);
  await group.start();
  await group.stop(20);
  assert.deepEqual(group.states, [['slow', 'failed']]);
});

test('a running service may still not be ready', async () => {
  const replaying: Service = { name: 'ingester', notReady: () => 'replaying the log, 40 %' };
  const group = new ServiceGroup([replaying], silentLogger, systemClock);
  await group.start();
  assert.deepEqual(group.notReady(), ['ingester: replaying the log, 40 %']);
});

test('a service says why it has not started yet', async () => {
  const { promise: told, resolve: tell } = Promise.withResolvers<void>();
  const waiting: Service = { name: 'ring', start: () => told, notReady: () => 'waiting for its store' };
  const group = new ServiceGroup([waiting, { name: 'server' }], silentLogger, systemClock);
  const started = group.start();
  assert.deepEqual(group.notReady(), ['ring: starting, waiting for its store', 'server: new']);
  tell();
  await started;
});
