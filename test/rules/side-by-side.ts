import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { PushedSeries } from '../../src/contract/push.ts';
import { encodeSeriesPush } from '../../src/distributor/series-push.ts';
import { ApiClient, type ApiSeries } from '../harness/api.ts';
import { Pallium, tempFolder } from '../harness/pallium.ts';
import { isPrometheus3Installed, startPrometheus3 } from '../harness/peers.ts';
import { push } from '../harness/remote-write.ts';
import { until } from '../harness/wait.ts';

// Rules in Pallium and in Prometheus 3.16 over the same data, written into both: what they record, their alerts and what they show of
// them must be the same, sample by sample. `npm run test:rules -- --seconds=600 --groups=30`

const { values: options } = parseArgs({
  options: { seconds: { type: 'string', default: '60' }, groups: { type: 'string', default: '12' } },
});
const SECONDS = Number(options.seconds);
const GROUPS = Number(options.groups);
const INTERVAL_S = 2;
/** Every sixth group sees data at once: it may see other samples than its twin. */
const isLate = (i: number) => i % 6 !== 5;
/** A change of the files is seen so much later, at most, by one than by the other. */
const RELOAD_MS = 8_000;

/** Rules of every kind; `i` tells groups apart. */
function rulesOf(i: number, edited: boolean): string[] {
  const name = `g${i}`;
  const record = (of: string, expr: string, more = '') => `{ record: "${name}:${of}", expr: '${expr}'${more} }`;
  const alert = (of: string, expr: string, more = '') => `{ alert: ${name}${of}, expr: '${expr}'${more} }`;
  const kinds = [
    [
      record('rate', 'sum by (job) (rate(requests_total[20s]))'),
      record('ratio', `${name}:rate / ignoring (job) group_left sum(${name}:rate)`, ', labels: { team: a }'),
      record('max', `max_over_time(load[${edited ? 8 : 6}s])`),
    ],
    [
      record('quantile', 'histogram_quantile(0.9, sum by (le, job) (rate(latency_bucket[20s])))'),
      record('one', 'vector(1)'),
      record('scalar', 'scalar(count(load))'),
      record('absent', 'absent(load{job="c"})'),
    ],
    [
      alert('Now', 'load > 5', ', labels: { severity: page, where: "{{ $labels.job }}" }'),
      alert('Later', 'load > 4', ', for: 6s, annotations: { summary: "{{ $labels.job }} {{ $value }}" }'),
      alert('Keeps', 'load > 6', ', keep_firing_for: 6s'),
      // of this group only: what another one has written by then depends on both their turns
      record('alerts', `count by (alertname, alertstate) (ALERTS{alertname=~"${name}[A-Z].*"})`),
    ],
    [
      record('limited', 'load'),
      record('twice', 'label_replace(load, "instance", "", "", "")'),
      record('nothing', 'load > 1e9'),
      alert('Wrong', 'load > bool 0 and on () vector(1)', ', annotations: { text: "{{ .Nothing }}" }'),
    ],
  ];
  const rules = kinds[i % kinds.length]!;
  return edited && i % 3 === 0 ? [...rules].reverse() : rules;
}

function ruleFile(edited: boolean): string {
  const groups = Array.from({ length: GROUPS }, (_, i) => {
    const limit = i % 4 === 3 ? ', limit: 3' : '';
    const offset = isLate(i) ? ', query_offset: 10s' : '';
    const labels = i % 5 === 0 ? ', labels: { group: "{{ not_a_template }}" }'.replace(/\{\{.*\}\}/, `g${i}`) : '';
    const rules = rulesOf(i, edited && i % 2 === 0).join(', ');
    return `{ name: "group ${i}", interval: ${INTERVAL_S}s${limit}${offset}${labels}, rules: [${rules}] }`;
  });
  return `groups:\n${groups.map((group) => `- ${group}\n`).join('')}`;
}

/** The data of one second: counters, classic histograms, and gauges of which some go up and down, and some vanish for a while. */
function samplesAt(tickMs: number, tick: number): PushedSeries[] {
  const series: PushedSeries[] = [];
  const add = (labels: Readonly<Record<string, string>>, value: number | undefined) => {
    const sample = value === undefined ? ({ timeMs: tickMs, stale: true } as const) : { timeMs: tickMs, value };
    series.push({ pairs: Object.entries(labels).flat(), samples: [sample] });
  };
  for (const [j, job] of ['a', 'b', 'c'].entries()) {
    for (const instance of ['1', '2']) {
      add({ __name__: 'requests_total', job, instance }, tick * (j + 1) * Number(instance));
      const isGone = job === 'c' && tick % 40 > 25;
      if (!isGone || tick % 40 === 26) {
        const value = isGone ? undefined : Math.round(5 + 4 * Math.sin(tick / (5 + j) + Number(instance)));
        add({ __name__: 'load', job, instance }, value);
      }
    }
    for (const [k, le] of ['0.1', '1', '+Inf'].entries()) {
      add({ __name__: 'latency_bucket', job, le }, tick * (k + 1) * (j + 1));
    }
  }
  return series;
}

if (!isPrometheus3Installed) {
  process.stdout.write('skipped: Prometheus 3.16 is not installed (test/services/start-prometheus)\n');
  process.exit(0);
}

const folder = tempFolder('rules-beside');
const tenantFolder = join(folder, 'anonymous');
mkdirSync(tenantFolder);
const file = join(tenantFolder, 'rules.yaml');
writeFileSync(file, ruleFile(false));
const config = `global: { evaluation_interval: ${INTERVAL_S}s }\nrule_files: [${file}]\n`;

let failures = 0;
const say = (text: string) => process.stdout.write(`${text}\n`);
const fail = (text: string) => {
  failures++;
  if (failures <= 30) say(`DIFFERS ${text}`);
};

await using server = await Pallium.start({
  flags: [`-ruler.local-directory=${folder}`, '-ruler.alertmanager-url=http://127.0.0.1:9'],
});
await using peer = await startPrometheus3({ config });
const ours = server.api();
const theirs = new ApiClient(peer.url);

const startMs = Math.ceil(Date.now() / 1000) * 1000;
const editTick = Math.floor(SECONDS / 2);
let editMs = Number.POSITIVE_INFINITY;
for (let tick = 0; tick < SECONDS; tick++) {
  const tickMs = startMs + tick * 1000;
  await sleep(Math.max(0, tickMs - Date.now()));
  const { body } = encodeSeriesPush(samplesAt(tickMs, tick));
  const answers = await Promise.all(
    [`${server.url}/api/v1/push`, `${peer.url}/api/v1/write`].map((url) => push(url, body)),
  );
  for (const { status, text } of answers) if (status >= 300) throw new Error(`a write is refused: ${status} ${text}`);
  if (tick === editTick) {
    editMs = Date.now();
    writeFileSync(file, ruleFile(true));
    const { status } = await theirs.ask('/-/reload', { method: 'POST' });
    if (status !== 200) throw new Error(`Prometheus does not reload: ${status}`);
  }
}
const endMs = startMs + SECONDS * 1000;
// late groups are behind
await sleep(13_000);

/** Values by time, by series. */
type Samples = ReadonlyMap<string, ReadonlyMap<number, string>>;

/** All samples of what matches. */
async function samplesOf(api: ApiClient, selector: string): Promise<Samples> {
  const query = `${selector}[${SECONDS + 60}s]`;
  const { result } = await api.instant(query, Math.ceil(Date.now() / 1000));
  const found = new Map<string, Map<number, string>>();
  for (const { metric, values = [] } of result as readonly ApiSeries[]) {
    const key = JSON.stringify(Object.entries(metric).sort(([a], [b]) => (a < b ? -1 : 1)));
    found.set(key, new Map(values.map(([time, value]) => [Math.round(time * 1000), value])));
  }
  return found;
}

/** Evaluations that a server says it did not begin in time, by group. */
async function missedOf(api: ApiClient): Promise<Map<string, number>> {
  const { text } = await api.ask('/metrics');
  const rows = text.matchAll(
    /^(?:cortex_)?prometheus_rule_group_iterations_missed_total\{.*;(group \d+)".*\} (\d+)$/gm,
  );
  return new Map(Array.from(rows, ([, group, count]) => [group!, Number(count)]));
}

/** Times of some series at which others have no sample at all. */
function timesWithout(some: Samples, others: Samples): number[] {
  const there = new Set([...others.values()].flatMap((samples) => [...samples.keys()]));
  const times = new Set([...some.values()].flatMap((samples) => [...samples.keys()]));
  return [...times].filter((timeMs) => !there.has(timeMs));
}

const missed = await Promise.all([missedOf(ours), missedOf(theirs)]);
let compared = 0;
for (let i = 0; i < GROUPS; i++) {
  const isEdited = i % 2 === 0;
  for (const selector of [
    `{__name__=~"g${i}:.*"}`,
    `{__name__=~"ALERTS|ALERTS_FOR_STATE",alertname=~"g${i}[A-Z].*"}`,
  ]) {
    const isAlerts = selector.includes('ALERTS');
    const [own, other] = await Promise.all([samplesOf(ours, selector), samplesOf(theirs, selector)]);
    // the data begins when both run; restored alerts are written from the third evaluation on
    const fromMs = startMs + (isAlerts ? 4 * INTERVAL_S * 1000 : 1000);
    const takes = (timeMs: number) => {
      const slotMs = timeMs + (isLate(i) ? 10_000 : 0);
      const nearEdit = isEdited && slotMs > editMs - 2000 && slotMs < editMs + RELOAD_MS;
      return timeMs >= fromMs && timeMs < endMs - 1000 && !nearEdit && !left.has(timeMs);
    };
    const left = new Set<number>();
    for (const [side, times] of [timesWithout(other, own), timesWithout(own, other)].entries()) {
      const name = ['Pallium', 'Prometheus'][side];
      const within = times.filter(takes);
      if (within.length === 0 || within.length > (missed[side]!.get(`group ${i}`) ?? 0)) continue;
      say(`group ${i}: ${name} missed ${within.length} evaluations`);
      for (const timeMs of within) left.add(timeMs);
    }
    const differences: string[] = [];
    for (const key of new Set([...own.keys(), ...other.keys()])) {
      const [a, b] = [own.get(key) ?? new Map(), other.get(key) ?? new Map()];
      for (const timeMs of new Set([...a.keys(), ...b.keys()])) {
        if (!takes(timeMs)) continue;
        compared++;
        if (a.get(timeMs) === b.get(timeMs)) continue;
        differences.push(`${key} at ${new Date(timeMs).toISOString()}: ${a.get(timeMs)} here, ${b.get(timeMs)} there`);
      }
    }
    if (differences.length === 0) continue;
    if (isLate(i)) for (const difference of differences) fail(difference);
    else say(`group ${i} sees data at once: ${differences.length} samples differ, such as ${differences[0]}`);
  }
}

/** The groups as they are shown, without what is about time. */
async function shownRules(api: ApiClient, path: string): Promise<unknown> {
  const { text: answer } = await api.ask(path);
  const text = JSON.stringify(JSON.parse(answer), (key, value: unknown) => {
    if (key === 'evaluationTime' || key === 'lastEvaluation') return undefined;
    if (key === 'activeAt' || key === 'keepFiringSince') return Math.floor(Date.parse(String(value)) / 1000);
    if (key === 'alerts' && Array.isArray(value)) {
      const labels = (alert: { labels: object }) => JSON.stringify(Object.entries(alert.labels).sort());
      return value.toSorted((a, b) => (labels(a) < labels(b) ? -1 : 1));
    }
    return value;
  });
  return JSON.parse(text);
}

/** Where two values differ first, as a path. */
function firstDifference(a: unknown, b: unknown, path = ''): string | undefined {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) {
    return Object.is(a, b) ? undefined : `${path}: ${JSON.stringify(a)} here, ${JSON.stringify(b)} there`;
  }
  for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const found = firstDifference((a as never)[key], (b as never)[key], `${path}/${key}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

const PATHS = [
  '/api/v1/alerts',
  ...[
    '',
    'type=alert',
    'type=record',
    'type=other',
    'exclude_alerts=true',
    'exclude_alerts=maybe',
    'rule_name[]=g2Now&rule_name[]=g1:one',
    'rule_group[]=group 2',
    'file[]=nowhere',
    'match[]={severity="page"}',
    'match[]={group=~".+"}&match[]={team="a"}',
    'group_limit=3',
    'group_limit=0',
    'group_limit=2&group_next_token=x',
    'group_next_token=x',
  ].map((query) => `/api/v1/rules?${query}`),
];
for (const path of PATHS) {
  let shown: string | undefined;
  await until(
    'the same answer',
    async () => {
      const [own, other] = await Promise.all([shownRules(ours, path), shownRules(theirs, path)]);
      shown = firstDifference(own, other);
      return shown === undefined;
    },
    { timeoutMs: 10_000, intervalMs: 500 },
  ).catch(() => fail(`${path}${shown}`));
}

say(`${compared} samples of ${GROUPS} groups compared, ${failures} differ`);
await server.stop();
rmSync(folder, { recursive: true, force: true });
process.exitCode = failures === 0 && compared > 0 ? 0 : 1;
