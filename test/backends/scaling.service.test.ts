import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cluster, ONE_THREAD, QUICK_RING } from '../harness/cluster.ts';
import type { Pallium } from '../harness/pallium.ts';
import { SteadyLoad } from '../harness/steady-load.ts';
import { runTool } from '../harness/tool.ts';
import { until } from '../harness/wait.ts';
import { tableServices } from './e2e-stores.ts';

// Ingesters come and go under load, and every process is started again. `QUERIES` (200) are asked while a member is killed, for each
// member; 1000 is the long form.

const { port: storePort, flags: serviceFlags } = tableServices.find(({ name }) => name === 'dynamodb')!;
const RUN = Date.now().toString(36);
const QUERIES = Number(process.env.QUERIES ?? 200);
let clusters = 0;

function storeFlags(): string[] {
  return [...serviceFlags(storePort!), `-schema.prefix=s${RUN}${clusters++}_`, '-schema.object-store=none'];
}

/** Ingesters, and processes before them that take writes and answer queries. */
async function begin(store: readonly string[], ingesters: readonly string[], fronts = ['front']): Promise<Cluster> {
  const cluster = new Cluster([...store, ...QUICK_RING, ...ONE_THREAD]);
  try {
    for (const name of ingesters) await cluster.start(name, ['-target=ingester']);
    await cluster.ready();
    for (const name of fronts) await cluster.start(name, FRONT);
    await cluster.ready();
    return cluster;
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

const FRONT = ['-target=distributor,querier'];

/** @param out fronts that are being started again: who balances asks none that is not ready */
function loadOn(cluster: Cluster, fronts = ['front'], out = new Set<string>()): SteadyLoad {
  const inside = () => fronts.filter((name) => !out.has(name)).map((name) => cluster.of(name));
  return new SteadyLoad({ writeTo: inside, ask: inside });
}

/** Nothing fails for who asks: writes may be tried again. */
function noneFailed({ failed, answers }: SteadyLoad): void {
  assert.equal(failed.length, 0, `${failed.length} of ${answers} queries failed:\n${failed.join('\n')}`);
}

/** Becomes true when an answer came since. */
function quietOf(load: SteadyLoad): () => boolean {
  const { answers } = load;
  return () => load.answers > answers + 1;
}

async function drain(ingester: Pallium): Promise<void> {
  await ingester.api().ask('/ingester/drain', { method: 'POST' });
  const isOut = async () => JSON.parse((await ingester.api().ask('/ingester/drain')).text).drained === true;
  await until('it has drained', isOut, { timeoutMs: 120_000, intervalMs: 200 });
}

/** Samples of each series in the store, and nowhere else. */
async function stored(store: readonly string[]): Promise<Map<string, number>> {
  const { code, stdout, stderr } = await runTool(['export', ...store, '-match={__name__=~"steps_."}']);
  assert.equal(code, 0, stderr);
  const counts = new Map<string, number>();
  for (const line of stdout.split('\n')) {
    const series = /series="(\d+)"/.exec(line)?.[1];
    if (series !== undefined) counts.set(series, (counts.get(series) ?? 0) + 1);
  }
  return counts;
}

/** Samples that an ingester read back from the store before it left the ring, by its metric and its log. */
async function readBackBy(ingester: Pallium): Promise<number> {
  const { text } = await ingester.api().ask('/metrics');
  const samples = Number(/^pallium_ingester_read_back_samples (\d+)/m.exec(text)?.[1] ?? 0);
  assert.match(
    ingester.logTail(1_000),
    new RegExp(`read back from the store all that is held.*samples=${samples} again=0`),
  );
  return samples;
}

/** Selects that each ingester answered so far. */
async function selects(ingesters: readonly Pallium[]): Promise<number[]> {
  const counted = ingesters.map(async (ingester) => {
    const { text } = await ingester.api().ask('/metrics');
    return Number(/^pallium_peer_served_requests_total\{method="select"\} (\d+)/m.exec(text)?.[1] ?? 0);
  });
  return Promise.all(counted);
}

if (storePort === undefined) test('scaling: needs DYNAMODB_PORT', { skip: true });
else {
  test('three ingesters become six and three again under load: nothing is lost, and the store has all before a process ends', async () => {
    const store = storeFlags();
    await using cluster = await begin(store, ['i1', 'i2', 'i3']);
    await using load = loadOn(cluster);
    load.start();
    const founders = ['i1', 'i2', 'i3'];
    // two of three founders at least hold each of these
    await until('samples', () => load.acknowledged > 10);
    const before = load.acknowledged;
    for (const name of ['i4', 'i5', 'i6']) await cluster.start(name, ['-target=ingester']);
    await cluster.ready();
    await Promise.all(founders.map((name) => drain(cluster.of(name))));
    const counts = [...(await stored(store)).values()];
    assert.equal(counts.length, load.series);
    assert.ok(Math.min(...counts) >= before, `samples in the store of ${before} acknowledged: ${counts}`);
    // each counted what it read back before it left; a quorum of them took each sample
    const readBack = await Promise.all(founders.map((name) => readBackBy(cluster.of(name))));
    const sum = readBack.reduce((a, b) => a + b, 0);
    assert.ok(Math.min(...readBack) > 0 && sum >= 2 * before * load.series, `samples read back: ${readBack}`);
    for (const name of founders) assert.equal((await cluster.of(name).stop()).code, 0);
    const last = load.acknowledged;
    await until('writes go on', () => load.acknowledged > last);
    await load.stop();
    await load.check(cluster.of('front'));
    noneFailed(load);
    const { members } = JSON.parse((await cluster.of('i4').api().ask('/ring?format=json')).text);
    assert.deepEqual(members.filter(({ state }: { state: string }) => state === 'active').length, 3);
    console.log(
      `${load.acknowledged} samples of ${load.series} series, ${load.answers} answers, ${load.retries.length} retries`,
    );
  });
  test('a query for one metric asks a quorum of its owners; any member that is killed among many fails none', async () => {
    const names = ['i1', 'i2', 'i3', 'i4', 'i5'];
    await using cluster = await begin(storeFlags(), names);
    await using load = loadOn(cluster);
    for (let i = 0; i < 5; i++) await load.send();
    const front = cluster.of('front');
    const ingesters = names.map((name) => cluster.of(name));
    const ask = async () => {
      const { text, status } = await front.api().ask('/api/v1/query?query=steps_1');
      return status === 200 ? '' : `${status} ${text}`;
    };
    // its owners are those that ever answer
    await ask();
    const before = await selects(ingesters);
    const COUNTED = 40;
    for (let i = 0; i < COUNTED; i++) assert.equal(await ask(), '');
    const asked = (await selects(ingesters)).map((count, i) => count - before[i]!);
    const sum = asked.reduce((a, b) => a + b, 0);
    // one in twenty may ask a third owner, and ten at once
    assert.ok(sum >= 2 * COUNTED && sum <= 2 * COUNTED + 12, `${sum} selects for ${COUNTED} queries: ${asked}`);
    assert.ok(asked.filter((count) => count > 0).length <= 3, `${asked}`);

    // owners that are asked, the one that is not, and those that hold nothing of it
    for (const name of names) {
      const failed: string[] = [];
      let left = QUERIES;
      const lane = async () => {
        while (left-- > 0) {
          if (left === Math.floor(QUERIES / 2)) await cluster.of(name).kill();
          const said = await ask();
          if (said !== '') failed.push(said);
        }
      };
      await Promise.all(Array.from({ length: 4 }, lane));
      assert.deepEqual(failed, [], `of ${QUERIES} queries with ${name} killed`);
      await load.check(front);
      await cluster.start(name, ['-target=ingester']);
      await cluster.ready();
    }
  });

  test('every process is started again, one after the other: nothing but retries', async () => {
    const fronts = ['front-1', 'front-2'];
    const ingesters = ['i1', 'i2', 'i3'];
    await using cluster = await begin(storeFlags(), ingesters, fronts);
    const out = new Set<string>();
    await using load = loadOn(cluster, fronts, out);
    load.start();
    await until('samples', () => load.acknowledged > 10);
    for (const name of [...ingesters, ...fronts]) {
      out.add(name);
      // who balances stops asking before the process ends
      await until('no query is under way', quietOf(load));
      assert.equal((await cluster.of(name).stop()).code, 0);
      await cluster.start(name, fronts.includes(name) ? FRONT : ['-target=ingester']);
      await cluster.ready();
      out.delete(name);
    }
    const last = load.acknowledged;
    await until('writes go on', () => load.acknowledged > last + 10);
    await load.stop();
    for (const name of fronts) await load.check(cluster.of(name));
    noneFailed(load);
  });
}
