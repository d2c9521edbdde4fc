import { type Backoff, backoffMs } from '../../lib/backoff.ts';
import type { Clock } from '../../lib/clock.ts';
import { throwIfFenced } from '../../lib/fenced-signal.ts';
import { type Random, systemRandom } from '../../lib/random.ts';
import { Semaphore } from '../../lib/semaphore.ts';
import { AppError } from '../../model/errors.ts';
import { storeErrors } from '../../model/errors-store.ts';
import { type Failure, redact } from './failure.ts';

export interface StoreCallerOptions {
  readonly backend: string;
  /** Says what a driver's error means. */
  readonly classify: (thrown: unknown) => Failure;
  readonly backoff: Backoff;
  /** How long one try may take. */
  readonly timeoutMs: number;
  /** Calls under way at once; more wait in line. */
  readonly parallelMax: number;
  /** Never shown, whatever a driver puts into its texts. */
  readonly secrets?: readonly string[];
  readonly clock: Clock;
  readonly random?: Random;
}

/** The operation that is asked for, as errors name it. `table` is a table or bucket. */
export interface StoreOperation {
  readonly operation: string;
  readonly table?: string;
  readonly key?: string;
}

/** One try, with a signal that fires when the caller gives up or the try has taken too long. */
export type Attempt<T> = (signal: AbortSignal, failedTries: number) => Promise<T>;

/** Makes calls to a store: few at once, each within its time, again after a pause where that may help, failures named. */
export class StoreCaller {
  readonly #options: StoreCallerOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #places: Semaphore;
  readonly #closed = new AbortController();

  constructor(options: StoreCallerOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#random = options.random ?? systemRandom;
    this.#places = new Semaphore(options.parallelMax);
  }

  /** @throws the signal's reason when it is aborted, an error of the catalogue otherwise */
  async call<T>(what: StoreOperation, signal: AbortSignal | undefined, attempt: Attempt<T>): Promise<T> {
    const { backoff } = this.#options;
    for (let failedTries = 0; ; ) {
      this.#throwIfClosed();
      let failure: Failure;
      try {
        return await this.#places.run(() => {
          throwIfFenced(signal);
          return this.#tryOnce(signal, failedTries, attempt);
        }, signal);
      } catch (thrown) {
        signal?.throwIfAborted();
        this.#throwIfClosed();
        if (thrown instanceof AppError) throw thrown;
        failure =
          thrown instanceof TimedOut ? { kind: 'unavailable', reason: thrown.message } : this.#failureOf(thrown);
      }
      failedTries++;
      const passing = failure.kind === 'unavailable' || failure.kind === 'throttled';
      if (!passing || failedTries >= backoff.triesMax) throw this.#errorOf(what, failure, failedTries);
      await this.#clock.sleep(backoffMs(backoff, failedTries, this.#random), this.#stopping(signal)).catch(() => {
        signal?.throwIfAborted();
      });
    }
  }

  /** Waits between tries where a call succeeded in part, as long as the back-off says. */
  async pause(failedTries: number, signal: AbortSignal | undefined): Promise<void> {
    await this.#clock.sleep(backoffMs(this.#options.backoff, failedTries, this.#random), signal);
  }

  /** Calls under way fail, and all that come. */
  close(): void {
    this.#closed.abort();
  }

  /** One try. A driver that does not listen to the signal is left behind: its answer is of no use to anybody. */
  async #tryOnce<T>(signal: AbortSignal | undefined, failedTries: number, attempt: Attempt<T>): Promise<T> {
    const over = new AbortController();
    const { timeoutMs } = this.#options;
    const stop = AbortSignal.any([over.signal, this.#stopping(signal)]);
    const timer = new AbortController();
    this.#clock.sleep(timeoutMs, timer.signal).then(
      () => over.abort(new TimedOut(`no answer within ${timeoutMs} ms`)),
      () => {},
    );
    const stopped = Promise.withResolvers<never>();
    const onStop = () => stopped.reject(stop.reason);
    stop.addEventListener('abort', onStop, { once: true });
    if (stop.aborted) onStop();
    try {
      const answer = attempt(stop, failedTries);
      answer.catch(() => {}); // it may still fail once nobody waits for it
      return await Promise.race([answer, stopped.promise]);
    } catch (thrown) {
      // drivers have errors of their own for an abort
      throw over.signal.aborted ? over.signal.reason : thrown;
    } finally {
      stop.removeEventListener('abort', onStop);
      stopped.promise.catch(() => {});
      timer.abort();
    }
  }

  #stopping(signal: AbortSignal | undefined): AbortSignal {
    return signal ? AbortSignal.any([signal, this.#closed.signal]) : this.#closed.signal;
  }

  #throwIfClosed(): void {
    if (this.#closed.signal.aborted) throw storeErrors.storeClosed({ backend: this.#options.backend });
  }

  #failureOf(thrown: unknown): Failure {
    const { kind, reason } = this.#options.classify(thrown);
    return { kind, reason: redact(reason, this.#options.secrets ?? []) };
  }

  #errorOf(what: StoreOperation, { kind, reason }: Failure, tries: number): AppError {
    const { backend } = this.#options;
    const { operation, table, key } = what;
    switch (kind) {
      case 'unavailable':
        return storeErrors.storeUnavailable({ backend, operation, table, key, reason, tries });
      case 'throttled':
        return storeErrors.storeThrottled({ backend, operation, table, key, tries });
      case 'denied':
        return storeErrors.storeDenied({ backend, operation, table, key, reason });
      case 'refused':
        return storeErrors.storeRefused({ backend, operation, table, key, reason });
      case 'full':
        return storeErrors.storeFull({ backend, operation, table, key });
      case 'table-missing':
        return storeErrors.storeTableMissing({ backend, operation, table: table ?? '' });
      case 'object-missing':
        return storeErrors.objectNotFound({ backend, key: key ?? '' });
    }
  }
}

class TimedOut extends Error {}
