import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { seededRandom } from '../../src/lib/random.ts';
import { Pallium } from '../harness/pallium.ts';
import { push, writeBody } from '../harness/remote-write.ts';
import { until } from '../harness/wait.ts';

// Small queries that are evaluated in the thread of their connection, the main one or one that only listens, beside a process that evaluates all in query threads: same data,
// same answers, and nothing that a query thread would leave out.

const NOW_MS = Math.floor(Date.now() / 15_000) * 15_000;
const FROM_MS = NOW_MS - 600_000;
const FLAGS = ['-web.enable-admin-api=true', '-auth.tenancy=required', '-ingester.window=2h'];
const servers = await Promise.all([
  Pallium.start({ flags: FLAGS }),
  Pallium.start({ flags: [...FLAGS, '-querier.direct-queries=false'] }),
  Pallium.start({ flags: [...FLAGS, '-server.front-threads=2'] }),
]);
const [inMain, usual, inFront] = servers as [Pallium, Pallium, Pallium];
/** Places where small queries are evaluated, and a tenant who deletes series: from then on query threads evaluate all that it asks of that time. */
const PLACES = [
  ['the main thread', inMain, 'one'],
  ['threads that listen', inFront, 'two'],
] as const;
after(async () => {
  for (const server of servers) await server[Symbol.asyncDispose]();
});

const random = seededRandom(7);
const TENANTS = ['one', 'two'];
for (const tenant of TENANTS) {
  const series = Array.from({ length: 60 }, (_, i) => ({
    labels: { __name__: `m${i % 3}`, job: `j${i % 5}`, instance: `${i}`, tenant },
    samples: Array.from({ length: 40 }, (_, k): [number, number | undefined] => [
      FROM_MS + k * 15_000 + (i % 4),
      // gaps, resets, stale markers
      random() < 0.05 ? undefined : i % 3 === 0 ? random() * 100 : ((k * 3) % 50) + i,
    ]).filter(() => random() > 0.1),
  }));
  for (const { url } of servers) {
    const { status, text } = await push(`${url}/api/v1/push`, writeBody(series), { 'x-scope-orgid': tenant });
    assert.equal(status, 204, text);
  }
}

const SMALL = [
  'm0{instance="3"}',
  'm0',
  'm1{job!="j1"}',
  'm1{job=~"j1|j2"}',
  'sum by (job) (rate(m1[5m]))',
  'max_over_time(m2[10m]) - min_over_time(m2[10m])',
  'topk(2, m0)',
  'sort_desc(m1 > bool 20)',
  'quantile(0.9, m0) or absent(m9)',
  'm1 / on (instance, job) m1 offset 1m',
  'count by (job) (m0)',
  'm0 @ end()',
  'resets(m1[10m])',
  'm9',
];
/** Those that have no bound, or are errors. */
const OTHERS = [
  'label_replace(m0, "x", "$1", "job", "j(.)")',
  'max_over_time(rate(m1[1m])[5m:30s])',
  '{job=~"j.*"}',
  'm0[5m]',
  'm0 +',
  'm0 + on (job) m1',
  'vector(time())',
  '"text"',
];

function ask({ url }: Pallium, tenant: string, query: string, timeMs: number, more: Record<string, string> = {}) {
  const params = new URLSearchParams({ query, time: String(timeMs / 1000), ...more });
  return fetch(`${url}/api/v1/query?${params}`, { headers: { 'x-scope-orgid': tenant } });
}

async function answerOf(server: Pallium, tenant: string, query: string, timeMs: number, more = {}) {
  const answer = await ask(server, tenant, query, timeMs, more);
  const text = await answer.text();
  const timing = answer.headers.get('server-timing')?.replace(/dur=[\d.]+/, '');
  const headers = Object.fromEntries(
    [...answer.headers].filter(([name]) => !['date', 'server-timing', 'content-length'].includes(name)),
  );
  // times of the evaluation are its own
  return { status: answer.status, text: text.replace(/("\w+Time":)[\d.e-]+/g, '$1'), timing, headers };
}

async function counted({ url }: Pallium, result: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^pallium_direct_queries_total\\{result="${result}"\\} (\\d+)`, 'm').exec(text)?.[1] ?? 0);
}

for (const [place, direct] of PLACES) {
  test(`${place}: answers are those of query threads, to the byte`, { timeout: 300_000 }, async () => {
    // until the engine is there
    while ((await counted(direct, 'answered')) === 0) await (await ask(direct, 'one', SMALL[0]!, NOW_MS)).text();
    const before = await counted(direct, 'answered');
    let small = 0;
    for (const query of [...SMALL, ...OTHERS]) {
      for (const tenant of TENANTS) {
        for (let i = 0; i < 2; i++) {
          const timeMs = FROM_MS + Math.floor(random() * 600_000);
          for (const more of [{}, { stats: 'all' }, { limit: '2' }, { lookback_delta: '1m' }]) {
            const own = await answerOf(direct, tenant, query, timeMs, more);
            assert.deepEqual(own, await answerOf(usual, tenant, query, timeMs, more), query);
            if (SMALL.includes(query)) small++;
          }
        }
      }
    }
    // the first of each is not known yet
    const answered = (await counted(direct, 'answered')) - before;
    assert.ok(answered > small * 0.9, `${answered} of ${small}`);
  });

  test(`${place}: what no query thread has called small is not tried`, async () => {
    const before = (await counted(direct, 'answered')) + (await counted(direct, 'handed on'));
    const queries = [
      'absent(m0{job=~"(\\\\p{L}{1,10}){1,10}"})',
      'absent(m0{job!~"[a-z].+"})',
      'absent({job="x"})',
      'label_replace(vector(1), "a", "$1", "b", "(.*)")',
    ];
    for (const query of queries) {
      for (let i = 0; i < 3; i++) assert.equal((await answerOf(direct, 'one', query, NOW_MS)).status, 200);
    }
    assert.equal((await counted(direct, 'answered')) + (await counted(direct, 'handed on')), before);
  });

  test(`${place}: what is cancelled, too long or not allowed is told as ever`, async () => {
    const query = SMALL[0]!;
    for (const more of [
      { timeout: '0s' },
      { timeout: 'x' },
      { time: 'y' },
      { partial_response: 'z' },
      { limit: '-1' },
    ]) {
      assert.deepEqual(
        await answerOf(direct, 'one', query, NOW_MS, more),
        await answerOf(usual, 'one', query, NOW_MS, more),
      );
    }
  });
}

// behind all others: what is deleted, or flushed, is so in all of the processes
test('what was deleted is gone at once, and flushed samples stay', { timeout: 300_000 }, async () => {
  const query = 'm1{job="j1"}';
  for (const [place, direct, tenant] of PLACES) {
    const answered = await counted(direct, 'answered');
    const before = await answerOf(direct, tenant, query, NOW_MS);
    assert.match(before.text, /"instance"/, place);
    await until(`${place}: it is known as a small one`, async () => {
      await answerOf(direct, tenant, query, NOW_MS);
      return (await counted(direct, 'answered')) > answered;
    });
    for (const { url } of servers) {
      const path = `${url}/api/v1/admin/tsdb/delete_series?${new URLSearchParams({ 'match[]': query })}`;
      const { status } = await fetch(path, { method: 'POST', headers: { 'x-scope-orgid': tenant } });
      assert.equal(status, 204);
    }
    const own = await answerOf(direct, tenant, query, NOW_MS);
    assert.doesNotMatch(own.text, /"instance"/, place);
    assert.deepEqual(own, await answerOf(usual, tenant, query, NOW_MS), place);
  }
  for (const server of servers) await server.flush();
  for (const [place, direct] of PLACES) {
    for (const tenant of TENANTS) {
      for (const each of ['m0', 'm2', 'm1{job="j2"}', query]) {
        for (let i = 0; i < 2; i++) {
          const flushed = await answerOf(direct, tenant, each, NOW_MS);
          assert.equal(flushed.text, (await answerOf(usual, tenant, each, NOW_MS)).text, place);
          if (each !== query) assert.match(flushed.text, /"instance"/, place);
        }
      }
    }
  }
});
