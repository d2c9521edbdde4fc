import { after, type Clock } from './clock.ts';

interface Time {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Aborted where nobody waits any more. */
  readonly signal: AbortSignal;
}

/**
 * The outcome of work that has so much time.
 * @returns undefined: it failed; late: its time is over, or nobody waits, and its signal is aborted
 */
export async function within<T>(
  { clock, timeoutMs, signal }: Time,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T | undefined | 'late'> {
  if (signal.aborted || timeoutMs <= 0) return 'late';
  const ends = new AbortController();
  const late = Promise.withResolvers<'late'>();
  const end = () => {
    late.resolve('late');
    ends.abort();
  };
  signal.addEventListener('abort', end, { once: true });
  const timer = after(clock, timeoutMs, end);
  try {
    return await Promise.race([work(ends.signal).catch(() => undefined), late.promise]);
  } finally {
    timer.cancel();
    signal.removeEventListener('abort', end);
  }
}
