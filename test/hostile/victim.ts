import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pallium } from '../harness/pallium.ts';
import { rssBytes } from '../harness/process-cost.ts';
import { push, writeBody } from '../harness/remote-write.ts';
import { until } from '../harness/wait.ts';

const SERIES = 500;
const WRITES_EVERY_MS = 100;
const QUERIES_EVERY_MS = 100;

/** A request of the victim that takes longer has been hurt. */
const LATENCY_MAX_MS = 1_000;

/** Attacks in a row that must find the victim slow. */
const TRIES = 3;

/** Growth of memory that an attack may cause while it goes on, inclusive. */
const RSS_GROWTH_MAX_BYTES = 1e9;

/** Growth that may stay afterwards, inclusive: memory that a later request uses again. */
const RSS_KEPT_MAX_BYTES = 350e6;
const RSS_BACK_MS = 60_000;

/** A tenant that goes about its business, 5,000 samples and ten queries a second, while another one attacks. */
export class Victim {
  readonly #server: Pallium;
  readonly #going = new AbortController();
  readonly #work: Promise<unknown>;
  readonly latenciesMs: number[] = [];
  readonly failures: string[] = [];
  rssMaxBytes = 0;

  constructor(server: Pallium) {
    this.#server = server;
    this.#work = Promise.all([
      // as a sender does: the next one waits for the answer, or it could come first
      this.#repeat(WRITES_EVERY_MS, (dueMs) => this.#write(dueMs), 'in order'),
      this.#repeat(QUERIES_EVERY_MS, (dueMs) => this.#query(dueMs)),
      this.#repeat(20, async () => {
        this.rssMaxBytes = Math.max(this.rssMaxBytes, rssBytes(server.pid));
      }),
    ]);
  }

  /** Each begins when it is due; with `in order` also not before the last one is answered. */
  async #repeat(everyMs: number, work: (dueMs: number) => Promise<void>, order?: 'in order'): Promise<void> {
    const { signal } = this.#going;
    const under: Promise<void>[] = [];
    for (let n = 0, start = performance.now(); !signal.aborted; n++) {
      const dueMs = start + n * everyMs;
      await sleep(Math.max(0, dueMs - performance.now()), undefined, { signal }).catch(() => {});
      if (signal.aborted) break;
      const done = work(dueMs).catch((thrown: Error) => this.#fail(thrown));
      under.push(done);
      if (order !== undefined) await done;
    }
    await Promise.all(under);
  }

  #fail(thrown: Error): void {
    const { cause } = thrown as { cause?: { code?: string } };
    this.failures.push(cause?.code ?? thrown.message);
  }

  async #write(dueMs: number): Promise<void> {
    const timeMs = Date.now();
    const body = writeBody(
      Array.from({ length: SERIES }, (_, i) => ({
        labels: {
          __name__: 'victim_requests_total',
          instance: `host-${i % 50}`,
          code: String(200 + (i % 10)),
          i: `${i}`,
        },
        samples: [[timeMs, timeMs / 1000 + i]],
      })),
    );
    await this.#timed(dueMs, async () => {
      const { status, text } = await push(`${this.#server.url}/api/v1/push`, body, { 'x-scope-orgid': 'victim' });
      if (status !== 204) this.failures.push(`write ${status} ${text}`);
    });
  }

  async #query(dueMs: number): Promise<void> {
    const query = 'sum by (code) (rate(victim_requests_total[1m]))';
    await this.#timed(dueMs, async () => {
      const { status, text } = await this.#server
        .api({ 'x-scope-orgid': 'victim' })
        .ask(`/api/v1/query?query=${encodeURIComponent(query)}`);
      if (status !== 200) this.failures.push(`query ${status} ${text.slice(0, 200)}`);
      assert.ok(!text.includes('attacker'), 'what the attacker has must not be in the answer');
    });
  }

  /** The wait for its turn counts. */
  async #timed(dueMs: number, work: () => Promise<void>): Promise<void> {
    await work();
    this.latenciesMs.push(performance.now() - dueMs);
  }

  /** @param share 0.99 is the 99th percentile */
  quantileMs(share: number): number {
    const sorted = this.latenciesMs.toSorted((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  }

  async stop(): Promise<void> {
    this.#going.abort();
    await this.#work;
  }
}

/**
 * Runs an attack with a victim beside it. A victim that was only slow is given another try: the machine may have been busy with
 * something else, and what the attack does it does again.
 * @throws where the process does not live, a request of the victim fails or takes longer than a second each time, or memory grows and
 * does not come back
 */
export async function withVictim(server: Pallium, attack: () => Promise<void>): Promise<void> {
  for (let left = TRIES; left > 0; left--) {
    const slow = await attacked(server, attack);
    if (slow === undefined) return;
    assert.ok(left > 1, `a request of the victim took too long, ${TRIES} times: ${slow}`);
  }
}

/** @returns how slow the victim was, where that was too slow */
async function attacked(server: Pallium, attack: () => Promise<void>): Promise<string | undefined> {
  const before = rssBytes(server.pid);
  const victim = new Victim(server);
  try {
    // the victim's first requests open its connections and its series
    await sleep(500);
    await attack();
    await sleep(300);
  } finally {
    await victim.stop();
  }
  const { failures } = victim;
  const told = `p50 ${victim.quantileMs(0.5).toFixed(1)}, p99 ${victim.quantileMs(0.99).toFixed(1)}, most ${victim.quantileMs(1).toFixed(1)} ms; RSS ${mb(before)} → ${mb(victim.rssMaxBytes)} MB`;
  if (process.env.HOSTILE_VERBOSE === '1') console.log(told);
  assert.ok(server.alive, `the process has ended:\n${server.logTail(20)}`);
  assert.deepEqual(failures, [], `requests of the victim failed (${told})`);
  assert.ok(victim.rssMaxBytes - before <= RSS_GROWTH_MAX_BYTES, `memory grew too much: ${told}`);
  await until(
    `memory back near ${mb(before)} MB (${told})`,
    () => rssBytes(server.pid) - before <= RSS_KEPT_MAX_BYTES,
    { timeoutMs: RSS_BACK_MS, intervalMs: 200 },
  );
  return victim.quantileMs(1) <= LATENCY_MAX_MS ? undefined : told;
}

function mb(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}
