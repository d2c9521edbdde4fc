import { type Clock, timeout } from '../../lib/clock.ts';
import { maskSecrets } from '../../lib/mask.ts';

/** Work that is done again and again, as it is told of. */
export interface LoopState {
  readonly name: string;
  /** From the begin of one round to the next, where nothing holds it up. */
  readonly intervalMs: number;
  readonly rounds: number;
  readonly failures: number;
  /** Unix ms; undefined: not yet. */
  readonly lastStartMs: number | undefined;
  readonly lastEndMs: number | undefined;
  readonly lastTookMs: number | undefined;
  /** Text of the last round's failure; undefined: it was well. */
  readonly error: string | undefined;
  /** No round has begun for longer than three intervals, or one does not end. */
  readonly late: boolean;
}

/** A thread that does not answer, as a loop that stands. */
const UNHEARD = {
  intervalMs: 0,
  rounds: 0,
  failures: 1,
  lastStartMs: undefined,
  lastEndMs: undefined,
  lastTookMs: undefined,
  late: true,
} as const;

const ERROR_CHARS_MAX = 500;
/** Intervals without a round that are no reason to worry. */
const LATE_INTERVALS = 3;
const LATE_MIN_MS = 60_000;

/** Whether a loop stands whose last round began so long ago. */
export function isLate(sinceMs: number, intervalMs: number): boolean {
  return sinceMs > Math.max(LATE_MIN_MS, LATE_INTERVALS * intervalMs);
}

function errorText(thrown: unknown): string {
  return maskSecrets(thrown instanceof Error ? thrown.message : String(thrown)).slice(0, ERROR_CHARS_MAX);
}

/** One of a process' loops; it never changes what comes of its work. */
export class Loop {
  readonly #clock: Clock;
  readonly #name: string;
  readonly #intervalMs: number;
  readonly #madeMs: number;
  #rounds = 0;
  #failures = 0;
  #lastStartMs: number | undefined;
  #lastEndMs: number | undefined;
  #lastTookMs: number | undefined;
  #error: string | undefined;
  #failed: string | undefined;

  constructor(name: string, intervalMs: number, clock: Clock) {
    this.#name = name;
    this.#intervalMs = intervalMs;
    this.#clock = clock;
    this.#madeMs = clock.nowMs();
  }

  /** A round. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    const end = this.begin();
    try {
      return await work();
    } catch (thrown) {
      this.failed(thrown);
      throw thrown;
    } finally {
      end();
    }
  }

  /** Begins a round. @returns what ends it */
  begin(): () => void {
    this.#lastStartMs = this.#clock.nowMs();
    this.#failed = undefined;
    const startMs = this.#clock.monotonicMs();
    return () => {
      this.#rounds++;
      this.#lastEndMs = this.#clock.nowMs();
      this.#lastTookMs = this.#clock.monotonicMs() - startMs;
      this.#error = this.#failed;
      if (this.#error !== undefined) this.#failures++;
    };
  }

  /** Notes a failure of the round that is under way, for work that goes on after it. */
  failed(thrown: unknown): void {
    this.#failed = errorText(thrown);
  }

  get state(): LoopState {
    const sinceMs = this.#clock.nowMs() - (this.#lastStartMs ?? this.#madeMs);
    return {
      name: this.#name,
      intervalMs: this.#intervalMs,
      rounds: this.#rounds,
      failures: this.#failures,
      lastStartMs: this.#lastStartMs,
      lastEndMs: this.#lastEndMs,
      lastTookMs: this.#lastTookMs,
      error: this.#error,
      late: isLate(sinceMs, this.#intervalMs),
    };
  }
}

/** Another thread's loops, as it tells them when it is asked. */
export interface LoopSource {
  /** The thread, by name: stands for its loops where it does not answer. */
  readonly name: string;
  /** Rejects when the signal is aborted. */
  states(signal: AbortSignal): Promise<readonly LoopState[]>;
}

/** A thread that takes longer to tell its loops is told as one that does not answer. */
const ANSWER_MS_MAX = 2_000;

/** The loops of a process, or of one of its threads. */
export class Loops {
  readonly #clock: Clock;
  readonly #all: Loop[] = [];
  readonly #sources: (() => readonly LoopSource[])[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(name: string, intervalMs: number): Loop {
    const loop = new Loop(name, intervalMs, this.#clock);
    this.#all.push(loop);
    return loop;
  }

  /** @param sources asked for each time: threads come and go */
  addSources(sources: () => readonly LoopSource[]): void {
    this.#sources.push(sources);
  }

  /** Loops of this thread. */
  get states(): LoopState[] {
    return this.#all.map(({ state }) => state);
  }

  /** Loops of this thread and of the others. */
  async all(): Promise<LoopState[]> {
    const others = await Promise.all(this.#sources.flatMap((sources) => sources().map((source) => this.#told(source))));
    return [...this.states, ...others.flat()];
  }

  async #told({ name, states }: LoopSource): Promise<readonly LoopState[]> {
    const limit = timeout(this.#clock, ANSWER_MS_MAX);
    try {
      const { signal } = limit;
      const outOfTime = new Promise<never>((_, fail) => {
        signal.addEventListener('abort', () => fail(signal.reason), { once: true });
      });
      // a thread that is still starting looks at no signal
      return await Promise.race([states(signal), outOfTime]);
    } catch (thrown) {
      const error = errorText(thrown);
      return [{ ...UNHEARD, name: `${name}-thread`, error }];
    } finally {
      limit.cancel();
    }
  }
}
