import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { inflateSnappy } from '../../src/wire/snappy.ts';
import { Cluster, ONE_THREAD, QUICK_RING } from '../harness/cluster.ts';
import type { Pallium } from '../harness/pallium.ts';
import { freePort } from '../harness/ports.ts';
import { cpuMs } from '../harness/process-cost.ts';
import { readEverything } from '../harness/remote-read.ts';
import { WRITE_HEADERS, writeBody } from '../harness/remote-write.ts';
import { runTool } from '../harness/tool.ts';
import { until } from '../harness/wait.ts';
import { tableServices } from './e2e-stores.ts';

// Query front ends, schedulers and queriers as processes of their own, on one store.

const { port: storePort, flags: storeFlags } = tableServices.find(({ name }) => name === 'dynamodb')!;
const RUN = Date.now().toString(36);
/** Queries of thirty days, while queriers are killed. */
const QUERIES = Number(process.env.QUERIES ?? 30);
/** One of them by falling silent. */
const KILLS = QUERIES < 200 ? 2 : 8;
let clusters = 0;

/** Settings that all processes of a cluster have. */
function common(...flags: readonly string[]): string[] {
  const prefix = `-schema.prefix=f${RUN}${clusters++}_`;
  const store = [...storeFlags(storePort!), prefix, '-schema.object-store=none', '-distributor.replication-factor=1'];
  return [...store, ...QUICK_RING, ...ONE_THREAD, ...flags];
}

interface Matrix {
  readonly result: readonly { readonly metric: object; readonly values: readonly (readonly [number, string])[] }[];
}

interface Rules {
  readonly groups: readonly { readonly rules: readonly { readonly lastError?: string }[] }[];
}

interface Vector {
  readonly result: readonly {
    readonly metric: Readonly<Record<string, string>>;
    readonly value: readonly [number, string];
  }[];
}

if (storePort === undefined) test('query front end: needs DYNAMODB_PORT', { skip: true });
else {
  test('front ends that are their own schedulers answer by a querier that asks them for work', async (t) => {
    const settings = common('-tenant-federation.enabled', '-querier.cache-samples-min=0', '-web.enable-admin-api');
    await using cluster = new Cluster(settings);
    await cluster.start('i1', ['-target=ingester']);
    await cluster.ready();
    const d = await cluster.start('d1', ['-target=distributor']);
    const addresses = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const frontends = await Promise.all(
      addresses.map((address, i) =>
        cluster.start(`f${i}`, ['-target=query-frontend', `-server.peer-listen-address=${address}`]),
      ),
    );
    const f = frontends[0]!;
    await until('it says what is missing', async () => {
      const answer = await fetch(`${f.url}/ready`);
      return answer.status === 503 && (await answer.text()).includes('no querier asks for work');
    });
    const q = await cluster.start('q1', [
      '-target=querier',
      `-querier.frontend-address=${addresses.join(',')}`,
      // lists of rows that are cached know of an import later
      '-chunk-store.row-cache-size=0',
    ]);
    await cluster.ready();

    await t.test('as the querier itself does', async () => {
      const nowS = Math.floor(Date.now() / 60_000) * 60;
      const series = Array.from({ length: 5 }, (_, i) => ({
        labels: { __name__: 'steps', i: String(i) },
        samples: Array.from({ length: 10 }, (__, k) => [(nowS - 600 + 60 * k) * 1000, i + k] as const),
      }));
      const pushed = await fetch(`${d.url}/api/v1/push`, {
        method: 'POST',
        headers: WRITE_HEADERS,
        body: writeBody(series),
      });
      assert.ok(pushed.ok, await pushed.text());
      const params = { query: 'sum by (i) (steps)', start: nowS - 600, end: nowS, step: 60 };
      const [there, here] = [
        await f.api().data<Matrix>('/api/v1/query_range', params),
        await q.api().data<Matrix>('/api/v1/query_range', params),
      ];
      assert.equal(there.result.length, 5);
      assert.deepEqual(there, here);
      const instant = { query: 'sum(steps)', time: nowS };
      assert.deepEqual(await f.api().data('/api/v1/query', instant), await q.api().data('/api/v1/query', instant));
      assert.deepEqual(await f.api().data('/api/v1/label/i/values', {}), ['0', '1', '2', '3', '4']);
      assert.deepEqual(await f.api().ask('/api/v1/query?query=sum('), await q.api().ask('/api/v1/query?query=sum('));
    });

    await t.test('for each tenant by itself, whichever way its requests go', async () => {
      const nowMs = Date.now();
      const parties = [
        { tenant: 'one', mark: 'alphaQ7', value: 733_111.25 },
        { tenant: 'two', mark: 'bravoZ3', value: 844_222.75 },
      ];
      for (const { tenant, mark, value } of parties) {
        const body = writeBody([{ labels: { __name__: `m_${mark}`, [mark]: mark }, samples: [[nowMs, value]] }]);
        const headers = { ...WRITE_HEADERS, 'x-scope-orgid': tenant };
        assert.ok((await fetch(`${d.url}/api/v1/push`, { method: 'POST', headers, body })).ok);
      }
      const [fromS, toS] = [nowMs / 1000 - 60, nowMs / 1000 + 60];
      const all = encodeURIComponent('{__name__=~".+"}');
      const paths = [
        `/api/v1/query?query=${all}&time=${toS}`,
        `/api/v1/query_range?query=${all}&start=${fromS}&end=${toS}&step=15`,
        `/api/v1/series?match[]=${all}`,
        '/api/v1/labels',
        '/api/v1/label/__name__/values',
        '/api/v1/search/metric_names?search=m',
        `/federate?match[]=${all}`,
        '/api/v1/status/tsdb',
      ];
      for (let round = 0; round < 3; round++) {
        const asked = parties.flatMap((party) => paths.map((path) => ({ party, path })));
        await Promise.all(
          asked.map(async ({ party, path }) => {
            const { status, text } = await f.api({ 'x-scope-orgid': party.tenant }).ask(path);
            const other = parties.find((each) => each !== party)!;
            assert.equal(status, 200, `${path} ${text}`);
            assert.ok(text.includes(party.mark), `${path} of ${party.tenant}: ${text}`);
            assert.ok(!text.includes(other.mark) && !text.includes(String(other.value)), `${path}: ${text}`);
          }),
        );
      }
      const read = { method: 'POST', headers: { 'x-scope-orgid': 'one', 'content-encoding': 'snappy' } };
      const answer = await fetch(`${f.url}/api/v1/read`, { ...read, body: readEverything(nowMs) });
      assert.equal(answer.status, 200);
      const bytes = inflateSnappy(new Uint8Array(await answer.arrayBuffer()), 1 << 20, 'test');
      const text = Buffer.from(bytes).toString('latin1');
      assert.ok(text.includes('alphaQ7') && !text.includes('bravoZ3'));
      const both = await f.api({ 'x-scope-orgid': 'one|two' }).ask(paths[0]!);
      assert.ok(both.text.includes('alphaQ7') && both.text.includes('bravoZ3'), both.text);
    });

    await t.test('with late samples, whichever of them has cached what was before', async () => {
      const endS = Math.floor(Date.now() / 600_000) * 600 - 4 * 3600;
      const startS = endS - 30 * 3600;
      const steps = (endS - startS) / 600 + 1;
      const write = async (i: number, samples: readonly (readonly [number, number])[]) => {
        const body = writeBody([{ labels: { __name__: 'late', i: String(i) }, samples }]);
        const answer = await fetch(`${d.url}/api/v1/push`, { method: 'POST', headers: WRITE_HEADERS, body });
        assert.ok(answer.ok, await answer.text());
      };
      await write(
        0,
        Array.from({ length: steps }, (_, k) => [(startS + 600 * k) * 1000, 1] as const),
      );
      const counts = new Array<number>(steps).fill(1);
      let cached = 0;
      const ask = async (of: Pallium) => {
        const params = { query: 'count(late)', start: String(startS), end: String(endS), step: '600' };
        const answer = await fetch(`${of.url}/api/v1/query_range?${new URLSearchParams(params)}`);
        cached += Number(/cached_steps;desc="(\d+)"/.exec(answer.headers.get('server-timing') ?? '')?.[1] ?? 0);
        const { data } = (await answer.json()) as { data: Matrix };
        return data.result[0]!.values.map(([, value]) => Number(value));
      };
      for (let round = 0; round < 40; round++) {
        const at = Math.floor(Math.random() * steps);
        for (const each of frontends) if (round % 3 > 0) assert.deepEqual(await ask(each), counts);
        await write(round + 1, [[(startS + 600 * at) * 1000, 1]]);
        counts[at]!++;
        assert.deepEqual(await ask(frontends[round % 2]!), counts, `round ${round}`);
      }
      for (const each of frontends) await ask(each);
      t.diagnostic(`${cached} steps came from a cache`);
      assert.ok(cached > steps, `${cached} steps from caches`);
    });

    await t.test(
      'with deletes, cancelled deletes and imports, whichever of them has cached what was before',
      async () => {
        const endS = Math.floor(Date.now() / 600_000) * 600 - 4 * 3600;
        const startS = endS - 30 * 3600;
        const steps = (endS - startS) / 600 + 1;
        const headersOf = (tenant: string) => ({ 'x-scope-orgid': tenant });
        const ask = async (of: Pallium, tenant: string) => {
          const params = { query: 'count(m)', start: String(startS), end: String(endS), step: '600' };
          const path = `${of.url}/api/v1/query_range?${new URLSearchParams(params)}`;
          const answer = await fetch(path, { headers: headersOf(tenant) });
          const timing = answer.headers.get('server-timing') ?? '';
          const { data } = (await answer.json()) as { data: Matrix };
          const cachedSteps = Number(/cached_steps;desc="(\d+)"/.exec(timing)?.[1] ?? 0);
          return { counts: data.result[0]!.values.map(([, value]) => Number(value)), cachedSteps };
        };
        /** Both front ends have cached it. */
        const cached = (tenant: string, counts: readonly number[]) =>
          Promise.all(
            frontends.map((each) =>
              until('it comes from the cache', async () => {
                const answer = await ask(each, tenant);
                assert.deepEqual(answer.counts, counts);
                return answer.cachedSteps > steps / 2;
              }),
            ),
          );
        const admin = async (of: Pallium, tenant: string, path: string, params: Record<string, string>) => {
          const url = `${of.url}/api/v1/admin/tsdb/${path}?${new URLSearchParams(params)}`;
          const answer = await fetch(url, { method: 'POST', headers: headersOf(tenant) });
          assert.equal(answer.status, 204, await answer.text());
        };
        const times = Array.from({ length: steps }, (_, k) => (startS + 600 * k) * 1000);
        const body = writeBody(
          ['0', '1'].map((i) => ({ labels: { __name__: 'm', i }, samples: times.map((ms) => [ms, 1] as const) })),
        );
        for (const tenant of ['deletes', 'imports']) {
          const headers = { ...WRITE_HEADERS, ...headersOf(tenant) };
          const pushed = await fetch(`${d.url}/api/v1/push`, { method: 'POST', headers, body });
          assert.ok(pushed.ok, await pushed.text());
        }
        const both = times.map(() => 2);

        // a delete of an hour, and its end, each asked for at the other front end than the one before
        const [fromMs, toMs] = [times[30]!, times[36]!];
        const rest = times.map((ms) => (ms >= fromMs && ms <= toMs ? 1 : 2));
        for (let round = 0; round < 4; round++) {
          const [one, two] = round % 2 === 0 ? frontends : frontends.toReversed();
          await cached('deletes', both);
          const range = { start: String(fromMs / 1000), end: String(toMs / 1000) };
          await admin(one!, 'deletes', 'delete_series', { 'match[]': 'm{i="1"}', ...range });
          for (const each of [two!, one!]) assert.deepEqual((await ask(each, 'deletes')).counts, rest, `${round}`);
          await cached('deletes', rest);
          const listed = await two!
            .api(headersOf('deletes'))
            .data<readonly { readonly request_id: string; readonly created_at: number }[]>(
              '/api/v1/admin/tsdb/delete_series',
              {},
            );
          await admin(two!, 'deletes', 'cancel_delete_request', { request_id: listed.at(-1)!.request_id });
          for (const each of [one!, two!]) assert.deepEqual((await ask(each, 'deletes')).counts, both, `${round}`);
        }

        await cached('imports', both);
        const text = times.map((ms) => `m{i="2"} 1 ${ms / 1000}`).join('\n');
        const store = settings.filter((flag) => /^-(schema|dynamodb)\./.test(flag));
        const folder = cluster.folder('import');
        const flags = [`-data.dir=${folder}`, '-tenant=imports', ...store];
        const { code, stderr } = await runTool(['import', ...flags], `# TYPE m unknown\n${text}\n# EOF\n`);
        assert.equal(code, 0, stderr);
        for (const each of frontends) {
          const { counts, cachedSteps } = await ask(each, 'imports');
          assert.deepEqual([cachedSteps, counts], [0, times.map(() => 3)]);
        }
      },
    );

    await t.test('and queriers stop within 100 ms where a client goes away', async () => {
      const nowS = Math.floor(Date.now() / 1000);
      const times = Array.from({ length: 80 }, (_, k) => (nowS - 15 * (80 - k)) * 1000);
      const series = Array.from({ length: 2000 }, (_, i) => ({
        labels: { __name__: 'slow', i: String(i) },
        samples: times.map((ms, k) => [ms, k] as const),
      }));
      const body = writeBody(series);
      const pushed = await fetch(`${d.url}/api/v1/push`, { method: 'POST', headers: WRITE_HEADERS, body });
      assert.ok(pushed.ok, await pushed.text());
      const query = 'sum(quantile_over_time(0.9, slow[10m:1s]))';
      const params = { query, start: String(nowS - 600), end: String(nowS), step: '1' };
      const gone = new AbortController();
      const asked = fetch(`${f.url}/api/v1/query_range?${new URLSearchParams(params)}`, { signal: gone.signal }).then(
        () => 'answered',
        () => 'aborted',
      );
      await until('the querier is at it', async () => {
        const fromMs = cpuMs(q.pid);
        await sleep(300);
        return cpuMs(q.pid) - fromMs >= 100;
      });
      gone.abort();
      assert.equal(await asked, 'aborted');
      await sleep(100);
      const idleFromMs = cpuMs(q.pid);
      await sleep(500);
      const worked = cpuMs(q.pid) - idleFromMs;
      assert.ok(worked < 200, `${worked} ms of work in 500 ms`);
    });
  });

  test('rules are evaluated by queriers of a front end, each tenant from its own series, and none fails where a querier is killed', async (t) => {
    await using cluster = new Cluster(common());
    await cluster.start('i1', ['-target=ingester']);
    await cluster.ready();
    const d = await cluster.start('d1', ['-target=distributor']);
    const address = `127.0.0.1:${await freePort()}`;
    const f = await cluster.start('f1', ['-target=query-frontend', `-server.peer-listen-address=${address}`]);
    const querier = (name: string) =>
      cluster.start(name, ['-target=querier', `-querier.frontend-address=${address}`, `-querier.id=${name}`]);
    for (const name of ['q0', 'q1']) await querier(name);
    const tenants = ['one', 'two'];
    const folder = cluster.folder('rules');
    for (const tenant of tenants) {
      mkdirSync(join(folder, tenant), { recursive: true });
      const groups = Array.from({ length: 4 }, (_, i) => ({
        name: `g${i}`,
        interval: '1s',
        rules: [
          { record: `recorded${i}`, expr: `sum without (x) (own) + ${i}` },
          { alert: `Own${i}`, expr: 'sum by (tenant) (own)' },
        ],
      }));
      writeFileSync(join(folder, tenant, 'rules.yaml'), JSON.stringify({ groups }));
    }
    for (const [i, tenant] of tenants.entries()) {
      const headers = { ...WRITE_HEADERS, 'x-scope-orgid': tenant };
      const body = writeBody([{ labels: { __name__: 'own', tenant, x: 'x' }, samples: [[Date.now(), 100 * (i + 1)]] }]);
      await until('it is taken', async () => {
        return (await fetch(`${d.url}/api/v1/push`, { method: 'POST', headers, body })).ok;
      });
    }
    const am = await cluster.start('am1', ['-target=alertmanager']);
    const r = await cluster.start('r1', [
      '-target=ruler',
      `-ruler.frontend-address=${address}`,
      `-ruler.local-directory=${folder}`,
    ]);
    await cluster.ready();
    const count = async (name: string) => {
      const { text } = await r.api().ask('/metrics');
      let sum = 0;
      for (const [, value] of text.matchAll(new RegExp(`^\\w*${name}(?:\\{.*\\})? (\\S+)$`, 'gm')))
        sum += Number(value);
      return sum;
    };
    /** Errors of rules, but for those of a machine that is too busy for them. */
    const errors = new Set<string>();
    const evaluations = () => count('prometheus_rule_evaluations_total');
    const more = async (much: number) => {
      const from = await evaluations();
      const isOver = async () => {
        for (const tenant of tenants) {
          const { groups } = await r.api({ 'x-scope-orgid': tenant }).data<Rules>('/api/v1/rules', {});
          for (const { rules } of groups) for (const { lastError } of rules) if (lastError) errors.add(lastError);
        }
        return (await evaluations()) >= from + much;
      };
      await until('rules are evaluated', isOver, { intervalMs: 300 });
    };
    await more(16);
    await cluster.processes.get('q0')!.kill();
    await more(32);
    await (await querier('q0')).ready(120_000);
    await cluster.processes.get('q1')!.kill();
    await more(32);
    assert.deepEqual(
      [...errors].filter((error) => !error.includes('timed out')),
      [],
    );
    const jobs = await count('pallium_query_frontend_jobs_total');
    t.diagnostic(
      `${await evaluations()} evaluations, ${errors.size} errors, ${jobs} jobs, ${await count('query_frontend_retries_total')} retries`,
    );
    assert.ok(jobs > 0);
    await t.test('their alerts go to the Alertmanager on the same store, without an address', async () => {
      for (const tenant of tenants) {
        const api = am.api({ 'x-scope-orgid': tenant });
        const names = await until('its alerts are there', async () => {
          const { text } = await api.ask('/alertmanager/api/v2/alerts');
          const alerts = JSON.parse(text) as { readonly labels: Readonly<Record<string, string>> }[];
          assert.ok(alerts.every(({ labels }) => labels.tenant === tenant));
          return alerts.length >= 4 && alerts.map(({ labels }) => labels.alertname).sort();
        });
        assert.deepEqual(names, ['Own0', 'Own1', 'Own2', 'Own3']);
      }
    });
    for (const [i, tenant] of tenants.entries()) {
      const { result } = await f
        .api({ 'x-scope-orgid': tenant })
        .data<Vector>('/api/v1/query', { query: '{__name__=~"recorded.*"}' });
      const found = result.map(({ metric, value }) => [metric.__name__, metric.tenant, value[1]]).sort();
      assert.deepEqual(
        found,
        [0, 1, 2, 3].map((k) => [`recorded${k}`, tenant, String(100 * (i + 1) + k)]),
      );
    }
  });

  test(`${QUERIES} queries of thirty days while queriers are killed at random: all are answered and right, and only parts that failed ran again`, async (t) => {
    await using cluster = new Cluster(common('-ingester.window=1d', '-ingester.head-bytes-max=256MiB'));
    await cluster.start('i1', ['-target=ingester']);
    await cluster.ready();
    const d = await cluster.start('d1', ['-target=distributor']);
    const addresses = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const schedulers = await Promise.all(
      addresses.map((address, i) =>
        cluster.start(`s${i}`, ['-target=query-scheduler', `-server.peer-listen-address=${address}`]),
      ),
    );
    const f = await cluster.start('f1', [
      '-target=query-frontend',
      `-frontend.scheduler-address=${addresses.join(',')}`,
    ]);
    const names = ['q0', 'q1', 'q2'];
    const querier = (name: string) =>
      cluster.start(name, [
        '-target=querier',
        `-querier.scheduler-address=${addresses.join(',')}`,
        `-querier.id=${name}`,
      ]);
    for (const name of names) await querier(name);
    await cluster.ready();

    const startS = Math.floor(Date.now() / 86_400_000) * 86_400 - 30 * 86_400;
    const sampleOf = (i: number, hour: number) => i * 10_000 + hour;
    const hours = 30 * 24;
    for (let day = 0; day < 30; day++) {
      const series = Array.from({ length: 10 }, (_, i) => ({
        labels: { __name__: 'month', i: String(i) },
        samples: Array.from({ length: 24 }, (__, h) => {
          const hour = 24 * day + h;
          return [(startS + 3600 * hour) * 1000, sampleOf(i, hour)] as const;
        }),
      }));
      const body = writeBody(series);
      await until('a day is taken', async () => {
        const answer = await fetch(`${d.url}/api/v1/push`, { method: 'POST', headers: WRITE_HEADERS, body });
        if (!answer.ok) throw new Error(await answer.text());
        return true;
      });
    }

    // one is killed again and again, once one only falls silent first
    const kills = { count: 0, isOver: false };
    const killing = (async () => {
      while (!kills.isOver) {
        const name = names[kills.count % names.length]!;
        const victim = cluster.processes.get(name)!;
        if (kills.count === 0) {
          process.kill(victim.pid, 'SIGSTOP');
          await sleep(10_000);
        }
        await victim.kill();
        kills.count++;
        await (await querier(name)).ready(120_000);
        await sleep(Math.random() * 1000);
      }
    })();
    let next = 0;
    let wrong = 0;
    const ask = async () => {
      while (next < QUERIES) {
        const n = next++;
        const i = n % 10;
        const fromS = startS + (n % 24) * 3600;
        const query = n % 3 === 0 ? `sum by (i) (month{i="${i}"})` : `month{i="${i}"} + ${n}`;
        const { result } = await f.api().range(query, fromS, startS + 3600 * (hours - 1), 3600);
        const expected = Array.from({ length: hours - (n % 24) }, (_, k) => {
          const hour = k + (n % 24);
          return [startS + 3600 * hour, String(sampleOf(i, hour) + (n % 3 === 0 ? 0 : n))];
        });
        assert.equal(result.length, 1, `query ${n}`);
        if (JSON.stringify(result[0]!.values) !== JSON.stringify(expected)) wrong++;
      }
    };
    await Promise.all(Array.from({ length: 4 }, ask));
    while (kills.count < KILLS) {
      next = Math.min(next, QUERIES - 10);
      await ask();
    }
    kills.isOver = true;
    await killing;
    assert.equal(wrong, 0);
    const count = async (of: Pallium, name: string) => {
      const { text } = await of.api().ask('/metrics');
      return Number(new RegExp(`^pallium_${name} (\\d+)$`, 'm').exec(text)?.[1]);
    };
    const [jobs, retries] = [
      await count(f, 'query_frontend_jobs_total'),
      await count(f, 'query_frontend_retries_total'),
    ];
    const given = await Promise.all(
      schedulers.map((one) => count(one, 'query_scheduler_queue_duration_seconds_count')),
    );
    const all = given.reduce((sum, each) => sum + each, 0);
    t.diagnostic(`${kills.count} kills, ${jobs} parts, ${retries} of them asked for again, ${all} given to queriers`);
    assert.ok(jobs >= QUERIES * 29, `${jobs} parts`);
    assert.ok(retries > 0, 'none failed');
    assert.ok(
      given.every((each) => each > 0),
      'both schedulers were asked',
    );
    assert.ok(all <= jobs + retries, 'nothing ran again but what failed');
  });
}
