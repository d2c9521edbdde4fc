import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { DAY_MS } from '../../src/lib/day.ts';
import { Cluster, ONE_THREAD, QUICK_RING } from '../harness/cluster.ts';
import { Pallium, tempFolder } from '../harness/pallium.ts';
import { WRITE_HEADERS, writeBody } from '../harness/remote-write.ts';
import { runTool } from '../harness/tool.ts';
import { tableServices } from './e2e-stores.ts';

// A process with history in its data folder becomes three on a shared store, as docs/operating.md has it.

const { port: storePort, flags: serviceFlags } = tableServices.find(({ name }) => name === 'dynamodb')!;
const DAYS = 31;
const SAMPLES_A_DAY = 4;
const SERIES = 10;

async function write(server: Pallium, times: readonly number[]): Promise<void> {
  for (const timeMs of times) {
    const body = writeBody(
      Array.from({ length: SERIES }, (_, i) => ({
        labels: { __name__: 'history', series: String(i) },
        samples: [[timeMs, timeMs / 1000] as const],
      })),
    );
    const answer = await fetch(`${server.url}/api/v1/push`, { method: 'POST', headers: WRITE_HEADERS, body });
    assert.ok(answer.ok, `${answer.status} ${await answer.text()}`);
  }
}

/** Times of each series that a server finds. */
async function found(server: Pallium): Promise<number[][]> {
  const { result } = await server.api().data<{ result: { values: [number, string][] }[] }>('/api/v1/query', {
    query: `history[${DAYS + 1}d]`,
    time: Date.now() / 1000 + 60,
  });
  return result.map(({ values }) => values.map(([, value]) => Math.round(1000 * Number(value))));
}

if (storePort === undefined) test('one process to a cluster: needs DYNAMODB_PORT', { skip: true });
else {
  test('a process with a month of history becomes a cluster: history moves, its log is flushed, and there is no gap', async () => {
    const dataDir = tempFolder('one');
    const backup = tempFolder('backup');
    // a backup is restored under the same prefix
    const schema = ['-schema.object-store=none', `-schema.prefix=o${Date.now().toString(36)}_`];
    const store = [...serviceFlags(storePort!), ...schema];
    const nowMs = Date.now();
    const count = DAYS * SAMPLES_A_DAY;
    const times = Array.from({ length: count }, (_, i) => nowMs - ((count - i) * DAY_MS) / SAMPLES_A_DAY);
    try {
      const one = await Pallium.start({ dataDir, flags: schema });
      await write(one, times);
      await one.flush();
      // these are in its log only
      const last = [nowMs, nowMs + 1000];
      await write(one, last);
      const all = [...times, ...last];
      assert.deepEqual(
        await found(one),
        Array.from({ length: SERIES }, () => all),
      );
      assert.equal((await one.stop()).code, 0);

      const made = await runTool(['backup', `-data.dir=${dataDir}`, ...schema, `-folder=${backup}`]);
      assert.equal(made.code, 0, made.stderr);
      const restored = await runTool(['restore', ...store, `-folder=${backup}`]);
      assert.equal(restored.code, 0, restored.stderr);

      await using cluster = new Cluster([...store, ...QUICK_RING, ...ONE_THREAD], { folders: { first: dataDir } });
      for (const name of ['first', 'second', 'third']) await cluster.start(name);
      await cluster.ready();
      await write(cluster.of('second'), [nowMs + 2000]);
      all.push(nowMs + 2000);
      for (const server of cluster.processes.values()) {
        assert.deepEqual(
          await found(server),
          Array.from({ length: SERIES }, () => all),
          server.url,
        );
      }
      // it gave all that its log had to the store, and holds nothing that the ring knows nothing of
      await cluster.of('first').kill();
      assert.deepEqual(
        await found(cluster.of('third')),
        Array.from({ length: SERIES }, () => all),
      );
    } finally {
      for (const folder of [dataDir, backup]) rmSync(folder, { recursive: true, force: true });
      rmSync(`${dataDir}.log`, { force: true });
    }
  });
}
