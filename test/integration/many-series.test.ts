import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Pallium } from '../harness/pallium.ts';
import { rssBytes } from '../harness/process-cost.ts';
import { WRITE_HEADERS, writeBody } from '../harness/remote-write.ts';

const METRICS = 50;
const LARGE = 50_000;
const SERIES = 150_000;
const BODY_SERIES = 2500;
const MINUTE_MS = 60_000;
/** Held by a query: as objects these series take 700 bytes each, 100 MiB. */
const QUERY_MB = 64;
/** Growth of the process meanwhile: what waits for the collector is in it, and the caches of the store. */
const GROWTH_MB = 330;

/** One metric of many series, and many of fewer. */
function labelsOf(i: number): Record<string, string> {
  const name = i < LARGE ? 'many_large_total' : `many_${i % METRICS}_total`;
  return { __name__: name, instance: `host-${i >> 5}.example.org:9100`, job: 'many', place: `${i % 3}` };
}

async function push(server: Pallium, timesMs: readonly number[]): Promise<void> {
  for (let from = 0; from < SERIES; from += BODY_SERIES) {
    const body = writeBody(
      Array.from({ length: BODY_SERIES }, (_, k) => ({
        labels: { ...labelsOf(from + k), k: `${(from + k) & 31}` },
        samples: timesMs.map((timeMs, i) => [timeMs, from + k + i] as const),
      })),
    );
    for (let status = 0; status !== 204; ) {
      const init = { method: 'POST', headers: WRITE_HEADERS, body: Buffer.from(body) };
      ({ status } = await fetch(`${server.url}/api/v1/push`, init));
      assert.ok(status === 204 || status === 503, `${status}`);
    }
  }
}

/** Asks for aggregations of all series and checks their values. @param newest sample of each series, counted from 0 */
async function askAll(t: TestContext, server: Pallium, where: string, atMs: number, newest: number): Promise<void> {
  const api = server.api();
  const at = atMs / 1000;
  const all = '{job="many"}';
  const sum = (SERIES * (SERIES - 1)) / 2 + newest * SERIES;
  const one = async (query: string) => (await api.instant(query, at)).result.map(({ value }) => Number(value![1]));
  const before = rssBytes(server.pid);
  let most = before;
  const ask = async <T>(text: string, run: (text: string) => Promise<T>): Promise<T> => {
    const answer = await run(text);
    most = Math.max(most, rssBytes(server.pid));
    return answer;
  };
  assert.deepEqual(await ask(`count(${all})`, one), [SERIES]);
  assert.deepEqual(await ask(`sum(${all})`, one), [sum]);
  assert.deepEqual(await ask(`count by (place) (${all})`, one), [SERIES / 3, SERIES / 3, SERIES / 3]);
  assert.deepEqual(await ask(`topk(2, ${all})`, one), [SERIES - 1 + newest, SERIES - 2 + newest]);
  assert.deepEqual(await ask(`quantile(1, ${all})`, one), [SERIES - 1 + newest]);
  assert.equal((await ask(`limitk(3, ${all})`, one)).length, 3);
  assert.deepEqual(await ask('count_values("v", count_over_time(many_large_total[5m]))', one), [LARGE]);
  assert.deepEqual(await ask(`count(count_over_time(many_large_total[5m]))`, one), [LARGE]);
  const rates = await ask('sum(rate(many_large_total[5m]))', one);
  assert.ok(rates.length === 1 && rates[0]! > 0);
  const range = await ask(`sum(${all})`, (text) => api.range(text, at - 60, at, 30));
  assert.equal(Number(range.result[0]!.values!.at(-1)![1]), sum);
  const grownMb = (most - before) / 2 ** 20;
  t.diagnostic(`${where}: the process grew by ${Math.round(grownMb)} MiB`);
  assert.ok(grownMb < GROWTH_MB, `${where}: ${grownMb} MiB`);
}

test('aggregations over many series, recent, stored and both, hold none to the end', {
  timeout: 300_000,
}, async (t) => {
  await using server = await Pallium.start({
    flags: [
      '-querier.enable-promql-experimental-functions',
      `-querier.max-query-memory-bytes=${QUERY_MB}MB`,
      '-ingester.max-series-per-user=0',
    ],
  });
  const nowMs = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
  await push(server, [nowMs - 4 * MINUTE_MS, nowMs - 3 * MINUTE_MS]);
  await askAll(t, server, 'recent', nowMs - 3 * MINUTE_MS, 1);
  // objects for each series do not fit
  const { status, text } = await server.api().ask(`/api/v1/query?query={job="many"}&time=${nowMs / 1000}`);
  assert.ok(status === 422 && text.includes('max_query_memory_bytes'), text.slice(0, 200));
  await server.flush();
  await push(server, [nowMs - 2 * MINUTE_MS]);
  await askAll(t, server, 'both', nowMs - 2 * MINUTE_MS, 0);
});
