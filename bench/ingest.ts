// A server's costs of taking the sets of bench/README.md: CPU per sample, memory, pauses of the event loop.
//   npm run bench:ingest -- [--sets 46x60,12x1440] [--servers prometheus,victoria-metrics,pallium] [--settle-s 30]
// Small: --sets 4x40 --settle-s 2. Servers start fresh on empty folders, one after the other, and get the same bytes.
// CPU is that of the process with all its threads, from /proc, until the last answer; for Pallium the flush of everything to the
// store is in it (peers: what they wrote out by then). On a noisy machine CPU per sample is the figure to trust.
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuMs, rssBytes } from '../test/harness/process-cost.ts';
import { benchOptions, list } from './options.ts';
import { CONTENDERS, startContender } from './servers.ts';
import { replay, workloadSet } from './sets.ts';

const options = benchOptions({
  sets: '46x60,12x1440',
  servers: CONTENDERS.join(','),
  'settle-s': '30',
  concurrency: '2',
});

for (const name of list(options.sets)) {
  const set = await workloadSet(name);
  const rows: Record<string, unknown>[] = [];
  let reference: number | undefined;
  for (const each of list(options.servers)) {
    await using server = await startContender(each);
    if (server === undefined) continue;
    const idleMb = rssBytes(server.pid) / 1e6;
    const watch = server.pallium === undefined ? undefined : watchEventLoop(server.url);
    const before = cpuMs(server.pid);
    const { samples, wallS, samplesPerS, retried } = await replay(set, server.writeUrl, {
      concurrency: Number(options.concurrency),
    });
    const ingestMs = cpuMs(server.pid) - before;
    await server.pallium?.flush();
    const totalMs = cpuMs(server.pid) - before;
    await sleep(Number(options['settle-s']) * 1000);
    const perSample = (totalMs * 1000) / samples;
    if (each === 'victoria-metrics') reference = perSample;
    rows.push({
      server: server.name,
      samples,
      'wall s': wallS,
      'samples/s': samplesPerS,
      'CPU µs/sample': round(perSample, 3),
      'without flush': round((ingestMs * 1000) / samples, 3),
      '× VictoriaMetrics': reference === undefined ? '' : round(perSample / reference, 2),
      'RSS MB': round(rssBytes(server.pid) / 1e6, 0),
      'RSS idle': round(idleMb, 0),
      retried,
      ...(await watch?.()),
    });
  }
  console.log(`\n${set.name}: ${set.series} series, ${set.samples} samples, RSS after ${options['settle-s']} s`);
  console.table(rows);
}

/** Looks at what a server says of its main thread, which is over the last ten seconds, until it is told to stop. */
function watchEventLoop(url: string): () => Promise<Record<string, number>> {
  let p999 = 0;
  let max = 0;
  const look = async () => {
    const text = await (await fetch(`${url}/metrics`)).text();
    const read = (line: RegExp) => Number(line.exec(text)?.[1] ?? 0) * 1000;
    p999 = Math.max(p999, read(/^pallium_event_loop_delay_seconds\{.*percentile="99.9".*\} (\S+)/m));
    max = Math.max(max, read(/^pallium_event_loop_delay_max_seconds (\S+)/m));
  };
  const timer = setInterval(() => void look().catch(() => {}), 5000);
  return async () => {
    clearInterval(timer);
    await look();
    return { 'loop p99.9 ms': round(p999, 1), 'loop max ms': round(max, 1) };
  };
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
