import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pallium } from './pallium.ts';
import { WRITE_HEADERS, writeBody } from './remote-write.ts';

export interface SteadyLoadOptions {
  /** Who is written to, each write to the next that runs; asked again for each. */
  readonly writeTo: () => readonly Pallium[];
  /** Who is asked; all that run in turn. */
  readonly ask: () => readonly Pallium[];
  readonly series?: number;
  readonly pauseMs?: number;
}

/** Time after which a write that nobody takes ends the load. */
const WRITE_MS_MAX = 60_000;

/**
 * A sender and a reader beside each other: one sample of each series again and again, with values that count up, and queries for all of
 * them. Every answer must have each acknowledged sample once, and nothing that was not sent.
 */
export class SteadyLoad implements AsyncDisposable {
  readonly #options: Required<SteadyLoadOptions>;
  readonly #stop = new AbortController();
  readonly #work: Promise<void>[] = [];
  #sent = 0;
  /** Samples of each series that were acknowledged: values 1 to that one. */
  acknowledged = 0;
  answers = 0;
  readonly retries: string[] = [];
  /** Queries that failed. */
  readonly failed: string[] = [];

  constructor(options: SteadyLoadOptions) {
    this.#options = { series: 20, pauseMs: 50, ...options };
  }

  get series(): number {
    return this.#options.series;
  }

  /** Begins to write and to ask; `asks` queries run side by side. */
  start(asks = 1): void {
    this.#work.push(this.#write(), ...Array.from({ length: asks }, () => this.#read()));
    // whoever ends it hears of it
    for (const work of this.#work) work.catch(() => {});
  }

  /** Ends when what is under way has ended. @throws what an answer was found to be wrong in, or that no write was taken */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#work);
  }

  /** Ends it where the test failed before. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.allSettled(this.#work);
  }

  async #write(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.send();
      await sleep(this.#options.pauseMs);
    }
  }

  /** Sends one sample of each series until it is taken. */
  async send(): Promise<void> {
    const value = ++this.#sent;
    const timeMs = Date.now();
    const body = writeBody(
      Array.from({ length: this.series }, (_, i) => ({
        labels: { __name__: `steps_${i % 4}`, series: String(i) },
        samples: [[timeMs, value] as const],
      })),
    );
    const deadline = performance.now() + WRITE_MS_MAX;
    for (let tries = 0; ; tries++) {
      const alive = this.#options.writeTo().filter((each) => each.alive);
      const to = alive[(value + tries) % Math.max(1, alive.length)];
      const said = to === undefined ? 'nobody runs' : await push(to, body);
      if (said === undefined) break;
      this.retries.push(said);
      if (this.#stop.signal.aborted) return;
      if (performance.now() > deadline) throw new Error(`no write was taken within ${WRITE_MS_MAX} ms: ${said}`);
      await sleep(100);
    }
    this.acknowledged = value;
  }

  async #read(): Promise<void> {
    for (let turn = 0; !this.#stop.signal.aborted; turn++) {
      const alive = this.#options.ask().filter((each) => each.alive);
      if (alive.length > 0)
        await this.check(alive[turn % alive.length]!).catch((error: Error) => this.#failedAsk(error));
      await sleep(this.#options.pauseMs);
    }
  }

  #failedAsk(error: Error): void {
    if (error instanceof assert.AssertionError) throw error;
    this.failed.push(error.message);
  }

  /** Asks for all samples. @throws AssertionError where one is missing, is there twice, or was never sent */
  async check(server: Pallium): Promise<void> {
    const least = this.acknowledged;
    const { result } = await server
      .api()
      .data<{ result: { metric: { series: string }; values: [number, string][] }[] }>('/api/v1/query', {
        query: '{__name__=~"steps_.",series!=""}[2h]',
        time: Date.now() / 1000 + 1,
      });
    const most = this.#sent;
    this.answers++;
    if (least > 0) assert.equal(result.length, this.series, `series by ${server.url}`);
    for (const { metric, values } of result) {
      const has = values.map(([, value]) => Number(value));
      const what = `series ${metric.series} by ${server.url}, ${least} acknowledged, ${most} sent`;
      // those under way while it was asked may be there or not, each for itself
      assert.deepEqual(
        has.slice(0, least),
        Array.from({ length: least }, (_, i) => i + 1),
        what,
      );
      assert.ok(
        has.every((value, i) => value <= most && (i === 0 || value > has[i - 1]!)),
        `${what}: ${has.slice(least)} beyond`,
      );
    }
  }
}

/** Why a write was not taken; undefined: it was. */
async function push(to: Pallium, body: Uint8Array): Promise<string | undefined> {
  try {
    const answer = await fetch(`${to.url}/api/v1/push`, { method: 'POST', headers: WRITE_HEADERS, body });
    const text = await answer.text();
    if (answer.ok) return undefined;
    // nothing that was acknowledged may be refused for good
    assert.ok(answer.status >= 500, `${answer.status} ${text}`);
    return `${answer.status} ${text}`;
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    return String((error as Error).cause ?? error);
  }
}
