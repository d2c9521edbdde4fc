import type { Random } from '../../../src/lib/random.ts';
import type { CostRequest, Maker } from './genes.ts';
import { many, pick, regex, repeat, selector } from './parts.ts';

// Requests about what tenants keep: rules, configurations and alerts, silences, dashboards, events.

const JSON_TYPE = { 'content-type': 'application/json' };
const YAML_TYPE = { 'content-type': 'application/yaml' };

const TEMPLATE_PARTS = [
  '{{ $labels.l1 }}',
  '{{ range query "fuzz" }}{{ .Value }}{{ end }}',
  '{{ with $x := "a" }}{{ $x }}{{ end }}',
  '{{ define "x" }}a{{ end }}{{ template "x" }}',
  '{{ printf "%0100000d" 1 }}',
  '{{ reReplaceAll "(a+)+b" "x" "aaaaaaaaaaaaaaaaaaaaaaaa" }}',
  '{{ if true }}{{ else if false }}{{ end }}',
  '{{ .CommonLabels.SortedPairs.Values | join " " }}',
  '{{ range .Alerts }}{{ .Labels.l1 | toUpper | title | html | js }}{{ end }}',
  '{{- /* a */ -}}',
  '{{',
  '}}',
  'x',
  'é',
];

function template(random: Random, n: number): string {
  const style = random();
  if (style < 0.5) return repeat(pick(random, TEMPLATE_PARTS), n);
  if (style < 0.7) {
    const deep = Math.min(n, 20_000);
    return `${repeat('{{ if true }}', deep)}x${repeat('{{ end }}', deep)}`;
  }
  if (style < 0.85) return `{{ ${repeat('(', n)}1${repeat(')', n)} }}`;
  return `{{ define "a" }}${repeat('{{ template "b" . }}', Math.min(n, 1000))}{{ end }}{{ define "b" }}x{{ end }}{{ template "a" . }}`;
}

/** YAML by itself: what is deep, long or told by reference. */
function yaml(random: Random, [a, b]: readonly number[]): string {
  const style = random();
  const deep = Math.min(a!, 100_000);
  if (style < 0.25) return `${repeat('[', deep)}${repeat(']', deep)}`;
  if (style < 0.4)
    return repeat(pick(random, ['- ', '? ', '{a: ', '! ', '&a ', '*a ', '"', "'", '|\n', '%YAML\n', '---\n']), a!);
  if (style < 0.6)
    return `a0: &a0 [x, x]\n${many(Math.min(a!, 5_000), (i) => `a${i + 1}: &a${i + 1} [${repeat(`*a${i}, `, 1 + (b! % 10))}x]`, '\n')}\n`;
  if (style < 0.8) return many(a!, (i) => `k${i}: ${'v'.repeat(b! % 200)}`, '\n');
  return `groups: ${repeat(pick(random, ['1', 'a ', '# ', '\n', '\\x', 'é']), b!)}`;
}

/** A group of rules as a namespace is sent, or a preview. */
function group(random: Random, sizes: readonly number[]): string {
  const [a, b, c] = sizes as [number, number, number];
  const expression = () =>
    JSON.stringify(random() < 0.5 ? 'fuzz' : selector(random, [Math.min(a, 50), Math.min(b, 2_000)]).toWellFormed());
  const pairs = (n: number, value: () => string) =>
    n === 0 ? '{}' : `{${many(n, (i) => `p${i}: ${JSON.stringify(value())}`, ', ')}}`;
  const rules = many(
    Math.min(c, 3_000),
    (i) =>
      random() < 0.5
        ? `  - record: fuzz:r${i}\n    expr: ${expression()}`
        : `  - alert: A${i}\n    expr: ${expression()}\n    for: ${pick(random, ['1m', '0s', '1y', '1ms'])}\n    labels: ${pairs(Math.min(a, 60) % 40, () => template(random, Math.min(b, 500)).toWellFormed())}\n    annotations: ${pairs(Math.min(b, 60) % 10, () => template(random, Math.min(a, 500)).toWellFormed())}`,
    '\n',
  );
  return `name: g\ninterval: ${pick(random, ['1m', '15s', '1ms', '1d'])}\nrules:\n${rules}\n`;
}

function rules(random: Random, sizes: readonly number[]): CostRequest {
  const dry = random() < 0.7 ? '?dry_run=true' : '';
  const body = random() < 0.6 ? group(random, sizes) : yaml(random, sizes);
  return { method: 'POST', path: `/api/v1/rules/fuzz${dry}`, headers: YAML_TYPE, body };
}

function preview(random: Random, sizes: readonly number[]): CostRequest {
  const now = Math.floor(Date.now() / 1000);
  const span = pick(random, [600, 86_400, 86_400 * 30]);
  const more = random() < 0.3 ? 'continue=true&' : '';
  const body = `${more}start=${now - span}&end=${now}&group=${encodeURIComponent(group(random, sizes).toWellFormed())}`;
  return {
    method: 'POST',
    path: '/api/v1/rule_preview',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body,
  };
}

function matcher(random: Random, n: number): string {
  const op = pick(random, ['=', '!=', '=~', '!~']);
  return `l1${op}${JSON.stringify(random() < 0.5 ? regex(random, n).toWellFormed() : 'v'.repeat(Math.min(n, 50_000)))}`;
}

/** An Alertmanager's configuration in its document. */
function configuration(random: Random, sizes: readonly number[]): string {
  const [a, b, c] = sizes as [number, number, number];
  const receivers = many(
    Math.min(c, 2_000),
    (i) => `- name: r${i}\n  webhook_configs: [{url: "http://example.com/${i}"}]`,
    '\n',
  );
  const deep = Math.min(a, 300);
  let route = `{receiver: r0, matchers: [${JSON.stringify(matcher(random, Math.min(b, 2_000)))}]}`;
  for (let i = 0; i < deep; i++) route = `{receiver: r0, routes: [${route}]}`;
  const wide = many(Math.min(b, 2_000), (i) => `- receiver: r0\n    matchers: ['l${i}="v"']`, '\n  ');
  const routes = random() < 0.5 ? `route: ${route}` : `route:\n  receiver: r0\n  routes:\n  ${wide}`;
  const inhibit =
    random() < 0.3
      ? `inhibit_rules:\n${many(Math.min(a, 2_000), () => '- {source_matchers: [a="b"], target_matchers: [c="d"], equal: [l1]}', '\n')}\n`
      : '';
  return `${routes}\n${inhibit}receivers:\n${receivers}\n`;
}

function alertmanager(random: Random, sizes: readonly number[]): CostRequest {
  const [a, b] = sizes as [number, number];
  const indented = (text: string) => text.replace(/^/gm, '  ');
  const config = random() < 0.7 ? configuration(random, sizes) : yaml(random, sizes);
  const templates =
    random() < 0.5
      ? `template_files:\n  t.tmpl: ${JSON.stringify(template(random, Math.min(b, 50_000)).toWellFormed())}\n`
      : '';
  const style = random();
  if (style < 0.5) {
    const body = `${templates}alertmanager_config: |\n${indented(config)}\n`;
    return { method: 'POST', path: '/config/v1/alerts', headers: YAML_TYPE, body };
  }
  const labels = Object.fromEntries(Array.from({ length: Math.min(a, 5_000) }, (_, i) => [`l${i}`, 'v']));
  const path = pick(random, ['/config/v1/alerts/preview', '/config/v1/alerts/route', '/config/v1/alerts/test']);
  const body = JSON.stringify({
    alertmanager_config: config,
    labels,
    template: template(random, b).toWellFormed(),
    templates: [{ name: 'a', template: template(random, Math.min(b, 5_000)).toWellFormed() }],
    alerts: [{ labels, annotations: { a: 'x'.repeat(Math.min(b, 100_000)) } }],
    receivers: [{ name: 'r0', webhook_configs: [{ url: 'http://127.0.0.1:1/' }] }],
  });
  return { method: 'POST', path, headers: JSON_TYPE, body };
}

function alerts(random: Random, sizes: readonly number[]): CostRequest {
  const [a, b, c] = sizes as [number, number, number];
  const labels = many(Math.min(a, 20_000), (i) => `"l${i}":${JSON.stringify('v'.repeat(1 + (b % 300)))}`, ',');
  const at = () => new Date(Date.now() - Math.floor(random() * 3_600_000)).toISOString();
  const list = many(
    Math.min(c, 20_000),
    (i) => `{"labels":{"alertname":"a${random() < 0.5 ? i : 0}",${labels}},"startsAt":"${at()}"}`,
    ',',
  );
  return { method: 'POST', path: '/alertmanager/api/v2/alerts', headers: JSON_TYPE, body: `[${list}]` };
}

function alertQueries(random: Random, sizes: readonly number[]): CostRequest {
  const filters = many(
    Math.min(sizes[0]!, 3_000),
    () => `filter=${encodeURIComponent(matcher(random, Math.min(sizes[1]!, 500)))}`,
    '&',
  ).slice(0, 900_000);
  const path = pick(random, ['/alerts', '/alerts/groups', '/silences', '/receivers']);
  return { method: 'GET', path: `/alertmanager/api/v2${path}?${filters}`, headers: {} };
}

function silence(random: Random, sizes: readonly number[]): CostRequest {
  const [a, b, c] = sizes as [number, number, number];
  const matchers = many(
    Math.min(a, 20_000),
    (i) =>
      `{"name":"l${i}","value":${JSON.stringify(random() < 0.5 ? regex(random, Math.min(b, 2_000)).toWellFormed() : 'v'.repeat(b % 500))},"isRegex":${random() < 0.5},"isEqual":true}`,
    ',',
  );
  const body = `{"matchers":[${matchers}],"startsAt":"${new Date().toISOString()}","endsAt":"${new Date(Date.now() + 60_000).toISOString()}","createdBy":"f","comment":${JSON.stringify('c'.repeat(Math.min(c, 100_000)))}}`;
  return { method: 'POST', path: '/alertmanager/api/v2/silences', headers: JSON_TYPE, body };
}

/** Nested JSON as a dashboard, or panels and variables as Grafana writes them. */
function dashboard(random: Random, sizes: readonly number[]): CostRequest {
  const [a, b, c] = sizes as [number, number, number];
  const deep = Math.min(a, 100_000);
  const style = random();
  const text = JSON.stringify(
    pick(random, ['$', '\u0024{a}', '{{l1}}', '[[a]]', '<b>', 'x']).repeat(Math.min(b, 20_000)),
  );
  const panels = many(
    Math.min(c, 5_000),
    (i) =>
      `{"id":${i},"type":"${pick(random, ['timeseries', 'stat', 'row', 'table', 'text', 'graph'])}","title":${text.slice(0, 200).replace(/"?$/, '"')},"gridPos":{"h":8,"w":12,"x":${a % 24},"y":${b}},"targets":[{"expr":${text},"refId":"A"}]}`,
    ',',
  );
  const variables = many(
    Math.min(a, 2_000),
    (i) => `{"name":"v${i}","type":"query","query":${text.slice(0, 300).replace(/"?$/, '"')}}`,
    ',',
  );
  const body =
    style < 0.3
      ? `{"title":"t","panels":${repeat('[', deep)}${repeat(']', deep)}}`
      : style < 0.5
        ? `{"title":${text},"panels":[${many(Math.min(c, 200_000), () => '{}', ',')}]}`
        : `{"title":"t","panels":[${panels}],"templating":{"list":[${variables}]}}`;
  const dry = random() < 0.7 ? '?dry_run=true' : '';
  return { method: 'POST', path: `/api/v1/dashboards${dry}`, headers: JSON_TYPE, body };
}

function event(random: Random, sizes: readonly number[]): CostRequest {
  const [a, b] = sizes as [number, number];
  const tags = many(Math.min(a, 20_000), (i) => JSON.stringify(`t${i}`), ',');
  const deep = Math.min(a, 50_000);
  const body =
    random() < 0.3
      ? `{"text":${repeat('[', deep)}${repeat(']', deep)}}`
      : `{"text":${JSON.stringify('<b>'.repeat(Math.min(b, 50_000)))},"tags":[${tags}],"time":${Date.now()}}`;
  return { method: 'POST', path: '/api/v1/events', headers: JSON_TYPE, body };
}

/** Searches, and what series cost. */
function search(random: Random, sizes: readonly number[]): CostRequest {
  const [a, b] = sizes as [number, number];
  const path = pick(random, [
    '/api/v1/search/metric_names',
    '/api/v1/search/label_names',
    '/api/v1/search/label_values',
    '/api/v1/cardinality/day',
    '/api/v1/cardinality/savings',
    '/api/v1/admin/tsdb/delete_series/preview',
    '/api/v1/services',
    '/api/v1/status/metric_names_stats',
    '/api/v1/status/top_queries',
    '/api/v1/status/active_queries',
    '/api/v1/status/running_queries',
  ]);
  const words = many(Math.min(a, 2_000), (i) => `search[]=${repeat('fu', Math.min(b, 2_000))}${i}`, '&');
  const selectors = many(
    Math.min(a, 200),
    () => `match[]=${encodeURIComponent(selector(random, [Math.min(a, 20), Math.min(b, 500)]).toWellFormed())}`,
    '&',
  );
  const more = `label=l1&fuzz_threshold=${pick(random, ['0', '50', '100'])}&fuzz_alg=${pick(random, ['jarowinkler', 'subsequence'])}&sort_by=score&limit=${a}&rules=${encodeURIComponent(yaml(random, [Math.min(a, 2_000), Math.min(b, 2_000)]))}`;
  const form = `${more}&${words}&${selectors}`;
  const post = !/services|status/.test(path) && random() < 0.7;
  return post
    ? { method: 'POST', path, headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: form }
    : { method: 'GET', path: `${path}?${form.slice(0, 900_000)}`, headers: {} };
}

function session(random: Random, [a, b]: readonly number[]): CostRequest {
  const deep = Math.min(a!, 100_000);
  const body = random() < 0.5 ? `{"name":"${'a'.repeat(Math.min(b!, 1e6))}","password":"b"}` : repeat('[', deep);
  return { method: 'POST', path: '/api/v1/session', headers: JSON_TYPE, body };
}

export const documentMakers: Readonly<Record<string, Maker>> = {
  rules,
  preview,
  alertmanager,
  alerts,
  alertQueries,
  silence,
  dashboard,
  event,
  search,
  session,
};
