import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, test } from 'node:test';
import type { CompactionReport } from '../../src/contract/control.ts';
import { Pallium, tempFolder } from '../harness/pallium.ts';
import { push, writeBody } from '../harness/remote-write.ts';
import { runTool } from '../harness/tool.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const STEP_MS = 60_000;
const SERIES = 20;
// two days that are over, and what there is of today
const START_MS = Math.floor(Date.now() / DAY_MS) * DAY_MS - 2 * DAY_MS;
const END_MS = Math.floor(Date.now() / STEP_MS) * STEP_MS;
const dataDir = tempFolder('day-merge');
after(() => rmSync(dataDir, { recursive: true, force: true }));

const valueAt = (k: number, timeMs: number) => ((timeMs / STEP_MS) % 977) * (k + 1);

test('days of many windows are merged beside queries, and every sample is there before, after and after a restart', async (t) => {
  const flags = ['-ingester.out-of-order-time-window=30d', '-compactor.day-delay=0s'];
  let server = await Pallium.start({ dataDir, flags });
  t.after(() => server.kill());
  const held = new Set<number>();
  const write = async (timesMs: readonly number[]) => {
    const series = Array.from({ length: SERIES }, (_, k) => ({
      labels: { __name__: 'm_total', k: `${k}` },
      samples: timesMs.map((timeMs) => [timeMs, valueAt(k, timeMs)] as const),
    }));
    const { status, text } = await push(`${server.url}/api/v1/push`, writeBody(series));
    assert.equal(status, 204, text);
    for (const timeMs of timesMs) held.add(timeMs);
  };
  const times = (fromMs: number, toMs: number, isWanted: (i: number) => boolean) =>
    Array.from({ length: Math.floor((toMs - fromMs) / STEP_MS) }, (_, i) => fromMs + i * STEP_MS).filter((_, i) =>
      isWanted(i),
    );
  /** The samples that each series has, against what it was sent. */
  const check = async (what: string) => {
    const sent = [...held];
    const time = END_MS / 1000 + 1;
    for (const [query, want] of [
      ['count_over_time(m_total[4d])', () => sent.length],
      ['sum_over_time(m_total[4d])', (k: number) => sent.reduce((sum, timeMs) => sum + valueAt(k, timeMs), 0)],
    ] as const) {
      const { result } = await server.api().instant(query, time);
      assert.equal(result.length, SERIES, what);
      for (const { metric, value } of result) {
        assert.equal(Number(value![1]), want(Number(metric.k)), `${what}: ${query} of ${metric.k}`);
      }
    }
  };
  const compact = async () => {
    const answer = await fetch(`${server.url}/compactor/run?wait=true`, { method: 'POST' });
    const report = (await answer.json()) as CompactionReport;
    assert.deepEqual([answer.status, report.failures, report.damaged], [200, [], []]);
    return report;
  };

  // every window in two generations, and a flush now and then
  for (let at = START_MS; at < END_MS; at += 6 * HOUR_MS) {
    const to = Math.min(at + 6 * HOUR_MS, END_MS);
    await write(times(at, to, (i) => i % 7 !== 3));
    await server.flush();
    await write(times(at, to, (i) => i % 7 === 3));
    await server.flush();
  }
  await check('flushed');
  const [report] = await Promise.all([compact(), check('while it merges')]);
  assert.equal(report.days, 2);
  assert.ok(report.sources >= 2 * 24, `${report.sources} groups were merged`);
  assert.equal(report.samples, SERIES * 2 * (DAY_MS / STEP_MS));
  await check('merged');
  // what comes to a day that was merged is merged with it
  assert.equal((await compact()).sources, 0);
  await write([START_MS + 1000, START_MS + DAY_MS + 1000]);
  await server.flush();
  await check('late');
  await server.kill();
  server = await Pallium.start({ dataDir, flags });
  await check('after a restart');
  await compact();
  await check('merged after a restart');
  await server.stop();
  const { code, stdout } = await runTool(['verify', `-data.dir=${dataDir}`]);
  assert.equal(code, 0, stdout);
});
