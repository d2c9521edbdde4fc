import assert from 'node:assert/strict';
import { integerHistogram } from '../../src/model/histogram-integer.ts';
import { type PushSeries, push, writeBody } from '../../test/harness/remote-write.ts';

const STEP_MS = 15_000;
const HOUR_MS = 3_600_000;

/** An hour of a small shop's metrics: requests by route and code, latencies in classic buckets, memory, processors. */
export async function sendShop(url: string, tenant: string, nowMs = Date.now()): Promise<void> {
  const endMs = Math.floor(nowMs / STEP_MS) * STEP_MS;
  const times = Array.from({ length: HOUR_MS / STEP_MS }, (_, i) => endMs - HOUR_MS + (i + 1) * STEP_MS);
  const series: PushSeries[] = [];
  const add = (labels: Record<string, string>, value: (i: number) => number) =>
    series.push({ labels, samples: times.map((time, i) => [time, value(i)] as const) });
  for (const [r, route] of ['/cart', '/login', '/search'].entries()) {
    for (const code of ['200', '500']) {
      const perStep = code === '200' ? 60 * (r + 1) : 2;
      add({ __name__: 'http_requests_total', job: 'shop', instance: 'shop-1:8080', route, code }, (i) =>
        // its rate goes up and down by a third
        Math.floor(perStep * (i + 6 * (1 - Math.cos(i / 20)))),
      );
    }
  }
  const bounds = ['0.01', '0.05', '0.1', '0.5', '1', '+Inf'];
  for (const [b, le] of bounds.entries()) {
    add({ __name__: 'http_request_duration_seconds_bucket', job: 'shop', instance: 'shop-1:8080', le }, (i) =>
      Math.floor(
        10 * (i * (1 - 0.3 ** (b + 1)) + (b === bounds.length - 1 ? 0 : 4 * Math.sin(i / 30) * 0.3 ** (b + 1))),
      ),
    );
  }
  for (let host = 0; host < 12; host++) {
    const instance = `host-${host}:9100`;
    add(
      { __name__: 'node_memory_MemAvailable_bytes', job: 'node', instance },
      (i) => 2 ** 30 * (2 + host / 4 + Math.sin(i / 40 + host) / 3),
    );
    add({ __name__: 'up', job: 'node', instance }, (i) => (host === 3 && i > 100 && i < 140 ? 0 : 1));
  }
  await send(url, series, tenant);
}

/** An hour of requests as native histograms, an exemplar of them each quarter, and a service half of whose instances are new. */
export async function sendNative(url: string, tenant: string, nowMs = Date.now()): Promise<void> {
  const endMs = Math.floor(nowMs / STEP_MS) * STEP_MS;
  const times = Array.from({ length: HOUR_MS / STEP_MS }, (_, i) => endMs - HOUR_MS + (i + 1) * STEP_MS);
  const histograms = times.map((time, i) => {
    const [low, high] = [6 * i, 3 * i];
    const histogram = integerHistogram({
      count: low + high,
      sum: (low * 3 + high * 6) / 10,
      positiveSpans: [{ offset: 0, length: 2 }],
      positiveDeltas: [low, high - low],
    });
    return [time, histogram] as const;
  });
  const counter = { __name__: 'traced_total', job: 'native' };
  const traced = times.filter((_, i) => i % 60 === 30).map((time, i) => [time, i + 1, `trace-${i}`] as const);
  await send(
    url,
    [
      { labels: { __name__: 'native_seconds', job: 'native' }, samples: [], histograms },
      { labels: counter, samples: times.map((time, i) => [time, i * 10] as const), exemplars: traced },
    ],
    tenant,
  );
}

/** A roll-out under way: of four instances two began 25 minutes ago, and fail more often. */
export async function sendRollOut(url: string, tenant: string, nowMs = Date.now()): Promise<void> {
  const endMs = Math.floor(nowMs / STEP_MS) * STEP_MS;
  const beginMs = endMs - 25 * 60_000;
  const series = ['a', 'b', 'c', 'd'].flatMap((instance, n): PushSeries[] => {
    const isNew = n >= 2;
    const fromMs = isNew ? beginMs : endMs - HOUR_MS;
    const times = Array.from({ length: (endMs - fromMs) / STEP_MS }, (_, i) => fromMs + (i + 1) * STEP_MS);
    const labels = { job: 'cart', instance };
    const add = (more: Record<string, string> & { readonly __name__: string }, value: (i: number) => number) => ({
      labels: { ...labels, ...more },
      samples: times.map((time, i) => [time, value(i)] as const),
    });
    return [
      add({ __name__: 'up' }, () => 1),
      add({ __name__: 'process_start_time_seconds' }, () => (isNew ? beginMs : endMs - 10 * HOUR_MS) / 1000),
      add({ __name__: 'http_requests_total', code: '200' }, (i) => 100 * i),
      add({ __name__: 'http_requests_total', code: '500' }, (i) => (isNew ? 40 : 1) * i),
    ];
  });
  await send(url, series, tenant);
  const answer = await fetch(`${url}/api/v1/events`, {
    method: 'POST',
    headers: { 'x-scope-orgid': tenant },
    body: JSON.stringify({ service: 'cart', from: '1.0', to: '2.0', time: beginMs }),
  });
  assert.equal(answer.status, 200, await answer.text());
}

/** Sends one sample of now. */
export function sendOne(url: string, tenant: string, name: string, value: number): Promise<void> {
  return send(url, [{ labels: { __name__: name }, samples: [[Date.now(), value]] }], tenant);
}

/** Sends events of a service, minutes ago. */
export async function sendEvents(
  url: string,
  tenant: string,
  events: readonly { readonly minutesAgo: number; readonly service: string; readonly [field: string]: unknown }[],
): Promise<void> {
  for (const { minutesAgo, ...event } of events) {
    const time = Date.now() - minutesAgo * 60_000;
    const answer = await fetch(`${url}/api/v1/events`, {
      method: 'POST',
      headers: { 'x-scope-orgid': tenant },
      body: JSON.stringify({ ...event, time, timeEnd: time + 240_000 }),
    });
    assert.equal(answer.status, 200, await answer.text());
  }
}

/** Names that would do something where they are taken for more than text. */
export const HOSTILE = [
  '<img src=x onerror="window.__hit=1;alert(1)">',
  '"><script>window.__hit=1</script>',
  "javascript:window.__hit=1//'",
  '\u202Egnp.exe\u202C\u2066<b>\u2069',
  '{{constructor.constructor("window.__hit=1")()}}',
  `${'W'.repeat(1_990)}<u>`,
];

/** Series with such names of metrics and labels, and such values. */
export async function sendHostile(url: string, tenant: string, nowMs = Date.now()): Promise<void> {
  const samples = Array.from({ length: 60 }, (_, i) => [nowMs - (60 - i) * STEP_MS, i] as const);
  const series = HOSTILE.flatMap((text, i): PushSeries[] => [
    { labels: { __name__: text.slice(0, 900), job: 'hostile', n: String(i) }, samples },
    { labels: { __name__: 'hostile_metric', [text.slice(0, 900)]: text, job: 'hostile', n: String(i) }, samples },
    { labels: { __name__: 'hostile_bucket', le: text, job: 'hostile' }, samples },
    { labels: { __name__: 'up', job: text, instance: text }, samples },
    { labels: { __name__: 'odd_total', job: text, route: text }, samples },
  ]);
  await send(url, series, tenant);
}

async function send(url: string, series: readonly PushSeries[], tenant: string): Promise<void> {
  const answer = await push(`${url}/api/v1/push`, writeBody(series), { 'x-scope-orgid': tenant });
  assert.equal(answer.status, 204, answer.text);
}
