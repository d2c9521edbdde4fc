import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../src/lib/random.ts';
import { Pallium } from '../harness/pallium.ts';
import { freePort } from '../harness/ports.ts';
import { cpuMs, rssBytes } from '../harness/process-cost.ts';
import { push, writeBody } from '../harness/remote-write.ts';
import { type CostRequest, type Gene, mutated, randomGene, requestOf } from './cost/genes.ts';

// Looks for requests that cost more than they weigh: keeps those that took most CPU, blocking or memory for each byte, and changes them.
//   SEED=1 COST_SECONDS=3600 node --test test/fuzz/cost.test.ts
//   KINDS=rules,silence node --test test/fuzz/cost.test.ts    these kinds only
//   GENE='{"kind":…}' node --test test/fuzz/cost.test.ts      one request again

const SECONDS = Number(process.env.COST_SECONDS ?? 20);
const SEED = Number(process.env.SEED ?? Date.now() % 1e9);
const GENE = process.env.GENE;
const KINDS = process.env.KINDS?.split(',');

/** No thread works longer than this for one request without letting others in, ms of its CPU time. */
const BLOCKED_MAX_MS = 100;
const MEMORY_PER_BYTE_MAX = 64;
const MEMORY_MAX_BYTES = 64e6;
const QUERY_MEMORY_BYTES = 32e6;
const ANSWER_MAX_MS = 30_000;
const PROGRESS_MS = 60_000;

/** Times that a request is asked again before what it does counts: a first time compiles, and a collector comes when it likes. */
const CONFIRMATIONS = 2;

/** Genes of each kind that are kept for each measure. */
const KEPT = 4;

interface Cost {
  readonly status: number;
  readonly bytes: number;
  readonly cpuMs: number;
  readonly blockedMs: number;
  readonly memoryBytes: number;
}

const MEASURES: Readonly<Record<string, (cost: Cost) => number>> = {
  cpu: ({ cpuMs: ms, bytes }) => ms / (bytes + 200),
  blocked: ({ blockedMs }) => blockedMs,
  memory: ({ memoryBytes, bytes }) => memoryBytes / (bytes + 50_000),
};

class Subject {
  readonly #server: Pallium;
  readonly #probeUrl: string;

  constructor(server: Pallium, probePort: number) {
    this.#server = server;
    this.#probeUrl = `http://127.0.0.1:${probePort}/`;
  }

  /** @throws where there is no answer in time, or the server ends */
  async cost(request: CostRequest): Promise<Cost> {
    const { pid } = this.#server;
    await this.#longestMs();
    // the kernel measures the peak anew
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
    const [cpuBefore, rssBefore] = [cpuMs(pid), rssBytes(pid)];
    const status = await this.#send(request);
    // what goes on after the answer counts too
    await sleep(5);
    const blockedMs = await this.#longestMs();
    const bytes = Buffer.byteLength(request.body ?? '') + request.path.length + JSON.stringify(request.headers).length;
    return { status, bytes, cpuMs: cpuMs(pid) - cpuBefore, blockedMs, memoryBytes: peakBytes(pid) - rssBefore };
  }

  async #longestMs(): Promise<number> {
    // a connection of its own: one that is kept may be closed just then
    const answer = await fetch(this.#probeUrl, { headers: { connection: 'close' } });
    const byThread = (await answer.json()) as Record<string, number>;
    return Math.max(0, ...Object.values(byThread)) / 1000;
  }

  #send({ method, path, headers, body }: CostRequest): Promise<number> {
    return new Promise((done, fail) => {
      const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
      const options = {
        agent: false,
        maxHeaderSize: 1024 * 1024,
        hostname: '127.0.0.1',
        port: this.#server.port,
        method,
        path,
        headers: { 'x-scope-orgid': 'fuzz', ...headers, ...length },
        setHost: true,
      };
      const request = http.request(options, (answer) => {
        answer.resume();
        answer.once('end', () => done(answer.statusCode!));
        // what runs out of time while it is streamed ends half-way; a server that is gone is noticed by the next request
        answer.once('error', () => done(answer.statusCode!));
      });
      request.setTimeout(ANSWER_MAX_MS, () => request.destroy(new Error(`no answer within ${ANSWER_MAX_MS} ms`)));
      request.once('error', (error: NodeJS.ErrnoException) => {
        // an answer may come, and the connection be closed, before all of a refused body is sent
        if (error.code === 'EPIPE' || error.code === 'ECONNRESET') done(0);
        else fail(error);
      });
      request.end(body);
    });
  }
}

function peakBytes(pid: number): number {
  const [, kib] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!;
  return Number(kib) * 1024;
}

function faultOf({ status, bytes, blockedMs, memoryBytes }: Cost): string | undefined {
  if (status === 500) return 'answered 500';
  if (blockedMs > BLOCKED_MAX_MS) return `a thread was blocked for ${blockedMs.toFixed(0)} ms`;
  const limit = MEMORY_PER_BYTE_MAX * bytes + MEMORY_MAX_BYTES;
  if (memoryBytes > limit)
    return `${(memoryBytes / 1e6).toFixed(0)} MB for ${bytes} bytes, more than ${(limit / 1e6).toFixed(0)} MB`;
  return undefined;
}

function shown(gene: Gene, cost: Cost): string {
  const { status, bytes, cpuMs: cpu, blockedMs, memoryBytes } = cost;
  return `${JSON.stringify(gene)}: ${status}, ${bytes} bytes, ${cpu} ms CPU, blocked ${blockedMs.toFixed(0)} ms, ${(memoryBytes / 1e6).toFixed(0)} MB`;
}

async function started(): Promise<{ server: Pallium; subject: Subject }> {
  const probePort = await freePort();
  const probe = join(import.meta.dirname, 'cost/probe.mjs');
  const env = { NODE_OPTIONS: `--import=${probe}`, COST_PROBE_PORT: String(probePort) };
  const server = await Pallium.start({
    flags: [
      '-log.level=error',
      '-querier.timeout=10s',
      '-ingester.max-series-per-user=5000',
      '-web.enable-admin-api',
      // what a query may hold is the tenant's to use: here it is less than what a request may cost in any case
      `-querier.max-query-memory-bytes=${QUERY_MEMORY_BYTES}`,
    ],
    env,
  });
  const now = Date.now();
  const series = Array.from({ length: 1_000 }, (_, i) => ({
    labels: { __name__: 'fuzz', l1: `host-${i}.example.com`, l2: `v${i % 10}`, l3: 'x'.repeat(200) },
    samples: Array.from({ length: 20 }, (_, n): [number, number] => [now - (20 - n) * 15_000, i + n]),
  }));
  await push(`${server.url}/api/v1/push`, writeBody(series), { 'x-scope-orgid': 'fuzz' });
  return { server, subject: new Subject(server, probePort) };
}

test(`requests that cost more than they weigh, for ${SECONDS} s`, async (t) => {
  const { server, subject } = await started();
  await using _server = server;
  const random = seededRandom(SEED);
  const best = new Map<string, { gene: Gene; cost: Cost; score: number }[]>();
  const faults: string[] = [];
  const found = (fault: string): void => {
    faults.push(fault);
    // at once: a run takes up to an hour
    console.error(fault);
  };
  let asked = 0;

  const ask = async (gene: Gene): Promise<void> => {
    const request = requestOf(gene);
    let cost: Cost;
    try {
      cost = await subject.cost(request);
      for (let i = 0; i < CONFIRMATIONS && faultOf(cost) !== undefined; i++) {
        await sleep(200);
        const again = await subject.cost(request);
        cost = {
          ...again,
          blockedMs: Math.min(cost.blockedMs, again.blockedMs),
          memoryBytes: Math.min(cost.memoryBytes, again.memoryBytes),
        };
      }
    } catch (thrown) {
      found(`${JSON.stringify(gene)}: ${(thrown as Error).message}${server.alive ? '' : `\n${server.logTail(20)}`}`);
      return;
    }
    asked++;
    const fault = faultOf(cost);
    if (fault !== undefined) {
      // found once: its like are not looked for
      found(`${fault}: ${shown(gene, cost)}`);
      for (const [key, list] of best)
        best.set(
          key,
          list.filter((each) => each.gene.seed !== gene.seed),
        );
      return;
    }
    if (GENE !== undefined) t.diagnostic(shown(gene, cost));
    for (const [name, measure] of Object.entries(MEASURES)) {
      const key = `${name} ${gene.kind}`;
      const list = [...(best.get(key) ?? []), { gene, cost, score: measure(cost) }];
      best.set(key, list.sort((a, b) => b.score - a.score).slice(0, KEPT));
    }
  };

  if (GENE !== undefined) await ask(JSON.parse(GENE) as Gene);
  else {
    const startedMs = performance.now();
    const until = startedMs + SECONDS * 1000;
    let toldMs = startedMs;
    while (performance.now() < until && faults.length < 20 && server.alive) {
      const known = [...best.values()].flat();
      const gene =
        known.length === 0 || random() < 0.3
          ? randomGene(random, KINDS)
          : mutated(known[Math.floor(random() * known.length)]!.gene, random);
      await ask(gene);
      if (performance.now() - toldMs < PROGRESS_MS) continue;
      toldMs = performance.now();
      console.error(`${Math.round((toldMs - startedMs) / 1000)} s, ${asked} requests, ${faults.length} faults`);
    }
  }
  t.diagnostic(`SEED=${SEED}; ${asked} requests`);
  for (const [key, [first]] of best) t.diagnostic(`most ${key}: ${shown(first!.gene, first!.cost)}`);
  assert.deepEqual(faults, [], `SEED=${SEED}`);
});
