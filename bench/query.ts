// The 16 queries of queries.mjs beside the peers: from the head, and from the store after a flush and a restart.
//   npm run bench:query -- [--set 12x1440] [--servers prometheus,victoria-metrics,pallium] [--runs 5] [--only head|store]
// Small: --set 2x240 --runs 2. The first server's values are the reference; ≠ marks where another's differ.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pallium, tempFolder } from '../test/harness/pallium.ts';
import { emptyHead } from './empty-head.ts';
import { benchOptions, list } from './options.ts';
import { CONTENDERS, type Contender, startContender } from './servers.ts';
import { replay, workloadSet } from './sets.ts';

const options = benchOptions({ set: '12x1440', servers: CONTENDERS.join(','), runs: '5', only: '' });
const HEAVY_SAMPLES = 1_000_000;
/** Names in queries.mjs that read more than a million samples of the 6-hour set. */
const HEAVY = ['6h every series', '6h regex', '6h every cpu rate', '6h latency p99', '6h error ratio'];

const set = await workloadSet(options.set);
await using resources = new AsyncDisposableStack();
const dataDir = tempFolder('bench');
resources.defer(() => rmSync(dataDir, { recursive: true, force: true }));

const servers: Contender[] = [];
for (const name of list(options.servers)) {
  // the set is of a day long past: nothing may be flushed before the head was measured
  const server = await startContender(name, {
    dataDir,
    flags: name === 'pallium' ? ['-ingester.flush-delay=10000h'] : [],
  });
  if (server === undefined) continue;
  resources.use(server);
  const { samples, wallS } = await replay(set, server.writeUrl);
  console.log(`${server.name}: ${samples} samples in ${wallS} s`);
  servers.push(server);
}

if (options.only !== 'store') await measure('from the head', servers);
const own = servers.find(({ pallium }) => pallium !== undefined);
if (own !== undefined && options.only !== 'head') {
  await own.pallium!.flush();
  await own.stop();
  {
    // what it flushed leaves the head at once here; with that setting no list of rows is kept, so another one is measured
    const flags = ['-ingester.keep-flushed=1s', '-ingester.flush-check-interval=500ms'];
    await using emptied = await Pallium.start({ dataDir, flags });
    await emptyHead(emptied);
    await emptied.stop();
  }
  const again = resources.use(await Pallium.start({ dataDir }));
  const renewed = { ...own, url: again.url, pid: again.pid };
  await measure(
    'from the store, after a flush and a restart',
    servers.map((server) => (server === own ? renewed : server)),
  );
}

async function measure(what: string, contenders: readonly Contender[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'pallium-bench-'));
  const json = join(folder, 'rows.json');
  const args = contenders.map(({ name, url, pid }) => `${name.split(' ')[0]}=${url},${pid}`);
  const script = join(import.meta.dirname, 'queries.mjs');
  console.log(`\n${what}`);
  await new Promise<void>((done, fail) => {
    const flags = ['--end-ms', String(set.endMs), '--runs', options.runs, '--json', json];
    const child = spawn(process.execPath, [script, ...flags, ...args], { stdio: 'inherit' });
    child.once('exit', (code) => (code === 0 ? done() : fail(new Error(`queries.mjs ended with ${code}`))));
  });
  const rows = JSON.parse(readFileSync(json, 'utf8')) as Record<string, number | string>[];
  rmSync(folder, { recursive: true });
  const names = contenders.map(({ name }) => name.split(' ')[0]!);
  if (!names.includes('pallium')) return;
  const ratios: Record<string, unknown>[] = [];
  for (const peer of names.filter((name) => name !== 'pallium')) {
    const of = (some: typeof rows) => some.map((row) => Number(row['pallium ms']) / Number(row[`${peer} ms`]));
    const all = of(rows);
    const heavy = of(rows.filter(({ name }) => HEAVY.includes(String(name))));
    ratios.push({
      'Pallium against': peer,
      'geometric mean': mean(all),
      [`heavy (> ${HEAVY_SAMPLES} samples)`]: mean(heavy),
      'at worst': Number(Math.max(...all).toFixed(2)),
      slower: rows
        .filter((_, i) => all[i]! > 1)
        .map((row) => row.name)
        .join(', '),
    });
  }
  console.table(ratios);
  const own = contenders.find(({ name }) => name === 'pallium')!;
  console.log(`range query over ${set.series} series: RSS grows by ${await growthMb(own)} MB`);
}

/** By how much a range query over every series makes the process grow beyond what it had before, in MB. */
async function growthMb({ url, pid }: Contender): Promise<number> {
  const memoryMb = (field: string) =>
    Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;
  writeFileSync(`/proc/${pid}/clear_refs`, '5'); // the peak starts anew
  const beforeMb = memoryMb('VmRSS');
  const endS = set.endMs / 1000;
  const range = { start: `${endS - 6 * 3600}`, end: `${endS}`, step: '60' };
  const query = 'count by (job) ({__name__=~".+"})';
  const answer = await fetch(`${url}/api/v1/query_range?${new URLSearchParams({ query, ...range })}`);
  if (answer.status !== 200) throw new Error(`${query}: ${answer.status} ${await answer.text()}`);
  await answer.arrayBuffer();
  return Math.round(memoryMb('VmHWM') - beforeMb);
}

function mean(ratios: readonly number[]): number {
  return Number(Math.exp(ratios.reduce((sum, each) => sum + Math.log(each), 0) / ratios.length).toFixed(3));
}
