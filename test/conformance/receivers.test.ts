import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { loadConfig } from '../../src/alertmanager/config/load.ts';
import { notificationData } from '../../src/alertmanager/receivers/data.ts';
import type { OutgoingRequest } from '../../src/alertmanager/receivers/notification.ts';
import { loadTemplates } from '../../src/alertmanager/templates/load.ts';
import { answerTo, BASE, RECEIVERS, type ReceiverVector } from '../alertmanager/receivers.ts';
import { toldAlerts } from '../alertmanager/told-alerts.ts';

// Requests of each kind of receiver beside those that a real Alertmanager 0.35 sent (`node test/alertmanager/record-receivers.ts`).

const vectors: readonly ReceiverVector[] = JSON.parse(
  readFileSync(new URL('data/receivers.json', import.meta.url), 'utf8'),
);

const GROUP_KEY = '{}:{alertname="Down"}';
/** Told by the moment and what signs it. */
const OF_THE_MOMENT = new Set(['x-amz-date', 'x-amz-content-sha256', 'amz-sdk-request', 'amz-sdk-invocation-id']);

interface Shown {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

for (const { kind, alerts, reason, requests } of vectors) {
  const isResolved = reason === 'all alerts resolved';
  test(`${kind}: what the Alertmanager sends when alerts ${isResolved ? 'are resolved' : 'fire'}`, async () => {
    const config = loadConfig(
      `route: { receiver: r }\nreceivers: [{ name: r, ${kind}_configs: [{ ${RECEIVERS[kind]} }] }]`,
    );
    const [integration] = config.receivers.get('r')!.integrations;
    if (isResolved) assert.equal(integration!.sendsResolved, requests.length > 0);
    if (requests.length === 0) return;
    const { nowMs, given, about } = toldAlerts({ alerts, reason });
    const sent: OutgoingRequest[] = [];
    const verdict = await integration!.notify({
      groupKey: GROUP_KEY,
      groupHash: createHash('sha256').update(GROUP_KEY).digest('hex'),
      data: notificationData(about, given),
      templates: loadTemplates(new Map(), [], () => nowMs),
      http: {
        async send(request) {
          sent.push(request);
          const path = request.url.replace(/^https?:\/\/[^/]*/, '');
          const headers = new Map([['content-type', 'application/json']]);
          return { status: 200, headers, body: JSON.stringify(answerTo(kind, request.method, path, isResolved)) };
        },
      },
      mail: { send: () => assert.fail('a mail') },
      // a token that was asked for before is asked for once
      memory: new Map(),
      nowMs,
      signal: new AbortController().signal,
    });
    assert.deepEqual(verdict, { kind: 'sent' });
    const ours = sent.map(shownRequest);
    const theirs = requests.map(({ method, path, headers, body }) => ({
      method,
      path,
      headers: comparable(headers),
      body: bodyOf(body, headers['content-type'] ?? ''),
    }));
    // the real one remembers its token from the notification before
    const start = kind === 'wechat' && isResolved ? 1 : 0;
    assert.deepEqual(ours.slice(start), theirs);
  });
}

test('each kind is recorded twice, but for mail', () => {
  assert.deepEqual([...new Set(vectors.map(({ kind }) => kind))].sort(), Object.keys(RECEIVERS).sort());
  assert.equal(vectors.length, 2 * Object.keys(RECEIVERS).length);
});

function shownRequest({ method, url, headers = {}, body = '', config }: OutgoingRequest): Shown {
  const own: Record<string, string> = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
  const { authorization, basicAuth } = config;
  if (authorization !== undefined) own.authorization = `${authorization.type} ${authorization.credentials}`;
  if (basicAuth !== undefined) {
    own.authorization = `Basic ${Buffer.from(`${basicAuth.username}:${basicAuth.password}`).toString('base64')}`;
  }
  const path = url.replace(BASE, '').replace(/^https?:\/\/[^/]*/, '') || '/';
  return { method, path, headers: comparable(own), body: bodyOf(body, own['content-type'] ?? '') };
}

function comparable(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => !OF_THE_MOMENT.has(name))
      .map(([name, value]): [string, string] =>
        // the rest is a signature of the moment
        name === 'authorization' && value.startsWith('AWS4') ? [name, value.slice(0, 16)] : [name, value],
      )
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

function bodyOf(body: string, type: string): unknown {
  if (/^\s*[{[]/.test(body)) return JSON.parse(body);
  if (type.includes('urlencoded')) return [...new URLSearchParams(body)].sort(([a], [b]) => (a < b ? -1 : 1));
  if (type.includes('multipart')) {
    return [...body.matchAll(/name="([^"]+)"\r\n(?:[^\r]+\r\n)*\r\n([\s\S]*?)\r\n--/g)].map(([, name, value]) => [
      name,
      value,
    ]);
  }
  return body;
}
