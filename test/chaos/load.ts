import { setTimeout as sleep } from 'node:timers/promises';
import { WRITE_HEADERS, writeBody } from '../harness/remote-write.ts';
import type { Journal } from './journal.ts';
import { Lane } from './ledger.ts';
import type { Balancer } from './processes.ts';
import type { Refusal } from './refusal-verdict.ts';

const STEP_MS = 1_000;
const SERIES_OF_A_LANE = 100;
const LARGER_LANES_FROM = 20_000;
/** Steps that one request catches up on. */
const STEPS_MAX = 10;
const WRITE_MS_MAX = 5_000;
const PAUSE_MS = { min: 50, max: 1_000 };

/** Writes samples at a rate, each request again and again until it is taken, as senders do. */
export class Load {
  readonly lanes: readonly Lane[];
  readonly #balancer: Balancer;
  readonly #journal: Journal;
  #isStopping = false;
  #runs: Promise<unknown> | undefined;

  constructor(rate: number, balancer: Balancer, journal: Journal) {
    const series = rate >= LARGER_LANES_FROM ? 5 * SERIES_OF_A_LANE : SERIES_OF_A_LANE;
    const count = Math.max(1, Math.round(rate / series));
    const startMs = Math.ceil(Date.now() / 1000) * 1000;
    this.lanes = Array.from(
      { length: count },
      (_, i) => new Lane(i, series, startMs + Math.floor((i * STEP_MS) / count), STEP_MS),
    );
    this.#balancer = balancer;
    this.#journal = journal;
  }

  start(): void {
    this.#runs = Promise.all(this.lanes.map((lane) => this.#run(lane)));
  }

  /** Ends when all that was sent is acknowledged. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#runs;
  }

  async #run(lane: Lane): Promise<void> {
    while (!this.#isStopping) {
      const due = Math.min(lane.stepAfter(Date.now()), lane.acknowledged + STEPS_MAX);
      if (due > lane.acknowledged) await this.#write(lane, lane.acknowledged, due);
      await sleep(Math.max(0, lane.timeOf(lane.acknowledged) - Date.now()));
    }
  }

  /** Sends steps [from, to) until they are taken. */
  async #write(lane: Lane, from: number, to: number): Promise<void> {
    lane.sent = to;
    const body = writeBody(
      Array.from({ length: lane.series }, (_, series) => ({
        labels: lane.labels(series),
        samples: Array.from(
          { length: to - from },
          (_, i) => [lane.timeOf(from + i), lane.valueOf(from + i, series)] as const,
        ),
      })),
    ) as Uint8Array<ArrayBuffer>;
    const startMs = Date.now();
    let refusal: Refusal | undefined;
    for (let pauseMs = PAUSE_MS.min; ; pauseMs = Math.min(2 * pauseMs, PAUSE_MS.max)) {
      const triedMs = Date.now();
      const failure = await this.#try(body);
      if (failure !== undefined) refusal ??= this.#journal.refused(startMs);
      if (refusal !== undefined) refusal.endMs = Date.now();
      if (failure === undefined) break;
      this.#journal.failed('write', triedMs, failure);
      await sleep(pauseMs);
    }
    lane.acknowledged = to;
    this.#journal.writes++;
    this.#journal.samples += (to - from) * lane.series;
  }

  /** @returns why it was not taken; undefined: it was */
  async #try(body: Uint8Array<ArrayBuffer>): Promise<string | undefined> {
    const target = this.#balancer.pick();
    try {
      const answer = await fetch(`${target.url}/api/v1/push`, {
        method: 'POST',
        headers: WRITE_HEADERS,
        body,
        signal: AbortSignal.timeout(WRITE_MS_MAX),
      });
      const text = await answer.text();
      if (answer.ok) return undefined;
      if (answer.status === 429) this.#journal.throttled++;
      if (answer.status < 500 && answer.status !== 429) {
        this.#journal.wasWrong(`a write was refused for good by ${target.name}: ${answer.status} ${text}`);
      }
      return `${target.name}: ${answer.status} ${text.trim()}`;
    } catch (thrown) {
      this.#balancer.failed(target);
      const { message, cause } = thrown as Error;
      return `${target.name}: ${message}${cause instanceof Error ? ` (${cause.message})` : ''}`;
    }
  }
}
