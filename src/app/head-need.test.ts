import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { request as send } from 'undici';
import { WRITE_HEADERS, writeBody } from '../../test/harness/remote-write.ts';
import { until } from '../../test/harness/wait.ts';
import { loadConfig } from '../kit/config/load.ts';
import { silentLogger } from '../kit/observe/log.ts';
import { systemClock } from '../lib/clock.ts';
import { composeApp } from './compose.ts';
import { sections } from './config.ts';
import { resolveTargets } from './modules/modules.ts';

const MINUTE_S = 60;

test('what has too many points is refused by what the head holds, where nothing else has any of it', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'pallium-head-need-'));
  const flags = ['-querier.max-samples=50000', '-self-monitoring.enabled=false'];
  const args = ['-server.http-listen-port=0', `-data.dir=${folder}`, ...flags];
  const { values } = loadConfig(sections, { args, env: {} });
  const common = { version: '1.2.3', order: resolveTargets(['all']), log: silentLogger, clock: systemClock };
  const app = await composeApp({ config: values, ...common });
  t.after(async () => {
    await app.services.stop(5000);
    await rm(folder, { recursive: true });
  });
  await app.services.start();
  const { url } = app.http;
  await until('it is ready', async () => (await send(`${url}/ready`)).statusCode === 200);
  const endS = Math.floor(Date.now() / 15_000) * 15;
  // 64,400 samples
  const times = Array.from({ length: 161 }, (_, i) => (endS - 40 * MINUTE_S + 15 * i) * 1000);
  const series = Array.from({ length: 400 }, (_, i) => ({
    labels: { __name__: 'm', i: `${i}` },
    samples: times.map((timeMs) => [timeMs, i] as const),
  }));
  const pushed = await send(`${url}/api/v1/push`, { method: 'POST', headers: WRITE_HEADERS, body: writeBody(series) });
  assert.equal(pushed.statusCode, 204, await pushed.body.text());
  const ask = async (query: string, days: number, step: string) => {
    const params = new URLSearchParams({ query, start: `${endS - days * 86_400}`, end: `${endS}`, step });
    const answer = await send(`${url}/api/v1/query_range?${params}`);
    return { status: answer.statusCode, text: await answer.body.text() };
  };
  for (const query of ['{__name__=~".+"}', 'rate(m[5m])']) {
    const { status, text } = await ask(query, 1, '15');
    assert.equal(status, 422, text);
    assert.match(text, /\(more than 50000, querier.max-samples\): some 6\d{4} by what there is of it/);
    // a month has larger steps: Prometheus refuses more than 11,000, whatever there is
    assert.match((await ask(query, 30, '15')).text, /exceeded maximum resolution of 11,000 points/);
    assert.equal((await ask(query, 30, '240')).status, 200);
  }
  assert.equal((await ask('count({__name__=~".+"})', 1, '15')).status, 200);
});
