import { nextTurn } from './turn.ts';

/** Time comes in through a parameter, so that a whole cluster can run on a manual clock. Nothing else in src/ asks the system for it. */
export interface Clock {
  /** Wall clock, Unix ms: for windows, samples, and what outlives the process. May jump. */
  nowMs(): number;
  /** Milliseconds from some moment on, with fractions: for durations and deadlines. Never goes back. */
  monotonicMs(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it is aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `work` again and again, `ms` apart, until it is cancelled. Keeps no process alive. */
  every(ms: number, work: () => void): Timer;
  /** Resolves when messages, timers and input that wait have had their turn. */
  turn(): Promise<void>;
}

export interface Timer {
  cancel(): void;
}

/** A moment by both clocks: the monotonic one stands still while a machine sleeps, the wall clock may be set. */
export interface Moment {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

type Looks = Pick<Clock, 'nowMs' | 'monotonicMs'>;

export function momentOf(clock: Looks): Moment {
  return { wallMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
}

/** Time since a moment at most, ms, for what must not be believed too long: the larger by the two clocks. */
export function ageMsOf(clock: Looks, { wallMs, monotonicMs }: Moment): number {
  return Math.max(Math.abs(clock.nowMs() - wallMs), clock.monotonicMs() - monotonicMs);
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      }, ms);
      signal?.addEventListener('abort', onAbort, { once: true });
    }),
  every: (ms, work) => {
    const timer = setInterval(work, ms);
    // a number in browsers
    if (typeof timer === 'object') (timer as { unref(): void }).unref();
    return { cancel: () => clearInterval(timer) };
  },
  turn: nextTurn,
};

/** Aborted after `ms`, with the reason that `AbortSignal.timeout` has, unless it is cancelled. Keeps no process alive. */
export function timeout(clock: Clock, ms: number): { readonly signal: AbortSignal } & Timer {
  const abort = new AbortController();
  const reason = () => new DOMException('The operation was aborted due to timeout', 'TimeoutError');
  const timer = after(clock, ms, () => abort.abort(reason()));
  return { signal: abort.signal, cancel: () => timer.cancel() };
}

/** Calls `work` once, after `ms`, unless it is cancelled. Keeps no process alive. */
export function after(clock: Clock, ms: number, work: () => void): Timer {
  const timer = clock.every(ms, () => {
    timer.cancel();
    work();
  });
  return timer;
}
