import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Kernel } from '../../chunk/kernel.ts';
import type { HeadMatcher, HeadSelect } from '../../contract/ingester.ts';
import { connectInThread } from '../../kit/thread/channel.ts';
import { systemClock } from '../../lib/clock.ts';
import { type Random, seededRandom } from '../../lib/random.ts';
import { encodeLabels } from '../../model/canonical.ts';
import { integerHistogram } from '../../model/histogram-integer.ts';
import { Labels } from '../../model/labels.ts';
import { STEPS_BETWEEN } from '../../model/match-turn.ts';
import { FRAME_ASIDE } from '../../wire/frame-layout.ts';
import { FrameWriter } from '../../wire/frames.ts';
import { SliceView } from '../../wire/slices.ts';
import { HeadChanges } from '../head/head-changes.ts';
import { HeadReader } from '../head/head-reader.ts';
import { HeldRange } from '../head/held-range.ts';
import { KeptSelects } from '../head/kept-select.ts';
import { richPayload } from '../head/test-rich.ts';
import { MemoryDisk } from '../log/test-disk.ts';
import { type DirectMiss, DirectReads, type DirectReadsOptions } from './direct-reads.ts';
import { KeptBudget } from './kept-budget.ts';
import { Shard } from './shard.ts';
import { ShardsClient } from './shard-client.ts';
import type { ShardCalls, ShardRole } from './shard-messages.ts';
import { shardRole } from './shard-role.ts';
import { type TestSeries, testFrames } from './test-frames.ts';

// Selects of a reader that reads the shard's memory, beside those of one that asks it: every byte must be the same. FUZZ_RUNS and FUZZ_SEED
// change how much and what.

const RUNS = Number(process.env.FUZZ_RUNS ?? 4);
const SEED = Number(process.env.FUZZ_SEED ?? 1);
const STEPS = 150;
const MINUTE_MS = 60_000;
const WINDOW_MS = 10 * MINUTE_MS;
const T = 1_700_000_400_000;
const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: WINDOW_MS, exemplarsMax: 0 };
const TENANTS = ['a', 'b', 'c'];
const { signal } = new AbortController();

/** A shard over one disk, with a client that asks it and one that reads its memory. */
class Place {
  nowMs = T;
  readonly #disk = new MemoryDisk();
  readonly held = HeldRange.everything();
  readonly budget = new KeptBudget();
  readonly direct: DirectReads;
  shard: Shard;
  role: ReturnType<typeof shardRole>;
  #link: ReturnType<typeof connectInThread<ShardRole>>;
  asking: ShardsClient;
  reading: ShardsClient;
  /** Selects that the reader asked the shard for. */
  asked = 0;

  private constructor(options: DirectReadsOptions) {
    this.direct = new DirectReads(this.held, { budget: this.budget, ...options });
    this.shard = this.#open();
    this.role = shardRole(this.shard, systemClock);
    this.#link = connectInThread<ShardRole>(this.role);
    this.asking = new ShardsClient([{ channel: this.#link.channel, held: this.held }]);
    this.reading = this.#reading();
  }

  static async start(t: TestContext, options: DirectReadsOptions = {}): Promise<Place> {
    const place = new Place({ asksMin: 0, ...options });
    t.after(() => place.close());
    await place.#ready();
    return place;
  }

  #open(): Shard {
    return new Shard({
      folder: 'shard',
      windowMs: WINDOW_MS,
      headBytesMax: 1e9,
      fsync: 'interval',
      fsyncIntervalMs: 3_600_000,
      keepFlushedMs: 0,
      held: this.held,
      disk: this.#disk,
      clock: { ...systemClock, nowMs: () => this.nowMs },
      log: () => {},
      fatal: (error) => assert.fail(error),
    });
  }

  get channel(): ShardCalls {
    const { channel } = this.#link;
    const counted = (...args: Parameters<ShardCalls['call']>) => {
      if (args[0] === 'select') this.asked++;
      if (args[0] === 'selects') this.asked += (args[1] as { requests: unknown[] }).requests.length;
      return channel.call(...args);
    };
    return { call: counted } as ShardCalls;
  }

  #reading(): ShardsClient {
    return new ShardsClient([{ channel: this.channel, held: this.held, direct: this.direct }]);
  }

  async #ready(): Promise<void> {
    await this.shard.ready;
    await this.direct.connect(this.#link.channel);
  }

  async restart(checkpoint: boolean): Promise<void> {
    await this.close(checkpoint);
    this.held.ended();
    this.shard = this.#open();
    this.role = shardRole(this.shard, systemClock);
    this.#link = connectInThread<ShardRole>(this.role);
    this.asking = new ShardsClient([{ channel: this.#link.channel, held: this.held }]);
    this.reading = this.#reading();
    await this.#ready();
  }

  async drop(beforeMs: number): Promise<void> {
    for (const { sealLsn } of await this.role.seal({ beforeMs })) await this.role.confirmFlushed({ sealLsn });
    await this.shard.dropFlushed();
  }

  async close(checkpoint = false): Promise<void> {
    await this.shard.close({ checkpoint });
    this.#link.close();
  }
}

function matcher(name: string, op: HeadMatcher['op'], value: string): HeadMatcher {
  return { name, op, value };
}

function selectOf(tenant: string, matchers: readonly HeadMatcher[], startMs = -1e15, endMs = 1e15): HeadSelect {
  return { tenant, matchers, startMs, endMs, labelsOnly: false, packed: true };
}

async function bytesOf(client: ShardsClient, request: HeadSelect): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const { bytes, giveBack } of client.select(request, signal)) {
    parts.push(bytes.slice());
    giveBack?.();
  }
  return Buffer.concat(parts).toString('hex');
}

async function equal(place: Place, request: HeadSelect, said: string): Promise<void> {
  const [read, asked] = [await bytesOf(place.reading, request), await bytesOf(place.asking, request)];
  assert.ok(read === asked, `${said}: ${read.length / 2} bytes where the shard answers ${asked.length / 2}`);
}

function labelsOf(metric: number, instance: number): Record<string, string> {
  return { __name__: `m${metric}`, instance: `i${instance}`, job: instance % 2 === 0 ? 'even' : 'odd' };
}

function pick<T>(random: Random, all: readonly T[]): T {
  return all[Math.floor(random() * all.length)]!;
}

function randomSelect(random: Random): HeadSelect {
  const tenant = pick(random, TENANTS);
  const matchers: HeadMatcher[] = [];
  const name = random();
  if (name < 0.7) matchers.push(matcher('__name__', '=', `m${Math.floor(random() * 5)}`));
  else if (name < 0.85) matchers.push(matcher('__name__', '=~', 'm[0-2]'));
  const more = random();
  if (more < 0.3) matchers.push(matcher('instance', '=', `i${Math.floor(random() * 8)}`));
  else if (more < 0.5) matchers.push(matcher('job', '!=', 'odd'));
  else if (matchers.length === 0) matchers.push(matcher('job', '=', 'even'));
  if (random() < 0.3) return selectOf(tenant, matchers);
  const startMs = T + Math.floor((random() - 0.2) * 6 * WINDOW_MS) + (random() < 0.2 ? 0.5 : 0);
  return selectOf(tenant, matchers, startMs, startMs + Math.floor(random() * 3 * WINDOW_MS));
}

const writer = new FrameWriter(Kernel.create());

function histogramFrames(labels: Record<string, string>, timeMs: number): Uint8Array {
  const own = Labels.of(labels);
  const positiveSpans = [{ offset: 0, length: 1 }];
  const histogram = integerHistogram({ count: 1, sum: 1, positiveSpans, positiveDeltas: [1] });
  writer.clear();
  const payload = richPayload([{ timeMs, startMs: 0, histogram }]);
  writer.aside(encodeLabels(own), Buffer.from(own.metricName), 1, payload, FRAME_ASIDE);
  return writer.bytes.slice();
}

async function change(place: Place, random: Random): Promise<string> {
  const tenant = pick(random, TENANTS);
  const kind = random();
  if (kind < 0.75) {
    const series: TestSeries[] = [];
    const apartMs = pick(random, [1000, 5000, 15_000]);
    const count = pick(random, [1, 1, 3, 40, 250]);
    for (let i = 0; i < 1 + random() * 6; i++) {
      const fromMs = place.nowMs - (random() < 0.15 ? Math.floor(random() * WINDOW_MS) : 0);
      const samples = Array.from({ length: count }, (_, k) => {
        const value = random() < 0.02 ? undefined : random() < 0.5 ? Math.floor(random() * 100) : random();
        return [fromMs + k * apartMs, value] as const;
      });
      series.push({ labels: labelsOf(Math.floor(random() * 5), Math.floor(random() * 8)), samples });
    }
    await place.shard.push(tenant, testFrames(series), LIMITS);
    place.nowMs += apartMs * count;
    return 'push';
  }
  if (kind < 0.8) {
    const labels = labelsOf(Math.floor(random() * 5), Math.floor(random() * 8));
    await place.shard.push(tenant, histogramFrames(labels, place.nowMs), LIMITS);
    place.nowMs += 1000;
    return 'histogram';
  }
  if (kind < 0.9) await place.drop(place.nowMs - Math.floor(random() * 3) * WINDOW_MS);
  else if (kind < 0.93) await place.shard.deleteTenant(tenant);
  else if (kind < 0.95) await place.shard.checkpoint();
  else if (kind < 0.97) {
    // long enough for idle series and quiet tenants to go
    place.nowMs += 4 * WINDOW_MS;
    await place.shard.maintain();
  } else await place.restart(random() < 0.5);
  return String(kind);
}

test('a reader of the memory has, byte for byte, what the shard answers, whatever happens to it', async (t) => {
  let selects = 0;
  let asked = 0;
  for (let run = 0; run < RUNS; run++) {
    const random = seededRandom(SEED * 1000 + run);
    const place = await Place.start(t);
    for (let step = 0; step < STEPS; step++) {
      const done = await change(place, random);
      for (let i = 0; i < 6; i++) {
        const request = randomSelect(random);
        const said = `run ${run}, step ${step} (${done}): ${JSON.stringify(request)}`;
        // the first one may be what is kept
        await equal(place, request, said);
        await equal(place, request, `${said}, again`);
        selects += 2;
      }
    }
    asked += place.asked;
    await place.close();
  }
  assert.ok(asked < 0.75 * selects, `${asked} of ${selects} selects were asked of the shard`);
});

test('a select is read from the second time on, and asked again when other series match', async (t) => {
  const place = await Place.start(t, { asksMin: 1 });
  const push = (...instances: number[]) =>
    place.shard.push(
      'a',
      testFrames(instances.map((i) => ({ labels: labelsOf(1, i), samples: [[place.nowMs++, i]] as const }))),
      LIMITS,
    );
  await push(0, 1, 2);
  const request = selectOf('a', [matcher('__name__', '=', 'm1'), matcher('job', '=', 'even')]);
  const asks = async () => {
    const before = place.asked;
    await equal(place, request, 'm1');
    return place.asked - before;
  };
  assert.deepEqual([await asks(), await asks(), await asks(), await asks()], [1, 1, 0, 0]);
  await push(0, 1, 2);
  assert.equal(await asks(), 0, 'samples of the same series');
  for (let i = 0; i < 4; i++) await asks();
  await push(4);
  assert.deepEqual([await asks(), await asks()], [1, 0], 'a further series');
  await push(6);
  assert.deepEqual([await asks(), await asks()], [1, 1], 'series that come all the time are not worth it');
});

test('what is asked for at the same moment is read together, or not at all', async (t) => {
  const place = await Place.start(t);
  await place.shard.push('a', testFrames([{ labels: labelsOf(1, 0), samples: [[T, 1]] }]), LIMITS);
  await place.shard.push('a', testFrames([{ labels: labelsOf(2, 0), samples: [[T, 1]] }]), LIMITS);
  const [one, other] = [1, 2].map((i) => selectOf('a', [matcher('__name__', '=', `m${i}`)])) as [
    HeadSelect,
    HeadSelect,
  ];
  await bytesOf(place.reading, one);
  assert.equal(place.asked, 1);
  await Promise.all([bytesOf(place.reading, one), bytesOf(place.reading, other)]);
  assert.equal(place.asked, 3);
  await Promise.all([bytesOf(place.reading, one), bytesOf(place.reading, other)]);
  assert.equal(place.asked, 3);
});

test('series with histograms, and ones that get some, are asked of the shard', async (t) => {
  const place = await Place.start(t);
  await place.shard.push('a', testFrames([{ labels: labelsOf(1, 0), samples: [[T, 1]] }]), LIMITS);
  const request = selectOf('a', [matcher('__name__', '=', 'm1')]);
  await equal(place, request, 'floats');
  await equal(place, request, 'floats');
  assert.equal(place.asked, 1);
  await place.shard.push('a', histogramFrames(labelsOf(1, 0), T + 1000), LIMITS);
  for (let i = 0; i < 3; i++) await equal(place, request, 'both');
  assert.equal(place.asked, 4);
});

test('nobody reads series of another tenant, also where their place is used again', async (t) => {
  const place = await Place.start(t);
  const series = [{ labels: labelsOf(1, 0), samples: [[T, 1]] }] as const;
  await place.shard.push('a', testFrames(series), LIMITS);
  const request = selectOf('a', [matcher('__name__', '=', 'm1')]);
  await equal(place, request, 'as asked');
  const [ref] = refsIn(await bytesOf(place.reading, request));
  assert.equal(place.asked, 1);
  await place.shard.deleteTenant('a');
  await place.shard.checkpoint();
  place.nowMs += 10 * WINDOW_MS;
  await place.shard.maintain();
  await place.shard.push('b', testFrames(series), LIMITS);
  assert.deepEqual(refsIn(await bytesOf(place.asking, { ...request, tenant: 'b' })), [ref], 'the same place');
  assert.equal(await bytesOf(place.reading, request), '');
});

test('a shard that has lost something, is closed or was started again is not read past', async (t) => {
  const place = await Place.start(t);
  await place.shard.push('a', testFrames([{ labels: labelsOf(1, 0), samples: [[T, 1]] }]), LIMITS);
  const request = selectOf('a', [matcher('__name__', '=', 'm1')]);
  for (let i = 0; i < 2; i++) await equal(place, request, 'm1');
  assert.equal(place.asked, 1);
  place.held.ended();
  await equal(place, request, 'of another life');
  assert.equal(place.asked, 2);
  await place.restart(false);
  for (let i = 0; i < 2; i++) await equal(place, request, 'm1');
  assert.equal(place.asked, 3);
  await place.shard.close({ checkpoint: false });
  await assert.rejects(bytesOf(place.reading, request), /shutting down/);
});

test('a call that was cancelled is not answered', async (t) => {
  const place = await Place.start(t);
  await place.shard.push('a', testFrames([{ labels: labelsOf(1, 0), samples: [[T, 1]] }]), LIMITS);
  const request = selectOf('a', [matcher('__name__', '=', 'm1')]);
  await bytesOf(place.reading, request);
  const cancelled = AbortSignal.abort(new Error('enough'));
  await assert.rejects(place.reading.selectWhole(request, cancelled), /enough/);
});

test('what is kept is bounded by tenant and in all', async (t) => {
  const place = await Place.start(t);
  const many = Array.from({ length: 1500 }, (_, i) => ({
    labels: { ...labelsOf(1, i), text: 'x'.repeat(60) },
    samples: [[T, i]] as const,
  }));
  for (const tenant of ['a', 'b', 'c', 'd', 'e', 'f']) {
    await place.shard.push(tenant, testFrames(many), LIMITS);
    for (let i = 0; i < 30; i++) {
      await bytesOf(place.reading, selectOf(tenant, [matcher('__name__', '=', 'm1'), matcher('job', '!=', `${i}`)]));
    }
    assert.ok(place.budget.bytesOf(tenant) <= 2 * 2 ** 20, `${place.budget.bytesOf(tenant)} bytes of ${tenant}`);
    assert.ok(place.budget.bytes <= 8 * 2 ** 20, `${place.budget.bytes} bytes`);
  }
  assert.ok(place.budget.bytes > 4 * 2 ** 20);
});

const BOUNDED = [
  ['series', { seriesMax: 9 }],
  ['bytes', { bytesMax: 600 }],
  ['chunks out of the range', { chunksMax: 15 }],
] as const;
for (const [what, bounds] of BOUNDED)
  test(`what passes a bound of ${what} is said to be too large, and left to the shard or to nobody`, async (t) => {
    const place = await Place.start(t, bounds);
    for (let i = 0; i < 10; i++) {
      const samples = Array.from({ length: 3 }, (_, k) => [T + k * WINDOW_MS, i] as const);
      await place.shard.push('a', testFrames([{ labels: labelsOf(1, i), samples }]), LIMITS);
    }
    const one = selectOf('a', [matcher('__name__', '=', 'm1'), matcher('instance', '=', 'i1')]);
    const all = selectOf('a', [matcher('__name__', '=', 'm1')], T, T);
    for (let i = 0; i < 2; i++) await equal(place, one, 'one series');
    assert.equal(place.asked, 1);
    assert.equal(place.direct.select([all]), 'not kept');
    for (let i = 0; i < 2; i++) await equal(place, all, 'all series');
    assert.equal(place.asked, 3);
    assert.equal(place.direct.select([all]), 'too large');
    assert.equal(place.direct.select([one, all]), 'too large');
    const refusing = new Refusing([{ channel: place.channel, held: place.held, direct: place.direct }]);
    await assert.rejects(refusing.selectWhole(all, signal), /^Error: too large$/);
    assert.equal((await refusing.selectWhole(one, signal))?.length, 1);
    assert.equal(place.asked, 3);
  });

test('a read is tried as often as it may be while the shard changes something, and not said to be too large', async (t) => {
  const tries = async (triesMax: number) => {
    const place = await Place.start(t, { triesMax, waits: false });
    await place.shard.push('a', testFrames([{ labels: labelsOf(1, 0), samples: [[T, 1]] }]), LIMITS);
    const request = selectOf('a', [matcher('__name__', '=', 'm1')]);
    await equal(place, request, 'm1');
    const begin = t.mock.method(HeadChanges.prototype, 'begin', () => undefined);
    assert.equal(place.direct.select([request]), 'failed');
    begin.mock.restore();
    return begin.mock.callCount();
  };
  assert.deepEqual([await tries(1), await tries(3)], [1, 3]);
});

test('selects that have no room together are not kept again and again', async (t) => {
  const place = await Place.start(t);
  const many = Array.from({ length: 1500 }, (_, i) => ({
    labels: { ...labelsOf(1, i), text: 'x'.repeat(60) },
    samples: [[T, i]] as const,
  }));
  await place.shard.push('a', testFrames(many), LIMITS);
  const of = t.mock.method(KeptSelects.prototype, 'of');
  const select = (i: number) => selectOf('a', [matcher('__name__', '=', 'm1'), matcher('job', '!=', `${i}`)]);
  // more than have room, in a circle: the next one is always the one that went last
  for (let k = 0; k < 60; k++) await bytesOf(place.reading, select(k % 15));
  assert.ok(of.mock.callCount() < 30, `${of.mock.callCount()} copies for 60 selects`);
  assert.ok(place.asked < 50, `${place.asked} of 60 selects asked of the shard`);
});

test('reads that do not fit are left to the shard, for longer each time; narrower ones are read', async (t) => {
  const place = await Place.start(t, { bytesMax: 600 });
  const samples = Array.from({ length: 300 }, (_, k) => [T + k * 1000, k * Math.PI] as const);
  await place.shard.push('a', testFrames([{ labels: labelsOf(1, 0), samples }]), LIMITS);
  await place.shard.push('a', testFrames([{ labels: labelsOf(1, 0), samples: [[T + 3 * WINDOW_MS, 1]] }]), LIMITS);
  const matchers = [matcher('__name__', '=', 'm1')];
  const [wide, narrow] = [selectOf('a', matchers), selectOf('a', matchers, T + 3 * WINDOW_MS, T + 4 * WINDOW_MS)];
  await equal(place, narrow, 'narrow');
  const read = t.mock.method(HeadReader.prototype, 'read');
  for (let i = 0; i < 100; i++) assert.equal(place.direct.select([wide]), 'too large');
  assert.equal(read.mock.callCount(), 7, 'tries at 0, 2, 5, 10, 19, 36, 69');
  assert.notEqual(typeof place.direct.select([narrow]), 'string');
  assert.equal(place.direct.select([wide]), 'too large');
  assert.equal(read.mock.callCount(), 9, 'tried again once one was read');
});

test('the shard makes what is kept in turns with others', async (t) => {
  const place = await Place.start(t);
  const many = Array.from({ length: 1000 }, (_, i) => ({ labels: labelsOf(1, i), samples: [[T, i]] as const }));
  await place.shard.push('a', testFrames(many), LIMITS);
  const refs = Uint32Array.from(refsIn(await bytesOf(place.asking, selectOf('a', [matcher('__name__', '=', 'm1')]))));
  let pauses = 0;
  const turn = {
    steps: 0,
    isDue: () => turn.steps <= 0,
    pause: async () => {
      turn.steps = STEPS_BETWEEN;
      pauses++;
    },
  };
  const kept = await new KeptSelects(place.shard.head).of(refs, 0, 0, turn);
  assert.equal(kept?.refs.length, 1000);
  assert.ok(pauses >= 10, `${pauses} pauses`);
});

test('a tenant with many selects keeps no other one from having its own kept', async (t) => {
  const place = await Place.start(t, { asksMin: 1 });
  await place.shard.push('a', testFrames([{ labels: labelsOf(1, 0), samples: [[T, 1]] }]), LIMITS);
  const request = selectOf('a', [matcher('__name__', '=', 'm1')]);
  assert.equal(place.direct.wants(request), false);
  for (let i = 0; i < 5000; i++) place.direct.wants(selectOf('b', [matcher('__name__', '=', `m${i}`)]));
  assert.equal(place.direct.wants(request), true);
});

/** Never asks a shard for what is kept. */
class Refusing extends ShardsClient {
  protected override refusalOf(miss: DirectMiss): Error | undefined {
    return miss === 'not kept' ? undefined : new Error(miss);
  }
}

function refsIn(hex: string): number[] {
  const bytes = new Uint8Array(Buffer.from(hex, 'hex'));
  const refs: number[] = [];
  let at = 0;
  for (const series = new SliceView(bytes); series.next(); at = series.chunksTo)
    refs.push(new DataView(bytes.buffer).getUint32(at + 12, true));
  return refs;
}
