import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QUICK_RING } from '../harness/cluster.ts';
import { Pallium } from '../harness/pallium.ts';
import { freePort } from '../harness/ports.ts';
import { push, writeBody } from '../harness/remote-write.ts';
import { until } from '../harness/wait.ts';

// The first start of a process of a cluster whose store is away, with an empty folder and nobody else to ask.

const BODY = writeBody([{ labels: { __name__: 'm' }, samples: [[Date.now(), 1]] }]);
const WAITING =
  /^ring: starting, no version of the ring is known: waiting for the store of the ring \(the etcd .* ECONNREFUSED\)$/m;

for (const target of ['ingester', 'all', 'distributor']) {
  test(`-target=${target} tells that it knows no ring, and why`, async () => {
    const away = await freePort();
    await using server = await Pallium.start({
      waitReady: false,
      flags: [
        `-target=${target}`,
        '-distributor.replication-factor=3',
        '-server.peer-listen-address=127.0.0.1:0',
        '-ring.store=etcd',
        `-etcd.endpoints=127.0.0.1:${away}`,
        '-schema.store=dynamodb',
        `-dynamodb.endpoint=http://127.0.0.1:${away}`,
        '-dynamodb.access-key-id=test',
        '-dynamodb.secret-access-key=test',
        '-schema.object-store=none',
        ...QUICK_RING,
      ],
    });
    const text = await until(
      'it says what it waits for',
      async () => {
        const ready = await server.api().ask('/ready');
        return ready.status === 503 && WAITING.test(ready.text) && ready.text;
      },
      { timeoutMs: 60_000 },
    );
    assert.match(text, /^http-listener: new$/m);
    assert.equal((await server.api().ask('/-/healthy')).status, 200);
    const metrics = await server.api().ask('/metrics');
    assert.match(metrics.text, /^pallium_ring_version 0$/m);
    assert.match((await server.api().ask('/services')).text, /^ring: starting$/m);
    // what is not there yet is refused
    if (target !== 'ingester') {
      const { status, text } = await push(`${server.url}/api/v1/push`, BODY);
      assert.deepEqual([status, text], [503, 'this process is starting; send again to another, or later\n']);
    }
    assert.equal((await server.api().ask('/ring')).status, 503);
    assert.deepEqual(await server.stop(30_000), { code: 0, signal: null }, server.logTail());
  });
}
