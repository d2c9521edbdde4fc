import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { Kernel } from '../../src/chunk/kernel.ts';
import { HeldRange } from '../../src/ingester/head/held-range.ts';
import { MemoryDisk } from '../../src/ingester/log/test-disk.ts';
import { IngesterMember } from '../../src/ingester/member.ts';
import { Replica } from '../../src/ingester/replica.ts';
import { Shard } from '../../src/ingester/shard/shard.ts';
import { ShardsClient } from '../../src/ingester/shard/shard-client.ts';
import type { ShardRole } from '../../src/ingester/shard/shard-messages.ts';
import { shardRole } from '../../src/ingester/shard/shard-role.ts';
import { testFrames } from '../../src/ingester/shard/test-frames.ts';
import { silentLogger } from '../../src/kit/observe/log.ts';
import { encodeValue } from '../../src/kit/rpc/codec.ts';
import {
  type Frame,
  FrameReader,
  frameHead,
  HELLO,
  PING,
  PONG,
  PROOF,
  REQUEST,
  WELCOME,
} from '../../src/kit/rpc/frame.ts';
import { introduction, makeHello } from '../../src/kit/rpc/handshake.ts';
import type { RpcCaller, RpcRole } from '../../src/kit/rpc/role.ts';
import { RpcServer } from '../../src/kit/rpc/server.ts';
import { connectInThread } from '../../src/kit/thread/channel.ts';
import { ByteWriter } from '../../src/lib/bytes.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { type Random, seededRandom } from '../../src/lib/random.ts';
import { decodeLabels, encodeLabels } from '../../src/model/canonical.ts';
import { Labels } from '../../src/model/labels.ts';
import { LabelMatcher } from '../../src/model/matcher.ts';
import { memberRole } from '../../src/peer/member-role.ts';
import { RemoteMember, SentFrames } from '../../src/peer/remote-member.ts';
import { headMatcher } from '../../src/querier/head-matcher.ts';
import { TestRing } from '../../src/querier/test-replicas.ts';
import { membersOf, ringOf } from '../../src/ring/test-ring.ts';
import { writeFrameExemplar } from '../../src/wire/frame-exemplars.ts';
import { FRAME_ASIDE, FRAME_EXEMPLARS, FRAME_FLAGS_AT, FRAME_KEY } from '../../src/wire/frame-layout.ts';
import { FrameView, FrameWriter } from '../../src/wire/frames.ts';
import { writeRichSample } from '../../src/wire/rich-samples.ts';
import { SliceView } from '../../src/wire/slices.ts';
import { mutate } from './mutate.ts';

// An ingester behind a peer listener, and frames of its methods that are changed at random. Half of the rounds change bytes on the wire:
// no request may arrive but whole ones. In the others the bytes are changed before the checksum is made, as by another process that is
// broken: it is answered or cut off, and a shard sees nothing that it cannot take.

const SECRET = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
const NOW_MS = Date.now();
const NOTHING = Buffer.alloc(0);
/** A tenant that nobody writes to meanwhile. */
const VICTIM = 'quite-another';
/** Requests on a connection before it is asked whether it is there. */
const BATCH = 16;

interface Message {
  readonly method: string;
  readonly head: Buffer;
  readonly body: Buffer;
}

/** All methods of a member, called as they should be. */
async function messages(version: { readonly number: number; readonly hash: string }): Promise<Message[]> {
  const found: Message[] = [];
  const note = async (method: string, head: unknown, body: Uint8Array = NOTHING) => {
    found.push({ method, head: encodeValue([method, 5000, 4096, head]), body: Buffer.from(body) });
    throw new Error('noted');
  };
  const caller: RpcCaller = { call: note, stream: (method, head) => note(method, head) };
  const member = new RemoteMember(caller, new SentFrames());
  const matchers = [
    LabelMatcher.of('__name__', '=', 'm'),
    LabelMatcher.of('i', '=~', '(a|b|c).*[0-9]+x?|1[0-9]'),
    LabelMatcher.of('j', '!~', 'one|two|three'),
  ].map(headMatcher);
  const range = { startMs: 0, endMs: NOW_MS };
  const limits = {
    seriesPerUserMax: 0,
    seriesElsewhere: 3,
    seriesPerMetricMax: 0,
    outOfOrderMs: 60_000,
    exemplarsMax: 100,
  };
  const { signal } = new AbortController();
  const calls = [
    ...[labelledFrames(), keyedFrames(), Buffer.concat([keyedFrames(), labelledFrames()])].map((frames) =>
      member.push({ tenant: 't', frames, limits, version, writing: 1 }),
    ),
    member.setMetadata({
      tenant: 't',
      entries: [{ metric: 'm', type: 'counter', help: 'Ones.', unit: '' }],
      limits: { metricsMax: 10, perMetricMax: 3 },
      version,
      writing: 1,
    }),
    member.select(
      { tenant: 't', matchers, ...range, labelsOnly: false, shard: { index: 1, count: 4 } },
      version,
      signal,
    ),
    member.labels({ tenant: 't', matchers: [matchers], name: 'i', ...range }, version, signal),
    member.metadata('t', version, signal),
    member.headStats({ tenant: 't', limit: 10 }, version, signal),
    member.exemplars({ tenant: 't', matchers: [matchers], ...range }, version, signal),
    member.seriesOf('t'),
  ];
  await Promise.allSettled(calls);
  return found;
}

function labelledFrames(): Uint8Array {
  const writer = new FrameWriter(Kernel.create());
  const labels = encodeLabels(Labels.of({ __name__: 'm', i: 'a1', j: 'größer' }));
  const metric = Buffer.from('m');
  const payload = new ByteWriter();
  writeRichSample(payload, { timeMs: NOW_MS + 2, startMs: NOW_MS, high: 1, low: 2 });
  writer.aside(labels, metric, 1, payload.done(), FRAME_ASIDE);
  payload.clear();
  writeFrameExemplar(payload, { timeMs: NOW_MS, value: 1, labels: encodeLabels(Labels.of({ trace: 'x' })) });
  writer.aside(labels, metric, 1, payload.done(), FRAME_EXEMPLARS);
  const plain = testFrames([
    {
      labels: { __name__: 'm', i: 'a1' },
      samples: [
        [NOW_MS, 1],
        [NOW_MS + 1, 2.5],
      ],
    },
    { labels: { __name__: 'n', i: 'b' }, samples: [[NOW_MS, 0]] },
  ]);
  return Buffer.concat([plain, writer.bytes]);
}

function keyedFrames(): Uint8Array {
  const random = seededRandom(5);
  const frames = Array.from({ length: 12 }, (_, i) => {
    const samples = 1 + (i % 3);
    const bytes = Buffer.alloc(40 + 16 * samples);
    bytes.writeUInt32LE(bytes.length, 0);
    bytes.writeUInt32LE(16, 4);
    bytes.writeUInt32LE(samples, 8);
    bytes.writeUInt32LE(FRAME_KEY, FRAME_FLAGS_AT);
    bytes.writeUInt32LE(i >> 2, 16);
    for (let at = 24; at < 40; at++) bytes[at] = random() * 256;
    for (let j = 0; j < samples; j++) {
      bytes.writeBigInt64LE(BigInt(NOW_MS + j), 40 + 16 * j);
      bytes.writeDoubleLE(j, 48 + 16 * j);
    }
    return bytes;
  });
  return Buffer.concat(frames);
}

/** A connection that has said its first words. */
class Caller {
  readonly socket: Socket;
  readonly #waiting = new Map<number, () => void>();
  #number = 0;
  isClosed = false;
  /** Resolves when the listener has ended it. */
  readonly closed: Promise<void>;

  private constructor(socket: Socket) {
    this.socket = socket;
    const reader = new FrameReader(({ kind }) => this.#waiting.get(kind)?.());
    reader.frameBytesMax = 1 << 24;
    socket.on('data', (data: Buffer) => reader.take(data));
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.isClosed = true;
        for (const wake of this.#waiting.values()) wake();
        resolve();
      });
    });
  }

  static async open(port: number): Promise<Caller> {
    const caller = new Caller(connect(port, '127.0.0.1'));
    await once(caller.socket, 'connect');
    const heard = caller.hears(HELLO);
    caller.send({ kind: HELLO, head: encodeValue(makeHello(new Uint8Array(32), false)) });
    await heard;
    const welcome = caller.hears(WELCOME);
    const said = encodeValue({ name: 'fuzz', cluster: {} });
    caller.send({ kind: PROOF, head: encodeValue(introduction(undefined, 'caller', new Uint8Array(32), said)) });
    await welcome;
    assert.ok(!caller.isClosed);
    return caller;
  }

  /** Resolves with the next frame of a kind, or when the connection has ended. */
  hears(kind: number): Promise<void> {
    return new Promise((resolve) => this.#waiting.set(kind, resolve));
  }

  send(frame: Pick<Frame, 'kind'> & Partial<Frame>): void {
    this.socket.write(this.bytesOf(frame));
  }

  bytesOf({
    kind,
    call = 0,
    head = NOTHING,
    piece = NOTHING,
    bodyBytes = piece.length,
  }: Pick<Frame, 'kind'> & Partial<Frame>): Buffer {
    return Buffer.concat([frameHead({ kind, call, head, piece, bodyBytes }, this.#number++), piece]);
  }

  async isThere(): Promise<boolean> {
    const pong = this.hears(PONG);
    this.send({ kind: PING });
    await pong;
    return !this.isClosed;
  }
}

/** Frames that a shard may be handed, seen with other eyes than those of the listener. */
function checkFrames(frames: Uint8Array): void {
  const frame = new FrameView(frames);
  while (frame.next()) {
    assert.ok(frame.end <= frames.length && frame.end % 8 === 0 && frame.samplesAt <= frame.end);
    if (frame.has(FRAME_KEY)) assert.equal(frame.labelsBytes, 16);
    else decodeLabels(frames, frame.labelsAt, frame.labelsAt + frame.labelsBytes);
    if (!frame.has(FRAME_ASIDE)) assert.equal(frame.samplesAt + 16 * frame.samples, frame.end);
  }
  assert.equal(frame.end, frames.length);
}

export interface FuzzOutcome {
  /** Connections that were ended for what came on them. */
  cut: number;
  /** Pushes that were changed and all the same such as a shard takes. */
  taken: number;
}

export async function fuzzPeerWire(t: TestContext, rounds: number, seed: number): Promise<FuzzOutcome> {
  const random = seededRandom(seed);
  const ring = new TestRing();
  ring.set([ringOf(membersOf(3, 3), 64, 3)]);
  const view = ring.current()!;
  const all = await messages({ number: view.newest.number, hash: view.hash });
  assert.equal(all.length, 10);
  const held = HeldRange.everything();
  const shard = new Shard({
    folder: 'shard-0',
    windowMs: 7_200_000,
    headBytesMax: 1 << 28,
    seriesSecret: SECRET,
    fsync: 'interval',
    fsyncIntervalMs: 60_000,
    keepFlushedMs: 60_000,
    held,
    disk: new MemoryDisk(),
    clock: systemClock,
    log: () => {},
    fatal: (error) => assert.fail(error),
  });
  await shard.ready;
  const link = connectInThread<ShardRole>(shardRole(shard, systemClock));
  t.after(async () => {
    link.close();
    await shard.close({ checkpoint: false });
  });
  const channels = [link.channel];
  const member = new IngesterMember({ shards: () => channels, ring });
  const outcome: FuzzOutcome = { cut: 0, taken: 0 };
  const push = shard.push.bind(shard);
  // where blocks were looked at, and before a head has seen any
  shard.push = (tenant, frames, ...rest) => {
    if (tenant !== VICTIM) {
      checkFrames(frames);
      outcome.taken++;
    }
    return push(tenant, frames, ...rest);
  };
  const reader = new Replica({ ring, shards: new ShardsClient([{ channel: link.channel, held }]) });
  const served = memberRole({ target: member, reader, admin: { seriesOf: async () => 1 } as never });
  /** Called with each request that arrives. */
  let arrives = (_method: string, _head: unknown, _body: Uint8Array) => {};
  const role: RpcRole = Object.fromEntries(
    Object.entries(served).map(([name, method]) => [
      name,
      (request, call) => {
        arrives(name, request.head, request.body);
        return method(request, call);
      },
    ]),
  );
  const server = new RpcServer({
    host: '127.0.0.1',
    port: 0,
    self: { name: 'member', cluster: {} },
    security: () => ({}),
    role,
    clock: systemClock,
    log: silentLogger,
  });
  await server.start();
  t.after(() => server.stop({ signal: AbortSignal.abort(), progress: () => {} }));

  const victims = [{ labels: { __name__: 'kept', i: '1' }, samples: [[NOW_MS, 7]] as const }];
  await shard.push(VICTIM, testFrames(victims), {
    seriesPerUserMax: 0,
    seriesPerMetricMax: 0,
    outOfOrderMs: 0,
    exemplarsMax: 0,
  });
  const before = await chunksOf(channels[0]!);

  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
  const onTheWire = async (message: Message) => {
    const caller = await Caller.open(server.port);
    const whole = caller.bytesOf({ kind: REQUEST, call: 1, head: message.head, piece: message.body });
    const changed = mutate(whole, random);
    arrives = (method, _, body) => {
      assert.ok(
        Buffer.from(changed).subarray(0, whole.length).equals(whole),
        `a changed ${method} of ${body.length} bytes`,
      );
    };
    caller.socket.end(changed);
    await caller.closed;
    arrives = () => {};
    outcome.cut++;
  };

  let caller: Caller | undefined;
  let calls = 0;
  const byAnother = async () => {
    if (caller === undefined || caller.isClosed) caller = await Caller.open(server.port);
    for (let i = 0; i < BATCH; i++) caller.send(changedFrame(pick(all), ++calls, random));
    if (!(await caller.isThere())) outcome.cut++;
  };
  for (let round = 0; round < rounds; ) {
    if (random() < 1 / (BATCH + 1)) {
      await byAnother();
      round += BATCH;
    } else {
      await onTheWire(pick(all));
      round++;
    }
  }
  caller?.socket.destroy();

  // it is as it was, and answers
  assert.deepEqual(await chunksOf(channels[0]!), before);
  const last = await Caller.open(server.port);
  assert.ok(await last.isThere());
  last.socket.destroy();
  const { message } = { message: all[0]! };
  const taken = outcome.taken;
  const good = await Caller.open(server.port);
  good.send({ kind: REQUEST, call: 1, head: message.head, piece: message.body });
  assert.ok(await good.isThere());
  assert.equal(outcome.taken, taken + 1);
  good.socket.destroy();
  return outcome;
}

/** A request of which head, body or frame is changed; its checksum is right. */
function changedFrame({ head, body }: Message, call: number, random: Random): Pick<Frame, 'kind'> & Partial<Frame> {
  // few of these: what follows on a connection that is ended is not looked at
  switch (Math.floor(random() * 64)) {
    case 0:
      return { kind: Math.floor(random() * 20), call: random() < 0.5 ? call : 1, head, piece: body };
    case 1:
      return { kind: REQUEST, call, head, piece: body, bodyBytes: Math.floor(random() * 2 ** 32) };
  }
  if (body.length > 0 && random() < 0.6) return { kind: REQUEST, call, head, piece: Buffer.from(mutate(body, random)) };
  return { kind: REQUEST, call, head: Buffer.from(mutate(head, random)), piece: body };
}

async function chunksOf(channel: {
  call: (method: 'select', request: never) => Promise<{ readonly bytes: Uint8Array }>;
}): Promise<string[]> {
  const matchers = [{ name: '__name__', op: '=', value: 'kept' }];
  const request = { tenant: VICTIM, matchers, startMs: -1e15, endMs: 1e15, labelsOnly: false };
  const { bytes } = await channel.call('select', request as never);
  const found: string[] = [];
  for (const series = new SliceView(bytes); series.next(); ) {
    found.push(...series.chunks.map((chunk) => Buffer.from(chunk.bytes).toString('hex')));
  }
  assert.equal(found.length, 1);
  return found;
}
