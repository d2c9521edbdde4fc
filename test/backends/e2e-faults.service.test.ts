import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { TcpProxy } from '../faults/tcp-proxy.ts';
import { Pallium, tempFolder } from '../harness/pallium.ts';
import { push, writeBody } from '../harness/remote-write.ts';
import { runTool } from '../harness/tool.ts';
import { until } from '../harness/wait.ts';
import { objectServices, PREFIX, QUICK, tableServices } from './e2e-stores.ts';

const AWAY_MS = 3000;
/** Of long random names, so that a window's group is larger than what lies in rows. */
const SERIES = 400;
const IDS = Array.from({ length: SERIES }, () => randomBytes(64).toString('hex'));
const moto = objectServices.find(({ name }) => name === 'moto')!;
const cases = [
  ...tableServices.map((service) => ({
    service,
    flags: (port: number) => [...service.flags(port), '-schema.object-store=none', ...QUICK[service.name]!],
  })),
  { service: moto, flags: (port: number) => [...moto.flags(port), ...QUICK.s3!] },
];

before(async () => {
  if (moto.port !== undefined) await moto.prepare?.(moto.port);
});

for (const { service, flags } of cases) {
  if (service.port === undefined) {
    test(`${service.name} away under load: needs its port`, { skip: true });
    continue;
  }
  test(`${service.name} away under load: writes go on, nothing is lost, nothing twice, flushes catch up`, async () => {
    const proxy = await TcpProxy.listen(service.port!);
    const dataDir = tempFolder('away');
    try {
      await away(proxy, dataDir, [...flags(proxy.port), `-schema.prefix=${PREFIX}away_${service.name}_`]);
    } finally {
      await proxy.close();
      rmSync(dataDir, { recursive: true, force: true });
      rmSync(`${dataDir}.log`, { force: true });
    }
  });
}

/** Windows of a minute that are over are flushed every 200 ms; time in samples passes a hundred times as fast. */
async function away(proxy: TcpProxy, dataDir: string, flags: readonly string[]): Promise<void> {
  const options = {
    dataDir,
    flags: [
      '-ingester.window=1m',
      '-ingester.flush-delay=1s',
      '-ingester.flush-spread=0s',
      '-ingester.flush-check-interval=200ms',
      ...flags,
    ],
  };
  const startMs = Math.floor(Date.now() / 60_000) * 60_000 - 6 * 3_600_000;
  let step = 0;
  const load = async (server: Pallium, ms: number) => {
    for (const untilMs = Date.now() + ms; Date.now() < untilMs; step++) {
      const timeMs = startMs + step * 10_000;
      const series = Array.from({ length: SERIES }, (_, k) => ({
        labels: { __name__: 'm', id: IDS[k]! },
        samples: [[timeMs + k, step]] as const,
      }));
      const answer = await push(`${server.url}/api/v1/push`, writeBody(series));
      assert.ok(answer.status < 300, answer.text);
    }
  };
  const check = async (server: Pallium, when: string) => {
    const time = startMs / 1000 + step * 10;
    const range = `[${step * 10 + 60}s]`;
    const { result: counts } = await server.api().instant(`count_over_time(m${range})`, time);
    assert.deepEqual(new Set(counts.map(({ value }) => value![1])), new Set([String(step)]), when);
    const { result: sums } = await server.api().instant(`sum_over_time(m${range})`, time);
    assert.deepEqual(new Set(sums.map(({ value }) => value![1])), new Set([String((step * (step - 1)) / 2)]), when);
    assert.equal(counts.length, SERIES, when);
  };
  {
    await using server = await Pallium.start(options);
    await load(server, 1500);
    await until('a window flushed', () => server.log().includes('flushed to the store'));
    await check(server, 'before');
    proxy.weather = { refuse: true };
    proxy.cutAll();
    await load(server, AWAY_MS);
    const failed = await fetch(`${server.url}/ingester/flush?wait=true`, { method: 'POST' });
    assert.ok(failed.status >= 500, `a flush with its store away answers ${failed.status}`);
    proxy.weather = {};
    await load(server, 1000);
    await until(
      'queries answer again, with everything',
      async () => {
        await check(server, 'after');
        return true;
      },
      { timeoutMs: 20_000, intervalMs: 500 },
    );
    await until('a flush that comes through', () => server.flush().then(() => true), { timeoutMs: 20_000 });
    await check(server, 'flushed');
    await server.stop();
  }
  rmSync(join(dataDir, 'ingester'), { recursive: true });
  await using server = await Pallium.start(options);
  await check(server, 'from the store alone');
  const { code, stdout } = await runTool(['verify', `-data.dir=${dataDir}`, ...flags]);
  assert.equal(code, 0, stdout);
}
