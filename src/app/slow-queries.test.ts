import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { request as send } from 'undici';
import { until } from '../../test/harness/wait.ts';
import { loadConfig } from '../kit/config/load.ts';
import { createLogger } from '../kit/observe/log.ts';
import { systemClock } from '../lib/clock.ts';
import { composeApp } from './compose.ts';
import { sections } from './config.ts';
import { resolveTargets } from './modules/modules.ts';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const TIMES = { start: '1000', end: '101000', step: '10' };

/** Asks a process with these flags for what takes a while. @returns its lines about queries that took long */
async function slowLines(t: TestContext, flags: readonly string[]): Promise<Record<string, unknown>[]> {
  const folder = await mkdtemp(join(tmpdir(), 'pallium-slow-'));
  const args = ['-server.http-listen-port=0', `-data.dir=${folder}`, '-self-monitoring.enabled=false', ...flags];
  const { values } = loadConfig(sections, { args, env: {} });
  const lines: Record<string, unknown>[] = [];
  const write = (line: string) => lines.push(JSON.parse(line));
  const log = createLogger({ level: 'info', format: 'json' }, { write });
  const order = resolveTargets(['all']);
  const app = await composeApp({ config: values, version: '1.2.3', order, log, clock: systemClock });
  t.after(async () => {
    await app.services.stop(5000);
    await rm(folder, { recursive: true });
  });
  await app.services.start();
  const { url } = app.http;
  await until('it is ready', async () => (await send(`${url}/ready`)).statusCode === 200);
  const query = `time() + ${Array.from({ length: 50 }, (_, i) => `vector(${i})`).join(' + ')}`;
  const path = `/api/v1/query_range?${new URLSearchParams({ query, ...TIMES })}`;
  const headers = { traceparent: `00-${TRACE_ID}-00f067aa0ba902b7-01` };
  const { statusCode, body } = await send(`${url}${path}`, { headers });
  assert.equal(statusCode, 200, await body.text());
  return lines.filter(({ msg }) => msg === 'a query took long');
}

test('queries that take longer than a setting are logged, with the trace of their caller where it is taken on', async (t) => {
  const slow = '-frontend.log-queries-longer-than=1ms';
  const [line, ...more] = await slowLines(t, [slow, '-server.trace-context']);
  assert.deepEqual(more, []);
  const { tenant, query, path, start, end, step, traceId, ms } = line!;
  assert.deepEqual({ tenant, path, traceId }, { tenant: 'anonymous', path: '/api/v1/query_range', traceId: TRACE_ID });
  assert.deepEqual({ start, end, step }, TIMES);
  assert.match(String(query), /^time\(\) \+ vector\(0\)/);
  assert.ok(Number(ms) > 1);
  const [plain] = await slowLines(t, [slow]);
  assert.ok(plain !== undefined && !('traceId' in plain), 'traces are not taken on by default');
  assert.deepEqual(await slowLines(t, []), [], 'nor is anything logged');
});
