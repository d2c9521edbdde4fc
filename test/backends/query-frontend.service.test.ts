import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cluster, ONE_THREAD, QUICK_RING } from '../harness/cluster.ts';
import { freePort } from '../harness/ports.ts';
import { WRITE_HEADERS, writeBody } from '../harness/remote-write.ts';
import { until } from '../harness/wait.ts';
import { tableServices } from './e2e-stores.ts';

// Query front ends, schedulers and queriers as processes of their own, on one store.

const { port: storePort, flags: storeFlags } = tableServices.find(({ name }) => name === 'dynamodb')!;
const RUN = Date.now().toString(36);
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

if (storePort === undefined) test('query front end: needs DYNAMODB_PORT', { skip: true });
else {
  test('a front end that is its own scheduler answers by a querier that asks it for work', async () => {
    await using cluster = new Cluster(common());
    await cluster.start('i1', ['-target=ingester']);
    await cluster.ready();
    const d = await cluster.start('d1', ['-target=distributor']);
    const peerPort = await freePort();
    const address = `127.0.0.1:${peerPort}`;
    const f = await cluster.start('f1', ['-target=query-frontend', `-server.peer-listen-address=${address}`]);
    await until('it says what is missing', async () => {
      const answer = await fetch(`${f.url}/ready`);
      return answer.status === 503 && (await answer.text()).includes('no querier asks for work');
    });
    const q = await cluster.start('q1', ['-target=querier', `-querier.frontend-address=${address}`]);
    await cluster.ready();
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
}
