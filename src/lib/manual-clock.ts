import type { Clock, Timer } from './clock.ts';
import { nextTurn } from './turn.ts';

/** Turns that what timers have set off gets before time goes on: enough for a few messages there and back. */
const TURNS_AFTER = 4;

interface Waiting {
  atMs: number;
  readonly run: () => void;
  /** 0: once. */
  readonly everyMs: number;
}

/** Time that stands still until it is told to go on. For tests, and to run a whole cluster in one thread. */
export class ManualClock implements Clock {
  /** Wall time less monotonic time. */
  #wallMs: number;
  #monotonicMs = 0;
  /** In the order in which they were asked for. */
  readonly #waiting = new Set<Waiting>();

  /** @param startMs of the wall clock */
  constructor(startMs = 0) {
    this.#wallMs = startMs;
  }

  nowMs(): number {
    return this.#wallMs + this.#monotonicMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const timer = this.#add(ms, 0, () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      });
      const onAbort = () => {
        timer.cancel();
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  every(ms: number, work: () => void): Timer {
    return this.#add(ms, Math.max(1, ms), work);
  }

  /** A turn of the real event loop: takes no time of this clock. */
  turn(): Promise<void> {
    return nextTurn();
  }

  #add(ms: number, everyMs: number, run: () => void): Timer {
    const waiting = { atMs: this.#monotonicMs + Math.max(0, ms), everyMs, run };
    this.#waiting.add(waiting);
    return { cancel: () => this.#waiting.delete(waiting) };
  }

  /** Timers that wait. */
  get timers(): number {
    return this.#waiting.size;
  }

  /** Lets time go on; what was to happen meanwhile happens in its order, each with the time that it was due. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#monotonicMs + ms;
    for (let next = this.#next(); next !== undefined && next.atMs <= endMs; next = this.#next()) {
      this.#monotonicMs = Math.max(this.#monotonicMs, next.atMs);
      // of one moment all, as an event loop does
      for (
        let due: Waiting | undefined = next;
        due !== undefined && due.atMs <= this.#monotonicMs;
        due = this.#next()
      ) {
        if (due.everyMs === 0) this.#waiting.delete(due);
        else due.atMs += due.everyMs;
        due.run();
      }
      for (let i = 0; i < TURNS_AFTER; i++) await nextTurn();
    }
    this.#monotonicMs = endMs;
  }

  /** Time goes on at once, and nothing happens on the way: timers come when `advance` is called. */
  set(nowMs: number): void {
    this.#monotonicMs = Math.max(this.#monotonicMs, nowMs - this.#wallMs);
    this.#wallMs = nowMs - this.#monotonicMs;
  }

  /** The wall clock is set, as by its administrator: no time goes by. */
  setWall(nowMs: number): void {
    this.#wallMs = nowMs - this.#monotonicMs;
  }

  /** The first that is due; of equal ones the one asked for first. */
  #next(): Waiting | undefined {
    let first: Waiting | undefined;
    for (const waiting of this.#waiting) if (first === undefined || waiting.atMs < first.atMs) first = waiting;
    return first;
  }
}
