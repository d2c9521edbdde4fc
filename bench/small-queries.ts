// Small queries from the head: as many as a server answers, and one at a time on an idle one, beside the peers on the same data.
//   npm run bench:small -- [--set 12x1440] [--servers prometheus,victoria-metrics,pallium] [--connections 16] [--seconds 5] [--rounds 3]
// Bars for one series at one time: 5,000 a second, 250 us of CPU, 1 ms of the server's own time when it is idle. The client takes part of
// the same processors. The server's own time is the time of an answer without that of an answer for which nothing is done.
import { rmSync } from 'node:fs';
import http from 'node:http';
import { tempFolder } from '../test/harness/pallium.ts';
import { cpuMs } from '../test/harness/process-cost.ts';
import { median } from './median.ts';
import { benchOptions, list } from './options.ts';
import { type BenchQuery, queries } from './query-set.ts';
import { CONTENDERS, type Contender, startContender } from './servers.ts';
import { replay, workloadSet } from './sets.ts';

const options = benchOptions({
  set: '12x1440',
  servers: CONTENDERS.join(','),
  connections: '16',
  seconds: '5',
  rounds: '3',
});
/** Requests before anything is measured: code is compiled, connections are there. */
const WARM_UP = 500;
const IDLE_REQUESTS = 300;
/** A page that every server answers without work. */
const NOTHING = '/-/healthy';
const SMALL = ['instant one series', '1h raw 20 series'];

interface Measured {
  readonly perS: number;
  readonly p99Ms: number;
  readonly cpuUs: number;
  readonly idleMs: number;
  readonly ownMs: number;
}

const set = await workloadSet(options.set);
const agent = new http.Agent({ keepAlive: true, maxSockets: Number(options.connections) });
await using resources = new AsyncDisposableStack();
const dataDir = tempFolder('bench');
resources.defer(() => rmSync(dataDir, { recursive: true, force: true }));

const servers: Contender[] = [];
for (const name of list(options.servers)) {
  // the set is of a day long past: nothing may be flushed while the head is measured
  const flags = name === 'pallium' ? ['-ingester.flush-delay=10000h'] : [];
  const server = await startContender(name, { dataDir, flags });
  if (server === undefined) continue;
  resources.use(server);
  await replay(set, server.writeUrl);
  servers.push(server);
}

for (const query of queries.filter(([name]) => SMALL.includes(name))) {
  const path = pathOf(query);
  for (const { name, url } of servers) {
    const { data } = (await (await fetch(url + path)).json()) as { data: { result: unknown[] } };
    if (data.result.length === 0) throw new Error(`${name} has nothing for ${query[0]}`);
    await load(`${url}${path}`, WARM_UP);
  }
  const found = new Map<string, Measured[]>(servers.map(({ name }) => [name, []]));
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const server of servers) found.get(server.name)!.push(await measure(server, path));
  }
  console.log(`\n${query[0]}`);
  console.table(
    servers.map(({ name }) => {
      const of = (key: keyof Measured) => median(found.get(name)!.map((each) => each[key]));
      return {
        server: name,
        'a second': Math.round(of('perS')),
        'p99 ms': round(of('p99Ms')),
        'CPU us': Math.round(of('cpuUs')),
        'idle ms': round(of('idleMs')),
        'own ms': round(of('ownMs')),
      };
    }),
  );
}
agent.destroy();

async function measure({ url, pid }: Contender, path: string): Promise<Measured> {
  const usedMs = cpuMs(pid);
  const begunMs = performance.now();
  const untilMs = begunMs + Number(options.seconds) * 1000;
  const times: number[] = [];
  await Promise.all(
    Array.from({ length: Number(options.connections) }, async () => {
      while (performance.now() < untilMs) times.push(await get(url + path));
    }),
  );
  const wallMs = performance.now() - begunMs;
  const cpuUs = ((cpuMs(pid) - usedMs) * 1000) / times.length;
  times.sort((a, b) => a - b);
  const idleMs = median(await inTurn(url + path));
  const ownMs = idleMs - median(await inTurn(url + NOTHING));
  return {
    perS: (times.length * 1000) / wallMs,
    p99Ms: times[Math.floor(times.length * 0.99)]!,
    cpuUs,
    idleMs,
    ownMs,
  };
}

/** Times of requests that come one after the other. */
async function inTurn(url: string): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < IDLE_REQUESTS; i++) times.push(await get(url));
  return times;
}

async function load(url: string, count: number): Promise<void> {
  const some = Math.ceil(count / Number(options.connections));
  await Promise.all(
    Array.from({ length: Number(options.connections) }, async () => {
      for (let i = 0; i < some; i++) await get(url);
    }),
  );
}

/** @returns milliseconds until the last byte was there */
function get(url: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const begunMs = performance.now();
  http
    .get(url, { agent }, (message) => {
      if (message.statusCode !== 200) reject(new Error(`${url}: ${message.statusCode}`));
      message.resume().on('end', () => resolve(performance.now() - begunMs));
    })
    .on('error', reject);
  return promise;
}

function pathOf(query: BenchQuery): string {
  const endS = set.endMs / 1000;
  const [, kind, text] = query;
  // VictoriaMetrics keeps answers unless it is told not to
  const asked = new URLSearchParams({ query: text, nocache: '1' });
  if (kind === 'query') return `/api/v1/query?${asked}&time=${endS}`;
  const [, , , hours, stepS] = query;
  return `/api/v1/query_range?${asked}&start=${endS - hours * 3600}&end=${endS}&step=${stepS}`;
}

function round(ms: number): number {
  return Number(ms.toFixed(2));
}
