import { setTimeout as sleep } from 'node:timers/promises';
import { getOrMake } from '../../src/lib/map.ts';
import { seededRandom } from '../../src/lib/random.ts';
import type { ApiSeries } from './api.ts';
import { type PushSeries, push, writeBody } from './remote-write.ts';

/**
 * Samples that were sent to a server, and which of them it acknowledged. A sample's value follows from its series and time, so that
 * whatever comes back can be judged: it must have been sent, it must have that value, and it must be there once.
 */
export class Acknowledged {
  /** `lane/series` → time → whether it was acknowledged, not only sent. */
  readonly #series = new Map<string, Map<number, boolean>>();
  acknowledged = 0;
  sent = 0;

  send(key: string, timeMs: number): void {
    const times = getOrMake(this.#series, key, () => new Map<number, boolean>());
    if (times.has(timeMs)) return;
    times.set(timeMs, false);
    this.sent++;
  }

  acknowledge(key: string, timeMs: number): void {
    const times = this.#series.get(key)!;
    if (times.get(timeMs) === false) {
      times.set(timeMs, true);
      this.acknowledged++;
    }
  }

  /** Samples acknowledged so far with from < time ≤ to, of the series of one lane. Take it before you ask. */
  expected(lane: number, fromMs: number, toMs: number): Map<string, Set<number>> {
    const found = new Map<string, Set<number>>();
    for (const [key, times] of this.#series) {
      if (!key.startsWith(`${lane}/`)) continue;
      const acknowledged = new Set<number>();
      for (const [timeMs, done] of times) if (done && timeMs > fromMs && timeMs <= toMs) acknowledged.add(timeMs);
      if (acknowledged.size > 0) found.set(key, acknowledged);
    }
    return found;
  }

  /** Faults of an answer of raw samples: lost, double, changed, or never sent. Empty when all is well. */
  faults(expected: ReadonlyMap<string, ReadonlySet<number>>, answer: readonly ApiSeries[]): string[] {
    const faults: string[] = [];
    const seen = new Set<string>();
    for (const { metric, values = [] } of answer) {
      const key = keyOf(metric);
      if (seen.has(key)) faults.push(`${key}: the series came twice`);
      seen.add(key);
      const want = expected.get(key) ?? new Set();
      const sent = this.#series.get(key);
      const here = new Set<number>();
      for (const [seconds, value] of values) {
        const timeMs = Math.round(seconds * 1000);
        if (here.has(timeMs)) faults.push(`${key} at ${timeMs}: double`);
        here.add(timeMs);
        if (sent?.has(timeMs) !== true) faults.push(`${key} at ${timeMs}: never sent`);
        else if (Number(value) !== sampleValue(key, timeMs)) {
          faults.push(`${key} at ${timeMs}: ${value}, not ${sampleValue(key, timeMs)}`);
        }
      }
      const lost = [...want].filter((timeMs) => !here.has(timeMs));
      if (lost.length > 0) {
        faults.push(`${key}: ${lost.length} of ${want.size} acknowledged samples lost, the first at ${lost[0]}`);
      }
    }
    for (const [key, want] of expected) if (!seen.has(key)) faults.push(`${key}: all ${want.size} samples lost`);
    return faults;
  }
}

/** The series `lane/series` of a load. */
export function labelsOf(key: string): Record<string, string> {
  const [lane, series] = key.split('/');
  return { __name__: `load_${Number(series) % 5}`, instance: `host-${series}`, job: 'load', lane: lane! };
}

function keyOf(metric: Readonly<Record<string, string>>): string {
  return `${metric.lane}/${metric.instance!.slice('host-'.length)}`;
}

/** Full mantissas for every third series, small integers for the rest. */
export function sampleValue(key: string, timeMs: number): number {
  const series = Number(key.split('/')[1]);
  return series % 3 === 0 ? Math.sin(timeMs / 1000 + series) * 1e6 : Math.floor(timeMs / 5000) % 1000;
}

export interface LoadOptions {
  /** The URL of the push endpoint; asked anew for every request, since a restarted server has another. */
  readonly url: () => string;
  readonly lanes: number;
  readonly seriesPerLane: number;
  readonly startMs: number;
  /** Time between the samples of a series. */
  readonly stepMs: number;
  /** Pause between two requests of a lane. */
  readonly pauseMs: number;
  /** How far behind late samples may be; 0: none. */
  readonly lateMs: number;
  readonly seed: number;
}

/**
 * Lanes that send their series in the order of time, each request until it is acknowledged, as Prometheus does.
 * Every fourth request carries late samples too, at times where the series has none yet.
 */
export class Load {
  readonly oracle = new Acknowledged();
  readonly #options: LoadOptions;
  readonly #random: () => number;
  readonly #stop = new AbortController();
  readonly #lanes: Promise<void>[];
  #abandoned = false;
  /** Answers that were neither success nor "later", which end the lane. */
  readonly refusals: string[] = [];
  retries = 0;
  /** The newest time that was sent, by lane. */
  readonly newestMs: number[];

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    this.newestMs = Array(options.lanes).fill(options.startMs);
    this.#lanes = Array.from({ length: options.lanes }, (_, lane) => this.#run(lane));
  }

  /** Ends the lanes once what they have under way is acknowledged. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#lanes);
  }

  /** Ends the lanes at once, for when there is nobody left to acknowledge anything. */
  async abandon(): Promise<void> {
    this.#abandoned = true;
    await this.stop();
  }

  async #run(lane: number): Promise<void> {
    const { seriesPerLane, startMs, stepMs, pauseMs, lateMs } = this.#options;
    const keys = Array.from({ length: seriesPerLane }, (_, i) => `${lane}/${i}`);
    for (let step = 0; !this.#stop.signal.aborted; step++) {
      const timeMs = startMs + step * stepMs;
      const batch: [key: string, times: number[]][] = keys.map((key) => [key, [timeMs]]);
      if (lateMs > 0 && step % 4 === 3) {
        // off the grid of the others by 1 to 4 ms, so that the time is free
        const back = Math.floor((this.#random() * Math.min(lateMs, step * stepMs)) / stepMs) * stepMs;
        const late = timeMs - back + 1 + (step % 4);
        for (const entry of batch) if (this.#random() < 0.3) entry[1] = late < timeMs ? [late, timeMs] : [timeMs];
      }
      this.newestMs[lane] = timeMs;
      if (!(await this.#send(batch))) return;
      await sleep(pauseMs);
    }
  }

  async #send(batch: readonly (readonly [key: string, times: readonly number[]])[]): Promise<boolean> {
    const series: PushSeries[] = batch.map(([key, times]) => ({
      labels: labelsOf(key),
      samples: times.map((timeMs): [number, number] => [timeMs, sampleValue(key, timeMs)]),
    }));
    for (const [key, times] of batch) for (const timeMs of times) this.oracle.send(key, timeMs);
    const body = writeBody(series);
    while (!this.#abandoned) {
      try {
        const { status, text } = await push(
          `${this.#options.url()}/api/v1/push`,
          body,
          {},
          AbortSignal.timeout(10_000),
        );
        if (status < 300) {
          for (const [key, times] of batch) for (const timeMs of times) this.oracle.acknowledge(key, timeMs);
          return true;
        }
        if (status !== 503 && status !== 429) {
          this.refusals.push(`${status} ${text.slice(0, 300)}`);
          return false;
        }
      } catch {
        // no answer: the server is down, or went down; whether it has the samples is not known
      }
      this.retries++;
      await sleep(30);
    }
    return false;
  }
}
