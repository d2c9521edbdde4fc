import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { PushedSeries } from '../src/contract/push.ts';
import { encodeSeriesPush } from '../src/distributor/series-push.ts';
import { Pallium, tempFolder } from '../test/harness/pallium.ts';
import { isPrometheus3Installed, type Peer, startPrometheus3 } from '../test/harness/peers.ts';
import { cpuMs, rssBytes, threadCpuMs } from '../test/harness/process-cost.ts';
import { push } from '../test/harness/remote-write.ts';
import { BAR, type Evaluated, verdictOf } from './rules-verdict.ts';

// The cost of rules: the same 2,000 groups of five recording rules at one minute in Pallium and in Prometheus 3.16, over 40,710 series
// that are written into both every 15 s. CPU of a minute without rules is taken off. Bar: at most 0.7 of Prometheus' CPU, told where both
// evaluated what was due. `npm run bench:rules -- --groups=500 --minutes=3`
// V8 compiles for the first 30,000 evaluations or so, and a server runs for weeks: they come before what is measured (`--warm-minutes`).
// The small form has more evaluations in less time: `npm run bench:rules -- --interval=10 --minutes=1 --warm-minutes=0.5 --without-seconds=15`

const { values: options } = parseArgs({
  options: {
    groups: { type: 'string', default: '2000' },
    minutes: { type: 'string', default: '3' },
    'without-seconds': { type: 'string', default: '60' },
    /** Evaluations before what is measured, beside the first of each rule. */
    'warm-minutes': { type: 'string', default: '5' },
    /** Interval of the groups, seconds. */
    interval: { type: 'string', default: '60' },
    /** Where to leave the rules. */
    keep: { type: 'string', default: '' },
    /** Folder for CPU profiles of Pallium's threads, from its start on. */
    profile: { type: 'string', default: '' },
    /** Without Prometheus beside it. */
    alone: { type: 'boolean', default: false },
  },
});
const GROUPS = Number(options.groups);
const MEASURED_MS = Number(options.minutes) * 60_000;
const WITHOUT_MS = Number(options['without-seconds']) * 1000;
const INTERVAL_MS = Number(options.interval) * 1000;
const WARM_MS = Number(options['warm-minutes']) * 60_000;
const STEP_MS = 15_000;
/** Rules of a group. */
const RULES = 5;

/** A metric and how many series it has for each job: selectors of one job read 10, 100 or 1,000. */
const METRICS = [
  { name: 'few_total', series: 10, jobs: 300 },
  { name: 'some_total', series: 100, jobs: 150 },
  { name: 'many_total', series: 1000, jobs: 15 },
] as const;
const BUCKETS = ['0.1', '0.5', '1', '5', '+Inf'];
/** 7,710 series of histograms: with those above 40,710. */
const HISTOGRAM_SERIES = 1542;

function rulesOf(i: number): string {
  const { name, jobs } = METRICS[i % 10 < 6 ? 0 : i % 10 < 9 ? 1 : 2]!;
  const selector = `${name}{job="j${i % jobs}"}`;
  const half = `${name}{job="j${i % jobs}",instance=~"i.*[02468]"}`;
  const le = `latency_bucket{host="h${i % 154}"}`;
  return [
    `{ record: 'g${i}:rate', expr: 'sum by (job) (rate(${selector}[5m]))' }`,
    `{ record: 'g${i}:ratio', expr: 'sum(rate(${half}[5m])) / sum(rate(${selector}[5m]))' }`,
    `{ record: 'g${i}:quantile', expr: 'histogram_quantile(0.99, sum by (le) (rate(${le}[5m])))' }`,
    `{ record: 'g${i}:max', expr: 'max_over_time(${selector}[5m])' }`,
    `{ record: 'g${i}:rule', expr: 'max(g${i}:rate) by (job) * 2' }`,
  ].join(', ');
}

const rulesText = `groups:\n${Array.from(
  { length: GROUPS },
  (_, i) => `- { name: 'group ${i}', interval: ${options.interval}s, rules: [${rulesOf(i)}] }\n`,
).join('')}`;

function* seriesAt(timeMs: number, tick: number): Generator<PushedSeries> {
  for (const { name, series, jobs } of METRICS) {
    for (let job = 0; job < jobs; job++) {
      for (let i = 0; i < series; i++) {
        const pairs = ['__name__', name, 'instance', `i${i}`, 'job', `j${job}`];
        yield { pairs, samples: [{ timeMs, value: tick * ((i % 7) + 1) }] };
      }
    }
  }
  for (let i = 0; i < HISTOGRAM_SERIES; i++) {
    for (const [k, le] of BUCKETS.entries()) {
      const pairs = ['__name__', 'latency_bucket', 'host', `h${i % 154}`, 'instance', `i${i}`, 'le', le];
      yield { pairs, samples: [{ timeMs, value: tick * (k + 1) * ((i % 5) + 1) }] };
    }
  }
}

/** Says what comes, and when: a run takes minutes. */
function say(text: string): void {
  console.log(`${(performance.now() / 1000).toFixed(0).padStart(4)} s  ${text}`);
}

const folder = tempFolder('bench-rules');
const tenant = join(folder, 'anonymous');
mkdirSync(tenant);
const file = join(tenant, 'rules.yaml');
writeFileSync(file, 'groups: []\n');
if (options.keep !== '') writeFileSync(options.keep, rulesText);

const profiled: Record<string, string> =
  options.profile === '' ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${options.profile}` };
await using server = await Pallium.start({ flags: [`-ruler.local-directory=${folder}`], env: profiled });
await using peer: Peer | { readonly url: string; readonly pid: number; [Symbol.asyncDispose](): Promise<void> } =
  isPrometheus3Installed && !options.alone
    ? await startPrometheus3({ config: `global: { evaluation_interval: 1m }\nrule_files: [${file}]\n` })
    : { url: '', pid: 0, async [Symbol.asyncDispose]() {} };
if (peer.pid === 0) console.log(`${options.alone ? '' : 'Prometheus 3.16 is not installed: '}Pallium alone`);
const writeUrls = [`${server.url}/api/v1/push`, ...(peer.pid === 0 ? [] : [`${peer.url}/api/v1/write`])];

let ended = false;
const writing = (async () => {
  for (let tick = 1; !ended; tick++) {
    const timeMs = Date.now();
    const all = [...seriesAt(timeMs, tick)];
    for (let from = 0; from < all.length; from += 2000) {
      const { body } = encodeSeriesPush(all.slice(from, from + 2000));
      for (const url of writeUrls) await push(url, body);
    }
    while (!ended && Date.now() < timeMs + STEP_MS) await sleep(200);
  }
})();

const pids = [server.pid, ...(peer.pid === 0 ? [] : [peer.pid])];
async function measured(ms: number): Promise<number[]> {
  const before = pids.map(cpuMs);
  const startedMs = performance.now();
  await sleep(ms);
  const minutes = (performance.now() - startedMs) / 60_000;
  return pids.map((pid, i) => (cpuMs(pid) - before[i]!) / minutes);
}

/** CPU of Pallium's threads, ms by name: those of one name, as V8's helpers, together. */
function threadsMs(): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { name, ms } of threadCpuMs(server.pid)) sums.set(name, (sums.get(name) ?? 0) + ms);
  return sums;
}

// the first requests make series and warm code up
say(`two rounds of ${STEP_MS / 1000} s without rules`);
await sleep(2 * STEP_MS);
say(`measured without rules for ${WITHOUT_MS / 1000} s`);
const without = await measured(WITHOUT_MS);
say(
  `${GROUPS} groups at ${INTERVAL_MS / 1000} s begin: each is evaluated once, and code gets warm for ${WARM_MS / 1000} s`,
);
writeFileSync(file, rulesText);
if (peer.pid !== 0) await fetch(`${peer.url}/-/reload`, { method: 'POST' });
// every group has been evaluated once
await sleep(INTERVAL_MS + STEP_MS + WARM_MS);
async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return [...text.matchAll(new RegExp(`^${name}(?:\\{[^\n]*\\})? (\\S+)$`, 'gm'))].reduce(
    (sum, [, v]) => sum + Number(v),
    0,
  );
}
const servers = [
  { server: 'Pallium', url: server.url, counter: 'cortex_prometheus_rule_evaluations_total' },
  { server: 'Prometheus', url: peer.url, counter: 'prometheus_rule_evaluations_total' },
].slice(0, pids.length);
const evaluationsNow = () => Promise.all(servers.map(({ url, counter }) => metric(url, counter)));
const evaluatedBefore = await evaluationsNow();
const countedMs = performance.now();
say(`measured with rules for ${MEASURED_MS / 60_000} min`);
const threadsBefore = threadsMs();
const withRules = await measured(MEASURED_MS);
const threads = [...threadsMs()].map(([name, ms]) => ({ name, ms: ms - (threadsBefore.get(name) ?? 0) }));
const due = (GROUPS * RULES * (performance.now() - countedMs)) / INTERVAL_MS;
const evaluated = (await evaluationsNow()).map(
  (count, i): Evaluated => ({ server: servers[i]!.server, evaluations: count - evaluatedBefore[i]!, due }),
);
const missed = await metric(server.url, 'cortex_prometheus_rule_group_iterations_missed_total');
const failed = await metric(server.url, 'cortex_prometheus_rule_evaluation_failures_total');
ended = true;
await writing;

const names = ['pallium', 'prometheus 3.16'];
const costs = withRules.map((ms, i) => ms - without[i]!);
for (const [i, pid] of pids.entries()) {
  const rss = (rssBytes(pid) / 2 ** 20).toFixed(0);
  const [all, base, rules] = [withRules[i]!, without[i]!, costs[i]!].map((ms) => (ms / 1000).toFixed(2));
  console.log(`${names[i]!.padEnd(16)} ${all} s CPU a minute, ${base} of it without rules: rules ${rules}; ${rss} MiB`);
}
const perEvaluation = (ms: number, i = 0) => ms / evaluated[i]!.evaluations;
for (const { name, ms } of threads.sort((a, b) => b.ms - a.ms)) {
  if (ms >= 20) console.log(`  ${name.padEnd(16)} ${perEvaluation(ms).toFixed(3)} ms an evaluation, ingest included`);
}
const ruleCosts = costs.map((ms, i) => perEvaluation((ms * MEASURED_MS) / 60_000, i));
for (const [i, ms] of ruleCosts.entries()) console.log(`${names[i]!.padEnd(16)} ${ms.toFixed(3)} ms CPU an evaluation`);
for (const { server: name, evaluations } of evaluated)
  console.log(`${name} evaluated ${evaluations} of ${Math.round(due)} rules that were due`);
console.log(`Pallium since its start: ${missed} groups missed, ${failed} evaluations failed`);
if (pids.length === 2) {
  const { text, met } = verdictOf(ruleCosts[0]! / ruleCosts[1]!, evaluated);
  console.log(text);
  process.exitCode = met === undefined ? 2 : met ? 0 : 1;
} else console.log(`bar: ${BAR} of Prometheus' CPU for a rule`);
if (options.profile !== '') await server.stop();
rmSync(folder, { recursive: true, force: true });
