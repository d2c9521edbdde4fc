import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { request as send } from 'undici';
import { WRITE_HEADERS, writeBody } from '../../../test/harness/remote-write.ts';
import { loadConfig } from '../../kit/config/load.ts';
import { silentLogger } from '../../kit/observe/log.ts';
import { systemClock } from '../../lib/clock.ts';
import { QuerierService } from '../../querier/service.ts';
import { comparable, merged, partialsOf, plain } from '../../querier/test-partials.ts';
import { composeApp } from '../compose.ts';
import { sections } from '../config.ts';
import { modules, resolveTargets } from '../modules/modules.ts';

const folder = await mkdtemp(join(tmpdir(), 'pallium-query-partials-'));
const stops: (() => Promise<void>)[] = [];
after(async () => {
  await Promise.all(stops.map((stop) => stop()));
  await rm(folder, { recursive: true });
});

const START_MS = Date.now() - 600_000;
const SERIES = 60;

test('partials are evaluated in query threads, by tenant, within limits, until nobody waits', async () => {
  const flags = ['-server.http-listen-port=0', `-data.dir=${join(folder, 'data')}`];
  const limits = ['-querier.max-fetched-series-per-query=50', '-ingester.shards=2'];
  const { values } = loadConfig(sections, { args: [...flags, ...limits], env: {} });
  let querier: QuerierService | undefined;
  const { querier: usual } = modules;
  const all = {
    ...modules,
    querier: {
      ...usual!,
      async build(app: Parameters<NonNullable<typeof usual>['build']>[0]) {
        const services = await usual!.build(app);
        querier = services.find((each) => each instanceof QuerierService);
        return services;
      },
    },
  };
  const order = resolveTargets(['all'], all);
  const common = { version: '1.2.3', order, log: silentLogger, clock: systemClock, modules: all };
  const app = await composeApp({ config: values, ...common });
  await app.services.start();
  stops.push(() => app.services.stop(5000));
  while ((await send(`${app.http.url}/ready`)).statusCode !== 200) await sleep(50);

  for (const [tenant, factor] of [
    ['a', 1],
    ['b', 0.1],
  ] as const) {
    const body = writeBody(
      Array.from({ length: SERIES }, (_, i) => ({
        labels: { __name__: 'up', job: `j${i % 3}`, pod: `p${i}` },
        samples: Array.from({ length: 40 }, (__, s) => [START_MS + s * 15_000, factor * (i + s)] as const),
      })),
    );
    const headers = { ...WRITE_HEADERS, 'x-scope-orgid': tenant };
    const answer = await send(`${app.http.url}/api/v1/push`, { method: 'POST', headers, body });
    await answer.body.dump();
    assert.equal(answer.statusCode, 204);
  }
  const range = { startMs: START_MS, endMs: START_MS + 600_000, stepMs: 30_000 };
  const sum = { expr: 'sum by (job) (up{job!="j2"})', ...range };
  for (const place of ['head', 'store']) {
    if (place === 'store') {
      const flushed = await send(`${app.http.url}/ingester/flush?wait=true`, { method: 'POST' });
      await flushed.body.dump();
      assert.ok(flushed.statusCode < 300, `${flushed.statusCode}`);
    }
    for (const tenant of ['a', 'b']) {
      const answer = await merged(querier!, tenant, sum, 4);
      assert.ok(!('type' in answer));
      assert.deepEqual(comparable(answer), comparable(await plain(querier!, tenant, sum)));
      assert.ok(answer.statistics.fetchedBytes > 0);
      assert.ok(answer.value.type === 'matrix' && answer.value.series.length === 2);
    }
    const none = await merged(querier!, 'c', sum, 2);
    assert.deepEqual(!('type' in none) && none.value, { type: 'matrix', series: [] });
  }
  const wide = { ...sum, expr: 'max(up)' };
  await assert.rejects(plain(querier!, 'a', wide), /max_fetched_series_per_query/);
  await assert.rejects(partialsOf(querier!, 'a', wide, 1), /max_fetched_series_per_query/);
  assert.ok(!('type' in (await merged(querier!, 'a', wide, 4))), 'a shard has fewer');

  const leave = new AbortController();
  const asked = partialsOf(querier!, 'a', sum, 4, leave);
  leave.abort(new Error('it has left'));
  await assert.rejects(asked, /it has left|canceled|no longer waits/);
});
