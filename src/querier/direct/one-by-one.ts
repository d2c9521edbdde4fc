import { after, type Clock } from '../../lib/clock.ts';

/** Work after which what else waits in this thread comes first. */
const HELD_MS_MAX = 5;
/** Time after which who waits for a place had better be evaluated elsewhere. */
const WAIT_MS_MAX = 5;

/** A place that one query at a time has. */
export interface Place {
  /** Twice does no harm. */
  leave(): void;
}

/** CPU time of the thread while it is at one query: from when that goes on until nothing of it is left that can. */
export class WorkMeter {
  readonly #cpuMs: () => number;
  #usedMs = 0;
  #fromMs: number | undefined;

  /** @param cpuMs CPU time of the thread */
  constructor(cpuMs: () => number) {
    this.#cpuMs = cpuMs;
  }

  /** The query goes on now. */
  go(): void {
    if (this.#fromMs !== undefined) return;
    this.#fromMs = this.#cpuMs();
    // once all promises that can are settled
    queueMicrotask(() => process.nextTick(() => this.#stop()));
  }

  #stop(): void {
    if (this.#fromMs === undefined) return;
    this.#usedMs += this.#cpuMs() - this.#fromMs;
    this.#fromMs = undefined;
  }

  get usedMs(): number {
    return this.#usedMs + (this.#fromMs === undefined ? 0 : this.#cpuMs() - this.#fromMs);
  }
}

/** Lets small queries evaluate one after another, and other work of the thread in between: together they hold it no longer than one. */
export class OneByOne {
  readonly #clock: Clock;
  readonly #waiting: (() => void)[] = [];
  #holder: WorkMeter | undefined;
  #isTaken = false;
  #heldMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @returns undefined where the place is not free for some milliseconds, or nobody waits for it any more */
  async enter(meter: WorkMeter, signal: AbortSignal): Promise<Place | undefined> {
    if (this.#isTaken && !(await this.#turn(signal))) return undefined;
    this.#isTaken = true;
    this.#holder = meter;
    meter.go();
    const beforeMs = meter.usedMs;
    let isLeft = false;
    return {
      leave: () => {
        if (isLeft) return;
        isLeft = true;
        this.#holder = undefined;
        this.#heldMs += meter.usedMs - beforeMs;
        this.#next();
      },
    };
  }

  /** Whoever has the place goes on after others had their turn. */
  goOn(): void {
    this.#holder?.go();
  }

  #turn(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    return new Promise((resolve) => {
      const ended = (isIn: boolean) => {
        timer.cancel();
        signal.removeEventListener('abort', goes);
        resolve(isIn);
      };
      const comes = () => ended(true);
      const goes = () => {
        const at = this.#waiting.indexOf(comes);
        if (at < 0) return;
        this.#waiting.splice(at, 1);
        ended(false);
      };
      const timer = after(this.#clock, WAIT_MS_MAX, goes);
      signal.addEventListener('abort', goes, { once: true });
      this.#waiting.push(comes);
    });
  }

  #next(): void {
    const next = this.#waiting.shift();
    if (next === undefined) {
      this.#isTaken = false;
      this.#heldMs = 0;
    } else if (this.#heldMs < HELD_MS_MAX) next();
    else {
      this.#heldMs = 0;
      void this.#clock.turn().then(next);
    }
  }
}
