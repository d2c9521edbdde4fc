import assert from 'node:assert/strict';
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { seededRandom } from '../../src/lib/random.ts';
import { Pallium, tempFolder } from '../harness/pallium.ts';
import { freePort } from '../harness/ports.ts';
import { push, writeBody } from '../harness/remote-write.ts';
import { runTool } from '../harness/tool.ts';

const DAY_MS = 86_400_000;
const STEP_MS = 600_000;
const STEPS_PER_DAY = DAY_MS / STEP_MS;
const SERIES = 300;
const DAYS = 6;
const TODAY_MS = Math.floor(Date.now() / DAY_MS) * DAY_MS;
const dataDir = tempFolder('retention');
const overrides = `${dataDir}.yaml`;
after(() => {
  rmSync(dataDir, { recursive: true, force: true });
  for (const file of [overrides, `${dataDir}.log`]) rmSync(file, { force: true });
});

test('samples go when their tenant, or the folder, has had them long enough; those of others stay', async () => {
  writeFileSync(overrides, 'overrides:\n  brief:\n    retention_period: 3d\n');
  const start = async (...flags: string[]) => {
    const adminPort = await freePort();
    const server = await Pallium.start({
      dataDir,
      flags: [
        '-schema.table-period=1d',
        '-compactor.day-delay=0s',
        `-server.admin-address=127.0.0.1:${adminPort}`,
        ...flags,
      ],
    });
    const compact = async () => {
      const answer = await fetch(`http://127.0.0.1:${adminPort}/compactor/run?wait=true&sweep=now`, { method: 'POST' });
      const report = (await answer.json()) as { failures: string[]; damaged: string[]; tablesDropped: string[] };
      assert.deepEqual([answer.status, report.failures, report.damaged], [200, [], []]);
      return report;
    };
    /** Samples of each day that is over, from the oldest on, with all series alike. */
    const samples = async (tenant: string) => {
      const days: number[] = [];
      for (let day = DAYS; day >= 1; day--) {
        const time = (TODAY_MS - (day - 1) * DAY_MS - 1) / 1000;
        const { result } = await server.api({ 'x-scope-orgid': tenant }).instant('sum(count_over_time(m[1d]))', time);
        days.push(Number(result[0]?.value?.[1] ?? 0));
      }
      return days;
    };
    return { server, compact, samples };
  };
  const whole = SERIES * STEPS_PER_DAY;
  {
    const { server, compact, samples } = await start();
    await using _ = server;
    const random = seededRandom(1);
    for (const tenant of ['brief', 'other']) {
      for (let day = DAYS; day >= 1; day--) {
        const series = Array.from({ length: SERIES }, (_, k) => ({
          labels: { __name__: 'm', k: `${k}` },
          samples: Array.from(
            { length: STEPS_PER_DAY },
            (_, i) => [TODAY_MS - day * DAY_MS + i * STEP_MS, random()] as const,
          ),
        }));
        const { status, text } = await push(`${server.url}/api/v1/push`, writeBody(series), {
          'x-scope-orgid': tenant,
        });
        assert.equal(status, 204, text);
      }
    }
    await server.flush();
    await compact();
    assert.deepEqual(await samples('brief'), Array(DAYS).fill(whole));
    assert.deepEqual(await samples('other'), Array(DAYS).fill(whole));
    await server.stop();
  }
  rmSync(join(dataDir, 'ingester'), { recursive: true });
  const sizeBefore = sizeOf(join(dataDir, 'store', 'objects'));
  {
    const { server, compact, samples } = await start(`-runtime-config.file=${overrides}`);
    await using _ = server;
    await compact();
    const left = await samples('brief');
    assert.deepEqual(
      [left.slice(0, 3), left.slice(4)],
      [
        [0, 0, 0],
        [whole, whole],
      ],
    );
    // the day in which the time is over is cut
    assert.ok(left[3]! >= 0 && left[3]! <= whole, `${left}`);
    assert.deepEqual(await samples('other'), Array(DAYS).fill(whole));
    await server.stop();
  }
  const sizeAfter = sizeOf(join(dataDir, 'store', 'objects'));
  assert.ok(sizeAfter < 0.8 * sizeBefore, `of ${sizeBefore} bytes ${sizeAfter} are left: gone, not only hidden`);
  const size = Math.floor(sizeOf(join(dataDir, 'store')) / 2);
  {
    const { server, compact, samples } = await start(`-retention.size=${size}`);
    await using _ = server;
    const { tablesDropped } = await compact();
    const gone = tablesDropped.length;
    assert.ok(gone > 0 && gone < DAYS, `${tablesDropped}`);
    assert.deepEqual(await samples('other'), [...Array(gone).fill(0), ...Array(DAYS - gone).fill(whole)]);
    assert.ok(sizeOf(join(dataDir, 'store')) <= size, `${sizeOf(join(dataDir, 'store'))} of ${size} bytes`);
    await server.stop();
  }
  const { code, stdout } = await runTool(['verify', `-data.dir=${dataDir}`, '-schema.table-period=1d']);
  assert.equal(code, 0, stdout);
});

/** The size of all files of a folder, as the disk counts them. */
function sizeOf(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).blocks * 512, 0);
}
