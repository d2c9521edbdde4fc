import type { Clock } from '../lib/clock.ts';
import type { RingView } from './view.ts';

/** A version is refused for writes when another one has counted for so many times as long as it takes a member to be unhealthy. */
export const WRITES_OLD_TIMEOUTS = 5;

/** Decides under which versions a member takes writes, by when each began to count here. */
export class WriteGate {
  readonly #ownId: string;
  readonly #clock: Clock;
  readonly #oldMs: number;
  /** Ascending, by the monotonic clock. */
  #counted: { readonly number: number; readonly atMs: number }[] = [];

  /** @param oldMs time after which writes of a version are refused when the next one counts */
  constructor(ownId: string, clock: Clock, oldMs: number) {
    this.#ownId = ownId;
    this.#clock = clock;
    this.#oldMs = oldMs;
  }

  /** Takes note of what counts. @returns whether that is news */
  see({ confirmed, newest }: RingView): boolean {
    if (confirmed <= (this.#counted.at(-1)?.number ?? 0)) return false;
    this.#counted = [
      ...this.#counted.filter(({ number }) => number >= newest.floor),
      { number: confirmed, atMs: this.#clock.monotonicMs() },
    ];
    return true;
  }

  /** Why writes of any version are refused; undefined: they are not. */
  closed({ chain, confirmed, newest }: RingView): string | undefined {
    const counts = chain.find(({ number }) => number === confirmed);
    const own = newest.members.find(({ id }) => id === this.#ownId);
    if (own === undefined) return 'it is no member of the ring';
    if (own.state === 'draining' && counts?.members.find(({ id }) => id === this.#ownId)?.state === 'draining')
      return 'it drains';
    return undefined;
  }

  /** Number of the newest version whose time is over; 0: none. */
  get oldNumber(): number {
    const nowMs = this.#clock.monotonicMs();
    const old = this.#counted.findLast(({ atMs }) => nowMs - atMs >= this.#oldMs);
    return old === undefined ? 0 : old.number - 1;
  }
}
