import type { Logger } from '../kit/observe/log.ts';
import type { Service } from '../kit/service/service.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import type { RingMember } from '../ring/member.ts';
import { SIZE_METRICS_MAX } from '../ring/row.ts';
import type { IngesterMember } from './member.ts';
import type { IngesterService } from './service.ts';
import type { ShardCalls } from './shard/shard-messages.ts';
import { tenantSizes } from './tenant-sizes.ts';

export interface RingLifeOptions {
  readonly ring: Pick<
    RingMember,
    | 'setComplete'
    | 'refusedUpTo'
    | 'giveWord'
    | 'standing'
    | 'wants'
    | 'isNeeded'
    | 'join'
    | 'leave'
    | 'reportSizes'
    | 'sizesSeriesMin'
  >;
  readonly member: Pick<IngesterMember, 'settled'>;
  readonly ingester: Pick<IngesterService, 'notReady' | 'losses' | 'owed' | 'flush'>;
  /** Reads back from the store all that is held, before it leaves. Resolves with whether the store has it. Absent: nobody does. */
  readonly readBack?: (signal: AbortSignal) => Promise<boolean>;
  readonly shards: () => readonly ShardCalls[];
  readonly clock: Clock;
  readonly log: Logger;
  readonly intervalMs?: number;
  /** The same while somebody waits for what it finds: the ring begins, it joins, or it leaves. Absent: as ever. */
  readonly hurryMs?: number;
}

/** How often what is owed is looked at. */
const INTERVAL_MS = 15_000;
/** Wait before all is read back again where that failed: doubled for each failure, up to the second. */
const READ_BACK_AGAIN_MS = 15_000;
const READ_BACK_AGAIN_MS_MAX = 600_000;
/** How often sizes of tenants are told. */
const SIZES_MS = 60_000;

/** A time at which writes under some versions had ended, and what the store lacked then of what had come. */
interface Mark {
  /** Number of the newest of these versions. */
  readonly upTo: number;
  readonly owed: ReadonlySet<string>;
}

/**
 * An ingester's side of its membership: tells the ring whether it has all that it took, and for which versions the store has it. One
 * that has no arcs any more writes everything to the store; then it leaves, or, where it was taken out and did not drain, joins anew.
 */
export class RingLife implements Service {
  readonly name = 'ring-life';
  readonly #options: RingLifeOptions;
  /** Ascending by version. */
  #marks: readonly Mark[] = [];
  #sizesMs = Number.NEGATIVE_INFINITY;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #isComplete = false;
  #isReadBack = false;
  /** Failures since the last that was well, and the time before which it is not tried again. */
  #readBackFailures = 0;
  #readBackFromMs = Number.NEGATIVE_INFINITY;
  readonly #stopping = new AbortController();
  #hasFailed = false;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;

  constructor(options: RingLifeOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { clock, intervalMs = INTERVAL_MS, hurryMs } = this.#options;
    if (hurryMs === undefined) this.#timer = clock.every(intervalMs, () => void this.look());
    else {
      void this.look();
      this.#timer = clock.every(Math.min(hurryMs, intervalMs), () => {
        const isAwaited = this.#isAwaited && !this.#hasFailed;
        if (isAwaited || clock.monotonicMs() - this.#lookedMs >= intervalMs) void this.look();
      });
    }
  }

  /** Whether its place in the ring changes, or others wait until it is complete. */
  get #isAwaited(): boolean {
    const { standing, wants } = this.#options.ring;
    return !this.#isComplete || standing !== 'member' || wants !== 'join';
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    this.#stopping.abort(new Error('stopping'));
    await this.#running;
  }

  /** Looks once, unless it does already. Never rejects. */
  look(): Promise<void> {
    if (this.#running !== undefined) return this.#running;
    this.#lookedMs = this.#options.clock.monotonicMs();
    this.#running = this.#look()
      .then(() => {
        this.#hasFailed = false;
      })
      .catch((error: Error) => {
        this.#hasFailed = true;
        if (this.#stopping.signal.aborted) return;
        this.#options.log.warn(
          { error: error.message },
          'what is owed to the store cannot be looked at, it will be tried again',
        );
      })
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  async #look(): Promise<void> {
    const { ring, ingester } = this.#options;
    if (ingester.notReady() !== undefined) return ring.setComplete(false);
    const losses = await ingester.losses();
    this.#isComplete = losses.every(({ settled }) => settled);
    ring.setComplete(this.#isComplete, losses.length > 0);
    if (ring.standing === undefined) return this.#begin();
    if (ring.standing === 'member') this.#isReadBack = false;
    await this.#tellSizes();
    const isOut = ring.standing === 'drained' || ring.standing === 'out';
    if (isOut && (await ingester.owed()).size > 0) await ingester.flush({ wait: true });
    const isStored = await this.#tell(losses.length > 0);
    if (!isOut || !isStored) return;
    // what a log lost nobody can take its word for: it stays until others have given theirs, unless it was taken out by then
    const isAwaited = ring.standing === 'drained' && losses.length > 0 && ring.isNeeded;
    if (hasDrained(ring) && !isAwaited) {
      this.#isReadBack ||= await this.#readBack();
      // it may have been asked to stay meanwhile
      if (this.#isReadBack && hasDrained(ring)) ring.leave();
    }
    if (ring.standing === 'out' && ring.wants === 'nothing') ring.join();
  }

  /** Reads all of it, so that what fails each time is not tried with each look. */
  async #readBack(): Promise<boolean> {
    const { readBack, clock } = this.#options;
    if (readBack === undefined) return true;
    if (clock.monotonicMs() < this.#readBackFromMs) return false;
    let isWell = false;
    try {
      isWell = await readBack(this.#stopping.signal);
      return isWell;
    } finally {
      const againMs = Math.min(READ_BACK_AGAIN_MS * 2 ** this.#readBackFailures, READ_BACK_AGAIN_MS_MAX);
      this.#readBackFailures = isWell ? 0 : this.#readBackFailures + 1;
      this.#readBackFromMs = isWell ? Number.NEGATIVE_INFINITY : clock.monotonicMs() + againMs;
    }
  }

  /** Nobody knows a version of the ring yet. Who has a log takes part once the store has it: no version says that it holds anything. */
  async #begin(): Promise<void> {
    const { ring, ingester } = this.#options;
    if (ring.wants !== 'nothing') return;
    if ((await ingester.owed()).size > 0) await ingester.flush({ wait: true });
    if ((await ingester.owed()).size === 0) ring.join();
  }

  /** Tells how many series its larger tenants have, so that the ring spreads those that grow. */
  async #tellSizes(): Promise<void> {
    const { ring, shards, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#sizesMs < SIZES_MS || ring.standing !== 'member') return;
    this.#sizesMs = nowMs;
    const limits = { seriesMin: ring.sizesSeriesMin, metricsMax: SIZE_METRICS_MAX };
    await ring.reportSizes(await tenantSizes(shards(), limits));
  }

  /** Gives the word for versions that it holds nothing of that the store lacks. Says whether that is all of them. */
  async #tell(hasLosses: boolean): Promise<boolean> {
    const { ring, member, ingester } = this.#options;
    const upTo = ring.refusedUpTo();
    if (upTo > (this.#marks.at(-1)?.upTo ?? 0)) {
      // those that were let in before are in a window by then
      await member.settled(upTo);
      this.#marks = [...this.#marks, { upTo, owed: await ingester.owed() }];
    }
    const owed = await ingester.owed();
    const isStored = (mark: Mark) => [...mark.owed].every((each) => !owed.has(each));
    const stored = this.#marks.findLast(isStored);
    // the last stays, to say what is new
    this.#marks = this.#marks.filter((mark) => mark === this.#marks.at(-1) || !(stored && mark.upTo <= stored.upTo));
    if (stored !== undefined && !hasLosses) ring.giveWord(stored.upTo);
    return stored !== undefined && stored === this.#marks.at(-1);
  }
}

/** Whether it wished to own nothing, and does not; others may have taken it out while it was away. Asked anew after each wait. */
function hasDrained({ standing, wants }: RingLifeOptions['ring']): boolean {
  return wants === 'drain' && (standing === 'drained' || standing === 'out');
}
