// A dashboard of twelve panels over a month in the embedded store, asked for as a browser does, six at a time: in a process that has nothing
// cached (the system's cache of files aside), again, and a minute later. Then a small query, with the front end and without, and everything
// at steps of 15 s and 4 min, the one refused by its points, the other where it is more than its budgets allow.
//   npm run bench:dashboard -- [--days 30] [--series 2000] [--step 15000] [--small 400] [--only embedded,small,everything,cluster]
// `--only cluster` asks the dashboard of a front end and a querier over Cassandra, S3 and three ingesters, which it starts.
// Goals: 3 s cold, 300 ms warm; a minute later only what is younger than the age from which answers are cached; a small query at most
// 0.3 ms slower.
import { rmSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { DAY_MS, dayOf } from '../src/lib/day.ts';
import { Pallium, type PalliumOptions, tempFolder } from '../test/harness/pallium.ts';
import { cpuMs } from '../test/harness/process-cost.ts';
import { type AskedServer, DashboardCluster } from './dashboard-cluster.ts';
import { median } from './median.ts';
import { fillStore, METRIC } from './month-store.ts';
import { benchOptions, list } from './options.ts';

const options = benchOptions({
  days: '30',
  series: '2000',
  step: '15000',
  small: '400',
  only: 'embedded,small,everything',
});
const only = list(options.only);
const STEP_S = 1800;
const agent = new Agent({ keepAlive: true });
const PARALLEL = 6;
const PANELS = [
  'sum(rate(node_context_switches_total[5m]))',
  'sum by (instance) (rate(node_context_switches_total[5m]))',
  'sum by (mode) (rate(node_cpu_seconds_total[5m]))',
  '100 * (1 - avg by (mode) (rate(node_cpu_guest_seconds_total[5m])))',
  METRIC,
  `avg(${METRIC})`,
  `max by (instance) (${METRIC})`,
  `topk(5, ${METRIC})`,
  `count(${METRIC} > 1)`,
  `quantile(0.9, ${METRIC})`,
  `avg_over_time(${METRIC}[30m])`,
  `sum by (cpu) (rate(node_cpu_seconds_total[5m])) / on () group_left () count(${METRIC})`,
];

/** An answer as it came over the wire: reading it is not the server's work, and would take one of its cores meanwhile. */
interface Answered {
  readonly ms: number;
  readonly sent: Buffer;
  readonly encoding: string | undefined;
}

const endMs = dayOf(Date.now()) * DAY_MS;
const startMs = endMs - Number(options.days) * DAY_MS;
const month = { startMs, endMs, series: Number(options.series), stepMs: Number(options.step), merge: true };
const NO_STORE = { 'cache-control': 'no-store' };
const UNSPLIT = ['-querier.split-queries-by-interval=0'];
if (only.some((each) => each !== 'cluster')) await askOneProcess();
if (only.includes('cluster')) await askCluster();
agent.destroy();

async function askOneProcess(): Promise<void> {
  const dataDir = tempFolder('dashboard');
  try {
    await fillStore(join(dataDir, 'store'), month);
    if (only.includes('embedded')) {
      await askDashboard('with the front end', await oneProcess({ dataDir }));
      await askDashboard(UNSPLIT.join(' '), await oneProcess({ dataDir, flags: UNSPLIT }));
    }
    if (only.includes('small')) await askSmall(dataDir);
    if (only.includes('everything')) await askEverything(dataDir);
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function askCluster(): Promise<void> {
  await using cluster = await DashboardCluster.start(month);
  await askDashboard('Cassandra, S3 and three ingesters', await cluster.serve([]));
}

async function oneProcess(options: PalliumOptions): Promise<AskedServer> {
  const server = await Pallium.start(options);
  return {
    url: server.url,
    cpuMs: () => cpuMs(server.pid),
    [Symbol.asyncDispose]: async () => {
      await server.stop();
    },
  };
}

async function askDashboard(title: string, started: AskedServer): Promise<void> {
  await using server = started;
  await ask(server, '1+1', endMs - 60_000, endMs, 15);
  console.log(`\n${title}`);
  const rows: Record<string, unknown>[] = [];
  for (const [when, laterMs] of [
    ['cold', 0],
    ['warm', 0],
    ['warm', 0],
    ['a minute later', 60_000],
    ['half an hour later', 1_800_000],
  ] as const) {
    const toMs = endMs + laterMs;
    const usedMs = server.cpuMs();
    const fromMs = performance.now();
    const panels = await dashboard(server, toMs);
    const ms = performance.now() - fromMs;
    const serverMs = server.cpuMs() - usedMs;
    const texts = panels.map(textOf);
    const sum = (of: readonly number[]) => of.reduce((total, each) => total + each, 0);
    rows.push({
      when,
      'all ms': Math.round(ms),
      'slowest ms': Math.round(Math.max(...panels.map((panel) => panel.ms))),
      'CPU ms': serverMs,
      'answers KB': Math.round(sum(texts.map(({ length }) => length)) / 1024),
      'sent KB': Math.round(sum(panels.map(({ sent }) => sent.length)) / 1024),
      'samples looked at': sum(texts.map((text) => JSON.parse(text).data.stats.samples.totalQueryableSamples)),
    });
  }
  console.table(rows);
}

async function dashboard(server: Pick<AskedServer, 'url'>, toMs: number): Promise<Answered[]> {
  const answers: Answered[] = [];
  let next = 0;
  const lane = async () => {
    while (next < PANELS.length) {
      const panel = next++;
      // as Grafana does, steps are multiples of the step
      const lastMs = Math.floor(toMs / (STEP_S * 1000)) * STEP_S * 1000;
      answers[panel] = await ask(server, PANELS[panel]!, lastMs - Number(options.days) * DAY_MS, lastMs, STEP_S);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, lane));
  return answers;
}

/** In turns, so that what else the machine does is shared. */
async function askSmall(dataDir: string): Promise<void> {
  const times: Record<string, number[]> = { with: [], without: [] };
  for (let round = 0; round < 2; round++) {
    for (const [name, flags] of [
      ['with', []],
      ['without', UNSPLIT],
    ] as const) {
      await using server = await Pallium.start({ dataDir, flags });
      // from some hour of the day on its answer would come from the cache
      const small = () => ask(server, `avg(${METRIC})`, endMs - 3_600_000, endMs - 60_000, 60, NO_STORE);
      for (let i = 0; i < 100; i++) await small();
      for (let i = 0; i < Number(options.small) / 2; i++) times[name]!.push((await small()).ms);
      await server.stop();
    }
  }
  const [own, plain] = [median(times.with!), median(times.without!)];
  console.log(`a small query: ${own.toFixed(2)} ms with the front end, ${plain.toFixed(2)} without`);
}

async function askEverything(dataDir: string): Promise<void> {
  await using server = await Pallium.start({ dataDir });
  for (const step of ['15', '240']) {
    const params = { query: '{__name__=~".+"}', start: `${startMs / 1000}`, end: `${endMs / 1000}`, step };
    const begunMs = performance.now();
    const { status, text } = await server.api().ask(`/api/v1/query_range?${new URLSearchParams(params)}`);
    const ms = Math.round(performance.now() - begunMs);
    console.log(`everything, a step of ${step} s: ${status} in ${ms} ms, ${text.slice(0, 300)}`);
  }
  await server.stop();
}

async function ask(
  server: Pick<AskedServer, 'url'>,
  query: string,
  fromMs: number,
  toMs: number,
  stepS: number,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answered> {
  const params = { query, start: `${fromMs / 1000}`, end: `${toMs / 1000}`, step: `${stepS}`, stats: 'true' };
  const begunMs = performance.now();
  const { status, encoding, sent } = await fetched(
    `${server.url}/api/v1/query_range?${new URLSearchParams(params)}`,
    headers,
  );
  const answered = { ms: performance.now() - begunMs, sent, encoding };
  if (status !== 200) throw new Error(`${query}: ${status} ${textOf(answered)}`);
  return answered;
}

/** As browsers ask. */
function fetched(url: string, more: Readonly<Record<string, string>>) {
  const headers = { ...more, 'accept-encoding': 'gzip, deflate, br, zstd' };
  return new Promise<{ status: number | undefined; encoding: string | undefined; sent: Buffer }>((resolve, reject) => {
    const request = get(url, { agent, headers }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const encoding = response.headers['content-encoding'];
        resolve({ status: response.statusCode, encoding, sent: Buffer.concat(parts) });
      });
    });
    request.on('error', reject);
  });
}

function textOf({ sent, encoding }: Pick<Answered, 'sent' | 'encoding'>): string {
  const bytes = encoding === 'zstd' ? zstdDecompressSync(sent) : encoding === 'gzip' ? gunzipSync(sent) : sent;
  return bytes.toString();
}
