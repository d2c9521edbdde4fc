import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { request as send } from 'undici';
import { WRITE_HEADERS, writeBody } from '../../test/harness/remote-write.ts';
import { until } from '../../test/harness/wait.ts';
import { loadConfig } from '../kit/config/load.ts';
import { silentLogger } from '../kit/observe/log.ts';
import { systemClock } from '../lib/clock.ts';
import { composeApp } from './compose.ts';
import { sections } from './config.ts';
import { resolveTargets } from './modules/modules.ts';

const folder = await mkdtemp(join(tmpdir(), 'pallium-results-cache-'));
const stops: (() => Promise<void>)[] = [];
after(async () => {
  await Promise.all(stops.map((stop) => stop()));
  await rm(folder, { recursive: true });
});

const HOUR_MS = 3_600_000;
const END_MS = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
const START_MS = END_MS - 60 * HOUR_MS;

async function startApp(name: string, flags: readonly string[]) {
  const args = ['-server.http-listen-port=0', `-data.dir=${join(folder, name)}`, ...flags];
  const { values } = loadConfig(sections, { args, env: {} });
  const common = { version: '1.2.3', order: resolveTargets(['all']), log: silentLogger, clock: systemClock };
  const app = await composeApp({ config: values, ...common });
  await app.services.start();
  stops.push(() => app.services.stop(5000));
  const { url } = app.http;
  while ((await send(`${url}/ready`)).statusCode !== 200) await sleep(20);
  return {
    async push(a: string, samples: readonly (readonly [number, number])[], expected = 204): Promise<string> {
      const body = writeBody([{ labels: { __name__: 'm', a }, samples: [...samples] }]);
      const answer = await send(`${url}/api/v1/push`, { method: 'POST', headers: WRITE_HEADERS, body });
      const text = await answer.body.text();
      assert.equal(answer.statusCode, expected, text);
      return text;
    },
    async metrics(): Promise<string> {
      return (await send(`${url}/metrics`)).body.text();
    },
    /** Series by metric of the day that the range begins in. */
    async cardinality() {
      const date = new Date(START_MS).toISOString().slice(0, 10);
      const answer = await send(`${url}/api/v1/cardinality/day?date=${date}`);
      const { data } = (await answer.body.json()) as { data: { series_by_metric: { name: string; series: number }[] } };
      return data.series_by_metric.map(({ name, series }) => [name, series]);
    },
    /** A value at the end, and the samples that were looked at for it. */
    async instant(query: string) {
      const params = new URLSearchParams({ query, time: `${END_MS / 1000}`, stats: 'true' });
      const answer = await send(`${url}/api/v1/query?${params}`);
      const { data } = (await answer.body.json()) as {
        data: { result: { value: [number, string] }[]; stats: { samples: { totalQueryableSamples: number } } };
      };
      return { value: data.result[0]!.value[1], samples: data.stats.samples.totalQueryableSamples };
    },
    /** The answer's points, and the samples that were looked at for it. */
    async range(headers: Readonly<Record<string, string>> = {}) {
      const times = `start=${START_MS / 1000}&end=${END_MS / 1000}&step=1800`;
      const answer = await send(`${url}/api/v1/query_range?query=sum(sum_over_time(m[1h]))&${times}&stats=true`, {
        headers,
      });
      const timing = String(answer.headers['server-timing']);
      const { data } = (await answer.body.json()) as {
        data: { result: { values: [number, string][] }[]; stats: { samples: { totalQueryableSamples: number } } };
      };
      return { values: data.result[0]!.values, samples: data.stats.samples.totalQueryableSamples, timing };
    },
  };
}

/** The first answer that comes from the cache: what is evaluated is given to it when the answer is out. */
async function onceCached<Answer>(ask: () => Promise<Answer>, isCached: (answer: Answer) => boolean): Promise<Answer> {
  for (let tries = 0; tries < 1000; tries++) {
    const answer = await ask();
    if (isCached(answer)) return answer;
    await sleep(20);
  }
  assert.fail('nothing came from the cache');
}

test('days are answered from the cache, and once more from the samples when one comes late', async () => {
  const app = await startApp('cached', ['-querier.cache-results', '-querier.cache-samples-min=0']);
  const samples = Array.from({ length: 61 * 4 }, (_, i) => [START_MS - HOUR_MS + i * (HOUR_MS / 4), i] as const);
  await app.push('1', samples);
  const cold = await app.range();
  const warm = await onceCached(
    () => app.range(),
    ({ timing }) => !timing.endsWith('cached_steps;desc="0"'),
  );
  assert.equal(cold.values.length, 121);
  assert.deepEqual(warm.values, cold.values);
  assert.match(cold.timing, /^eval;dur=[\d.]+, samples;desc="\d+", parts;desc="\d", cached_steps;desc="0"$/);
  assert.match(warm.timing, /cached_steps;desc="1\d\d"$/);
  assert.ok(warm.samples < cold.samples / 5, `${warm.samples} samples of ${cold.samples}`);
  const days = async (had: string) => {
    const text = await app.metrics();
    return Number(new RegExp(`query_results_cache_lookups_total\\{had="${had}"\\} (\\d+)`).exec(text)?.[1]);
  };
  assert.ok((await days('whole')) > 0 && (await days('none')) > 0);
  const anew = await app.range({ 'cache-control': 'no-store' });
  assert.deepEqual([anew.values, anew.samples], [cold.values, cold.samples]);
  assert.match(anew.timing, /cached_steps;desc="0"$|^eval[^c]*$/);

  // a series that is new begins when it likes
  const lateMs = START_MS + 20 * HOUR_MS;
  await app.push('2', [[lateMs, 5000]]);
  const after = await app.range();
  const expected = cold.values.map(([atS, value]) => {
    const isSeen = atS * 1000 >= lateMs && atS * 1000 < lateMs + HOUR_MS;
    return [atS, String(Number(value) + (isSeen ? 5000 : 0))];
  });
  assert.deepEqual(after.values, expected);
  // its day, and those after it: a move marks all days since
  assert.ok(after.samples > warm.samples);
});

test('days of a long window come from the cache, and once more from the samples when one comes late', async () => {
  const app = await startApp('windows', ['-querier.cache-results', '-querier.cache-samples-min=0']);
  const count = 60 * 4;
  await app.push(
    '1',
    Array.from({ length: count }, (_, i) => [START_MS + i * (HOUR_MS / 4), i % 2] as const),
  );
  // each has a late series of its own
  for (const [query, late, value, later] of [
    ['sum(count_over_time(m{a=~"1|2"}[96h]))', '2', `${count}`, `${count + 1}`],
    ['max(avg_over_time(m{a=~"1|3"}[96h]))', '3', '0.5', '7'],
    ['count(max_over_time(m{a=~"1|4"}[96h]) > 1) or vector(0)', '4', '0', '1'],
  ] as const) {
    const cold = await app.instant(query);
    assert.equal(cold.value, value);
    // edges, and a day that is too young, come from the samples
    const warm = await onceCached(
      () => app.instant(query),
      ({ samples }) => samples < cold.samples * 0.75,
    );
    assert.equal(warm.value, value);
    await app.push(late, [[START_MS + 20 * HOUR_MS, 7]]);
    assert.equal((await app.instant(query)).value, later);
  }
});

test('a day that is over is counted once, and once more when a sample of it comes late', async () => {
  const app = await startApp('counted', ['-querier.cache-results']);
  const whole = async () =>
    Number(/query_results_cache_lookups_total\{had="whole"\} (\d+)/.exec(await app.metrics())?.[1]);
  await app.push('1', [[START_MS, 1]]);
  assert.deepEqual(await app.cardinality(), [['m', 1]]);
  const before = await whole();
  assert.deepEqual(await app.cardinality(), [['m', 1]]);
  assert.equal((await whole()) - before, 1);
  await app.push('2', [[START_MS, 1]]);
  assert.deepEqual(await app.cardinality(), [['m', 2]]);
  assert.equal((await whole()) - before, 1);
});

test('late samples alone are refused while days cannot be marked, and queries that cannot read the marks are counted', async () => {
  const app = await startApp('unmarked', ['-querier.cache-results']);
  const failures = async () => Number(/query_results_cache_failures_total (\d+)/.exec(await app.metrics())?.[1]);
  const nowMs = Date.now();
  const late = [[START_MS, 1]] as const;
  await app.push('1', late);
  assert.deepEqual(await app.cardinality(), [['m', 1]]);
  assert.equal(await failures(), 0);
  // a table that is there and cannot be opened
  const table = join(folder, 'unmarked', 'store', 'tables', 'pallium_tenants.mdb');
  await rename(table, `${table}.aside`);
  await mkdir(table);
  for (let turn = 0; turn < 2; turn++) {
    assert.match(await app.push('2', late, 503), /^late samples cannot be acknowledged while .* cannot be marked: /);
    await app.push('1', [[nowMs + turn, 1]]);
  }
  // that the tenant has no delete requests is believed for a second
  await until('queries fail', () =>
    app.cardinality().then(
      () => false,
      () => true,
    ),
  );
  assert.ok((await failures()) > 0);
  await rmdir(table);
  await rename(`${table}.aside`, table);
  // once more, as whoever sent it does
  await app.push('2', late);
  assert.deepEqual(await app.cardinality(), [['m', 2]]);
});
