import assert from 'node:assert/strict';
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
