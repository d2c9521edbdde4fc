import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Cluster, ONE_THREAD, QUICK_RING } from '../harness/cluster.ts';
import { freePort } from '../harness/ports.ts';
import { WRITE_HEADERS, writeBody } from '../harness/remote-write.ts';
import { until } from '../harness/wait.ts';
import { tableServices } from './e2e-stores.ts';

// Limits of queries between processes, as who asks a front end is told of them.

const { port: storePort, flags: storeFlags } = tableServices.find(({ name }) => name === 'dynamodb')!;
const LIMITS = {
  bytes: { max_fetched_data_bytes_per_query: 100 },
  crowd: { max_outstanding_requests_per_tenant: 2 },
};

if (storePort === undefined) test('limits through a front end: needs DYNAMODB_PORT', { skip: true });
else {
  test('limits of tenants hold through a front end, with its own scheduler and with another', async () => {
    const store = [...storeFlags(storePort), `-schema.prefix=l${Date.now().toString(36)}_`];
    const one = ['-schema.object-store=none', '-distributor.replication-factor=1', ...QUICK_RING, ...ONE_THREAD];
    await using cluster = new Cluster([...store, ...one]);
    const folder = cluster.folder('limits');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'limits.yaml'), JSON.stringify({ overrides: LIMITS }));
    const limited = `-runtime-config.file=${join(folder, 'limits.yaml')}`;
    await cluster.start('i1', ['-target=ingester']);
    await cluster.ready();
    const d = await cluster.start('d1', ['-target=distributor']);
    const [own, apart] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const frontends = [
      await cluster.start('f1', ['-target=query-frontend', `-server.peer-listen-address=${own}`, limited]),
      await cluster.start('f2', ['-target=query-frontend', `-frontend.scheduler-address=${apart}`, limited]),
    ];
    await cluster.start('s1', ['-target=query-scheduler', `-server.peer-listen-address=${apart}`, limited]);
    await cluster.ready('d1');
    const nowMs = Date.now();
    for (const tenant of Object.keys(LIMITS)) {
      const headers = { ...WRITE_HEADERS, 'x-scope-orgid': tenant };
      const series = Array.from({ length: 50 }, (_, i) => ({
        labels: { __name__: 'm', i: String(i) },
        samples: [[nowMs, i] as const],
      }));
      await until('it is taken', async () => {
        return (await fetch(`${d.url}/api/v1/push`, { method: 'POST', headers, body: writeBody(series) })).ok;
      });
    }

    // nobody evaluates yet: two wait, and no more
    const asked = frontends.map((each) => {
      const api = each.api({ 'x-scope-orgid': 'crowd' });
      const refused: string[] = [];
      const answered: string[] = [];
      const ask = async (i: number) => {
        // it may not have found its scheduler yet
        const { status, text } = await until(`${each.port} answers`, async () => {
          const answer = await api.ask(`/api/v1/query?query=sum(m)%2B${i}`);
          return answer.status !== 503 && answer;
        });
        if (status === 429) refused.push(text);
        else answered.push(`${status} ${text}`);
      };
      const all = Promise.all([0, 1, 2, 3, 4].map(ask));
      all.catch(() => {});
      return { refused, answered, all };
    });
    for (const { refused, answered } of asked) {
      await until('the rest is refused', async () => refused.length === 3, { intervalMs: 50 });
      assert.deepEqual(answered, []);
      for (const text of refused)
        assert.match(
          text,
          /too many outstanding requests: 2 of this tenant wait already \(max_outstanding_requests_per_tenant\)/,
        );
    }
    await cluster.start('q1', ['-target=querier', `-querier.frontend-address=${own}`, limited]);
    await cluster.start('q2', ['-target=querier', `-querier.scheduler-address=${apart}`, limited]);
    await cluster.ready();
    for (const { answered, all } of asked) {
      await all;
      assert.equal(answered.length, 2);
      for (const answer of answered) assert.match(answer, /^200 .*"12(?:2[5-9])"/);
    }
    for (const each of frontends) {
      const { status, text } = await each.api({ 'x-scope-orgid': 'bytes' }).ask('/api/v1/query?query=sum(m)');
      assert.equal(status, 422, text);
      assert.match(text, /the query reads at least \d+ bytes, more than 100 \(max_fetched_data_bytes_per_query\)/);
    }
  });
}
