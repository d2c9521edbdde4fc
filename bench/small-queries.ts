// Small queries from the head: as many as a server answers, and one at a time on an idle one, beside the peers on the same data.
//   npm run bench:small -- [--set 12x1440] [--servers prometheus,victoria-metrics,pallium] [--connections 16] [--seconds 5] [--rounds 3]
// Bars for one series at one time: 5,000 a second, 250 us of CPU, 1 ms of the server's own time when it is idle. The client takes part of
// the same processors. The server's own time is the time of an answer without that of an answer for which nothing is done.
//   npm run bench:small -- --frontend true [--set 12x1440] [--rounds 10]
// The same data in three processes of Pallium: without the stages of the query front end, with those that are on by default, and with shards,
// too. They are asked in turns, one request after the other on an idle connection. Bar: 0.3 ms more than without.
import { rmSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
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
  rounds: '',
  frontend: 'false',
});
const isOfFrontend = options.frontend === 'true';
const rounds = Number(options.rounds) || (isOfFrontend ? 10 : 3);
/** Requests before anything is measured: code is compiled, connections are there. */
const WARM_UP = 500;
const IDLE_REQUESTS = 300;
/** A page that every server answers without work. */
const NOTHING = '/-/healthy';
const SMALL = ['instant one series', '1h raw 20 series'];
/** The set is of a day long past: nothing may be flushed while the head is measured. */
const FLAGS = ['-ingester.flush-delay=10000h'];
const FRONT_ENDS: Readonly<Record<string, readonly string[]>> = {
  'no stages': ['-querier.split-queries-by-interval=0', '-querier.cache-results=false'],
  'split, cache': [],
  'split, cache, 4 shards': ['-frontend.query-vertical-shard-size=4'],
};
/** The second one is as of queries of the last hour, which nothing is cached of. */
const HEADERS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  '': {},
  ', nothing cached': { 'cache-control': 'no-store' },
};

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

if (isOfFrontend) await compareFrontEnds();
else await compareServers();
agent.destroy();

async function compareServers(): Promise<void> {
  const servers: Contender[] = [];
  for (const name of list(options.servers)) {
    const server = await startContender(name, { dataDir, flags: name === 'pallium' ? FLAGS : [] });
    if (server === undefined) continue;
    resources.use(server);
    await replay(set, server.writeUrl);
    servers.push(server);
  }
  for (const query of queries.filter(([name]) => SMALL.includes(name))) await compare(servers, query);
}

async function compare(servers: readonly Contender[], query: BenchQuery): Promise<void> {
  const path = pathOf(query);
  for (const { name, url } of servers) {
    await checkFilled(name, url + path);
    await load(`${url}${path}`, WARM_UP);
  }
  const found = new Map<string, Measured[]>(servers.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
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

interface Idle {
  readonly name: string;
  readonly server: Contender;
  readonly times: number[];
  /** Medians, one a round. */
  readonly medians: number[];
  cpuMs: number;
}

async function compareFrontEnds(): Promise<void> {
  const servers = new Map<string, Contender>();
  for (const [i, [name, flags]] of Object.entries(FRONT_ENDS).entries()) {
    const started = await startContender('pallium', { dataDir: join(dataDir, `${i}`), flags: [...FLAGS, ...flags] });
    servers.set(name, resources.use(started!));
    await replay(set, started!.writeUrl);
  }
  for (const query of queries.filter(([name]) => SMALL.includes(name))) {
    for (const [what, headers] of Object.entries(HEADERS)) {
      if (query[1] === 'query' && what !== '') continue;
      const path = pathOf(query);
      const all = [...servers].map(([name, server]): Idle => ({ name, server, times: [], medians: [], cpuMs: 0 }));
      for (const { name, server } of all) {
        await checkFilled(name, server.url + path);
        await inTurn(server.url + path, headers);
      }
      for (let round = 0; round < rounds; round++) {
        // none is always the first
        for (let i = 0; i < all.length; i++) await askIdle(all[(i + round) % all.length]!, path, headers);
      }
      console.log(`\n${query[0]}${what}`);
      printIdle(all);
    }
  }
}

async function askIdle(idle: Idle, path: string, headers: Readonly<Record<string, string>>): Promise<void> {
  const { server } = idle;
  const usedMs = cpuMs(server.pid);
  const times = await inTurn(server.url + path, headers);
  idle.cpuMs += cpuMs(server.pid) - usedMs;
  idle.times.push(...times);
  idle.medians.push(median(times));
}

function printIdle(all: readonly Idle[]): void {
  const p99Ms = ({ times }: Idle) => times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)]!;
  const [plain] = all;
  console.table(
    all.map((idle) => ({
      stages: idle.name,
      'median ms': round(median(idle.times)),
      // rounds that the machine had other work in count as one each
      'more ms': round(median(idle.medians.map((ms, i) => ms - plain!.medians[i]!))),
      'p99 ms': round(p99Ms(idle)),
      'more p99 ms': round(p99Ms(idle) - p99Ms(plain!)),
      'CPU us': Math.round((idle.cpuMs * 1000) / idle.times.length),
    })),
  );
}

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
async function inTurn(url: string, headers: Readonly<Record<string, string>> = {}): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < IDLE_REQUESTS; i++) times.push(await get(url, headers));
  return times;
}

async function checkFilled(name: string, url: string): Promise<void> {
  const { data } = (await (await fetch(url)).json()) as { data: { result: unknown[] } };
  if (data.result.length === 0) throw new Error(`${name} has nothing for ${url}`);
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
function get(url: string, headers: Readonly<Record<string, string>> = {}): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const begunMs = performance.now();
  http
    .get(url, { agent, headers }, (message) => {
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
  // a zero without a sign
  return Number(ms.toFixed(2)) + 0;
}
