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
import { WorkerThread } from '../../kit/thread/worker.ts';
import { systemClock } from '../../lib/clock.ts';
import { composeApp } from '../compose.ts';
import { sections } from '../config.ts';
import { buildIngester } from '../modules/ingester.ts';
import { modules, resolveTargets } from '../modules/modules.ts';
import type { ShardThreadRole } from './shard-thread-role.ts';

const folder = await mkdtemp(join(tmpdir(), 'pallium-shard-restart-'));
const stops: (() => Promise<void>)[] = [];
after(async () => {
  await Promise.all(stops.map((stop) => stop()));
  await rm(folder, { recursive: true });
});

const METRICS = Array.from({ length: 12 }, (_, i) => `metric_${i}`);

/** A whole process in this one, whose shards can be killed. */
async function run(name: string, ...args: string[]) {
  const threads: WorkerThread<ShardThreadRole>[] = [];
  const { values } = loadConfig(sections, {
    args: ['-server.http-listen-port=0', `-data.dir=${join(folder, name)}`, ...args],
    env: {},
  });
  const ingester = {
    ...modules.ingester!,
    build: (app: Parameters<typeof buildIngester>[0]) =>
      buildIngester(app, (spec) => {
        const thread = WorkerThread.start<ShardThreadRole>(spec);
        threads.push(thread);
        return thread;
      }),
  };
  const all = { ...modules, ingester };
  const app = await composeApp({
    config: values,
    version: '1.2.3',
    order: resolveTargets(['all'], all),
    log: silentLogger,
    clock: systemClock,
    modules: all,
  });
  await app.services.start();
  stops.push(() => app.services.stop(5000));
  const startMs = Date.now();
  const push = async (value: number): Promise<number> => {
    const samples = [[startMs + value, value]] as const;
    const body = writeBody(METRICS.map((metric) => ({ labels: { __name__: metric, own: metric }, samples })));
    const answer = await send(`${app.http.url}/api/v1/push`, { method: 'POST', headers: WRITE_HEADERS, body });
    await answer.body.dump();
    return answer.statusCode;
  };
  const count = async (): Promise<string> => {
    const query = encodeURIComponent(`sum(count_over_time({__name__=~"metric_.*"}[1h]))`);
    const answer = await send(`${app.http.url}/api/v1/query?query=${query}&time=${startMs / 1000 + 60}`);
    const text = await answer.body.text();
    return answer.statusCode === 200 ? JSON.parse(text).data.result[0]?.value[1] : `${answer.statusCode} ${text}`;
  };
  const ready = async () => {
    while ((await send(`${app.http.url}/ready`)).statusCode !== 200) await sleep(50);
  };
  await ready();
  return { app, threads, push, count };
}

async function until(what: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (await what()) return;
    await sleep(50);
  }
  assert.fail('it did not come about');
}

for (const [name, args] of [
  ['several shards', ['-ingester.shards=2', '-distributor.edge-workers=1']],
  ['an edge within the only shard', ['-ingester.shards=1']],
] as const) {
  test(`a shard that dies is started again from its log, and the others go on: ${name}`, async () => {
    const { threads, push, count, app } = await run(name.replaceAll(' ', '-'), ...args);
    const shards = threads.length;
    assert.equal(await push(0), 204);
    assert.equal(await push(1), 204);
    assert.equal(await count(), '24');
    const metrics = async () => (await send(`${app.http.url}/metrics`)).body.text();
    // a small tenant lies in one shard
    let holder = '';
    await until(async () => {
      holder = /^pallium_ingester_memory_series\{shard="(\d+)"\} 12$/m.exec(await metrics())?.[1] ?? '';
      return holder !== '';
    });
    await threads[Number(holder)]!.terminate();
    // while it is away a write is refused or waits, and a query says that it is not whole
    const meanwhile = await Promise.all([push(2), count()]);
    assert.ok([204, 503].includes(meanwhile[0]), String(meanwhile[0]));
    assert.match(meanwhile[1], /^(503 .*|24|36)$/);
    await until(async () => (await push(3)) === 204);
    const acknowledged = meanwhile[0] === 204 ? 48 : 36;
    await until(async () => Number(await count()) >= acknowledged);
    assert.equal(threads.length, shards + 1);
    // and again: whoever has been connected anew is connected anew once more
    await threads.at(-1)!.terminate();
    await until(async () => (await push(4)) === 204);
    await until(async () => Number(await count()) >= acknowledged + 12);
    assert.match(await metrics(), new RegExp(`pallium_ingester_shard_restarts_total\\{shard="${holder}"\\} 2`));
    const flushed = await send(`${app.http.url}/ingester/flush?wait=true`, { method: 'POST' });
    assert.equal(flushed.statusCode, 200, await flushed.body.text());
    assert.ok(Number(await count()) >= acknowledged + 12);
  });
}
