/** Work up to which a query is a short one. */
const SHORT_MS = 50;
/** Longest that a long query waits for short ones at a time: it goes on at a tenth of its speed even when they never end. */
const WAIT_MS_MAX = 90;

interface Runner {
  workedMs: number;
  /** When it last got its turn. */
  sinceMs: number;
}

/** The turns of the queries of one thread: one that has worked for long waits for those that have not. */
export class QueryTurns {
  readonly #runners = new Set<Runner>();
  readonly #nowMs: () => number;
  #waiting: (() => void)[] = [];

  constructor(nowMs = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** `turn` for a query's context; `end` when it is through. */
  begin(): { turn(): Promise<void>; end(): void } {
    const runner: Runner = { workedMs: 0, sinceMs: this.#nowMs() };
    this.#runners.add(runner);
    return {
      turn: () => this.#turn(runner),
      end: () => {
        this.#runners.delete(runner);
        this.#wake();
      },
    };
  }

  async #turn(runner: Runner): Promise<void> {
    runner.workedMs += this.#nowMs() - runner.sinceMs;
    if (runner.workedMs >= SHORT_MS) this.#wake(); // it may have been waited for
    await new Promise<void>((resolve) => setImmediate(resolve));
    const untilMs = this.#nowMs() + WAIT_MS_MAX;
    while (runner.workedMs >= SHORT_MS && this.#anyShort() && this.#nowMs() < untilMs) {
      await this.#change(untilMs - this.#nowMs());
    }
    runner.sinceMs = this.#nowMs();
  }

  #anyShort(): boolean {
    for (const { workedMs } of this.#runners) if (workedMs < SHORT_MS) return true;
    return false;
  }

  /** Until a query ends or is no longer short, or the time is up. */
  #change(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
