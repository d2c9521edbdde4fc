import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { Pallium, tempFolder } from '../harness/pallium.ts';
import { push, writeBody } from '../harness/remote-write.ts';
import { runTool } from '../harness/tool.ts';
import { until } from '../harness/wait.ts';
import { objectServices, openStores, PREFIX, tableServices } from './e2e-stores.ts';

/** A table is made or dropped in seconds where seven other tests ask the same emulators. */
const LOADED = { timeoutMs: 120_000 };
const DAY_MS = 86_400_000;
const STEP_MS = 600_000;
const SERIES = 5;
const s3 = objectServices.find(({ name }) => name === 'moto')!;
const ports = [...tableServices, s3].map(({ port }) => port);
const skip = ports.includes(undefined) ? `needs ${tableServices.map(({ name }) => name)} and ${s3.name}` : false;

before(() => (s3.port === undefined ? undefined : s3.prepare?.(s3.port)));

test('stores that follow one another are read together, each with its own days', { skip }, async () => {
  const today = Math.floor(Date.now() / DAY_MS);
  const dayName = (day: number) => new Date(day * DAY_MS).toISOString().slice(0, 10);
  const prefix = `${PREFIX}periods_`;
  // the first one has no beginning
  const periods = ['embedded', 'cassandra', 'dynamodb', 'bigtable'].map((store, i) => ({
    day: today - 4 + i,
    store,
    objects: i % 2 === 0 ? 's3' : 'none',
  }));
  const dataDir = tempFolder('periods');
  const configFile = join(dataDir, '..', `${prefix}${process.pid}.yaml`);
  const yaml = periods.map(
    ({ day, store, objects }) =>
      `    - {from: ${dayName(day)}, store: ${store}, object_store: ${objects}, prefix: ${prefix}, period: 1d}\n`,
  );
  writeFileSync(configFile, `schema:\n  configs:\n${yaml.join('')}`);
  const flags = [
    ...[...tableServices, s3]
      .flatMap((service) => service.flags(service.port!))
      .filter((flag) => !flag.startsWith('-schema.')),
    `-config.file=${configFile}`,
  ];
  const startMs = (today - 5) * DAY_MS;
  const endMs = today * DAY_MS;
  const times = Array.from({ length: (endMs - startMs) / STEP_MS }, (_, i) => startMs + i * STEP_MS);
  try {
    {
      await using server = await Pallium.start({ dataDir, flags });
      const series = Array.from({ length: SERIES }, (_, k) => ({
        labels: { __name__: 'm', k: `${k}` },
        samples: times.map((timeMs, i) => [timeMs, i * k] as const),
      }));
      const answer = await push(`${server.url}/api/v1/push`, writeBody(series));
      assert.ok(answer.status < 300, answer.text);
      await server.flush();
      await server.stop();
    }
    rmSync(join(dataDir, 'ingester'), { recursive: true });
    {
      await using server = await Pallium.start({ dataDir, flags });
      const { result } = await server.api().instant('m[6d]', endMs / 1000);
      assert.equal(result.length, SERIES);
      for (const { metric, values } of result) {
        const k = Number(metric.k);
        assert.deepEqual(
          values,
          times.map((timeMs, i) => [timeMs / 1000, String(i * k)]),
        );
      }
      await server.stop();
    }
    const store = await openStores([`-data.dir=${dataDir}`, ...flags]);
    try {
      const tableOf = (day: number) => `${prefix}${day}`;
      for (const [i, period] of store.schema.periods.entries()) {
        const { day, store: name } = periods[i]!;
        const there = (await period.tables.admin.list()).filter(
          (table) => /\d$/.test(table) && table.startsWith(prefix),
        );
        // tables ahead are made where they will be needed
        const past = there.filter((table) => table < tableOf(today));
        assert.deepEqual(past, i === 0 ? [tableOf(day - 1), tableOf(day)] : [tableOf(day)], name);
      }
    } finally {
      await store.close();
    }
    const { code, stdout } = await runTool(['verify', `-data.dir=${dataDir}`, ...flags]);
    assert.equal(code, 0, stdout);
    assert.match(stdout, new RegExp(` ${SERIES * times.length} samples`));
  } finally {
    rmSync(configFile, { force: true });
    rmSync(dataDir, { recursive: true, force: true });
    rmSync(`${dataDir}.log`, { force: true });
  }
});

for (const { name, port, flags } of tableServices) {
  test(`a process that only keeps tables makes those of ${name} ahead, and drops those behind`, {
    skip: port === undefined,
  }, async () => {
    const prefix = `${PREFIX}kept_`;
    const today = Math.floor(Date.now() / DAY_MS);
    const own = [...flags(port!), '-schema.object-store=none', `-schema.prefix=${prefix}`, '-schema.table-period=1d'];
    const store = await openStores(own);
    const { admin } = store.schema.periods[0]!.tables;
    const list = async () => (await admin.list()).filter((table) => table.startsWith(prefix));
    try {
      for (const day of [today - 12, today - 11, today - 10, today - 9]) await admin.create(`${prefix}${day}`);
      await using server = await Pallium.start({
        flags: [
          ...own,
          '-target=table-manager',
          '-compactor.interval=1s',
          '-compactor.create-ahead=3d',
          '-limits.retention-period=10d',
        ],
      });
      const want = [-10, -9, -1, 0, 1, 2, 3].map((n) => `${prefix}${today + n}`);
      await until(
        'tables as they should be',
        async () => {
          assert.deepEqual(await list(), [...want, `${prefix}tenants`].sort());
          return true;
        },
        LOADED,
      );
      await server.stop();
    } finally {
      for (const table of await list()) await admin.drop(table);
      await store.close();
    }
  });
}
