import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cluster, ONE_THREAD, QUICK_RING } from '../harness/cluster.ts';
import { startService } from '../harness/peers.ts';
import { SteadyLoad } from '../harness/steady-load.ts';
import { until } from '../harness/wait.ts';
import { NewerBuild } from './newer-build.ts';

// Processes of two builds side by side under load: the newer one needs a field more of the frames between processes, of the
// ring's version documents and of the log (newer-build.ts). `npm run test:upgrade`.

const INGESTERS = ['i1', 'i2', 'i3'];
const FRONTS = ['front-1', 'front-2'];
/** The one that is killed each time, so that the next build reads its log. */
const KILLED = 'i1';
const SAMPLES_BETWEEN = 5;

const flagsOf = (name: string) => [name.startsWith('front') ? '-target=distributor,querier' : '-target=ingester'];

test('a cluster goes up to a newer build, half-way and back, and up again: nothing but retries, and equal answers', async () => {
  using newer = new NewerBuild();
  await using dynamodb = await startService('dynamodb');
  await using cluster = new Cluster([
    '-schema.store=dynamodb',
    `-dynamodb.endpoint=http://127.0.0.1:${dynamodb.port}`,
    '-dynamodb.access-key-id=test',
    '-dynamodb.secret-access-key=test',
    '-schema.object-store=none',
    ...QUICK_RING,
    ...ONE_THREAD,
  ]);
  const out = new Set<string>();
  const inside = () => FRONTS.filter((name) => !out.has(name)).map((name) => cluster.of(name));
  await using load = new SteadyLoad({ writeTo: inside, ask: inside });
  const samples = async () => {
    const { acknowledged } = load;
    await until('writes go on', () => load.acknowledged > acknowledged + SAMPLES_BETWEEN, { timeoutMs: 90_000 });
  };
  const start = (name: string, isNewer: boolean) =>
    cluster.start(name, flagsOf(name), isNewer ? { launcher: newer.launcher } : {});
  /** Starts processes again with a build, one after the other, and compares what all tell then. */
  const move = async (names: readonly string[], isNewer: boolean) => {
    for (const name of names) {
      out.add(name);
      const { answers } = load;
      await until('no query is under way', () => load.answers > answers + 1, { timeoutMs: 90_000 });
      if (name === KILLED) {
        // its log has notes that are read at the next start
        await cluster.of(name).flush();
        await samples();
        await cluster.of(name).kill();
      } else assert.equal((await cluster.of(name).stop()).code, 0);
      await start(name, isNewer);
      await cluster.ready();
      out.delete(name);
      await samples();
      await sameAnswers(cluster);
      console.log(`${name} is ${isNewer ? 'newer' : 'older'}, ${load.acknowledged} samples, ${load.answers} answers`);
    }
  };

  for (const name of INGESTERS) await start(name, false);
  await cluster.ready();
  for (const name of FRONTS) await start(name, false);
  await cluster.ready();
  load.start();
  await samples();
  await move(['i1', 'i2', 'front-1'], true);
  // the ring moves while builds are mixed: whoever makes a version
  await start('i4', true);
  await cluster.ready();
  await until('the newcomer is in', async () => (await versionOf(cluster)) > 1, { timeoutMs: 90_000 });
  await samples();
  await move(['front-1', 'i4', 'i2', 'i1'], false);
  await cluster.of('i4').api().ask('/ingester/drain', { method: 'POST' });
  const drained = async () => JSON.parse((await cluster.of('i4').api().ask('/ingester/drain')).text).drained === true;
  await until('it has drained', drained, { timeoutMs: 120_000, intervalMs: 200 });
  assert.equal((await cluster.of('i4').stop()).code, 0);
  cluster.processes.delete('i4');
  await move([...INGESTERS, ...FRONTS, KILLED], true);
  await load.stop();
  for (const name of FRONTS) await load.check(cluster.of(name));

  assert.equal(load.failed.length, 0, load.failed.join('\n'));
  const logs = [...INGESTERS, ...FRONTS, 'i4'].map((name) => cluster.logOf(name)).join('\n');
  for (const what of ['a push', 'an answer', 'a version', 'a note']) {
    for (const how of ['with', 'without']) {
      assert.ok(
        logs.includes(`upgrade: ${what} ${how} its field`),
        `the newer build was never told ${what} ${how} its field`,
      );
    }
  }
  assert.ok(logs.includes('upgrade: a note of its own'), 'the newer build never read a note of its own');
  assert.ok(
    !logs.includes('upgrade: a version that lost its field'),
    'the older build does not pass on what it does not know',
  );
  assert.doesNotMatch(logs, /"level":"(error|fatal)"|corrupt/);
  console.log(
    `${load.acknowledged} samples of ${load.series} series, ${load.answers} answers, ${load.retries.length} retries`,
  );
});

/** Answers of both fronts for the same time, and of recent samples; both have all that was acknowledged before. */
async function sameAnswers(cluster: Cluster): Promise<void> {
  const time = String(Math.floor(Date.now() / 1000) - 2);
  for (const path of [
    `/api/v1/query?query=sort(steps_1)&time=${time}`,
    `/api/v1/query?query=sum(count_over_time({__name__=~"steps_."}[10m]))&time=${time}`,
    `/api/v1/query_range?query=avg(steps_2)&start=${Number(time) - 60}&end=${time}&step=5`,
  ]) {
    const answers = FRONTS.map(async (name) => {
      const { status, text } = await cluster.of(name).api().ask(path);
      assert.equal(status, 200, `${path} by ${name}: ${text}`);
      return JSON.stringify(JSON.parse(text).data);
    });
    const [first, second] = await Promise.all(answers);
    assert.equal(first, second, path);
  }
}

async function versionOf(cluster: Cluster): Promise<number> {
  const { text } = await cluster.of('i1').api().ask('/ring?format=json');
  return JSON.parse(text).version;
}
