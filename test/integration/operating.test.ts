import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fillStore } from '../../bench/month-store.ts';
import { DAY_MS, dayOf } from '../../src/lib/day.ts';
import { Pallium, tempFolder } from '../harness/pallium.ts';
import { freePort } from '../harness/ports.ts';
import { cpuMs } from '../harness/process-cost.ts';
import { push, writeBody } from '../harness/remote-write.ts';
import { until } from '../harness/wait.ts';

const NOW_MS = Date.now();
const TIME = NOW_MS / 1000;

/** `count` series of `name`, a sample every 15 s for `minutes` up to now. */
async function load(server: Pallium, name: string, count: number, minutes: number, tenant = 'anonymous') {
  const samples = Array.from({ length: minutes * 4 }, (_, i) => [NOW_MS - (minutes * 4 - i) * 15_000, i] as const);
  for (let from = 0; from < count; from += 1000) {
    const series = Array.from({ length: Math.min(1000, count - from) }, (_, i) => ({
      labels: { __name__: name, instance: `host-${from + i}`, job: 'test' },
      samples,
    }));
    const { status, text } = await push(`${server.url}/api/v1/push`, writeBody(series), { 'x-scope-orgid': tenant });
    assert.equal(status, 204, text);
  }
}

describe('what tenants and operators may ask and do', () => {
  let server: Pallium;
  let adminUrl: string;
  before(async () => {
    const admin = await freePort();
    adminUrl = `http://127.0.0.1:${admin}`;
    server = await Pallium.start({ flags: ['-web.enable-admin-api', `-server.admin-address=127.0.0.1:${admin}`] });
    await load(server, 'up', 20, 10);
    await load(server, 'other', 5, 10);
    await load(server, 'up', 3, 1, 'b');
  });
  after(() => server[Symbol.asyncDispose]());

  test('the head is described, for each tenant its own', async () => {
    const stats = await server.api().data<Record<string, unknown>>('/api/v1/status/tsdb', { limit: 2 });
    assert.deepEqual(stats, {
      headStats: {
        numSeries: 25,
        numLabelPairs: 2 + 20 + 1,
        chunkCount: (stats.headStats as { chunkCount: number }).chunkCount,
        minTime: NOW_MS - 600_000,
        maxTime: NOW_MS - 15_000,
      },
      seriesCountByMetricName: [
        { name: 'up', value: 20 },
        { name: 'other', value: 5 },
      ],
      labelValueCountByLabelName: [
        { name: 'instance', value: 20 },
        { name: '__name__', value: 2 },
      ],
      memoryInBytesByLabelName: (stats as { memoryInBytesByLabelName: unknown }).memoryInBytesByLabelName,
      seriesCountByLabelValuePair: [
        { name: 'job=test', value: 25 },
        { name: '__name__=up', value: 20 },
      ],
    });
    const other = await server
      .api({ 'x-scope-orgid': 'b' })
      .data<{ headStats: { numSeries: number } }>('/api/v1/status/tsdb');
    assert.equal(other.headStats.numSeries, 3);
  });

  test('tenants see their series, limits and queries; operators those of all', async () => {
    const json = async (url: string, tenant = 'anonymous') =>
      JSON.parse(await (await fetch(url, { headers: { 'x-scope-orgid': tenant } })).text());
    assert.equal((await json(`${server.url}/api/v1/user_stats`)).numSeries, 25);
    assert.equal((await json(`${server.url}/api/v1/user_stats`, 'b')).numSeries, 3);
    assert.equal((await json(`${server.url}/api/v1/user_limits`)).max_label_name_length, 1024);
    for (const path of ['/ingester/all_user_stats', '/distributor/all_user_stats']) {
      const all = (await json(adminUrl + path)) as { userID: string; numSeries: number }[];
      assert.deepEqual(
        all.map(({ userID, numSeries }) => [userID, numSeries]),
        [
          ['anonymous', 25],
          ['b', 3],
        ],
      );
      assert.equal((await fetch(server.url + path)).status, 404, 'not where tenants ask');
    }
    await server.api().instant('count(up)', TIME);
    const { topByCount } = await json(`${server.url}/api/v1/status/top_queries`);
    assert.ok(topByCount.some(({ query }: { query: string }) => query === 'count(up)'));
    assert.deepEqual((await json(`${server.url}/api/v1/status/top_queries`, 'b')).topByCount, []);
    for (const path of ['active_queries', 'running_queries']) {
      assert.deepEqual(await json(`${server.url}/api/v1/status/${path}`), { status: 'ok', data: [] });
    }
  });

  test('what is deleted is gone for queries at once, from memory and store, and back when that is cancelled', async () => {
    const api = server.api();
    const counts = async () => {
      const { result } = await api.instant('count by (__name__) (last_over_time({job="test"}[10m]))', TIME);
      return Object.fromEntries(result.map(({ metric, value }) => [metric.__name__, Number(value![1])]));
    };
    const whole = { up: 20, other: 5 };
    for (const where of ['head', 'store']) {
      if (where === 'store') await server.flush();
      assert.deepEqual(await counts(), whole, where);
      const path = '/api/v1/admin/tsdb/delete_series';
      const match = new URLSearchParams({ 'match[]': 'up{instance=~"host-1.*"}' });
      assert.equal((await api.ask(`${path}?${match}`, { method: 'POST' })).status, 204);
      assert.deepEqual(await counts(), { ...whole, up: 9 }, where);
      const [request] = await api.data<{ request_id: string; selector: string; status: string }[]>(path);
      assert.deepEqual([request!.selector, request!.status], ['{instance=~"host-1.*", __name__="up"}', 'pending']);
      assert.deepEqual(JSON.parse((await server.api({ 'x-scope-orgid': 'b' }).ask(path)).text).data, []);
      const cancel = `/api/v1/admin/tsdb/cancel_delete_request?request_id=${request!.request_id}`;
      assert.equal((await server.api({ 'x-scope-orgid': 'b' }).ask(cancel, { method: 'POST' })).status, 400);
      assert.equal((await api.ask(cancel, { method: 'POST' })).status, 204);
      assert.deepEqual(await counts(), whole, where);
    }
    assert.equal((await api.ask('/api/v1/admin/tsdb/delete_series', { method: 'POST' })).status, 400);
  });

  test('Grafana: the health check of a data source, and what its editors ask', async () => {
    const form = (path: string, params: Record<string, string>) =>
      server.api().ask(path, { method: 'POST', body: new URLSearchParams(params) });
    const data = ({ status, text }: { status: number; text: string }) => {
      assert.equal(status, 200, text);
      const answer = JSON.parse(text);
      assert.equal(answer.status, 'success');
      return answer.data;
    };
    const range = { start: String(TIME - 600), end: String(TIME) };
    for (const prefix of ['', '/prometheus', '/api/prom']) {
      const one = data(await form(`${prefix}/api/v1/query`, { query: '1+1', time: String(TIME) }));
      assert.deepEqual(one, { resultType: 'scalar', result: [Number(TIME.toFixed(3)), '2'] });
      const build = await server.api().data<{ version: string }>(`${prefix}/api/v1/status/buildinfo`);
      assert.match(build.version, /^3\./);
    }
    const api = server.api();
    assert.deepEqual(data(await form('/api/v1/labels', { ...range, 'match[]': 'up' })), [
      '__name__',
      'instance',
      'job',
    ]);
    assert.deepEqual(await api.data('/api/v1/label/__name__/values', { ...range, 'match[]': '{job="test"}' }), [
      'other',
      'up',
    ]);
    assert.equal(
      (await api.data<unknown[]>('/api/v1/label/instance/values', { ...range, 'match[]': 'other' })).length,
      5,
    );
    assert.deepEqual(await api.data('/api/v1/metadata', { limit_per_metric: 1 }), {});
    assert.equal(data(await form('/api/v1/series', { ...range, 'match[]': 'other' })).length, 5);
    const rows = data(
      await form('/api/v1/query_range', { ...range, step: '15', query: 'sum by (job) (rate(up[1m]))' }),
    );
    assert.deepEqual([rows.resultType, rows.result.length], ['matrix', 1]);
    const exemplars = data(await form('/api/v1/query_exemplars', { ...range, query: 'up' }));
    assert.deepEqual(exemplars, []);
    assert.equal((await api.ask('/api/v1/rules')).status, 200);
    const wrong = await form('/api/v1/query', { query: 'up{', time: String(TIME) });
    assert.deepEqual([wrong.status, JSON.parse(wrong.text).errorType], [400, 'bad_data']);
  });
});

/** Sorts windows for seconds; many short rows, so that it can be heard that nobody waits. */
const SLOW = new URLSearchParams({
  query: 'sum(quantile_over_time(0.9, slow[10m:1s]))',
  start: String(TIME - 600),
  end: String(TIME),
  step: '1',
});

describe('a query that takes too much', () => {
  test('ends when nobody waits for it, when its time is up, and leaves the others their turn', async () => {
    await using server = await Pallium.start({ flags: ['-querier.workers=1', '-querier.max-concurrent=2'] });
    await load(server, 'slow', 2000, 20);
    const api = server.api();
    const gone = new AbortController();
    const asked = fetch(`${server.url}/api/v1/query_range?${SLOW}`, { signal: gone.signal }).catch(() => 'aborted');
    await until('the query runs', async () => {
      const { text } = await api.ask('/api/v1/status/active_queries');
      return JSON.parse(text).data.length === 1;
    });
    await sleep(300);
    const busyFrom = cpuMs(server.pid);
    await sleep(300);
    assert.ok(cpuMs(server.pid) - busyFrom >= 30, 'it works on the query');
    gone.abort();
    assert.equal(await asked, 'aborted');
    await sleep(100);
    const idleFrom = cpuMs(server.pid);
    await sleep(500);
    assert.ok(cpuMs(server.pid) - idleFrom < 200, `still ${cpuMs(server.pid) - idleFrom} ms of work in 500 ms`);

    const late = await api.ask(`/api/v1/query_range?${SLOW}&timeout=300ms`);
    assert.deepEqual([late.status, JSON.parse(late.text).errorType], [503, 'timeout']);

    // two at a time in the worker; whoever else comes waits and gets its answer
    const slow = Array.from({ length: 3 }, () => api.ask(`/api/v1/query_range?${SLOW}&timeout=1s`));
    const short = await api.instant('count(slow)', TIME);
    assert.equal(short.result[0]!.value![1], '2000');
    for (const { status } of await Promise.all(slow)) assert.equal(status, 503);
  });

  test('runs into its budget alone, and names the limit', async () => {
    await using server = await Pallium.start({ flags: ['-querier.max-query-memory-bytes=16MiB'] });
    await load(server, 'slow', 2000, 20);
    const api = server.api();
    const all = new URLSearchParams(SLOW);
    all.set('query', 'slow + 0');
    const greedy = await api.ask(`/api/v1/query_range?${all}`);
    const { error } = JSON.parse(greedy.text);
    assert.equal(greedy.status, 422, error);
    assert.match(error, /max_query_memory_bytes/);
    assert.equal((await api.instant('count(slow)', TIME)).result[0]!.value![1], '2000');
  });

  test('asks for all of a month, and is refused within 5 s while others keep their pace', async () => {
    const dataDir = tempFolder('month');
    after(() => rmSync(dataDir, { recursive: true, force: true }));
    const endMs = dayOf(NOW_MS) * DAY_MS;
    const startMs = endMs - 30 * DAY_MS;
    await fillStore(join(dataDir, 'store'), { startMs, endMs, series: 300, stepMs: 900_000, merge: true });
    await using server = await Pallium.start({ dataDir, flags: ['-querier.max-samples=1000000'] });
    await load(server, 'up', 20, 10, 'other');
    const others = server.api({ 'x-scope-orgid': 'other' });
    /** Time of the slowest of a light query and a write of another tenant. */
    const slowestMs = async () => {
      const fromMs = performance.now();
      const body = writeBody([{ labels: { __name__: 'written' }, samples: [[Date.now(), 1]] }]);
      const [{ result }, { status }] = await Promise.all([
        others.instant('count(up)', TIME),
        push(`${server.url}/api/v1/push`, body, { 'x-scope-orgid': 'other' }),
      ]);
      assert.deepEqual([result[0]!.value![1], status], ['20', 204]);
      return performance.now() - fromMs;
    };
    for (let i = 0; i < 20; i++) await slowestMs();
    // a step of 15 s makes too many points for any series, one of 4 min too many for all of them
    for (const step of ['15', '240']) {
      const fromMs = performance.now();
      let isOver = false;
      const params = { query: '{__name__=~".+"}', start: `${startMs / 1000}`, end: `${endMs / 1000}`, step };
      const asked = server.api().ask(`/api/v1/query_range?${new URLSearchParams(params)}`);
      const over = asked.then((answer) => {
        isOver = true;
        return { ...answer, ms: performance.now() - fromMs };
      });
      let worstMs = 0;
      for (let i = 0; i < 5 || !isOver; i++) worstMs = Math.max(worstMs, await slowestMs());
      const { status, text, ms } = await over;
      assert.ok(status === 400 || status === 422, `${status} ${text.slice(0, 300)}`);
      assert.ok(ms < 5000, `refused after ${ms} ms`);
      assert.ok(worstMs < 1000, `others took ${worstMs} ms`);
    }
  });

  test('takes its own worker with it at most, which is replaced', async () => {
    const flags = ['-querier.worker-heap-mb=64', '-querier.workers=1', '-querier.max-query-memory-bytes=0'];
    await using server = await Pallium.start({ flags });
    await load(server, 'many', 30_000, 1);
    const api = server.api();
    const before = server.pid;
    const copies = (n: number) => `label_replace(many, "copy", "${n} $1", "instance", "(.*)")`;
    const query = Array.from({ length: 30 }, (_, i) => copies(i)).join(' or ');
    const deadly = await api.ask('/api/v1/query', {
      method: 'POST',
      body: new URLSearchParams({ query, time: String(TIME) }),
    });
    assert.equal(deadly.status, 503, deadly.text.slice(0, 300));
    assert.equal(JSON.parse(deadly.text).errorType, 'unavailable');
    const short = await until('the next worker', async () => {
      const { status, text } = await api.ask(`/api/v1/query?query=count(many{instance="host-1"})&time=${TIME}`);
      return status === 200 && text;
    });
    assert.match(short, /"1"\]/);
    assert.ok(server.alive && server.pid === before);
    assert.match(server.log(), /worker died and is replaced/);
  });
});
