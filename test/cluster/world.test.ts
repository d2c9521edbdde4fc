import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FrameTarget } from '../../src/contract/ingest.ts';
import { Edge } from '../../src/distributor/edge.ts';
import { DistributorService } from '../../src/distributor/service.ts';
import { ShardsClient } from '../../src/ingester/shard/shard-client.ts';
import { Registry } from '../../src/kit/observe/metrics.ts';
import { Network } from './network.ts';
import { Oracle, toldMissing } from './oracle.ts';
import { LIMITS, makeCompactor, makeIngester, makeQuerier, startShards } from './parts.ts';
import { type Machine, SimProcess } from './process.ts';
import { SimDisk } from './sim-disk.ts';
import { SimKv } from './sim-kv.ts';
import { SimStore } from './store.ts';
import { World } from './world.ts';

const MINUTE = 60_000;

test('time goes on when all that was set off has come to rest, and in its order', async () => {
  const world = new World({ seed: 1 });
  const process = new SimProcess(world, { name: 'a', skewMs: 600_000 }, 'a.1');
  const seen: string[] = [];
  world.after(20, () => seen.push('20'));
  world.after(10, async () => {
    // however many promises stand between: no time goes by
    for (let i = 0; i < 1_000; i++) await undefined;
    seen.push(`10 at ${world.atMs}`);
  });
  const timer = process.clock.every(8, () => {
    seen.push(`every at ${world.atMs}`);
    if (seen.length > 2) timer.cancel();
  });
  await world.run(100);
  assert.deepEqual(seen, ['every at 8', '10 at 10', 'every at 16', '20']);
  assert.equal(world.atMs, 100);
  assert.equal(process.clock.nowMs() - world.nowMs, 600_000);
});

test('a paused process does all of it later, a killed one nothing', async () => {
  const world = new World({ seed: 1 });
  const [a, b] = ['a', 'b'].map((name) => new SimProcess(world, { name, skewMs: 0 }, name)) as [SimProcess, SimProcess];
  const network = new Network(world);
  let asked = 0;
  network.listen(b, { ask: async () => ++asked });
  const client = network.client<{ ask(request: null): Promise<number> }>(a, 'b');
  const answers: unknown[] = [];
  const ask = () =>
    void client.call('ask', null).then(
      (answer) => answers.push(answer),
      (e: Error) => answers.push(e.name),
    );
  ask();
  await world.run(100);
  assert.deepEqual(answers, [1]);
  b.pause();
  ask();
  await world.run(1_000);
  assert.deepEqual([asked, answers], [1, [1]]);
  b.resume();
  await world.run(100);
  assert.deepEqual(answers, [1, 2]);
  b.pause();
  ask();
  await world.run(60_000);
  assert.deepEqual(answers, [1, 2, 'TimeoutError'], 'nobody waits for ever');
  b.kill();
  ask();
  await world.run(60_000);
  assert.deepEqual([asked, answers.length, answers[3]], [2, 4, 'AppError']);
});

test('a cut in one direction lets questions through and no answers', async () => {
  const world = new World({ seed: 1 });
  const [a, b] = ['a', 'b'].map((name) => new SimProcess(world, { name, skewMs: 0 }, name)) as [SimProcess, SimProcess];
  const network = new Network(world);
  let asked = 0;
  network.listen(b, { ask: async () => ++asked });
  const client = network.client<{ ask(request: null): Promise<number> }>(a, 'b');
  const outcome = async () => {
    let result: unknown;
    client.call('ask', null).then(
      (n) => (result = n),
      (error: Error) => (result = error.message),
    );
    await world.run(60_000);
    return result;
  };
  assert.equal(await outcome(), 1);
  network.cut('b', 'a');
  assert.match(String(await outcome()), /closed/);
  assert.equal(asked, 2, 'it was asked');
  assert.match(String(await outcome()), /cannot be reached/);
  network.heal();
  assert.equal(await outcome(), 3);
});

test('a machine that crashes keeps what was synced, and of the rest a beginning, torn maybe', async () => {
  const lengths = new Set<number>();
  for (let seed = 0; seed < 40; seed++) {
    const world = new World({ seed });
    const process = new SimProcess(world, { name: 'a', skewMs: 0 }, 'a.1');
    const machineDisk = new SimDisk(world.random('disk'));
    const disk = machineDisk.of(process);
    disk.makeFolder('log');
    const file = disk.append('log/1');
    disk.syncFolder('log');
    file.write(new Uint8Array(1_000).fill(1));
    void file.sync();
    await world.run(100);
    file.write(new Uint8Array(2_000).fill(2));
    disk.append('log/2').write(new Uint8Array(10));
    machineDisk.crash();
    const { bytes } = disk.open('log/1');
    lengths.add(bytes);
    const read = new Uint8Array(bytes);
    disk.open('log/1').read(read, 0);
    assert.ok(bytes >= 1_000 && read.subarray(0, 1_000).every((each) => each === 1));
    assert.ok(read.subarray(1_000).every((each) => each === 2 || each === 0));
  }
  assert.ok(lengths.size > 20);
});

test('a key-value store loses all, or goes back in time', async () => {
  const world = new World({ seed: 1 });
  const process = new SimProcess(world, { name: 'a', skewMs: 0 }, 'a.1');
  const kv = new SimKv(world);
  const client = kv.of(process);
  const put = (text: string) => void client.put('key', new TextEncoder().encode(text));
  const get = async () => {
    let value: string | undefined;
    void client.get('key').then((entry) => (value = entry && new TextDecoder().decode(entry.value)));
    await world.run(1_000);
    return value;
  };
  put('old');
  await world.run(2 * 3_600_000);
  put('new');
  await world.run(1_000);
  assert.equal(await get(), 'new');
  kv.restore(3_600_000);
  assert.equal(await get(), 'old');
  kv.empty();
  assert.equal(await get(), undefined);
});

/** An hour of one ingester that is killed and started again, with its edge and querier in its process. Says what there was to see. */
async function anHour(seed: number): Promise<{ digest: string; events: number }> {
  const world = new World({ seed });
  const random = world.random('test');
  const machine: Machine = { name: 'a', skewMs: 0 };
  const store = new SimStore(world);
  const disk = new SimDisk(world.random('disk'));
  const secret = new Uint8Array(16).fill(7);
  const sent = new Map<number, number>();
  let process = new SimProcess(world, machine, 'a.0');
  const start = (life: number) => {
    process = new SimProcess(world, machine, `a.${life}`);
    const place = { process, schema: store.of(process) };
    const shards = startShards(place, {
      disk: disk.of(process),
      seriesSecret: secret,
      shards: 2,
      fsync: 'always',
      broken: undefined,
    });
    const targets: FrameTarget[] = shards.map(({ channel }) => ({
      push: (request) => channel.call('push', request, { transfer: [request.frames] }),
      setMetadata: (request) => channel.call('setMetadata', request),
    }));
    const { clock } = process;
    const edges = new Edge({ clock, rawBytesMax: 1 << 20, seriesSecret: secret, targets });
    const ingester = makeIngester(place, shards);
    void ingester.start();
    return {
      ingester,
      distributor: new DistributorService({ edges, limits: () => LIMITS, registry: new Registry(), clock }),
      queries: makeQuerier(place, new ShardsClient(shards)),
    };
  };
  let member = start(1);
  for (let minute = 0; minute < 60; minute++) {
    if (random() < 0.1) {
      process.kill();
      if (random() < 0.5) disk.crash();
      member = start(minute + 2);
      assert.ok(await world.until(() => member.ingester.notReady() === undefined, MINUTE));
    }
    const timeMs = process.clock.nowMs();
    const series = ['x', 'y', 'z'].map((name) => ({
      pairs: ['__name__', 'up', 'job', name],
      samples: [{ timeMs, value: minute }],
    }));
    member.distributor.pushSeries({ tenant: 'a', series }).then(({ status, text }) => {
      world.trace(`pushed ${minute}: ${status} ${text}`);
      if (status === 200 || status === 204) sent.set(timeMs, minute);
    });
    await world.run(MINUTE);
    if (minute % 10 !== 9) continue;
    let found: unknown;
    const expr = 'sum(count_over_time(up[3h]))';
    const { signal } = new AbortController();
    member.queries.instant('a', { expr, timeMs: process.clock.nowMs() }, { signal }).then(
      ({ value }) => (found = value.type === 'vector' && value.values[0]),
      (error) => (found = error),
    );
    await world.run(MINUTE / 2);
    assert.equal(found, 3 * sent.size, `seed ${seed}, minute ${minute}`);
    world.trace(`found ${found}`);
  }
  let merged: unknown;
  const compactor = makeCompactor({ process, schema: store.of(process) });
  void compactor.run({ force: true }).then(({ days, samples }) => {
    merged = { days, samples };
  });
  assert.ok(await world.until(() => merged !== undefined, 10 * MINUTE));
  world.trace(`merged ${JSON.stringify(merged)}, ${world.events} events`);
  return { digest: world.digest, events: world.events };
}

test('one seed is one run, reproducible to the byte', { timeout: 60_000 }, async (t) => {
  const startedMs = performance.now();
  const first = await anHour(11);
  t.diagnostic(`${first.events} events, ${Math.round(performance.now() - startedMs)} ms`);
  assert.deepEqual(await anHour(11), first);
  const others = new Set<string>();
  for (let seed = 12; seed < 20; seed++) others.add((await anHour(seed)).digest);
  assert.equal(others.size, 8, 'and another seed another');
});

test('a warning excuses what it says that an answer lacks, and nothing else', () => {
  const oracle = new Oracle();
  const at = (time: string) => Date.parse(`2026-01-01T${time}Z`);
  const lacks = (time: string, ...warnings: string[]) => {
    const tenant = `${time} ${warnings.join()}`;
    oracle.acknowledged(oracle.sent(tenant, 'm', 's', at(time), 1), 1);
    const selection = { tenant, metric: 'm', afterMs: at('00:00:00'), toMs: at('23:00:00') };
    oracle.check(selection, new Map(), 2, toldMissing(warnings));
  };
  const givenUp = 'a was given up at 2026-01-01T10:00:00.000Z: samples until then that it alone held are missing';
  const stopped =
    'the machine stopped: samples from 2026-01-01T10:00:00.000Z to 2026-01-01T11:00:00.000Z may be missing';
  const rotten = 'a: 7 bytes of log at 3 were corrupt: samples may be missing';
  lacks('09:00:00', givenUp);
  lacks('10:59:00', givenUp);
  lacks('10:59:00', stopped, 'something else');
  lacks('12:00:00', rotten);
  for (const [time, ...warnings] of [
    ['11:00:00', givenUp],
    ['09:59:00', stopped],
    ['11:00:00', stopped],
    ['10:30:00', 'something else'],
    ['10:30:00'],
  ] as [string, ...string[]][]) {
    assert.throws(() => lacks(time, ...warnings), { name: 'Wrong' }, `${time} ${warnings}`);
  }
});
