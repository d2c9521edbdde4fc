// The cost of many tenants of few series: the process when nothing happens, its memory, and a flush of all their windows.
//   npm run bench:tenants -- [--tenants 100000] [--series 1] [--idle 20] [--flags "-a=b …"]
// Small: --tenants 2000 --idle 5.
import { setTimeout as sleep } from 'node:timers/promises';
import { Pallium } from '../test/harness/pallium.ts';
import { cpuMs, rssBytes } from '../test/harness/process-cost.ts';
import { push, writeBody } from '../test/harness/remote-write.ts';
import { benchOptions } from './options.ts';

const options = benchOptions({ tenants: '100000', series: '1', idle: '20', flags: '' });
const tenants = Number(options.tenants);
const series = Number(options.series);
const PUSHES_AT_ONCE = 16;

await using server = await Pallium.start({ flags: options.flags.split(' ').filter((flag) => flag !== '') });
const mb = (bytes: number) => Math.round(bytes / 1e6);

async function pushAll(): Promise<void> {
  const nowMs = Date.now();
  let next = 0;
  const run = async () => {
    while (next < tenants) {
      const tenant = `tenant-${next++}`;
      const body = writeBody(
        Array.from({ length: series }, (_, i) => ({
          labels: { __name__: 'up', job: 'node', instance: `10.0.0.${i}:9100`, customer: tenant },
          samples: [[nowMs, 1] as const],
        })),
      );
      const { status, text } = await push(`${server.url}/api/v1/push`, body, { 'x-scope-orgid': tenant });
      if (status !== 204) throw new Error(`${tenant}: ${status} ${text}`);
    }
  };
  await Promise.all(Array.from({ length: PUSHES_AT_ONCE }, run));
}

/** Runs the work; what it cost the server, and the most memory it had meanwhile. */
async function measured(work: () => Promise<unknown>) {
  const [startedMs, cpuBefore] = [performance.now(), cpuMs(server.pid)];
  let rssMax = 0;
  let isOver = false;
  const watching = (async () => {
    for (; !isOver; await sleep(100)) rssMax = Math.max(rssMax, rssBytes(server.pid));
  })();
  await work().finally(() => {
    isOver = true;
  });
  await watching;
  const seconds = (performance.now() - startedMs) / 1e3;
  const cpuSeconds = (cpuMs(server.pid) - cpuBefore) / 1e3;
  return { seconds: Number(seconds.toFixed(1)), cpuSeconds: Number(cpuSeconds.toFixed(2)), rssMaxMb: mb(rssMax) };
}

async function idle(what: string): Promise<void> {
  await sleep(5000);
  const { cpuSeconds, seconds } = await measured(() => sleep(Number(options.idle) * 1000));
  const percent = ((100 * cpuSeconds) / seconds).toFixed(2);
  console.log(`idle ${what}: ${percent} % of a core, ${mb(rssBytes(server.pid))} MB`);
}

/** Connections may be cut in some minutes without an answer: whoever asks again waits for the flush under way. */
async function flushAll(): Promise<void> {
  for (let left = 5; ; left--) {
    try {
      return await server.flush();
    } catch (error) {
      if (left === 0 || !(error instanceof TypeError)) throw error;
      console.log(`asked again: ${(error as Error & { cause?: Error }).cause?.message}`);
    }
  }
}

/** How long the slowest of many short questions of one tenant takes meanwhile, in ms. */
async function askedDuring(work: Promise<unknown>): Promise<number> {
  const api = server.api({ 'x-scope-orgid': 'tenant-0' });
  let isOver = false;
  const done = work.finally(() => {
    isOver = true;
  });
  done.catch(() => {});
  let slowest = 0;
  while (!isOver) {
    const at = performance.now();
    const { status, text } = await api.ask('/api/v1/user_stats');
    if (status !== 200) throw new Error(`${status} ${text}`);
    slowest = Math.max(slowest, performance.now() - at);
    await sleep(20);
  }
  await done;
  return Math.round(slowest);
}

await idle('without tenants');
console.log('first push of each tenant', await measured(pushAll));
await idle(`with ${tenants} tenants of ${series} series`);
let slowest = 0;
const flushed = await measured(async () => {
  slowest = await askedDuring(flushAll());
});
console.log('flush of all', flushed, `slowest question meanwhile ${slowest} ms`);
await idle('after the flush');
const metrics = await (await fetch(`${server.url}/metrics`)).text();
console.log(`/metrics: ${metrics.length} characters`);
