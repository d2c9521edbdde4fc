import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { TableKv } from '../../src/kv/table.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { systemBytes } from '../../src/lib/random.ts';
import { decodeSettings, encodeSettings, SETTINGS_KEY } from '../../src/ring/settings.ts';
import { Cluster, ONE_THREAD, QUICK_RING } from '../harness/cluster.ts';
import { SteadyLoad } from '../harness/steady-load.ts';
import { until } from '../harness/wait.ts';
import { openStores, tableServices } from './e2e-stores.ts';

// Processes that work with another key of series than the cluster end by themselves, to be started again.

const { port: storePort, flags: serviceFlags } = tableServices.find(({ name }) => name === 'dynamodb')!;
const FLAGS: Readonly<Record<string, readonly string[]>> = {
  i1: ['-target=ingester'],
  i2: ['-target=ingester'],
  i3: ['-target=ingester'],
  front: ['-target=distributor,querier'],
};
const NAMES = Object.keys(FLAGS);
/** Exit code of a process that works again when it is started again. */
const RESTART = 75;

/** Puts another key of series into the store, which was drawn earlier: the cluster's is that one. */
async function changeKey(flags: readonly string[]): Promise<string> {
  const opened = await openStores(flags);
  try {
    const { tables: store, tablePrefix } = opened.schema.periods[0]!;
    const kv = new TableKv({ store, table: `${tablePrefix}ring`, clock: systemClock, randomBytes: systemBytes });
    const entry = (await kv.get(SETTINGS_KEY))!;
    const kept = decodeSettings(entry.value)!;
    const next = { ...kept, seriesKey: '7'.repeat(32), drawnMs: kept.drawnMs! - 1_000 };
    assert.equal(await kv.compareAndSet(SETTINGS_KEY, entry.revision, encodeSettings(next)), true);
    return next.seriesKey;
  } finally {
    await opened.close();
  }
}

if (storePort === undefined) test('restart turns: needs DYNAMODB_PORT', { skip: true });
else {
  test('all processes of a cluster whose key of series is another one end in turns, no two ingesters at a time, and none drains', async () => {
    const store = [
      ...serviceFlags(storePort),
      `-schema.prefix=k${Date.now().toString(36)}_`,
      '-schema.object-store=none',
    ];
    await using cluster = new Cluster([...store, ...QUICK_RING, ...ONE_THREAD, '-ingester.drain-on-shutdown=true']);
    for (const name of NAMES) {
      await cluster.start(name, FLAGS[name]);
      if (name === 'i3') await cluster.ready();
    }
    await cluster.ready();
    const front = () => [cluster.of('front')];
    await using load = new SteadyLoad({ writeTo: front, ask: front });
    load.start();
    await until('samples', () => load.acknowledged > 5);

    const away = new Set<string>();
    const codes = new Map<string, number | null>();
    let mostAway = 0;
    let isOver = false;
    const supervise = async (name: string) => {
      const { code } = await cluster.of(name).ended;
      if (isOver) return;
      codes.set(name, code);
      away.add(name);
      mostAway = Math.max(mostAway, [...away].filter((each) => each.startsWith('i')).length);
      await cluster.start(name, FLAGS[name]);
      await cluster.ready(name);
      away.delete(name);
    };
    const key = await changeKey(store);
    let failure: { readonly reason: unknown } | undefined;
    Promise.all(NAMES.map(supervise)).catch((reason) => {
      failure ??= { reason };
    });
    const isThrough = () => codes.size === NAMES.length && away.size === 0;
    try {
      await until('all ended and came back', () => failure !== undefined || isThrough(), {
        timeoutMs: 400_000,
        intervalMs: 200,
      });
    } finally {
      isOver = true;
    }
    if (failure !== undefined) throw (failure as { readonly reason: unknown }).reason;

    assert.deepEqual(
      [...codes.values()],
      NAMES.map(() => RESTART),
    );
    assert.equal(mostAway, 1);
    const last = load.acknowledged;
    await until('writes go on', () => load.acknowledged > last + 5);
    await load.stop();
    await load.check(cluster.of('front'));
    const { version, members } = JSON.parse((await cluster.of('front').api().ask('/ring?format=json')).text);
    assert.deepEqual([version, members.length], [1, 3]);
    for (const name of ['i1', 'i2', 'i3']) {
      assert.doesNotMatch(cluster.logOf(name), /draining/);
      const kept = readFileSync(join(cluster.folder(name), 'ingester', 'ring-settings.json'));
      assert.equal(decodeSettings(kept)?.seriesKey, key);
    }
  });
}
