import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ConfigError } from '../fields/config-error.ts';
import { matchingRoutes } from '../route.ts';
import { loadConfig } from './load.ts';

const BASE = 'route: { receiver: a }\nreceivers:\n- name: a\n';
const CLIENT = "client_id: x, token_url: 'http://y'";
const BY_JWT = "grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer'";

test('verdicts are the Alertmanager’s', () => {
  for (const [text, message] of [
    ['', 'no route provided in config'],
    ['route: {}', 'root route must specify a default receiver'],
    ['route: { receiver: a }', 'undefined receiver "a" used in route'],
    ['route: { receiver: a, x: 1 }', 'yaml: unmarshal errors:\n  line 1: field x not found in type config.plain'],
    ['route: { receiver: a, matchers: [a=b] }', 'root route must not have any matchers'],
    ['route: { receiver: a, mute_time_intervals: [x] }', 'root route must not have any mute time intervals'],
    ['route: { receiver: a, active_time_intervals: [x] }', 'root route must not have any active time intervals'],
    [`${BASE.replace('a }', 'a, continue: true }')}`, 'cannot have continue in root route'],
    ['route: { receiver: a, group_interval: 0s }', 'group_interval cannot be zero'],
    ['route: { receiver: a, repeat_interval: 0s }', 'repeat_interval cannot be zero'],
    ['route: { receiver: a, group_wait: 1x }', 'unknown unit "x" in duration "1x"'],
    ['route: { receiver: a, group_by: [x, x] }', 'duplicated label "x" in group_by'],
    [
      'route: { receiver: a, group_by: [x, ...] }',
      'cannot have wildcard group_by (`...`) and other labels at the same time',
    ],
    ['route: { receiver: a, match: { "a-b": c } }', 'invalid label name "a-b"'],
    ['route: { receiver: a, match_re: { a: "(" } }', 'error parsing regexp: missing closing ): `^(?:()$`'],
    [
      'route: { receiver: a, routes: [{ receiver: b }] }\nreceivers: [{ name: a }]',
      'undefined receiver "b" used in route',
    ],
    [`${BASE}- name: a`, 'notification config name "a" is not unique'],
    [`${BASE}- labels: {}`, 'missing name in receiver'],
    [`${BASE}  labels: { name: b }`, 'receiver label "name" must match receiver name "a", got "b"'],
    [`${BASE}  webhook_configs: [{}]`, 'one of url or url_file must be configured'],
    [`${BASE}  webhook_configs: [null]`, 'missing webhook config'],
    [`${BASE}  webhook_configs: [{ url: ftp://x }]`, 'invalid URL: unsupported scheme "ftp" for URL'],
    [`${BASE}  webhook_configs: [{ url: http:// }]`, 'invalid URL: missing host for URL'],
    [`${BASE}  webhook_configs: [{ url_file: /etc/passwd }]`, 'setting url_file is not allowed'],
    [`${BASE}  webhook_configs: [{ url: http://x, timeout: 1y }]`, 'time: invalid duration "1y"'],
    [`${BASE}  slack_configs: [{ channel: x }]`, 'no Slack API URL nor App token set either inline or in a file'],
    [
      `${BASE}  slack_configs: [{ api_url: http://x, update_message: true }]`,
      'update_message can only be used with bot tokens. api_url must be set to https://slack.com/api/chat.postMessage',
    ],
    [
      `${BASE}  slack_configs: [{ api_url: http://x, fields: [{ title: x }] }]`,
      'missing value in Slack field configuration',
    ],
    [
      `${BASE}  slack_configs: [{ api_url: http://x, actions: [{ type: x }] }]`,
      'missing name or url in Slack action configuration',
    ],
    [`${BASE}  pagerduty_configs: [{ client: x }]`, 'missing service or routing key in PagerDuty config'],
    [`${BASE}  opsgenie_configs: [{}]`, 'no global OpsGenie API Key set either inline or in a file'],
    [
      `${BASE}  opsgenie_configs: [{ api_key: x, responders: [{ name: x, type: y }] }]`,
      'opsGenieConfig responder { x  y} type does not match valid options ^(team|teams|user|escalation|schedule)$',
    ],
    [`${BASE}  msteamsv2_configs: [{}]`, 'one of webhook_url or webhook_url_file must be configured'],
    [`${BASE}  email_configs: [{}]`, 'missing to address in email config'],
    [`${BASE}  email_configs: [{ to: x }]`, 'no global SMTP smarthost set'],
    [`${BASE}  email_configs: [{ to: x, smarthost: "h:25" }]`, 'no global SMTP from set'],
    [`${BASE}  email_configs: [{ to: x, smarthost: "h" }]`, 'address h: missing port in address'],
    [
      `${BASE}  email_configs: [{ to: x, headers: { subject: a, Subject: b } }]`,
      'duplicate header "Subject" in email config',
    ],
    [`${BASE}  email_configs: [{ to: x, auth_password_file: x }]`, 'setting auth_password_file is not allowed'],
    [
      `${BASE}  webhook_configs: [{ url: http://x, http_config: { basic_auth: {}, authorization: {} } }]`,
      'at most one of basic_auth, oauth2 & authorization must be configured',
    ],
    [
      `${BASE}  webhook_configs: [{ url: http://x, http_config: { oauth2: { client_id: x, client_secret: x, token_url: 'http://y' }, authorization: {} } }]`,
      'at most one of basic_auth, oauth2 & authorization must be configured',
    ],
    [
      `${BASE}  webhook_configs: [{ url: http://x, http_config: { oauth2: {} } }]`,
      'oauth2 client_id must be configured',
    ],
    [
      `${BASE}  webhook_configs: [{ url: http://x, http_config: { oauth2: { client_id: x } } }]`,
      'oauth2 token_url must be configured',
    ],
    [
      `${BASE}  webhook_configs: [{ url: http://x, http_config: { oauth2: { client_id: x, token_url: 'http://y', client_secret_file: z } } }]`,
      'setting client_secret_file is not allowed',
    ],
    [
      `${BASE}  webhook_configs: [{ url: http://x, http_config: { oauth2: { ${CLIENT}, grant_type: password } } }]`,
      'setting grant_type "password" is not supported: grant types are client_credentials and urn:ietf:params:oauth:grant-type:jwt-bearer',
    ],
    [
      `${BASE}  webhook_configs: [{ url: http://x, http_config: { oauth2: { ${CLIENT}, client_secret: x, iss: y } } }]`,
      'setting iss is not supported: it belongs to grant_type urn:ietf:params:oauth:grant-type:jwt-bearer',
    ],
    [
      `${BASE}  webhook_configs: [{ url: http://x, http_config: { oauth2: { ${CLIENT}, ${BY_JWT} } } }]`,
      'one of oauth2 client_certificate_key, client_certificate_key_file & client_certificate_key_ref must be configured',
    ],
    [
      `${BASE}  webhook_configs: [{ url: http://x, http_config: { oauth2: { ${CLIENT}, ${BY_JWT}, client_certificate_key: k, signature_algorithm: HS256 } } }]`,
      'valid signature algorithms are RS256, RS384 and RS512',
    ],
    [
      `${BASE}  webhook_configs: [{ url: http://x, http_config: { oauth2: { ${CLIENT}, ${BY_JWT}, client_certificate_key: k, claims: [x] } } }]`,
      'oauth2 claims must be a mapping',
    ],
    [
      `${BASE}  sns_configs: [{ topic_arn: x, sigv4: { region: x, access_key: k } }]`,
      'must provide a AWS SigV4 Access key and Secret Key if credentials are specified in the SigV4 config',
    ],
    [
      `${BASE}  sns_configs: [{ topic_arn: x, sigv4: { region: x, access_key: k, secret_key: s, external_id: y } }]`,
      'external_id can only be used with role_arn',
    ],
    [
      `${BASE}  sns_configs: [{ topic_arn: x, sigv4: { region: x, access_key: k, secret_key: s, role_arn: y, session_name: a b } }]`,
      'session_name must match ^[\\w+=,.@-]{2,64}$ (2-64 alphanumeric and +=,.@- characters)',
    ],
    [
      `${BASE}  sns_configs: [{ topic_arn: x, sigv4: { region: x, access_key: k, secret_key: s, role_arn: y, tags: { '': b } } }]`,
      'tag key must not be empty',
    ],
    [
      `${BASE}  sns_configs: [{ topic_arn: x, sigv4: { region: x, profile: y } }]`,
      'setting profile is not supported: a tenant has credentials of its own: access_key and secret_key',
    ],
    [
      `${BASE}  webhook_configs: [{ url: http://x, http_config: { authorization: { type: BASIC } } }]`,
      'authorization type cannot be set to "basic", use "basic_auth" instead',
    ],
    [
      `${BASE}  webhook_configs: [{ url: http://x, http_config: { proxy_url: http://y } }]`,
      'setting proxy_url is not supported: notifications go out directly',
    ],
    [
      `${BASE}  webhook_configs: [{ url: http://x, http_config: { tls_config: { ca_file: x } } }]`,
      'setting ca_file is not allowed',
    ],
    [
      `${BASE}  webhook_configs: [{ url: http://x, http_config: { http_headers: { host: { values: [x] } } } }]`,
      'setting header "Host" is not allowed',
    ],
    [`${BASE}time_intervals: [{ name: x }, { name: x }]`, 'time interval "x" is not unique'],
    [`${BASE}mute_time_intervals: [{ name: "" }]`, 'missing name in mute time interval'],
    [
      `${BASE}time_intervals: [{ name: x, time_intervals: [{ times: [{ start_time: "1:00", end_time: "02:00" }] }] }]`,
      "couldn't parse timestamp 1:00, invalid format",
    ],
    [`${BASE}time_intervals: [{ name: x, time_intervals: [{ location: Nowhere }] }]`, 'unknown time zone Nowhere'],
    [
      'route: { receiver: a, routes: [{ mute_time_intervals: [x] }] }\nreceivers: [{ name: a }]',
      'undefined time interval "x" used in route',
    ],
    [`${BASE}inhibit_rules: [{ equal: [""] }]`, 'invalid label name "" in equal list'],
    [
      `${BASE}global: { slack_app_token: x, slack_api_url: http://x }`,
      'at most one of slack_app_token/slack_app_token_file & slack_api_url/slack_api_url_file must be configured',
    ],
    [`${BASE}tracing: { endpoint: x }`, 'setting tracing is not supported: it belongs to the process, not to a tenant'],
    ['a: b: c', 'yaml: line 1: mapping values are not allowed in this context'],
  ] as const) {
    assert.throws(() => loadConfig(text), { constructor: ConfigError, message }, text);
  }
});

test('what is too large or too deep is refused with the limit’s name', () => {
  let routes = '{}';
  for (let i = 0; i < 100; i++) routes = `{ routes: [${routes}] }`;
  assert.throws(() => loadConfig(`route: { receiver: a, routes: [${routes}] }`), /\(alertmanager_route_depth_max\)/);
  const aliases = `x: &x { receiver: a, routes: [${'{},'.repeat(500)}] }`;
  const bomb = `route: { receiver: a, routes: [&r ${aliases.slice(6)}${', *r'.repeat(900)}] }`;
  assert.throws(() => loadConfig(bomb), /\(alertmanager_config_entries_max\)/);
  let payload = 'x';
  for (let i = 0; i < 40; i++) payload = `[${payload}]`;
  const deep = `${BASE}  webhook_configs: [{ url: http://x, payload: ${payload} }]`;
  assert.throws(() => loadConfig(deep), /\(alertmanager_tree_depth_max\)/);
});

test('secrets are not shown, wherever they stand', () => {
  const config = loadConfig(`
# password: topsecret
global:
  slack_api_url: &u https://hooks.slack.com/topsecret
  smtp_auth_password: |
    topsecret
  opsgenie_api_key: topsecret # topsecret
route: { receiver: a }
receivers:
- name: a
  slack_configs: [{ api_url: *u, channel: '#x' }]
  webhook_configs:
  - url: http://host/topsecret?a={{ .Status }}
    http_config:
      authorization: { credentials: "topsecret" }
      http_headers: { X-Key: { secrets: [topsecret], values: [shown] } }
  pagerduty_configs: [{ routing_key: topsecret, url: http://shown }]
`);
  assert.doesNotMatch(config.shown(), /topsecret/);
  assert.match(config.shown(), /shown/);
  assert.match(config.shown(), /slack_api_url: &u <secret>/);
  assert.equal(
    loadConfig(config.shown().replaceAll('<secret>', 'http://x')).receivers.get('a')?.integrations.length,
    3,
  );
  for (const text of ['http://[topsecret', 'ftp://topsecret', 'topsecret']) {
    const given = `${BASE}  slack_configs: [{ api_url: "${text}" }]`;
    assert.throws(
      () => loadConfig(given),
      (thrown) => thrown instanceof ConfigError && !thrown.message.includes('topsecret'),
    );
  }
});

test('the dead man’s switch of the documentation is read, and goes where it should', () => {
  const exampleOf = (page: string) => {
    const text = readFileSync(join(import.meta.dirname, '../../../docs', page), 'utf8');
    return /## A dead man's switch[\s\S]*?```yaml\n([\s\S]*?)```/.exec(text)![1]!;
  };
  const { route } = loadConfig(exampleOf('alertmanager.md'));
  const receivers = (alertname: string) =>
    matchingRoutes(route, new Map([['alertname', alertname]])).map(({ receiver }) => receiver);
  assert.deepEqual([receivers('Watchdog'), receivers('Down')], [['watchdog'], ['team']]);
  assert.match(exampleOf('rules.md'), /alert: Watchdog\n {8}expr: vector\(1\)/);
});
