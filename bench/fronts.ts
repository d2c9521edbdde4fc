// CPU time of each kind of thread for a write and for a small query, with one front thread (the main thread) and with several: what of a
// process is full first, and so how much it takes with more processors than this machine has. What each does when nobody asks is left out:
// it is measured while the others are asked.
//   npm run bench:fronts -- [--fronts 1,2,3] [--connections 16] [--writes 2000] [--queries 2000] [--rounds 3]
import { Agent, request } from 'undici';
import { Pallium } from '../test/harness/pallium.ts';
import { threadCpuMs } from '../test/harness/process-cost.ts';
import { WRITE_HEADERS, writeBody } from '../test/harness/remote-write.ts';
import { median } from './median.ts';
import { benchOptions, list } from './options.ts';

const options = benchOptions({ fronts: '1,2,3', connections: '16', writes: '2000', queries: '2000', rounds: '3' });
const SERIES = 900;
const STEP_MS = 15_000;
const WARM_UP = 1_000;
/** Before now, so that samples of the whole run are none of the future. */
const FROM_MS = Math.floor(Date.now() / STEP_MS) * STEP_MS - 3_600_000 * 2;

const IDLE_MS_MIN = 3_000;
let lastIdle: ReadonlyMap<string, number> = new Map();
const connections = Number(options.connections);
const counts = list(options.fronts).map(Number);
await using stack = new AsyncDisposableStack();
interface Asked {
  readonly server: Pallium;
  readonly agents: readonly Agent[];
  step: number;
  /** CPU time and moment of the end of its last requests. */
  ended: { readonly byKind: ReadonlyMap<string, number>; readonly ms: number } | undefined;
}
const servers = new Map<number, Asked>();
for (const fronts of counts) {
  const flags = [`-server.front-threads=${fronts}`, '-ingester.window=2h', '-ingester.flush-delay=10000h'];
  const server = stack.use(await Pallium.start({ flags }));
  // each connection is one sender's, or one reader's
  const agents = Array.from({ length: connections }, () => new Agent({ connections: 1, pipelining: 1 }));
  servers.set(fronts, { server, agents, step: 0, ended: undefined });
}

interface Cost {
  readonly perS: number;
  /** CPU time of a request, us, by kind of thread. */
  readonly byThread: ReadonlyMap<string, number>;
}

const found = new Map<string, Cost[]>();
for (let round = 0; round < Number(options.rounds) + 1; round++) {
  for (const fronts of counts) {
    for (const [kind, send, count] of [
      ['write', sendWrites, Number(options.writes)],
      ['query', sendQueries, Number(options.queries)],
    ] as const) {
      // the first round is for code to be compiled
      const cost = await measured(fronts, round === 0 ? Math.min(WARM_UP, count) : count, send);
      const spent = [...cost.byThread].map(([name, us]) => `${name} ${Math.round(us)}`).join(', ');
      console.log(`round ${round}: ${fronts} front threads, a ${kind}: ${spent}`);
      if (round > 0) found.set(`${kind} ${fronts}`, [...(found.get(`${kind} ${fronts}`) ?? []), cost]);
    }
  }
}
for (const kind of ['write', 'query']) {
  console.log(`\n${kind}: us of CPU for each, medians of ${options.rounds}`);
  console.table(
    counts.map((fronts) => {
      const costs = found.get(`${kind} ${fronts}`)!;
      const of = (name: string) => Math.round(median(costs.map(({ byThread }) => byThread.get(name) ?? 0)));
      const names = ['main', 'front', 'shard', 'query', 'edge', 'V8', 'other'];
      return {
        fronts,
        'a second': Math.round(median(costs.map(({ perS }) => perS))),
        ...Object.fromEntries(names.map((name) => [name, of(name)])),
        all: Math.round(median(costs.map(({ byThread }) => [...byThread.values()].reduce((sum, us) => sum + us, 0)))),
      };
    }),
  );
}
for (const { agents } of servers.values()) for (const agent of agents) await agent.close();

async function measured(
  fronts: number,
  count: number,
  send: (fronts: number, count: number) => Promise<void>,
): Promise<Cost> {
  const asked = servers.get(fronts)!;
  const { pid } = asked.server;
  const before = byKind(pid);
  const begunMs = performance.now();
  const idle = idlePerMs(asked, before, begunMs);
  await send(fronts, count);
  const endedMs = performance.now();
  const after = byKind(pid);
  asked.ended = { byKind: after, ms: endedMs };
  const tookMs = endedMs - begunMs;
  const byThread = new Map(
    [...after].map(([name, ms]) => {
      const ownMs = ms - (before.get(name) ?? 0) - (idle.get(name) ?? 0) * tookMs;
      return [name, (ownMs * 1000) / count] as const;
    }),
  );
  return { perS: (count * 1000) / tookMs, byThread };
}

/** CPU time for each millisecond since its last requests, where these are some seconds ago. */
function idlePerMs({ ended }: Asked, now: ReadonlyMap<string, number>, nowMs: number): ReadonlyMap<string, number> {
  if (ended === undefined || nowMs - ended.ms < IDLE_MS_MIN) return lastIdle;
  lastIdle = new Map([...now].map(([name, ms]) => [name, (ms - (ended.byKind.get(name) ?? 0)) / (nowMs - ended.ms)]));
  return lastIdle;
}

function byKind(pid: number): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { name, ms } of threadCpuMs(pid)) {
    const kind =
      name === 'MainThread' || name === 'node'
        ? 'main'
        : name.startsWith('V8')
          ? 'V8'
          : (/^(front|shard|query|edge)-/.exec(name)?.[1] ?? 'other');
    sums.set(kind, (sums.get(kind) ?? 0) + ms);
  }
  return sums;
}

/** Each connection is a sender with its series, whose samples follow on each other. */
async function sendWrites(fronts: number, count: number): Promise<void> {
  const own = servers.get(fronts)!;
  const steps = Math.ceil(count / connections);
  const first = own.step;
  own.step += steps;
  await Promise.all(
    own.agents.map(async (dispatcher, sender) => {
      for (let step = first; step < first + steps; step++) {
        const series = Array.from({ length: SERIES }, (_, i) => ({
          labels: { __name__: `metric_${i % 30}`, instance: `10.0.0.${sender}:9100`, job: 'bench', n: `${i}` },
          samples: [[FROM_MS + step * STEP_MS, step * i]] as [number, number][],
        }));
        const { statusCode, body } = await request(`${own.server.url}/api/v1/push`, {
          ...{ method: 'POST', headers: WRITE_HEADERS, body: writeBody(series), dispatcher },
        });
        const text = await body.text();
        if (statusCode !== 204) throw new Error(`${statusCode} ${text}`);
      }
    }),
  );
}

async function sendQueries(fronts: number, count: number): Promise<void> {
  const { server, agents, step } = servers.get(fronts)!;
  const query = 'metric_0{instance="10.0.0.0:9100",n="0"}';
  const time = String((FROM_MS + (step - 1) * STEP_MS) / 1000);
  const url = `${server.url}/api/v1/query?${new URLSearchParams({ query, time })}`;
  await Promise.all(
    agents.map(async (dispatcher) => {
      for (let i = 0; i < count / connections; i++) {
        const { statusCode, body } = await request(url, { dispatcher });
        const text = await body.text();
        if (statusCode !== 200 || !text.includes('"metric"')) throw new Error(`${statusCode} ${text}`);
      }
    }),
  );
}
