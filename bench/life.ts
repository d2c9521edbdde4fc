// How long changes of a cluster take: a member's way into an idle one, from the start of its process to /ready and to the first write that
// it holds, and the way out of one that holds a million series. Settings are the defaults.
//   npm run bench:life -- [--series 1000000] [--joins 3]
// Small: --series 20000 --joins 1. The store is DynamoDB Local. Bars: 5 s and 3 minutes; it ends with 1 where one is missed.
import { Cluster } from '../test/harness/cluster.ts';
import type { Pallium } from '../test/harness/pallium.ts';
import { cpuMs } from '../test/harness/process-cost.ts';
import { WRITE_HEADERS, writeBody } from '../test/harness/remote-write.ts';
import { startService } from '../test/harness/services.ts';
import { until } from '../test/harness/wait.ts';
import { benchOptions } from './options.ts';

const options = benchOptions({ series: '1000000', joins: '3' });
const BARS = { joinS: 5, drainS: 180 };
const SERIES_A_WRITE = 2000;
const FOUNDERS = ['ingester-1', 'ingester-2', 'ingester-3'];

await using resources = new AsyncDisposableStack();
const { port } = resources.use(await startService('dynamodb'));
const cluster = resources.use(
  new Cluster([
    '-schema.store=dynamodb',
    `-dynamodb.endpoint=http://127.0.0.1:${port}`,
    '-dynamodb.access-key-id=test',
    '-dynamodb.secret-access-key=test',
    `-schema.prefix=l${Date.now().toString(36)}_`,
    '-schema.object-store=none',
  ]),
);
const seconds = (fromMs: number) => Number(((performance.now() - fromMs) / 1000).toFixed(2));

for (const name of FOUNDERS) await cluster.start(name, ['-target=ingester']);
await cluster.ready();
const distributor = await cluster.start('distributor', ['-target=distributor']);
await cluster.ready();

const joins: object[] = [];
const missed: string[] = [];
for (let i = 0; i < Number(options.joins); i++) {
  const startMs = performance.now();
  const joined = await cluster.start(`joins-${i}`, ['-target=ingester']);
  await until('it listens', () => fetch(`${joined.url}/ready`).then(() => true), { intervalMs: 10 });
  const listensS = seconds(startMs);
  await joined.ready();
  const readyS = seconds(startMs);
  const cpuS = cpuMs(joined.pid) / 1000;
  const { 'out s': outS } = await drain(joined);
  if (readyS > BARS.joinS) missed.push(`join ${i + 1} took ${readyS} s`);
  joins.push({ 'listens s': listensS, 'ready s': readyS, 'CPU s': cpuS, bar: BARS.joinS, 'empty, out again s': outS });
}
console.log('\njoins of an idle cluster');
console.table(joins);

await write(distributor, Number(options.series));
await cluster.start('heir', ['-target=ingester']);
await cluster.ready('heir');
const leaver = cluster.of(FOUNDERS[0]!);
const series = await seriesOf(leaver);
const drained = await drain(leaver);
console.log('\na member drains');
console.table([{ series, ...drained, bar: BARS.drainS }]);
if (drained['out s'] > BARS.drainS) missed.push(`the drain took ${drained['out s']} s`);
for (const each of missed) console.log(`MISSED: ${each}`);
if (missed.length > 0) process.exitCode = 1;

/** Drains a member and ends its process. */
async function drain(leaver: Pallium) {
  const before = cpuMs(leaver.pid);
  const startMs = performance.now();
  await leaver.api().ask('/ingester/drain', { method: 'POST' });
  let ownedS: number | undefined;
  const isOut = async () => {
    const { standing, drained } = JSON.parse((await leaver.api().ask('/ingester/drain')).text);
    if (standing !== 'member') ownedS ??= seconds(startMs);
    return drained === true;
  };
  await until('it has drained', isOut, { timeoutMs: 600_000, intervalMs: 100 });
  const outS = seconds(startMs);
  const cpuS = (cpuMs(leaver.pid) - before) / 1000;
  const { code } = await leaver.stop();
  if (code !== 0) throw new Error(`it ended with ${code}:\n${leaver.logTail()}`);
  return { 'others own its part s': ownedS, 'out s': outS, 'CPU s': cpuS };
}

/** One sample of each series, several writes side by side. */
async function write(to: Pallium, series: number): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < series) {
      const from = next;
      next += SERIES_A_WRITE;
      const body = writeBody(
        Array.from({ length: Math.min(SERIES_A_WRITE, series - from) }, (_, i) => ({
          labels: {
            __name__: `metric_${(from + i) % 200}`,
            instance: `host-${Math.floor((from + i) / 200)}:9100`,
            job: 'node',
          },
          samples: [[Date.now(), from + i] as const],
        })),
      );
      await until(
        'a write is taken',
        async () => {
          const answer = await fetch(`${to.url}/api/v1/push`, { method: 'POST', headers: WRITE_HEADERS, body });
          const text = await answer.text();
          if (answer.status >= 400 && answer.status < 500) console.error(text);
          return answer.ok;
        },
        { timeoutMs: 60_000, intervalMs: 200 },
      );
    }
  };
  await Promise.all([lane(), lane()]);
}

async function seriesOf(server: Pallium): Promise<number> {
  const { text } = await server.api().ask('/metrics');
  const shards = [...text.matchAll(/^pallium_ingester_memory_series\{.*\} (\d+)/gm)];
  return shards.reduce((sum, [, count]) => sum + Number(count), 0);
}
