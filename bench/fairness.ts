// Light queries beside many heavy ones: one tenant sends heavy ones all at once, another one a light one each second, and so does the first.
//   npm run bench:fairness -- [--heavy 500] [--seconds 30] [--days 3] [--series 500] [--flags "-a=b …"]
// Goals: light queries of the other tenant stay within 2 × of what they take in an idle process, those of the first within 4 ×.
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { DAY_MS, dayOf } from '../src/lib/day.ts';
import { Pallium, tempFolder } from '../test/harness/pallium.ts';
import { push, writeBody } from '../test/harness/remote-write.ts';
import type { HeavyAnswer, HeavyClientData } from './heavy-client.ts';
import { fillStore, METRIC } from './month-store.ts';
import { benchOptions } from './options.ts';

const options = benchOptions({ heavy: '500', seconds: '30', days: '3', series: '500', flags: '' });
const endMs = dayOf(Date.now()) * DAY_MS;
const startMs = endMs - Number(options.days) * DAY_MS;
/** The one that has the store. */
const FIRST = 'anonymous';
/** The other tenant has as many series as a metric of the first, of the last hour, in the head. */
const OTHERS = 100;
const nowMs = Date.now();
/** Light queries of each tenant before anything is measured. */
const WARM_UP = 100;

const dataDir = tempFolder('fairness');
try {
  await fillStore(join(dataDir, 'store'), {
    startMs,
    endMs,
    series: Number(options.series),
    stepMs: 15_000,
    merge: true,
  });
  const flags = [
    '-frontend.max-outstanding-requests-per-tenant=1000',
    '-querier.queue-max=2000',
    ...options.flags.split(' ').filter((flag) => flag !== ''),
  ];
  await using server = await Pallium.start({ dataDir, flags });
  const series = Array.from({ length: OTHERS }, (_, i) => ({
    labels: { __name__: METRIC, instance: `other-${i}` },
    samples: Array.from({ length: 240 }, (_, step) => [nowMs - 3_600_000 + step * 15_000, step % 7] as const),
  }));
  const pushed = await push(`${server.url}/api/v1/push`, writeBody(series), { 'X-Scope-OrgID': 'other' });
  if (pushed.status >= 300) throw new Error(`samples of the other tenant: ${pushed.status} ${pushed.text}`);
  const light = async (tenant: string) => {
    const begunMs = performance.now();
    const untilS = Math.floor((tenant === FIRST ? endMs : nowMs) / 1000);
    const at = { start: `${untilS - 3600}`, end: `${untilS - 60}`, step: '60' };
    const { status, text } = await asked(server, tenant, { query: `avg(${METRIC})`, ...at });
    if (status !== 200 || !text.includes('values')) throw new Error(`a light query: ${status} ${text}`);
    return performance.now() - begunMs;
  };
  for (let i = 0; i < WARM_UP; i++) {
    await light(FIRST);
    await light('other');
  }
  // one a second of each, whether those before are answered or not: idle times are taken at the same pace, since code and caches of a
  // process that is asked more often are warmer
  const eachSecond = async (goesOn: () => boolean) => {
    const ms: Record<string, number[]> = { own: [], other: [] };
    const lights: Promise<unknown>[] = [];
    let failure: { readonly reason: unknown } | undefined;
    const begin = (tenant: string, of: number[]) => {
      const asked = light(tenant).then(
        (tookMs) => of.push(tookMs),
        (reason) => {
          failure ??= { reason };
        },
      );
      lights.push(asked);
    };
    for (let i = 0; i < Number(options.seconds) && goesOn() && failure === undefined; i++) {
      begin(FIRST, ms.own!);
      await sleep(500);
      begin('other', ms.other!);
      await sleep(500);
    }
    await Promise.all(lights);
    if (failure !== undefined) throw (failure as { readonly reason: unknown }).reason;
    return ms;
  };
  const idle = await eachSecond(() => true);
  let done = 0;
  let bytes = 0;
  let areThrough = false;
  const refused: Record<string, number> = {};
  const paths = Array.from({ length: Number(options.heavy) }, (_, i) => {
    const query = `max by (instance) (last_over_time({__name__=~"node_.+"}[10m])) + ${i}`;
    return pathOf({ query, start: `${startMs / 1000 + i}`, end: `${endMs / 1000}`, step: '60' });
  });
  const workerData: HeavyClientData = { url: server.url, headers: { 'X-Scope-OrgID': FIRST }, paths };
  const heavies = new Worker(new URL('./heavy-client.ts', import.meta.url), { workerData });
  heavies.on('message', (answer: HeavyAnswer) => {
    bytes += answer.bytes;
    if (answer.status === 200) done++;
    else {
      const reason = `${answer.status} ${answer.text}`;
      refused[reason] = (refused[reason] ?? 0) + 1;
    }
  });
  const through = once(heavies, 'exit').then(() => {
    areThrough = true;
  });
  await sleep(500);
  const loaded = await eachSecond(() => !areThrough);
  const row = (of: Record<string, number[]>, whose: string) => {
    const sorted = of[whose]!.toSorted((a, b) => a - b);
    const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)]!.toFixed(1);
    return { queries: sorted.length, p50: at(0.5), p90: at(0.9), max: at(1) };
  };
  console.table({
    'other, idle': row(idle, 'other'),
    'other, loaded': row(loaded, 'other'),
    'own, idle': row(idle, 'own'),
    'own, loaded': row(loaded, 'own'),
  });
  console.log(`heavy ones answered meanwhile: ${done} (${(bytes / 1e6).toFixed(0)} MB) ${JSON.stringify(refused)}`);
  await server.stop();
  await through;
} finally {
  rmSync(dataDir, { recursive: true, force: true });
}

function asked(server: Pallium, tenant: string, params: Record<string, string>) {
  return server.api({ 'X-Scope-OrgID': tenant }).ask(pathOf(params));
}

function pathOf(params: Record<string, string>): string {
  return `/api/v1/query_range?${new URLSearchParams(params)}`;
}
