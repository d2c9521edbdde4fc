import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { TemplateError } from '../../template/parser.ts';
import { loadConfig } from '../config/load.ts';
import { loadTemplates } from '../templates/load.ts';
import { notificationData } from './data.ts';
import type { Mail, MailServer } from './mail.ts';
import { type Answer, cutBytes, cutRunes, goTime, type Notification, type OutgoingRequest } from './notification.ts';

const nowMs = Date.UTC(2026, 0, 5, 12);
const ok: Answer = { status: 200, headers: new Map(), body: 'ok' };

const ALERTS = [
  {
    status: 'firing' as const,
    labels: new Map([
      ['alertname', 'Down'],
      ['instance', 'a<b>'],
      ['severity', 'page'],
    ]),
    annotations: new Map([['summary', 'it & that']]),
    startsAtMs: nowMs - 60_000,
    endsAtMs: undefined,
    generatorUrl: 'http://prom/graph?g0.expr=up',
    fingerprint: '0123456789abcdef',
  },
  {
    status: 'resolved' as const,
    labels: new Map([
      ['alertname', 'Down'],
      ['instance', 'c'],
    ]),
    annotations: new Map<string, string>(),
    startsAtMs: nowMs - 60_000,
    endsAtMs: nowMs - 500,
    generatorUrl: '',
    fingerprint: 'fedcba9876543210',
  },
];

interface Sent {
  readonly requests: OutgoingRequest[];
  readonly mails: { readonly server: MailServer; readonly mail: Mail }[];
  readonly memory: Map<string, string>;
}

async function notify(
  receiver: string,
  options: {
    readonly resolved?: boolean;
    readonly answers?: readonly Answer[];
    readonly memory?: Map<string, string>;
    readonly global?: string;
  } = {},
) {
  const config = loadConfig(`
global: { ${options.global ?? ''} }
route: { receiver: r }
receivers:
- name: r
  ${receiver}
`);
  const sent: Sent = { requests: [], mails: [], memory: options.memory ?? new Map() };
  const answers = [...(options.answers ?? [])];
  const base = {
    receiver: 'r.x',
    notificationReason: 'first notification',
    groupLabels: new Map([['alertname', 'Down']]),
    routeLabels: new Map(),
    externalUrl: 'http://alerts',
  };
  const groupKey = '{}:{alertname="Down"}';
  const notification: Notification = {
    groupKey,
    groupHash: createHash('sha256').update(groupKey).digest('hex'),
    data: notificationData(base, options.resolved === true ? ALERTS.slice(1) : ALERTS),
    templates: loadTemplates(new Map(), [], () => nowMs),
    http: {
      send: async (request) => {
        sent.requests.push(request);
        return answers.shift() ?? ok;
      },
    },
    mail: {
      send: async (server, mail) => {
        sent.mails.push({ server, mail });
      },
    },
    memory: sent.memory,
    nowMs,
    signal: new AbortController().signal,
  };
  const [integration] = config.receivers.get('r')!.integrations;
  const verdict = await integration!.notify(notification);
  const bodies = sent.requests.map(({ body }) => (body === undefined ? undefined : JSON.parse(body)));
  return { ...sent, verdict, bodies, integration: integration! };
}

const HASH = createHash('sha256').update('{}:{alertname="Down"}').digest('hex');

test('webhook: version 4, with the first alerts only where so many are wanted', async () => {
  const { requests, bodies } = await notify(
    'webhook_configs: [{ url: "http://hook/{{ .Status }}", max_alerts: 1, timeout: 2s }]',
  );
  assert.deepEqual([requests[0]!.url, requests[0]!.timeoutMs], ['http://hook/firing', 2000]);
  assert.deepEqual(bodies[0], {
    receiver: 'r\\.x',
    status: 'firing',
    alerts: [
      {
        status: 'firing',
        labels: { alertname: 'Down', instance: 'a<b>', severity: 'page' },
        annotations: { summary: 'it & that' },
        startsAt: '2026-01-05T11:59:00Z',
        endsAt: '0001-01-01T00:00:00Z',
        generatorURL: 'http://prom/graph?g0.expr=up',
        fingerprint: '0123456789abcdef',
      },
    ],
    notification_reason: 'first notification',
    groupLabels: { alertname: 'Down' },
    commonLabels: { alertname: 'Down', instance: 'a<b>', severity: 'page' },
    commonAnnotations: { summary: 'it & that' },
    routeLabels: {},
    externalURL: 'http://alerts',
    version: '4',
    groupKey: '{}:{alertname="Down"}',
    truncatedAlerts: 1,
  });
  assert.match(requests[0]!.body!, /"instance":"a\\u003cb\\u003e"/);
});

test('webhook: a payload of one’s own, in which texts may become numbers and lists', async () => {
  const { bodies } = await notify(`webhook_configs:
  - url: http://hook
    payload:
      "{{ .Status }}": '{{ .Alerts | len }}'
      list: ['{{ .CommonLabels.alertname }}', '[1, x]', true, 5]
      text: '# no comment'
      quoted: '"7"'
      labels: '{{ .GroupLabels | toJson }}'`);
  assert.deepEqual(bodies[0], {
    firing: 2,
    list: ['Down', [1, 'x'], true, 5],
    text: null,
    quoted: '7',
    labels: { alertname: 'Down' },
  });
});

test('slack: an attachment, and the first message edited or answered where that is wanted', async () => {
  const basic = await notify(`slack_configs:
  - api_url: http://hook
    channel: '#{{ .Status }}'
    fields: [{ title: a, value: b, short: true }, { title: c, value: d }]
    actions: [{ type: button, text: go, url: 'http://x' }, { type: button, text: no, name: n, value: v, confirm: { text: sure } }]
    link_names: true`);
  assert.deepEqual(basic.bodies[0], {
    channel: '#firing',
    username: 'Alertmanager',
    link_names: true,
    attachments: [
      {
        title: '[FIRING:1] Down ',
        title_link: 'http://alerts/#/alerts?receiver=r%5C.x',
        text: '',
        fallback: '[FIRING:1] Down  | http://alerts/#/alerts?receiver=r%5C.x',
        callback_id: '',
        fields: [
          { title: 'a', value: 'b', short: true },
          { title: 'c', value: 'd', short: false },
        ],
        actions: [
          { type: 'button', text: 'go', url: 'http://x' },
          { type: 'button', text: 'no', name: 'n', value: 'v', confirm: { text: 'sure' } },
        ],
        footer: '',
        color: 'danger',
        mrkdwn_in: ['fallback', 'pretext', 'text'],
      },
    ],
  });
  const json = (body: object): Answer => ({
    status: 200,
    headers: new Map([['content-type', 'application/json; charset=utf-8']]),
    body: JSON.stringify(body),
  });
  const app =
    'slack_configs: [{ app_token: topsecret, channel: c, update_message: true, post_updates_to_thread: true }]';
  const first = await notify(app, { answers: [json({ ok: true, ts: '1.2', channel: 'C1' })] });
  assert.deepEqual(
    [...first.memory],
    [
      ['threadTs', '1.2'],
      ['channelId', 'C1'],
    ],
  );
  assert.equal(first.requests[0]!.config.authorization?.credentials, 'topsecret');
  const next = await notify(app, { memory: first.memory, answers: [json({ ok: true }), json({ ok: true })] });
  assert.deepEqual(
    next.requests.map(({ url }, i) => [url, next.bodies[i].channel, next.bodies[i].ts, next.bodies[i].thread_ts]),
    [
      ['https://slack.com/api/chat.update', 'C1', '1.2', undefined],
      ['https://slack.com/api/chat.postMessage', 'C1', undefined, '1.2'],
    ],
  );
  const refused = await notify(app, { answers: [json({ ok: false, error: 'channel_not_found' })] });
  assert.deepEqual(refused.verdict, {
    kind: 'failed',
    text: 'error response from Slack: channel_not_found',
    retries: false,
    reason: 'clientError',
  });
  const text = await notify('slack_configs: [{ api_url: http://hook }]', { answers: [{ ...ok, body: 'no_text' }] });
  assert.equal(text.verdict.kind === 'failed' && text.verdict.text, 'received an error response from Slack: no_text');
});

test('pagerduty: events of both versions, without details where they are too large', async () => {
  const v2 = await notify(
    `pagerduty_configs:
  - routing_key: topsecret
    severity: '{{ .CommonLabels.severity }}'
    class: c
    images: [{ src: 'http://i' }, { src: '' }]
    links: [{ href: 'http://l', text: t }]
    details: { own: [1, '{{ .Status }}'] }`,
    { resolved: true },
  );
  assert.equal(v2.requests[0]!.url, 'https://events.pagerduty.com/v2/enqueue');
  const { payload, ...event } = v2.bodies[0];
  assert.deepEqual(event, {
    routing_key: 'topsecret',
    dedup_key: HASH,
    event_action: 'resolve',
    client: 'Alertmanager',
    client_url: 'http://alerts/#/alerts?receiver=r%5C.x',
    images: [{ src: 'http://i', alt: '', href: '' }],
    links: [{ href: 'http://l', text: 't' }],
  });
  assert.deepEqual([payload.severity, payload.class, payload.source], ['', 'c', 'Alertmanager']);
  assert.deepEqual(
    [payload.custom_details.own, payload.custom_details.num_resolved, payload.custom_details.firing],
    [[1, 'resolved'], 1, []],
  );
  const v1 = await notify('pagerduty_configs: [{ service_key: topsecret }]');
  assert.deepEqual(
    [v1.bodies[0].event_type, v1.bodies[0].incident_key, v1.bodies[0].service_key],
    ['trigger', HASH, 'topsecret'],
  );
  const large = await notify(`pagerduty_configs: [{ routing_key: x, details: { own: ${'y'.repeat(600_000)} } }]`);
  assert.match(large.bodies[0].payload.custom_details.error, /exceeds the maximum size of 512KB/);
  const bad = await notify('pagerduty_configs: [{ routing_key: x }]', {
    answers: [{ status: 400, headers: new Map(), body: '{"message":"no","errors":["a","b"]}' }],
  });
  assert.deepEqual(bad.verdict, {
    kind: 'failed',
    text: 'unexpected status code 400: no: a,b',
    retries: false,
    reason: 'clientError',
  });
  const busy = await notify('pagerduty_configs: [{ routing_key: x }]', {
    answers: [{ status: 429, headers: new Map(), body: '' }],
  });
  assert.deepEqual(busy.verdict, {
    kind: 'failed',
    text: 'unexpected status code 429',
    retries: true,
    reason: 'rateLimited',
  });
});

test('opsgenie: an alert is made, changed and closed under one alias', async () => {
  const made = await notify(`opsgenie_configs:
  - api_key: topsecret
    api_url: http://og
    tags: 'a,,b'
    details: { own: '{{ .Status }}' }
    responders: [{ name: 'x,y', type: teams }, { username: u, type: User }]
    update_alerts: true
    priority: P1`);
  assert.deepEqual(
    made.requests.map(({ method, url }) => `${method} ${url}`),
    [
      'POST http://og/v2/alerts',
      `PUT http://og/v2/alerts/${HASH}/message?identifierType=alias`,
      `PUT http://og/v2/alerts/${HASH}/description?identifierType=alias`,
    ],
  );
  assert.equal(made.requests[0]!.headers!.authorization, 'GenieKey topsecret');
  const { description, ...rest } = made.bodies[0];
  assert.match(description, /Alerts Firing:\nLabels:\n - alertname = Down/);
  assert.deepEqual(rest, {
    alias: HASH,
    message: '[FIRING:1] Down ',
    details: { alertname: 'Down', own: 'firing' },
    source: 'http://alerts/#/alerts?receiver=r%5C.x',
    responders: [
      { name: 'x', type: 'team' },
      { name: 'y', type: 'team' },
      { username: 'u', type: 'user' },
    ],
    tags: ['a', 'b'],
    priority: 'P1',
  });
  const closed = await notify('opsgenie_configs: [{ api_key: x }]', { resolved: true });
  assert.equal(closed.requests[0]!.url, `https://api.opsgenie.com/v2/alerts/${HASH}/close?identifierType=alias`);
});

test('msteamsv2 and msteams: cards', async () => {
  const v2 = await notify('msteamsv2_configs: [{ webhook_url: http://hook, title: t, text: "{{ .Status }}" }]');
  const { body } = v2.bodies[0].attachments[0].content;
  assert.deepEqual([body[0].text, body[0].color, body[1].text], ['t', 'Attention', 'firing']);
  const v1 = await notify('msteams_configs: [{ webhook_url: http://hook }]', { resolved: true });
  assert.deepEqual(
    [v1.bodies[0]['@type'], v1.bodies[0].title, v1.bodies[0].themeColor],
    ['MessageCard', '[RESOLVED] Down (c)', '2DC72D'],
  );
});

test('email: headers, threads, and HTML that escapes what alerts say', async () => {
  const smtp = "smtp_smarthost: 'mail:465', smtp_from: 'a@b', smtp_auth_username: u, smtp_auth_password: topsecret";
  const { mails, integration } = await notify(
    'email_configs: [{ to: "x@y", headers: { x-own: "{{ .Status }}" }, text: plain, threading: { enabled: true, thread_by_date: daily } }]',
    { global: smtp },
  );
  const [{ server, mail }] = mails as [Sent['mails'][0]];
  assert.deepEqual(
    [server.host, server.port, server.isTls, server.requiresTls, server.username, server.password, server.hello],
    ['mail', 465, true, true, 'u', 'topsecret', 'localhost'],
  );
  const thread = `<alert-${HASH.slice(0, 16)}-2026-01-05@alertmanager>`;
  assert.deepEqual(
    [...mail.headers],
    [
      ['X-Own', 'firing'],
      ['Subject', '[FIRING:1] Down '],
      ['To', 'x@y'],
      ['From', 'a@b'],
      ['References', thread],
      ['In-Reply-To', thread],
    ],
  );
  assert.equal(mail.text, 'plain');
  assert.match(mail.html, /a&lt;b&gt;/);
  assert.doesNotMatch(mail.html, /a<b>/);
  assert.equal(integration.sendsResolved, false);
});

test('a template that fails says where', async () => {
  await assert.rejects(
    notify('webhook_configs: [{ url: "http://x/{{ .Nope }}" }]'),
    (thrown) => thrown instanceof TemplateError && /can't evaluate field Nope/.test(thrown.message),
  );
});

test('texts are cut by characters and by bytes, times are as Go writes them', () => {
  assert.deepEqual([cutRunes('abcdef', 5), cutRunes('éé', 2), cutRunes('abcdef', 3)], ['abcd…', 'éé', 'abc']);
  assert.deepEqual([cutBytes('éééé', 7), cutBytes('abc', 3)], ['éé…', 'abc']);
  assert.deepEqual(
    [goTime(1500), goTime(1000), goTime(undefined)],
    ['1970-01-01T00:00:01.5Z', '1970-01-01T00:00:01Z', '0001-01-01T00:00:00Z'],
  );
});
