import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pallium } from '../harness/pallium.ts';

// Every request that Grafana's alerting makes of data sources (pkg/services/ngalert/api/lotex_*.go, the data source of type
// Alertmanager, public/app/features/alerting/unified/api), with its answers here. A data source of type Prometheus is at the root or at
// one of the prefixes; one of type Alertmanager is at /cortex for Cortex and Mimir, at /alertmanager for Prometheus.

interface Row {
  readonly method: string;
  readonly path: string;
  readonly body?: string | object;
  readonly status: number;
  readonly type?: RegExp;
  readonly text?: RegExp;
}

const JSON_TYPE = /^application\/json/;
const YAML_TYPE = /^application\/yaml/;

/** Which server it is, and whether rules can be edited: the answers switch the editor on. */
const discovery = (base: string): Row[] => [
  // no features: it is asked for flags, and any answer makes it one whose ruler is tried
  { method: 'GET', path: `${base}/api/v1/status/buildinfo`, status: 200, type: JSON_TYPE, text: /"version":/ },
  { method: 'GET', path: `${base}/api/v1/status/flags`, status: 200, type: JSON_TYPE, text: /"status":"success"/ },
  { method: 'GET', path: `${base}/api/v1/query?query=prometheus_build_info`, status: 200, type: JSON_TYPE },
  { method: 'GET', path: `${base}/rules/test/test`, status: 404, text: /^group does not exist/ },
  { method: 'GET', path: `${base}/config/v1/rules/test/test`, status: 404, text: /^group does not exist/ },
];

const GROUP =
  'name: up/down\ninterval: 1h\nrules:\n  - alert: Down\n    expr: up == 0\n    for: 5m\n    labels:\n      severity: page\n';

/** @param rules `/rules` for Prometheus and Cortex, `/config/v1/rules` for Mimir */
const rulesEditor = (base: string, rules: string): Row[] => [
  { method: 'GET', path: base + rules, status: 404, text: /^no rule groups found/ },
  { method: 'GET', path: `${base}${rules}/name%2Fspace`, status: 404, text: /^no rule groups found/ },
  {
    method: 'POST',
    path: `${base}${rules}/name%2Fspace`,
    body: GROUP,
    status: 202,
    type: JSON_TYPE,
    text: /"status":"success"/,
  },
  {
    method: 'POST',
    path: `${base}${rules}/space`,
    body: 'name: g\nrules: [{ alert: A, expr: "up +" }]',
    status: 400,
    text: /parse/,
  },
  { method: 'GET', path: base + rules, status: 200, type: YAML_TYPE, text: /^name\/space:\n {2}- name: up\/down\n/ },
  { method: 'GET', path: `${base}${rules}/name%2Fspace`, status: 200, type: YAML_TYPE, text: /^name\/space:\n/ },
  {
    method: 'GET',
    path: `${base}${rules}/name%2Fspace/up%2Fdown`,
    status: 200,
    type: YAML_TYPE,
    text: /^name: up\/down\n/,
  },
  { method: 'DELETE', path: `${base}${rules}/name%2Fspace/up%2Fdown`, status: 202, type: JSON_TYPE },
  { method: 'DELETE', path: `${base}${rules}/name%2Fspace/up%2Fdown`, status: 404, text: /^group does not exist/ },
  { method: 'POST', path: `${base}${rules}/name%2Fspace`, body: GROUP, status: 202 },
  { method: 'DELETE', path: `${base}${rules}/name%2Fspace`, status: 202, type: JSON_TYPE },
  { method: 'GET', path: `${base}${rules}/name%2Fspace/up%2Fdown`, status: 404, text: /^group does not exist/ },
];

/** The state of rules. The group is there already. */
const rulesState = (base: string): Row[] => [
  {
    method: 'GET',
    path: `${base}/api/v1/rules`,
    status: 200,
    type: JSON_TYPE,
    text: /"name":"Down","query":"up == 0","duration":300/,
  },
  {
    method: 'GET',
    path: `${base}/api/v1/rules?rule_name[]=Down&rule_group[]=up/down&file[]=space`,
    status: 200,
    text: /"Down"/,
  },
  { method: 'GET', path: `${base}/api/v1/rules?group_limit=1&exclude_alerts=true`, status: 200, text: /"alerts":null/ },
  {
    method: 'GET',
    path: `${base}/api/v1/rules?group_limit=1&group_next_token=x`,
    status: 400,
    text: /invalid group_next_token/,
  },
  {
    method: 'GET',
    path: `${base}/api/v1/rules?match[]=${encodeURIComponent('{severity="no"}')}`,
    status: 200,
    text: /"groups":\[\]/,
  },
  { method: 'GET', path: `${base}/api/v1/alerts`, status: 200, type: JSON_TYPE, text: /"alerts":\[\]/ },
];

const CONFIG = {
  template_files: {},
  alertmanager_config: 'route: { receiver: a }\nreceivers: [{ name: a }]\n',
};
const SILENCE = {
  matchers: [{ name: 'alertname', value: 'Down', isRegex: false, isEqual: true }],
  startsAt: new Date(Date.now() - 1000).toISOString(),
  endsAt: new Date(Date.now() + 3_600_000).toISOString(),
  createdBy: 'admin',
  comment: 'created from Grafana',
};

const alertmanager = (base: string): Row[] => [
  { method: 'GET', path: `${base}/api/v2/status`, status: 200, type: JSON_TYPE, text: /"versionInfo":/ },
  {
    method: 'POST',
    path: `${base}/api/v2/alerts`,
    body: [{ labels: { alertname: 'Down', severity: 'page' } }],
    status: 200,
  },
  { method: 'GET', path: `${base}/api/v2/alerts`, status: 200, type: JSON_TYPE, text: /"alertname":"Down"/ },
  {
    method: 'GET',
    path: `${base}/api/v2/alerts?filter=${encodeURIComponent('severity="page"')}&silenced=false&active=true&inhibited=true`,
    status: 200,
    text: /"state":"(active|unprocessed)"/,
  },
  {
    method: 'GET',
    path: `${base}/api/v2/alerts?filter=${encodeURIComponent('severity="no"')}`,
    status: 200,
    text: /^\[\]/,
  },
  { method: 'GET', path: `${base}/api/v2/alerts/groups`, status: 200, type: JSON_TYPE },
  { method: 'GET', path: `${base}/api/v2/receivers`, status: 200, type: JSON_TYPE },
  { method: 'GET', path: `${base}/api/v2/silences`, status: 200, type: JSON_TYPE },
  {
    method: 'POST',
    path: `${base}/api/v2/silences`,
    body: SILENCE,
    status: 200,
    type: JSON_TYPE,
    text: /"silenceID":"/,
  },
  { method: 'GET', path: `${base}/api/v2/silence/SILENCE`, status: 200, text: /"comment":"created from Grafana"/ },
  {
    method: 'POST',
    path: `${base}/api/v2/silences`,
    body: { ...SILENCE, id: 'SILENCE', comment: 'edited' },
    status: 200,
    text: /"silenceID":"/,
  },
  { method: 'DELETE', path: `${base}/api/v2/silence/SILENCE`, status: 200 },
  { method: 'GET', path: `${base}/api/v2/silence/SILENCE`, status: 200, text: /"state":"expired"/ },
  { method: 'DELETE', path: `${base}/api/v2/silence/0dd8ab5f-1111-4222-8333-444455556666`, status: 404 },
];

const LISTS: Readonly<Record<string, readonly Row[]>> = {
  ...Object.fromEntries(
    ['', '/prometheus', '/api/prom', '/cortex/prometheus'].flatMap((base) => [
      [`a Prometheus at ${base || '/'}`, discovery(base)],
      [`its rules as Cortex has them, at ${base || '/'}`, rulesEditor(base, '/rules')],
      [`its rules as Mimir has them, at ${base || '/'}`, rulesEditor(base, '/config/v1/rules')],
      [
        `the state of rules at ${base || '/'}`,
        [
          { method: 'POST', path: `${base}/rules/space`, body: GROUP, status: 202 },
          ...rulesState(base),
          { method: 'DELETE', path: `${base}/rules/space`, status: 202 },
        ],
      ],
    ]),
  ),
  // it is told from an Alertmanager of Prometheus by where its status is not
  'an Alertmanager of Cortex or Mimir': [
    { method: 'GET', path: '/cortex/api/v1/status/buildinfo', status: 404 },
    { method: 'GET', path: '/cortex/api/v2/status', status: 404 },
    { method: 'GET', path: '/cortex/api/v1/alerts', status: 404, text: /^alertmanager storage object not found/ },
    { method: 'POST', path: '/cortex/api/v1/alerts', body: CONFIG, status: 201 },
    {
      method: 'POST',
      path: '/cortex/api/v1/alerts',
      body: { ...CONFIG, alertmanager_config: 'route: {}' },
      status: 400,
      text: /error validating Alertmanager config/,
    },
    { method: 'GET', path: '/cortex/api/v1/alerts', status: 200, type: YAML_TYPE, text: /alertmanager_config:/ },
    ...alertmanager('/cortex/alertmanager'),
    { method: 'DELETE', path: '/cortex/api/v1/alerts', status: 200 },
    { method: 'GET', path: '/cortex/api/v1/alerts', status: 404 },
  ],
  'an Alertmanager of Prometheus': [
    { method: 'GET', path: '/alertmanager/api/v1/status/buildinfo', status: 404 },
    { method: 'GET', path: '/alertmanager/alertmanager/api/v2/status', status: 404 },
    ...alertmanager('/alertmanager'),
  ],
};

test('Grafana’s alerting finds here what it asks for', async (t) => {
  await using server = await Pallium.start();
  for (const [name, rows] of Object.entries(LISTS)) {
    await t.test(name, async () => {
      let silence = '';
      for (const { method, path, body, status, type, text } of rows) {
        const sent = typeof body === 'string' ? body : JSON.stringify(body)?.replace('SILENCE', silence);
        const ask = async () => {
          const answer = await fetch(server.url + path.replace('SILENCE', silence), {
            method,
            headers: { 'content-type': typeof body === 'string' ? 'application/yaml' : 'application/json' },
            ...(sent === undefined ? {} : { body: sent }),
          });
          return { status: answer.status, type: answer.headers.get('content-type') ?? '', text: await answer.text() };
        };
        let answer = await ask();
        // rules are in force soon after they were put
        for (
          let tries = 0;
          tries < 200 && path.includes('/api/v1/rules') && text?.test(answer.text) === false;
          tries++
        ) {
          await new Promise((done) => setTimeout(done, 50));
          answer = await ask();
        }
        const what = `${method} ${path}: ${answer.status} ${answer.type} ${answer.text.slice(0, 300)}`;
        assert.equal(answer.status, status, what);
        if (type !== undefined) assert.match(answer.type, type, what);
        if (text !== undefined) assert.match(answer.text, text, what);
        silence = /"silenceID":"([^"]+)"/.exec(answer.text)?.[1] ?? silence;
      }
    });
  }
});
