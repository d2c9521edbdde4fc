// Memory of a process whose queries have answers of some 100 MB, with many that wait, and readers that take them slowly.
//   npm run bench:answers -- [--waiting 1000] [--series 400] [--readers 4] [--seconds 20]
// Goal: below 500 MB, with what the queries themselves hold while they are evaluated.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pallium } from '../test/harness/pallium.ts';
import { WRITE_HEADERS, writeBody } from '../test/harness/remote-write.ts';
import { benchOptions } from './options.ts';

const options = benchOptions({ waiting: '1000', series: '400', readers: '4', seconds: '20' });
const TENANTS = 20;
const STEPS = 10_000;
const nowMs = Math.floor(Date.now() / 1000) * 1000;

const flags = ['-querier.queue-max=5000', '-frontend.max-outstanding-requests-per-tenant=1000', '-querier.timeout=10m'];
await using server = await Pallium.start({ flags });
const series = Array.from({ length: Number(options.series) }, (_, i) => ({
  labels: { __name__: 'm', i: `${i}` },
  samples: [[nowMs - 60_000, i / 7] as const],
}));
const tenants = Array.from({ length: TENANTS }, (_, i) => `t${i}`);
for (const tenant of tenants) {
  const headers = { ...WRITE_HEADERS, 'x-scope-orgid': tenant };
  const { status } = await fetch(`${server.url}/api/v1/push`, { method: 'POST', headers, body: writeBody(series) });
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
await server.stop();

function rssMb(): number {
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))![1]) / 1024);
}
