import type { Clock } from '../lib/clock.ts';
import { DAY_MS, dayOf } from '../lib/day.ts';
import { getOrMake } from '../lib/map.ts';
import { backgroundContext } from './background.ts';
import { hexOf } from './group-row.ts';
import { type IndexReader, uncachedIndex } from './index-reader.ts';
import type { Slot } from './placement.ts';
import type { Schema } from './schema.ts';

/** Nothing of a day is merged earlier than so long before its end, whatever the compactor's clock. */
const CLOCKS_MS = 3_600_000;
/** Slots that are remembered. */
const SLOTS_KEPT_MAX = 16_384;

const NONE: ReadonlySet<string> = new Set();

/**
 * Ids that merged groups list as replaced. A group of such an id is out of sight, although the merge may have left out samples of it that
 * were deleted and came again since. Made for one flush; reads are strong.
 */
export class ReplacedGroups {
  readonly #clock: Clock;
  readonly #index: IndexReader;
  readonly #signal: AbortSignal;
  /** By tenant, day and slot. */
  readonly #slots = new Map<string, Promise<ReadonlySet<string>>>();

  constructor(schema: Schema, clock: Clock, signal: AbortSignal = new AbortController().signal) {
    this.#clock = clock;
    this.#index = uncachedIndex(schema, clock);
    this.#signal = signal;
  }

  /** In hex, of the day of a time; without a read for days that nobody has merged. */
  async of(tenant: string, slot: Slot, timeMs: number): Promise<ReadonlySet<string>> {
    const day = dayOf(timeMs);
    if ((day + 1) * DAY_MS - CLOCKS_MS > this.#clock.nowMs()) return NONE;
    if (this.#slots.size >= SLOTS_KEPT_MAX) this.#slots.clear();
    return getOrMake(this.#slots, `${day} ${hexOf(slot)} ${tenant}`, () =>
      this.#index.replaced(tenant, day, slot, backgroundContext(this.#signal)),
    );
  }
}
