import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { ManualClock } from '../../lib/manual-clock.ts';
import { seededRandom } from '../../lib/random.ts';
import { AppError } from '../../model/errors.ts';
import { writeErrors } from '../../model/errors-write.ts';
import { type Logger, silentLogger } from '../observe/log.ts';
import { Registry } from '../observe/metrics.ts';
import { currentTrace, withTrace } from '../observe/trace.ts';
import { RpcClient } from './client.ts';
import { decodeValue, encodeValue } from './codec.ts';
import {
  ANSWER,
  CANCEL,
  END,
  FrameReader,
  frameHead,
  HELLO,
  PART,
  PIECE_BYTES,
  PROOF,
  REQUEST,
  WELCOME,
} from './frame.ts';
import { introduction, makeHello } from './handshake.ts';
import { peerMetrics, servedMetrics } from './metrics.ts';
import type { RpcRole } from './role.ts';
import { meetStrangers, startClient, startServer } from './test-rpc.ts';

function bytesOf(length: number, seed = 1): Uint8Array {
  const random = seededRandom(seed);
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let i = 0; i < words.length; i++) words[i] = random() * 2 ** 32;
  return new Uint8Array(words.buffer, 0, length);
}

const echo: RpcRole = {
  echo: async ({ head, body }) => ({ head, body }),
};

async function reason(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof AppError) return error.reason;
    throw error;
  }
  throw new Error('it did not fail');
}

test('answers are those of their requests, in any order and of any length', async (t) => {
  const waiting: (() => void)[] = [];
  const server = await startServer(t, {
    ...echo,
    later: async ({ head }) => {
      await new Promise<void>((resolve) => waiting.push(resolve));
      return { head };
    },
  });
  const client = startClient(t, server);
  const first = client.call('later', 1);
  const head = {
    text: 'ä',
    list: [1, -1, 0.5, null, true],
    bytes: new Uint8Array([1, 2]),
    columns: Int32Array.of(-5, 7),
  };
  assert.deepEqual((await client.call('echo', head)).head, head);
  const second = client.call('later', 2);
  await client.call('echo', 0);
  while (waiting.length > 0) waiting.pop()!();
  assert.deepEqual(
    (await Promise.all([first, second])).map((reply) => reply.head),
    [1, 2],
  );

  const lengths = [0, 1, 1000, 256 * 1024, 256 * 1024 + 1, 3_000_000, 5_000_000];
  const bodies = lengths.map((length) => bytesOf(length, length + 1));
  const replies = await Promise.all(bodies.map((body, i) => client.call('echo', i, body)));
  for (const [i, { body }] of replies.entries()) assert.ok(Buffer.from(bodies[i]!).equals(body), `${lengths[i]} bytes`);
  assert.equal(server.connections, 1);
});

test('an error arrives as it was thrown, and a bug as one', async (t) => {
  const server = await startServer(t, {
    refused: async () => {
      throw writeErrors.ownerAway({ reason: 'it drains' });
    },
    bug: async () => {
      throw new TypeError('x is no function');
    },
  });
  const client = startClient(t, server);
  const { facts, message } = await client.call('refused', null).catch((error) => error);
  const expected = writeErrors.ownerAway({ reason: 'it drains' });
  assert.deepEqual([facts, message], [expected.facts, expected.message]);
  assert.equal(await reason(client.call('bug', null)), 'internal');
  assert.equal(await reason(client.call('other', null)), 'peer_method_unknown');
  assert.equal(await reason(client.call('toString', null)), 'peer_method_unknown');
});

test('a stream is made only as fast as it is read, others have turns meanwhile, and it ends with its reader', async (t) => {
  let made = 0;
  let isClosed = false;
  let signal: AbortSignal | undefined;
  async function* items(size: number, count: number) {
    try {
      for (; made < count; made++) yield bytesOf(size, made);
    } finally {
      isClosed = true;
    }
  }
  const server = await startServer(t, {
    ...echo,
    count: async ({ head }, call) => {
      signal = call.signal;
      return { head: 'begins', items: items(head as number, 50) };
    },
  });
  const client = startClient(t, server);
  const { head, items: parts } = await client.stream('count', 700_000);
  assert.equal(head, 'begins');
  const all = parts[Symbol.asyncIterator]();
  assert.ok(Buffer.from(bytesOf(700_000, 0)).equals((await all.next()).value!));
  for (let i = 0; i < 20; i++) await client.call('echo', i);
  assert.ok(made <= 5, `${made} parts for a reader that took one`);
  for (let i = 1; i < 10; i++) assert.ok(Buffer.from(bytesOf(700_000, i)).equals((await all.next()).value!));
  await all.return!();
  while (!isClosed) await client.call('echo', 0);
  assert.ok(signal!.aborted);
  assert.ok(made < 16);

  made = 0;
  const whole = await client.stream('count', 10);
  let sum = 0;
  for await (const item of whole.items) sum += item.length;
  assert.equal(sum, 500);
});

test('a stream that fails in the middle fails its reader', async (t) => {
  async function* items() {
    yield bytesOf(10);
    throw writeErrors.ownerAway({ reason: 'its shard died' });
  }
  const server = await startServer(t, { fails: async () => ({ items: items() }) });
  const { items: parts } = await startClient(t, server).stream('fails', null);
  const all = parts[Symbol.asyncIterator]();
  assert.equal((await all.next()).value!.length, 10);
  assert.equal(await reason(all.next()), 'owner_away');
});

test('cancelled and late calls end on the other side, too', async (t) => {
  const signals: AbortSignal[] = [];
  const server = await startServer(t, {
    ...echo,
    hangs: (_, { signal }) => {
      signals.push(signal);
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    },
  });
  const client = startClient(t, server);
  const cancel = new AbortController();
  const cancelled = client.call('hangs', null, undefined, { signal: cancel.signal });
  await client.call('echo', 0);
  cancel.abort(new Error('no longer'));
  await assert.rejects(cancelled, /no longer/);
  while (!signals[0]!.aborted) await client.call('echo', 0);
  assert.equal(await reason(client.call('hangs', null, undefined, { timeoutMs: 30 })), 'peer_slow');
  while (!signals[1]!.aborted) await client.call('echo', 0);

  // those that are gone with their connection
  const gone = client.call('hangs', null);
  while (signals.length < 3) await client.call('echo', 0);
  client.close();
  assert.equal(await reason(gone), 'peer_gone');
  while (!signals[2]!.aborted) await systemClock.turn();
  assert.equal(await reason(client.call('echo', 0)), 'peer_gone');
});

test('calls beyond the room wait here, and cancelled ones keep none of it', async (t) => {
  let running = 0;
  let most = 0;
  const release: (() => void)[] = [];
  const server = await startServer(
    t,
    {
      ...echo,
      holds: async (_, { signal }) => {
        most = Math.max(most, ++running);
        await new Promise<void>((resolve) => {
          release.push(resolve);
          signal.addEventListener('abort', () => resolve());
        });
        running--;
        return {};
      },
    },
    { writesMax: 1000, writeBytesMax: 1 << 30 },
  );
  const client = startClient(t, server);
  const cancel = new AbortController();
  const calls = Array.from({ length: 300 }, () =>
    client.call('holds', null, bytesOf(10), { signal: cancel.signal }).catch(() => {}),
  );
  while (running < 256) await systemClock.sleep(5);
  cancel.abort();
  await Promise.all(calls);
  await client.call('echo', 0);
  assert.equal(most, 256);

  // bytes of bodies: 32 MiB on their way
  const more = Array.from({ length: 40 }, () => client.call('holds', null, new Uint8Array(1024 * 1024)));
  while (running < 32) await systemClock.sleep(5);
  await systemClock.sleep(50);
  assert.equal(running, 32);
  const letGo = setInterval(() => {
    for (const each of release.splice(0)) each();
  }, 5);
  await Promise.all(more);
  clearInterval(letGo);
});

test('a process that ends answers what is under way, and the next one is found', async (t) => {
  let answer = () => {};
  const role: RpcRole = {
    ...echo,
    waits: async () => {
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
      return { head: 'done' };
    },
  };
  const server = await startServer(t, role);
  const client = startClient(t, server);
  const underWay = client.call('waits', null);
  await client.call('echo', 0);
  const { port } = server;
  const stopped = server.stop();
  // until the news has come, calls are still taken
  await assert.rejects(async () => {
    for (;;) await client.call('echo', 0);
  }, /cannot be reached/);
  answer();
  assert.equal((await underWay).head, 'done');
  await stopped;
  await startServer(t, role, { port });
  for (;;) {
    try {
      assert.equal((await client.call('echo', 7)).head, 7);
      break;
    } catch (error) {
      assert.equal((error as AppError).reason, 'peer_away');
      await systemClock.sleep(20);
    }
  }
});

test('a connection that falls silent is given up', async (t) => {
  const silent = createServer();
  const server = await startServer(t, { hangs: () => new Promise(() => {}) });
  // all goes through until it is cut
  const sockets: Socket[] = [];
  silent.on('connection', (socket) => {
    const to = connectTcp(server.port, '127.0.0.1');
    sockets.push(socket, to);
    socket.pipe(to).pipe(socket);
    socket.on('error', () => {});
    to.on('error', () => {});
  });
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.after(() => {
    silent.close();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = silent.address() as { port: number };
  const client = new RpcClient({
    address: `127.0.0.1:${port}`,
    self: { name: 'client', cluster: {} },
    security: () => ({}),
    clock: systemClock,
    pingMs: 50,
  });
  t.after(() => client.close());
  const call = client.call('hangs', null);
  while (server.connections === 0) await systemClock.sleep(5);
  await systemClock.sleep(400);
  assert.equal(server.connections, 1, 'pings keep it');
  for (const socket of sockets) {
    socket.unpipe();
    socket.pause();
  }
  assert.equal(await reason(call), 'peer_gone');
});

test('settings that differ keep a process out, and are named', async (t) => {
  const server = await startServer(t, echo, {
    self: { name: 'server', cluster: { replicas: 3, windowMs: 60_000, older: 1 } },
  });
  const fits = startClient(t, server, { self: { name: 'a', cluster: { replicas: 3, windowMs: 60_000, newer: 2 } } });
  await fits.call('echo', 0);
  const differs = startClient(t, server, { self: { name: 'b', cluster: { replicas: 2, windowMs: 60_000 } } });
  await assert.rejects(differs.call('echo', 0), /replicas is 3 here and 2 there/);
});

test('requests and failures are counted by the process that was asked and by method, bytes by process', async (t) => {
  const registry = new Registry();
  const metrics = peerMetrics(registry);
  const role: RpcRole = {
    ...echo,
    refused: async () => {
      throw writeErrors.ownerAway({ reason: 'it drains' });
    },
  };
  const server = await startServer(t, role, { metrics: servedMetrics(registry) });
  const client = startClient(t, server, { metrics });
  await client.call('echo', 0, bytesOf(5000));
  await assert.rejects(client.call('refused', 0));
  const peer = client.address;
  const counted = async (name: string, labels: object) => {
    const found = await registry.getSingleMetric(`pallium_${name}`)!.get();
    return found.values.find((each) => JSON.stringify(each.labels) === JSON.stringify(labels))?.value;
  };
  const value = (name: string, labels = {}) => counted(name, { peer, ...labels });
  assert.equal(await value('peer_requests_total', { method: 'echo' }), 1);
  assert.equal(await value('peer_requests_total', { method: 'refused' }), 1);
  assert.equal(await value('peer_request_failures_total', { method: 'refused', reason: 'owner_away' }), 1);
  assert.ok((await value('peer_request_seconds_total', { method: 'echo' }))! > 0);
  assert.equal(await value('peer_inflight_requests'), 0);
  assert.ok((await value('peer_sent_bytes_total'))! > 5000);
  assert.ok((await value('peer_received_bytes_total'))! > 5000);
  assert.equal(await counted('peer_connections', {}), 1);
  assert.equal(await counted('peer_served_requests_total', { method: 'echo' }), 1);
  assert.equal(await counted('peer_served_request_failures_total', { method: 'refused', reason: 'owner_away' }), 1);
  assert.equal(await counted('peer_served_request_bytes', {}), 0);
  client.close();
  assert.equal(await value('peer_requests_total', { method: 'echo' }), undefined);
  while ((await counted('peer_connections', {})) !== 0) await systemClock.turn();
});

test('clients of one address are counted together, bytes and calls under way as they are, until the last is closed', async (t) => {
  const registry = new Registry();
  const metrics = peerMetrics(registry);
  const end = Promise.withResolvers<void>();
  async function* items() {
    yield bytesOf(100_000);
    await end.promise;
  }
  const server = await startServer(t, {
    ...echo,
    hangs: () => new Promise(() => {}),
    streams: async () => ({ items: items() }),
  });
  const [one, other] = [startClient(t, server, { metrics }), startClient(t, server, { metrics })];
  const value = async (name: string) => {
    const found = await registry.getSingleMetric(`pallium_peer_${name}`)!.get();
    return found.values.reduce((sum: number | undefined, each) => (sum ?? 0) + each.value, undefined);
  };
  await one.call('echo', 0);
  await other.call('echo', 0, bytesOf(5000));
  const waiting = reason(one.call('hangs', 0));
  assert.equal(await value('inflight_requests'), 1);

  // a stream is under way until it has been read, and its bytes are told meanwhile
  const stream = await one.stream('streams', 0);
  const parts = stream.items[Symbol.asyncIterator]();
  await parts.next();
  assert.ok((await value('received_bytes_total'))! > 105_000);
  assert.equal(await value('inflight_requests'), 2);
  end.resolve();
  assert.ok((await parts.next()).done);
  assert.equal(await value('inflight_requests'), 1);

  const sent = (await value('sent_bytes_total'))!;
  one.close();
  assert.equal(await waiting, 'peer_gone');
  assert.deepEqual([await value('requests_total'), await value('inflight_requests')], [4, 0]);
  assert.ok((await value('sent_bytes_total'))! >= sent);

  const last = reason(other.call('hangs', 0));
  other.close();
  assert.equal(await last, 'peer_gone');
  for (const name of ['requests_total', 'request_seconds_total', 'request_failures_total', 'inflight_requests'])
    assert.equal(await value(name), undefined);
  for (const name of ['sent_bytes_total', 'received_bytes_total']) assert.equal(await value(name), undefined);
});

test('a process that accepts connections and says nothing keeps callers waiting twice, then none', async (t) => {
  // as one that is stopped: its machine accepts for it
  const sockets: Socket[] = [];
  const silent = createServer((socket) => {
    socket.on('error', () => {});
    sockets.push(socket);
  });
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.after(() => {
    silent.close();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = silent.address() as { port: number };
  const clock = new ManualClock();
  const client = new RpcClient({
    address: `127.0.0.1:${port}`,
    self: { name: 'client', cluster: {} },
    security: () => ({}),
    clock,
  });
  t.after(() => client.close());
  for (let i = 0; i < 2; i++) {
    const waits = reason(client.call('echo', 0));
    await clock.advance(5_000);
    assert.equal(await waits, 'peer_away');
    await clock.advance(5_000);
  }
  for (let i = 0; i < 20; i++) {
    assert.equal(await reason(client.call('echo', 0)), 'peer_away');
    await clock.advance(500);
  }
});

test('strangers that say nothing keep nobody out', async (t) => {
  const server = await startServer(t, echo);
  const cut = await meetStrangers(t, server, 300);
  assert.equal((await startClient(t, server).call('echo', 1)).head, 1);
  while (cut() < 300 - 256) await systemClock.turn();
});

/** A caller that has said its first words and reads nothing. */
function deafCaller(port: number) {
  const socket = connectTcp(port, '127.0.0.1');
  socket.on('error', () => {});
  let number = 0;
  const none = Buffer.alloc(0);
  const frame = (kind: number, call: number, head: Buffer = none) =>
    frameHead({ kind, call, head, bodyBytes: 0, piece: none }, number++);
  socket.write(frame(HELLO, 0, encodeValue(makeHello(new Uint8Array(32), false))));
  const said = encodeValue({ name: 'deaf', cluster: {} });
  socket.write(frame(PROOF, 0, encodeValue(introduction(undefined, 'caller', new Uint8Array(32), said))));
  socket.pause();
  return { socket, frame };
}

test('of an answer that is left in its middle nothing is kept', { timeout: 60_000 }, async (t) => {
  // begins an answer as its caller leaves, and is through with it before the rest
  const leave = new AbortController();
  const listener = createServer((socket) => {
    t.after(() => socket.destroy());
    let number = 0;
    const send = (
      kind: number,
      call: number,
      head: Buffer = Buffer.alloc(0),
      body: Buffer = Buffer.alloc(0),
      bodyBytes = body.length,
    ) => {
      socket.write(frameHead({ kind, call, head, bodyBytes, piece: body }, number++));
      socket.write(body);
    };
    const reader = new FrameReader(({ kind, call, head }) => {
      if (kind === HELLO) send(HELLO, 0, encodeValue(makeHello(new Uint8Array(32), false)));
      else if (kind === PROOF) {
        const said = encodeValue({ name: 'listener', cluster: {}, callsMax: 10, bytesMax: 1000 });
        send(WELCOME, 0, encodeValue(introduction(undefined, 'listener', new Uint8Array(32), said)));
      } else if (kind === CANCEL) {
        send(ANSWER, call, encodeValue(null), Buffer.alloc(PIECE_BYTES), PIECE_BYTES + 1000);
        send(END, call);
        // more of it than there was: only who still waits for it minds
        send(PART, call, undefined, Buffer.alloc(1), 1);
      } else if (kind === REQUEST) {
        const [method] = decodeValue(head) as readonly unknown[];
        if (method === 'long') leave.abort(new Error('no longer'));
        else send(ANSWER, call, encodeValue('here'));
      }
    });
    socket.on('data', (data: Buffer) => reader.take(data));
    socket.on('error', () => {});
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  t.after(() => listener.close());
  const { port } = listener.address() as { port: number };
  const client = new RpcClient({
    address: `127.0.0.1:${port}`,
    self: { name: 'client', cluster: {} },
    security: () => ({}),
    clock: systemClock,
  });
  t.after(() => client.close());
  await assert.rejects(client.call('long', null, undefined, { signal: leave.signal }), /no longer/);
  assert.equal((await client.call('short', null)).head, 'here');
  assert.equal((await client.call('short', null)).head, 'here');
});

test('a process ends though others do not read its answers', async (t) => {
  const server = await startServer(t, { large: async () => ({ body: new Uint8Array(64 * 1024 * 1024) }) });
  const { socket, frame } = deafCaller(server.port);
  t.after(() => socket.destroy());
  socket.write(frame(REQUEST, 1, encodeValue(['large', 60_000, 0, null])));
  while (server.connections === 0) await systemClock.turn();
  await systemClock.sleep(50);
  await server.stop({ signal: AbortSignal.abort(), progress: () => {} });
});

test("a call's time goes with it: it ends though its caller says nothing more", { timeout: 60_000 }, async (t) => {
  const { promise: begun, resolve } = Promise.withResolvers<AbortSignal>();
  const server = await startServer(t, {
    hangs: (_, { signal }) => {
      resolve(signal);
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    },
  });
  const { socket, frame } = deafCaller(server.port);
  t.after(() => socket.destroy());
  socket.write(frame(REQUEST, 1, encodeValue(['hangs', 30, 0, null])));
  const signal = await begun;
  while (!signal.aborted) await systemClock.sleep(5, t.signal);
  assert.equal(AppError.from(signal.reason).reason, 'peer_slow');
  assert.equal(server.connections, 1, 'the connection goes on');
});

test('a peer that asks and asks and reads nothing is cut off', async (t) => {
  const server = await startServer(t, echo);
  const { socket, frame } = deafCaller(server.port);
  let isClosed = false;
  socket.on('close', () => {
    isClosed = true;
  });
  // a method that is not there: the answer is longer than the question
  const request = encodeValue(['x'.repeat(20), 1, 0, null]);
  for (let call = 1; !isClosed; ) {
    if (socket.writableLength < 1 << 20) {
      socket.write(Buffer.concat(Array.from({ length: 1000 }, () => frame(REQUEST, call++, request))));
    }
    await systemClock.turn();
  }
  assert.equal(server.connections, 0);
  assert.equal((await startClient(t, server).call('echo', 1)).head, 1);
});

test('a body that is too long is refused before it is sent', async (t: TestContext) => {
  const server = await startServer(t, echo);
  const client = startClient(t, server);
  assert.equal(await reason(client.call('echo', 0, new Uint8Array(33 * 1024 * 1024))), 'peer_message_too_large');
  await client.call('echo', 0, new Uint8Array(32 * 1024 * 1024));
});

test('a process that is late again and again is left alone for a while, and then tried again', async (t) => {
  let arrived = 0;
  let hangs = true;
  const server = await startServer(t, {
    ...echo,
    asks: async () => {
      arrived++;
      if (hangs) await new Promise(() => {});
      return { head: 'here' };
    },
  });
  const client = startClient(t, server);
  const ask = () => client.call('asks', null, undefined, { timeoutMs: 20 });
  await client.call('echo', 0);
  for (let i = 0; i < 5; i++) assert.equal(await reason(ask()), 'peer_slow');
  for (let i = 0; i < 100; i++) assert.equal(await reason(ask()), 'peer_away');
  assert.ok(arrived <= 5, `${arrived} calls arrived`);
  hangs = false;
  for (;;) {
    const answer = await ask().catch((error: AppError) => error.reason);
    if (typeof answer !== 'string') break;
    assert.ok(['peer_away', 'peer_slow'].includes(answer), answer);
    await systemClock.sleep(50);
  }
});

test('a peer that floods gets its turns and no more: others are answered at nearly the same rate', async (t) => {
  // each call is some work, one at a time
  let last = Promise.resolve();
  const server = await startServer(
    t,
    {
      work: ({ body }) => {
        last = last.then(() => systemClock.turn());
        return last.then(() => ({ head: body.length }));
      },
    },
    { writesMax: 4 },
  );
  const victim = startClient(t, server, { self: { name: 'victim', cluster: {} } });
  const body = bytesOf(1000);
  /** Calls that the victim has answered in so many turns of the work, two at a time. */
  const rate = async (calls: number) => {
    const startMs = performance.now();
    const lane = async () => {
      for (let i = 0; i < calls / 2; i++) await victim.call('work', null, body);
    };
    await Promise.all([lane(), lane()]);
    return performance.now() - startMs;
  };
  await rate(100);
  const flooder = startClient(t, server, { self: { name: 'flooder', cluster: {} } });
  let floods = true;
  let flooded = 0;
  const flood = Array.from({ length: 400 }, async () => {
    while (floods) {
      await flooder.call('work', null, body);
      flooded++;
    }
  });
  while (flooded < 500) await systemClock.turn();
  const before = flooded;
  await rate(300);
  const share = (flooded - before) / 300;
  floods = false;
  await Promise.all(flood);
  // as many turns as the victim, and what was running besides; in order of arrival it would be 128 times as many
  assert.ok(share < 4, `${share.toFixed(1)} calls of the flood for each of the victim`);
});

test("a caller's trace goes with its calls, and with theirs in turn", async (t) => {
  const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const lines: string[] = [];
  const log = { ...silentLogger, debug: (fields: object) => void lines.push(JSON.stringify(fields)) } as Logger;
  const tell = async () => ({ head: currentTrace() ?? 'none' });
  const last = await startServer(t, { tell }, { log });
  const onward = startClient(t, last);
  const first = await startServer(t, { pass: async () => ({ head: (await onward.call('tell', {})).head }) });
  const client = startClient(t, first);
  assert.equal((await withTrace(trace, () => client.call('pass', {}))).head, trace);
  assert.equal((await client.call('pass', {})).head, 'none');
  assert.deepEqual(lines, [
    JSON.stringify({ method: 'tell', peer: 'client', traceId: '4bf92f3577b34da6a3ce929d0e0e4736' }),
  ]);
});
