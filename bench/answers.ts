// Memory of a process whose queries have answers of some 100 MB, with many that wait, and readers that take them slowly.
//   npm run bench:answers -- [--waiting 1000] [--series 400] [--readers 4] [--seconds 20]
//   DYNAMODB_PORT=… npm run bench:answers -- --process frontend …   a query front end before two queriers, on a store of that port
// Goal: below 500 MB, with what the queries themselves hold while they are evaluated.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { tableServices } from '../test/backends/e2e-stores.ts';
import { Cluster, ONE_THREAD, QUICK_RING } from '../test/harness/cluster.ts';
import { Pallium } from '../test/harness/pallium.ts';
import { freePort } from '../test/harness/ports.ts';
import { WRITE_HEADERS, writeBody } from '../test/harness/remote-write.ts';
import { benchOptions } from './options.ts';

const options = benchOptions({ waiting: '1000', series: '400', readers: '4', seconds: '20', process: 'all' });
const TENANTS = 20;
const STEPS = 10_000;
const nowMs = Math.floor(Date.now() / 1000) * 1000;

const flags = ['-querier.queue-max=5000', '-frontend.max-outstanding-requests-per-tenant=1000', '-querier.timeout=10m'];
/** The processes of `--process frontend`. */
await using cluster = new Cluster([...QUICK_RING, ...ONE_THREAD, ...storeOfCluster()]);
const { server, writes } = options.process === 'frontend' ? await frontendOf(cluster) : await alone();
const series = Array.from({ length: Number(options.series) }, (_, i) => ({
  labels: { __name__: 'm', i: `${i}` },
  samples: [[nowMs - 60_000, i / 7] as const],
}));
const tenants = Array.from({ length: TENANTS }, (_, i) => `t${i}`);
for (const tenant of tenants) {
  const headers = { ...WRITE_HEADERS, 'x-scope-orgid': tenant };
  const { status } = await fetch(`${writes.url}/api/v1/push`, { method: 'POST', headers, body: writeBody(series) });
  if (status !== 204 && status !== 200) throw new Error(`push: ${status}`);
}
const params = new URLSearchParams({
  query: `last_over_time(m[${STEPS}s]) + time() / 7`,
  start: `${nowMs / 1000 - 60}`,
  end: `${nowMs / 1000 - 60 + STEPS - 1}`,
  step: '1',
});
console.log(`${rssMb()} MB before`);
const ends = new AbortController();
let answered = 0;
let bytes = 0;
let most = 0;
const failed = new Map<string, number>();
const one = async (i: number, isSlow: boolean) => {
  const headers = { 'x-scope-orgid': tenants[i % TENANTS]!, 'accept-encoding': 'identity' };
  const response = await fetch(`${server.url}/api/v1/query_range?${params}`, { headers, signal: ends.signal });
  let own = 0;
  for await (const part of response.body!) {
    own += part.length;
    bytes += part.length;
    if (isSlow && own > 2 ** 20) await sleep(20);
  }
  if (response.status !== 200) failed.set(`${response.status}`, (failed.get(`${response.status}`) ?? 0) + 1);
  else answered++;
  most = Math.max(most, own);
};
const all = Array.from({ length: Number(options.waiting) }, (_, i) => one(i, i < Number(options.readers)));
let rssMost = 0;
for (let i = 0; i < Number(options.seconds); i++) {
  await sleep(1000);
  rssMost = Math.max(rssMost, rssMb());
  console.log(`${rssMb()} MB, ${answered} answered, ${Math.round(bytes / 2 ** 20)} MB read`);
}
ends.abort();
await Promise.allSettled(all);
console.log(`at most ${rssMost} MB; the longest answer ${Math.round(most / 2 ** 20)} MB`, Object.fromEntries(failed));
if (options.process !== 'frontend') await server.stop();

interface Measured {
  /** The process whose memory is measured. */
  readonly server: Pallium;
  readonly writes: Pallium;
}

async function alone(): Promise<Measured> {
  const server = await Pallium.start({ flags });
  return { server, writes: server };
}

function storeOfCluster(): string[] {
  if (options.process !== 'frontend') return [];
  const { port, flags: storeFlags } = tableServices.find(({ name }) => name === 'dynamodb')!;
  if (port === undefined) throw new Error('--process frontend wants DYNAMODB_PORT');
  return [
    ...storeFlags(port),
    `-schema.prefix=a${Date.now().toString(36)}_`,
    '-schema.object-store=none',
    '-distributor.replication-factor=1',
  ];
}

async function frontendOf(processes: Cluster): Promise<Measured> {
  const address = `127.0.0.1:${await freePort()}`;
  await processes.start('i1', ['-target=ingester']);
  await processes.ready();
  const writes = await processes.start('d1', ['-target=distributor']);
  const server = await processes.start('f1', [
    '-target=query-frontend',
    `-server.peer-listen-address=${address}`,
    ...flags,
  ]);
  for (const name of ['q0', 'q1']) {
    await processes.start(name, [
      '-target=querier',
      `-querier.frontend-address=${address}`,
      `-querier.id=${name}`,
      ...flags,
    ]);
  }
  await processes.ready();
  return { server, writes };
}

function rssMb(): number {
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))![1]) / 1024);
}
