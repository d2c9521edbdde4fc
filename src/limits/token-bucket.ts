import type { Clock } from '../lib/clock.ts';

/** Grants a rate with bursts: a bucket that fills steadily and is emptied by what is granted. */
export class TokenBucket {
  readonly #clock: Clock;
  #tokens: number;
  #atMs: number;
  #ratePerSecond = 0;
  #burst: number;

  constructor(clock: Clock, burst: number) {
    this.#clock = clock;
    this.#tokens = burst;
    this.#burst = burst;
    this.#atMs = clock.monotonicMs();
  }

  /** Takes `count` tokens, or none where there are not enough. Rate and burst may change from call to call. */
  take(count: number, ratePerSecond: number, burst: number): boolean {
    this.#ratePerSecond = ratePerSecond;
    this.#burst = burst;
    this.#fill();
    if (count > this.#tokens) return false;
    this.#tokens -= count;
    return true;
  }

  /** As of the last rate and burst. */
  get isFull(): boolean {
    this.#fill();
    return this.#tokens >= this.#burst;
  }

  #fill(): void {
    const nowMs = this.#clock.monotonicMs();
    const elapsedMs = nowMs - this.#atMs;
    this.#atMs = nowMs;
    this.#tokens = Math.min(this.#burst, this.#tokens + (elapsedMs * this.#ratePerSecond) / 1000);
  }
}
