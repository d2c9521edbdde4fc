import type {
  InstantRequest,
  PartialRequest,
  PartialResult,
  QueryResult,
  QueryRunContext,
  QueryRunner,
  RangeRequest,
} from '../contract/query.ts';
import { backoffMs } from '../lib/backoff.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import { AppError } from '../model/errors.ts';
import { queryErrors } from '../model/errors-query.ts';

export interface Retries {
  /** Times that something is asked for again. */
  readonly retriesMax: number;
  readonly clock: Clock;
  readonly random: Random;
}

/** Failures of who evaluates, or of what it reads: another time, or another one, may do better. */
const RETRIED: ReadonlySet<string> = new Set([
  'worker-gone',
  'store-unavailable',
  'store-throttled',
  'no-read-quorum',
  'ring-unknown',
  'ring-behind',
]);
/** Another takes the place of whoever is gone, or has other settings, at once. */
const REPLACED: ReadonlySet<string> = new Set([
  'worker-gone',
  'worker-out-of-memory',
  'querier-gone',
  'querier-differs',
  'peer-gone',
  'shutting-down',
]);
/** A store's client tries again by itself for longer than this: when it has given up, more tries would only take more time. */
const AGAIN_WITHIN_MS = 5_000;
const PAUSE = { minMs: 100, maxMs: 1_000, triesMax: 1 };

/**
 * Runs something again when it fails for no fault of its own. What is wrong with a query is wrong every time, and who is overloaded is not
 * helped by being asked more.
 *
 * @param signal nothing is tried again when it is aborted
 */
export async function withRetries<T>(retries: Retries, signal: AbortSignal, run: () => Promise<T>): Promise<T> {
  const { retriesMax, clock } = retries;
  const startedMs = clock.monotonicMs();
  for (let tries = 0; ; tries++) {
    try {
      return await run();
    } catch (thrown) {
      if (signal.aborted || tries >= retriesMax || !isRetried(thrown)) throw thrown;
      if (isTriedLong(thrown, clock.monotonicMs() - startedMs)) throw thrown;
      await pauseAfter(thrown, tries + 1, retries, signal);
    }
  }
}

/** Whether something failed after so long that more tries would not help: not where another takes its place. */
export function isTriedLong(thrown: unknown, triedMs: number): boolean {
  return !isReplaced(thrown) && triedMs > AGAIN_WITHIN_MS;
}

/**
 * Gives whoever is away, or is asked too much, time before the next try: more with each, and no two the same.
 *
 * @throws the signal's reason
 */
export async function pauseAfter(
  thrown: unknown,
  failedTries: number,
  { clock, random }: Pick<Retries, 'clock' | 'random'>,
  signal: AbortSignal,
): Promise<void> {
  if (isReplaced(thrown)) return;
  await clock.sleep(backoffMs(PAUSE, failedTries, random), signal);
}

/** Asks again, where that may help: each query, part or shard of one by itself, and all its tries in the time of one. */
export class RetryingRunner implements QueryRunner {
  readonly #runner: QueryRunner;
  readonly #retries: Retries;
  readonly #timeoutMs: number;

  /** @param timeoutMs time of a query that does not ask for less */
  constructor(runner: QueryRunner, retries: Retries, timeoutMs: number) {
    this.#runner = runner;
    this.#retries = retries;
    this.#timeoutMs = timeoutMs;
  }

  instant(tenant: string, request: InstantRequest, context: QueryRunContext): Promise<QueryResult> {
    return this.#run(request, context, (own) => this.#runner.instant(tenant, own, context));
  }

  range(tenant: string, request: RangeRequest, context: QueryRunContext): Promise<QueryResult> {
    return this.#run(request, context, (own) => this.#runner.range(tenant, own, context));
  }

  partial(tenant: string, request: PartialRequest, context: QueryRunContext): Promise<PartialResult> {
    return this.#run(request, context, (own) => this.#runner.partial(tenant, own, context));
  }

  #run<Request extends InstantRequest | RangeRequest, Answer>(
    request: Request,
    { signal }: QueryRunContext,
    ask: (request: Request) => Promise<Answer>,
  ): Promise<Answer> {
    const { clock } = this.#retries;
    const limitMs = Math.min(this.#timeoutMs, request.timeoutMs ?? Number.POSITIVE_INFINITY);
    const startedMs = clock.monotonicMs();
    let isFirst = true;
    return withRetries(this.#retries, signal, () => {
      if (isFirst) {
        isFirst = false;
        return ask(request);
      }
      const timeoutMs = limitMs - (clock.monotonicMs() - startedMs);
      if (timeoutMs <= 0) throw queryErrors.queryTimedOut({ limitMs });
      return ask({ ...request, timeoutMs });
    });
  }
}

function isReplaced(thrown: unknown): boolean {
  return thrown instanceof AppError && REPLACED.has(thrown.facts.id);
}

function isRetried(thrown: unknown): boolean {
  return thrown instanceof AppError && RETRIED.has(thrown.facts.id);
}
