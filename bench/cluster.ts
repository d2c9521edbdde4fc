// A cluster of real processes (three ingesters, a distributor, a querier; RF 3) beside one process on the same store, in the same run:
// CPU of writes, with certificates too, and the 16 queries of queries.mjs from heads and from the store.
//   npm run bench:cluster -- [--writes 46x60] [--queries 12x1440] [--runs 5] [--only writes,tls,queries] [--warm 2x240] [--threads yes] [--profile FOLDER]
// Small: --writes 4x40 --queries 2x240 --runs 2. The store is DynamoDB Local, whose own CPU is not counted; samples are written in
// order, one ingester's flush after the other's as their turns have it. Before it is measured each server takes the set --warm of another
// tenant, unless that is empty: compiling takes every process a second or two. --threads tells the threads of each process apart; --profile writes a CPU profile of each process there.
// It ends with 1 where a bar is missed.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster } from '../test/harness/cluster.ts';
import { Pallium } from '../test/harness/pallium.ts';
import { cpuMs, threadCpuMs } from '../test/harness/process-cost.ts';
import { startService } from '../test/harness/services.ts';
import { until } from '../test/harness/wait.ts';
import { emptyHead } from './empty-head.ts';
import { benchOptions, list } from './options.ts';
import { replay, type WorkloadSet, workloadSet } from './sets.ts';

const options = benchOptions({
  writes: '46x60',
  queries: '12x1440',
  runs: '5',
  only: 'writes,tls,queries',
  warm: '2x240',
  threads: '',
  profile: '',
});
const INGESTERS = ['ingester-1', 'ingester-2', 'ingester-3'] as const;
/** CPU of the cluster against that of one process, of the distributor in µs a sample, and what certificates may add. */
const BARS = { all: 2.8, distributorMicros: 0.9, tls: 0.12, heads: 2, store: 1.15 };

await using resources = new AsyncDisposableStack();
const { port } = resources.use(await startService('dynamodb'));
const scratch = mkdtempSync(join(tmpdir(), 'pallium-bench-cluster-'));
resources.defer(() => rmSync(scratch, { recursive: true, force: true }));
const RUN = Date.now().toString(36);
let stores = 0;

/** Flags of a store that nobody else has. The sets are of a day long past: nothing is flushed before it is said. */
function storeFlags(): string[] {
  return [
    '-schema.store=dynamodb',
    `-dynamodb.endpoint=http://127.0.0.1:${port}`,
    '-dynamodb.access-key-id=test',
    '-dynamodb.secret-access-key=test',
    `-schema.prefix=b${RUN}${stores++}_`,
    '-schema.object-store=none',
    '-ingester.flush-delay=10000h',
  ];
}

/** A server that is measured: one process, or several. */
interface Measured extends AsyncDisposable {
  readonly name: string;
  readonly writeUrl: string;
  readonly queryUrl: string;
  /** By name. */
  readonly processes: ReadonlyMap<string, number>;
  readonly pids: readonly number[];
  readonly distributorPid: number | undefined;
  flush(): Promise<void>;
  /** Starts those that hold samples anew, so that what they flushed is in the store only. */
  withoutHeads(): Promise<void>;
}

/** A minute after it was flushed a window leaves the head: lists of rows are kept for two thirds of that, as long as it takes to ask. */
const EMPTY_HEADS = ['-ingester.keep-flushed=60s', '-ingester.flush-check-interval=500ms'];

function profiled(name: string): { readonly env?: Readonly<Record<string, string>> } {
  if (options.profile === '') return {};
  const folder = join(options.profile, name);
  mkdirSync(folder, { recursive: true });
  return { env: { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${folder}` } };
}

async function single(): Promise<Measured> {
  const flags = [...storeFlags(), ...EMPTY_HEADS];
  let server = await Pallium.start({ flags, ...profiled('single') });
  const { dataDir } = server;
  return {
    name: 'one process',
    get writeUrl() {
      return `${server.url}/api/v1/push`;
    },
    get queryUrl() {
      return server.url;
    },
    get processes() {
      return new Map([['one process', server.pid]]);
    },
    get pids() {
      return [server.pid];
    },
    distributorPid: undefined,
    flush: () => server.flush(),
    withoutHeads: async () => {
      await server.stop();
      server = await Pallium.start({ dataDir, flags });
      await emptyHead(server);
    },
    [Symbol.asyncDispose]: async () => {
      await (options.profile === '' ? server.kill() : server.stop());
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

async function cluster(name: string, security: readonly string[]): Promise<Measured> {
  const processes = new Cluster([...storeFlags(), ...EMPTY_HEADS, ...security]);
  const start = (each: string, target: string) =>
    processes.start(each, [`-target=${target}`], profiled(`${name}-${each}`));
  for (const each of INGESTERS) await start(each, 'ingester');
  await processes.ready();
  const distributor = await start('distributor', 'distributor');
  const querier = await start('querier', 'querier');
  await processes.ready();
  return {
    name,
    writeUrl: `${distributor.url}/api/v1/push`,
    queryUrl: querier.url,
    get processes() {
      return new Map([...processes.processes].map(([name, { pid }]) => [name, pid]));
    },
    get pids() {
      return [...processes.processes.values()].map(({ pid }) => pid);
    },
    distributorPid: distributor.pid,
    flush: async () => {
      for (const each of INGESTERS) await processes.of(each).flush();
    },
    withoutHeads: async () => {
      await Promise.all(INGESTERS.map((each) => processes.of(each).stop()));
      for (const each of INGESTERS) await start(each, 'ingester');
      await processes.ready();
      for (const each of INGESTERS) await emptyHead(processes.of(each));
      // they are at other addresses now
      await until('an answer', async () => (await querier.api().ask('/api/v1/query?query=up')).status === 200);
    },
    [Symbol.asyncDispose]: async () => {
      if (options.profile !== '') await Promise.all([...processes.processes.values()].map((each) => each.stop()));
      await processes[Symbol.asyncDispose]();
    },
  };
}

/** CPU time in ms of all threads, by process, name and id. */
function threadsOf({ processes }: Measured): Map<string, number> {
  const found = new Map<string, number>();
  for (const [process, pid] of processes) {
    for (const { id, name, ms } of threadCpuMs(pid)) found.set(`${process} ${name} ${id}`, ms);
  }
  return found;
}

/** @returns the threads' CPU time by now */
function tellThreads(what: string, server: Measured, before: ReadonlyMap<string, number>, samples: number) {
  const now = threadsOf(server);
  if (options.threads === '') return now;
  const sums = new Map<string, number>();
  for (const [thread, ms] of now) {
    const spent = ms - (before.get(thread) ?? 0);
    // those that compile and collect go together
    const name = /V8Worker|libuv|Signal|Delayed/.test(thread) ? `${thread.split(' ')[0]} helpers` : thread;
    sums.set(name, (sums.get(name) ?? 0) + spent);
  }
  for (const [thread, ms] of sums) {
    if (ms > 0) console.log(`  ${what}: ${thread.padEnd(44)} ${((ms * 1000) / samples).toFixed(3)} µs/sample`);
  }
  return now;
}

/** CPU of writing a set, with WAL and flush, in µs a sample. */
async function writes(server: Measured, set: WorkloadSet) {
  const sumMs = () => server.pids.reduce((sum, pid) => sum + cpuMs(pid), 0);
  const distributorMs = () => (server.distributorPid === undefined ? 0 : cpuMs(server.distributorPid));
  const before = { all: sumMs(), distributor: distributorMs() };
  const threadsBefore = threadsOf(server);
  const { samples, samplesPerS, retried } = await replay(set, server.writeUrl);
  const taken = sumMs();
  const threadsTaken = tellThreads('taken', server, threadsBefore, samples);
  await server.flush();
  tellThreads('flushed', server, threadsTaken, samples);
  const micros = (ms: number) => Number(((ms * 1000) / samples).toFixed(3));
  return {
    server: server.name,
    'all µs/sample': micros(sumMs() - before.all),
    'without flush': micros(taken - before.all),
    distributor: micros(distributorMs() - before.distributor),
    'samples/s': samplesPerS,
    retried,
  };
}

/** Certificates of one authority for all processes. */
function certificates(): string[] {
  const [cert, key] = [join(scratch, 'cert.pem'), join(scratch, 'key.pem')];
  const form = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
  execFileSync('openssl', ['req', '-x509', ...form, ...name, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return [`-server.peer-tls-cert-path=${cert}`, `-server.peer-tls-key-path=${key}`, `-server.peer-tls-ca-path=${cert}`];
}

async function measureWrites(withTls: boolean): Promise<void> {
  const set = await workloadSet(options.writes);
  const warm = options.warm === '' ? undefined : await workloadSet(options.warm);
  const rows: Awaited<ReturnType<typeof writes>>[] = [];
  const starts = [single, () => cluster('cluster', [])];
  if (withTls) starts.push(() => cluster('cluster, TLS', certificates()));
  for (const start of starts) {
    await using server = await start();
    if (warm !== undefined) {
      await replay(warm, server.writeUrl, { tenant: 'warm' });
      await server.flush();
    }
    rows.push(await writes(server, set));
  }
  console.log(`\nwrites: ${set.series} series, ${set.samples} samples`);
  console.table(rows);
  const [one, several, secured] = rows.map((row) => row['all µs/sample']);
  verdict('all processes against one', several! / one!, BARS.all);
  verdict('distributor, µs a sample', rows[1]!.distributor, BARS.distributorMicros);
  if (secured !== undefined) verdict('certificates', secured / several! - 1, BARS.tls);
}

async function measureQueries(): Promise<void> {
  const set = await workloadSet(options.queries);
  await using one = await single();
  await using several = await cluster('cluster', []);
  for (const server of [one, several]) await replay(set, server.writeUrl);
  await ask('from heads', set, [one, several], BARS.heads);
  for (const server of [one, several]) {
    await server.flush();
    await server.withoutHeads();
  }
  await ask('from the store', set, [one, several], BARS.store);
}

async function ask(what: string, set: WorkloadSet, servers: readonly Measured[], bar: number): Promise<void> {
  const json = join(scratch, 'rows.json');
  const args = servers.map(({ name, queryUrl, pids }) => `${name.replace(' ', '-')}=${queryUrl},${pids.join('+')}`);
  const flags = ['--end-ms', String(set.endMs), '--runs', options.runs, '--json', json];
  console.log(`\nqueries ${what}: ${set.series} series, ${set.samples} samples`);
  await new Promise<void>((done, fail) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'queries.mjs'), ...flags, ...args], {
      stdio: 'inherit',
    });
    child.once('exit', (code) => (code === 0 ? done() : fail(new Error(`queries.mjs ended with ${code}`))));
  });
  const rows = JSON.parse(readFileSync(json, 'utf8')) as Record<string, number | string>[];
  for (const { name, ...row } of rows) {
    const failed = Object.entries(row).find(([column, text]) => column.endsWith(' n') && !/^\d+$/.test(String(text)));
    if (failed !== undefined) throw new Error(`${name}, ${failed[0]}: ${failed[1]}`);
  }
  for (const unit of ['ms', 'cpu']) {
    const ratios = rows.map((row) => Number(row[`cluster ${unit}`]) / Number(row[`one-process ${unit}`]));
    const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
    verdict(
      `${unit === 'ms' ? 'time' : 'CPU'} ${what}, geometric mean (worst ${Math.max(...ratios).toFixed(2)})`,
      mean,
      bar,
    );
  }
}

function verdict(what: string, value: number, bar: number): void {
  const isMet = value <= bar;
  console.log(`${what}: ${value.toFixed(2)}, at most ${bar} wanted${isMet ? '' : ': MISSED'}`);
  if (!isMet) process.exitCode = 1;
}

const parts = list(options.only);
if (parts.includes('writes') || parts.includes('tls')) await measureWrites(parts.includes('tls'));
if (parts.includes('queries')) await measureQueries();
