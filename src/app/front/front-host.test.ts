import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import type { Route } from '../../kit/http/message.ts';
import { silentLogger } from '../../kit/observe/log.ts';
import { connectInThread } from '../../kit/thread/channel.ts';
import { systemClock } from '../../lib/clock.ts';
import { FrontHost } from './front-host.ts';

test('whoever makes an answer in parts hears that nobody takes the rest, also where the port closes before the call is cancelled', async (t) => {
  let ends: AbortSignal | undefined;
  let isOver = false;
  async function* parts() {
    try {
      for (;;) yield new TextEncoder().encode('a part');
    } finally {
      isOver = true;
    }
  }
  const route: Route = {
    ...{ path: '/parts', methods: ['GET'], needs: 'read' },
    handle({ signal }) {
      ends = signal;
      return { status: 200, body: parts() };
    },
  };
  const host = new FrontHost({
    thread: 0,
    routeOf: () => route,
    queries: undefined,
    log: silentLogger,
    clock: systemClock,
  });
  const { channel: main, close } = connectInThread(host.role);
  t.after(close);
  const request = { method: 'GET', path: '/parts', query: '', body: new Uint8Array(0), headers: {} } as never;
  const { answer } = await main.call('handle', { path: '/parts', request });
  const { port1, port2 } = new MessageChannel();
  const sent = main.call('parts', { answer: answer!, port: port2 }, { transfer: [port2] });
  port1.postMessage('next');
  await once(port1, 'message');
  port1.close();
  await assert.rejects(sent);
  assert.ok(isOver);
  assert.ok(ends!.aborted);
});
