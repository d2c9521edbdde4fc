import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { TemplateError } from '../../template/parser.ts';
import { loadConfig } from '../config/load.ts';
import { loadTemplates } from '../templates/load.ts';
import { notificationData } from './data.ts';
import { receiverKinds } from './kinds.ts';
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
  const [integration] = config.receivers.get('r')!.integrations;
  const { notification, ...sent } = notificationOf(options);
  const verdict = await integration!.notify(notification);
  const isJson = (body: string | undefined) => body?.startsWith('{') === true;
  const bodies = sent.requests.map(({ body }) => (isJson(body) ? JSON.parse(body!) : undefined));
  return { ...sent, verdict, bodies, integration: integration! };
}

interface NotifyOptions {
  readonly resolved?: boolean;
  readonly answers?: readonly Answer[];
  readonly memory?: Map<string, string>;
}

function notificationOf(options: NotifyOptions): Sent & { readonly notification: Notification } {
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
  return { ...sent, notification };
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
    [v1.bodies[0].type, v1.bodies[0].title, v1.bodies[0].themeColor],
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

test('every example of the documentation is read, sends something, and shows no secret', async () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/receivers.md'), 'utf8');
  const text = /```yaml\n([\s\S]*?)```/.exec(page)![1]!;
  const config = loadConfig(text);
  assert.doesNotMatch(config.shown(), /SECRET/);
  const kinds = new Set<string>();
  for (const { name, integrations } of config.receivers.values()) {
    const [integration] = integrations;
    kinds.add(`${integration!.kind}_configs`);
    const { notification, requests, mails } = notificationOf({
      answers: new Array(2).fill(answerFor(integration!.kind)),
    });
    const verdict = await integration!.notify(notification);
    assert.deepEqual(verdict, { kind: 'sent' }, name);
    assert.equal(requests.length + mails.length > 0, true, name);
  }
  assert.deepEqual([...kinds].sort(), receiverKinds.map(({ field }) => field).sort());
});

function answerFor(kind: string): Answer {
  const bodies: Readonly<Record<string, object>> = {
    telegram: { ok: true },
    rocketchat: { success: true },
    wechat: { access_token: 't', errcode: 0 },
    jira: { issues: [] },
  };
  const body = bodies[kind];
  return body === undefined ? ok : { ...ok, body: JSON.stringify(body) };
}

test('discord, telegram, victorops, pushover, webex, wechat', async () => {
  const discord = await notify(
    'discord_configs: [{ webhook_url: http://hook, content: "{{ .Status }}", username: me }]',
  );
  const [embed] = discord.bodies[0].embeds;
  assert.deepEqual(
    [discord.bodies[0].content, discord.bodies[0].username, embed.title, embed.color],
    ['firing', 'me', '[FIRING:1] Down ', 0x992d22],
  );
  const telegram = await notify(
    'telegram_configs: [{ api_url: http://tg, bot_token: TOKEN, chat_id: -5, message: "<b>{{ .CommonLabels.alertname }}</b>{{ (index .Alerts 0).Labels.instance }}", disable_notifications: true }]',
    { answers: [{ ...ok, body: '{"ok":true}' }] },
  );
  assert.equal(telegram.requests[0]!.url, 'http://tg/botTOKEN/sendMessage');
  assert.deepEqual(telegram.bodies[0], {
    chat_id: '-5',
    disable_notification: 'true',
    disable_web_page_preview: 'true',
    parse_mode: 'HTML',
    text: '<b>Down</b>a&lt;b&gt;',
  });
  const flood = await notify('telegram_configs: [{ bot_token: TOKEN, chat_id: 1 }]', {
    answers: [{ status: 429, headers: new Map(), body: '{"ok":false,"description":"Too Many Requests"}' }],
  });
  assert.deepEqual(flood.verdict, {
    kind: 'failed',
    text: 'telegram: Too Many Requests (429)',
    retries: true,
    reason: 'rateLimited',
  });
  const victorops = await notify(
    'victorops_configs: [{ api_key: KEY, routing_key: r, message_type: odd, custom_fields: { own: "{{ .Status }}" } }]',
  );
  assert.equal(victorops.requests[0]!.url, 'https://alert.victorops.com/integrations/generic/20131114/alert/KEY/r');
  assert.deepEqual(
    [victorops.bodies[0].message_type, victorops.bodies[0].own, victorops.bodies[0].entity_id],
    ['CRITICAL', 'firing', HASH],
  );
  const pushover = await notify('pushover_configs: [{ user_key: U, token: T, ttl: 90s, message: " " }]', {
    resolved: true,
  });
  const query = new URL(pushover.requests[0]!.url).searchParams;
  assert.deepEqual(
    [query.get('priority'), query.get('ttl'), query.get('message'), query.get('retry')],
    ['0', '90', '(no details)', '60'],
  );
  const webex = await notify(
    'webex_configs: [{ room_id: R, message: x, http_config: { authorization: { credentials: C } } }]',
  );
  assert.deepEqual(webex.bodies[0], { markdown: 'x', roomId: 'R' });
  const wechat = await notify(
    'wechat_configs: [{ api_secret: S, corp_id: C, to_user: u, message: m, message_type: markdown }]',
    {
      answers: [
        { ...ok, body: '{"access_token":"T"}' },
        { ...ok, body: '{"errcode":0}' },
      ],
    },
  );
  assert.deepEqual(
    wechat.requests.map(({ url }) => url.replace('https://qyapi.weixin.qq.com/cgi-bin/', '')),
    ['gettoken?corpid=C&corpsecret=S', 'message/send?access_token=T'],
  );
  assert.deepEqual(wechat.bodies[1], {
    text: { content: '' },
    touser: 'u',
    safe: '0',
    msgtype: 'markdown',
    markdown: { content: 'm' },
  });
});

test('rocketchat, mattermost, incidentio', async () => {
  const rocket = await notify(
    'rocketchat_configs: [{ api_url: http://rc, token: T, token_id: I, channel: c, fields: [{ title: a, value: b }], actions: [{ text: go, url: "http://x" }] }]',
    { answers: [{ ...ok, body: '{"success":true}' }] },
  );
  assert.equal(rocket.requests[0]!.url, 'http://rc/api/v1/chat.postMessage');
  assert.deepEqual(
    [rocket.requests[0]!.headers!['x-auth-token'], rocket.requests[0]!.headers!['x-user-id']],
    ['T', 'I'],
  );
  const [attachment] = rocket.bodies[0].attachments;
  assert.deepEqual(
    [rocket.bodies[0].channel, attachment.color, attachment.fields, attachment.actions[0].type],
    ['c', 'red', [{ short: false, title: 'a', value: 'b' }], 'button'],
  );
  const mattermost = await notify(
    'mattermost_configs: [{ webhook_url: http://mm, channel: c, priority: { priority: Important, requested_ack: true, persistent_notifications: true }, props: { card: x } }]',
  );
  assert.deepEqual(mattermost.bodies[0].priority, { priority: 'important', requested_ack: true });
  assert.deepEqual(
    [mattermost.bodies[0].props, mattermost.bodies[0].username, mattermost.bodies[0].attachments[0].color],
    [{ card: 'x' }, 'Alertmanager', 'danger'],
  );
  const incident = await notify(
    'incidentio_configs: [{ url: http://i, alert_source_token: T, metadata: { a: "{{ .Status }}" } }]',
  );
  assert.deepEqual(
    [incident.bodies[0].version, incident.bodies[0].metadata, incident.requests[0]!.config.authorization],
    ['1', { a: 'firing' }, { type: 'Bearer', credentials: 'T' }],
  );
});

test('jira: an issue is made, changed, resolved and opened again', async () => {
  const config =
    'jira_configs: [{ api_url: http://jira/rest/api/2/, project: P, issue_type: Bug, labels: [x], resolve_transition: Done, reopen_transition: Open, reopen_duration: 2h, summary: { template: s, enable_update: false }, fields: { customfield_1: { value: "{{ .Status }}" } } }]';
  const json = (body: object): Answer => ({ ...ok, body: JSON.stringify(body) });
  const made = await notify(config, { answers: [json({ issues: [] }), json({ key: 'P-1' })] });
  assert.deepEqual(
    made.requests.map(({ method, url }) => `${method} ${url}`),
    ['POST http://jira/rest/api/2/search', 'POST http://jira/rest/api/2/issue'],
  );
  assert.equal(
    made.bodies[0].jql,
    `(resolutiondate is EMPTY OR resolutiondate >= -120m) and project="P" and labels="ALERT{${HASH}}" order by status ASC,resolutiondate DESC`,
  );
  const { fields } = made.bodies[1];
  assert.deepEqual(
    [fields.summary, fields.labels, fields.customfield_1, fields.priority],
    ['s', [`ALERT{${HASH}}`, 'x'], { value: 'firing' }, undefined],
  );
  const issue = (key: string) => json({ issues: [{ key: 'P-1', fields: { status: { statusCategory: { key } } } }] });
  const resolved = await notify(config, {
    resolved: true,
    answers: [issue('new'), json({}), json({ transitions: [{ id: '7', name: 'Done' }] }), json({})],
  });
  assert.deepEqual(
    resolved.requests.map(({ method, url }) => `${method} ${url.slice('http://jira/rest/api/2/'.length)}`),
    ['POST search', 'PUT issue/P-1', 'GET issue/P-1/transitions', 'POST issue/P-1/transitions'],
  );
  assert.equal(resolved.bodies[1].fields.summary, undefined);
  assert.deepEqual(resolved.bodies[3], { transition: { id: '7' } });
  const nothing = await notify(config, { resolved: true, answers: [json({ issues: [] })] });
  assert.deepEqual([nothing.requests.length, nothing.verdict], [1, { kind: 'sent' }]);
  const missing = await notify(config, { answers: [issue('done'), json({}), json({ transitions: [] })] });
  assert.equal(missing.verdict.kind === 'failed' && missing.verdict.text, "can't find transition Open for issue P-1");
});

test('sns: a form, signed as AWS says', async () => {
  const { requests } = await notify(
    'sns_configs: [{ topic_arn: "arn:x.fifo", subject: s, message: m, attributes: { a: b }, sigv4: { region: eu-west-1, access_key: K, secret_key: S } }]',
  );
  const [request] = requests;
  assert.equal(request!.url, 'https://sns.eu-west-1.amazonaws.com/');
  const params = new URLSearchParams(request!.body!);
  assert.deepEqual(
    [
      params.get('Action'),
      params.get('TopicArn'),
      params.get('MessageGroupId'),
      params.get('MessageAttributes.entry.1.Value.StringValue'),
    ],
    ['Publish', 'arn:x.fifo', HASH, 'b'],
  );
  assert.match(
    request!.headers!.authorization!,
    /^AWS4-HMAC-SHA256 Credential=K\/20260105\/eu-west-1\/sns\/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=[\da-f]{64}$/,
  );
});

test('sns: nothing takes the place of the signature, and it is sent to one address only', async () => {
  for (const role of ['', ', role_arn: "arn:role"']) {
    const { requests } = await notify(`sns_configs:
  - topic_arn: arn:x
    api_url: http://user:password@sns.example/
    sigv4: { region: eu-west-1, access_key: K, secret_key: S${role} }
    http_config: { oauth2: { client_id: c, client_secret: s, token_url: 'http://token/' } }`);
    const [{ url, config, headers }] = requests as [OutgoingRequest];
    assert.equal(url, role === '' ? 'http://sns.example/' : 'https://sts.eu-west-1.amazonaws.com/');
    assert.match(headers!.authorization!, /^AWS4-HMAC-SHA256 /);
    const { oauth2, authorization, basicAuth, followsRedirects } = config;
    assert.deepEqual([oauth2, authorization, basicAuth, followsRedirects], [undefined, undefined, undefined, false]);
  }
});

test('sns: a role is taken on with the own keys, once until its keys end, and they are shown to nobody', async () => {
  const until = new Date(nowMs + 900_000).toISOString();
  const keys = `<AccessKeyId>R</AccessKeyId><SecretAccessKey>r/s+</SecretAccessKey><SessionToken>to/ken==</SessionToken>`;
  const granted = { ...ok, body: `<Credentials>${keys}<Expiration>${until}</Expiration></Credentials>` };
  const refused = { ...ok, status: 403, body: '<Message>to/ken== is no token</Message>' };
  const config = loadConfig(`
route: { receiver: r }
receivers:
- name: r
  sns_configs:
  - topic_arn: arn:x
    sigv4: { region: cn-north-1, access_key: K, secret_key: S, role_arn: arn:role, external_id: e&f, tags: { a: b } }
`);
  const [integration] = config.receivers.get('r')!.integrations;
  const run = async (...answers: Answer[]) => {
    const { notification, requests } = notificationOf({ answers });
    return { verdict: await integration!.notify(notification), requests };
  };
  const failed = await run({ ...ok, status: 500, body: '<Message>later</Message>' });
  assert.deepEqual(failed.verdict, {
    kind: 'failed',
    text: 'cannot assume the role: unexpected status code 500: later',
    reason: 'serverError',
    retries: true,
  });
  assert.equal((await run(ok)).verdict.kind, 'failed', 'no keys');

  const { verdict, requests } = await run(granted, ok);
  assert.equal(verdict.kind, 'sent');
  const [asked, told] = requests;
  assert.equal(asked!.url, 'https://sts.cn-north-1.amazonaws.com.cn/');
  assert.deepEqual(Object.fromEntries(new URLSearchParams(asked!.body!)), {
    Action: 'AssumeRole',
    DurationSeconds: '900',
    ExternalId: 'e&f',
    RoleArn: 'arn:role',
    RoleSessionName: 'pallium',
    'Tags.member.1.Key': 'a',
    'Tags.member.1.Value': 'b',
    Version: '2011-06-15',
  });
  assert.match(asked!.headers!.authorization!, /Credential=K\/20260105\/cn-north-1\/sts\/aws4_request/);
  assert.equal(told!.url, 'https://sns.cn-north-1.amazonaws.com.cn/');
  assert.equal(told!.headers!['x-amz-security-token'], 'to/ken==');
  assert.match(
    told!.headers!.authorization!,
    /Credential=R\/20260105\/cn-north-1\/sns\/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, /,
  );

  const second = await run(refused);
  assert.deepEqual(second.verdict, {
    kind: 'failed',
    text: 'unexpected status code 403: <secret> is no token',
    reason: 'authError',
    retries: false,
  });
  assert.equal(second.requests.length, 1, 'its keys were kept');
  assert.equal((await run(granted, ok)).requests.length, 2, 'those that were refused are asked for anew');
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
