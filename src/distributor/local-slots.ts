import type { Clock } from '../lib/clock.ts';
import { dayOf } from '../lib/day.ts';
import { bucketsFor } from '../model/slot-sizes.ts';

/** How a tenant's series are spread over the shards of a process without a ring. */
export interface LocalSlots {
  /** As many buckets as metrics are spread over: 1, 16, or 256 where there are more than 16 shards. */
  readonly buckets: number;
  /** Series that may be counted twice, since they go to another shard than before. */
  readonly moved: number;
}

/** Spreads of tenants, as who sends to shards asks for them and learns of sizes. */
export interface SlotSizes {
  of(tenant: string): LocalSlots | Promise<LocalSlots>;
  report(tenant: string, series: number): void;
  /** Reads what it knew before the start. */
  open?(): void;
}

/** Slots as they are kept from one start to the next. */
export interface SavedSlots {
  /** Shards that they are for; others than now: everything may lie elsewhere. */
  readonly shards: number;
  readonly tenants: readonly SavedTenant[];
}

interface SavedTenant {
  readonly tenant: string;
  readonly buckets: number;
  /** When its buckets changed last, Unix ms, and the series that it had then. */
  readonly changedMs: number;
  readonly series: number;
}

/** Where slots are kept. */
export interface SlotsFile {
  /** undefined: nothing is held anywhere yet. */
  load(): SavedSlots | undefined;
  save(slots: SavedSlots): void;
}

/** For so long series that moved may still be counted where they were: four windows. */
const MOVING_MS = 8 * 3_600_000;
/** A tenant with so few series for a whole day is one slot again. */
const WHOLE_SERIES_MAX = 10_000;
const WIDE_SHARDS = 16;

export const WHOLE: LocalSlots = { buckets: 1, moved: 0 };

interface Spread {
  buckets: number;
  changedMs: number;
  series: number;
  /** The most series seen in the day that is under way. */
  day: number;
  most: number;
}

/**
 * Says how many slots a tenant has where there is no ring that would: one, which lies in one shard, until it has some 20,000 series. Kept
 * in a file, since a tenant's series must go where they went before the start, also while logs are replayed and nobody knows its size.
 */
export class LocalSlotSizes implements SlotSizes {
  readonly #shards: number;
  readonly #file: SlotsFile;
  readonly #clock: Clock;
  readonly #tenants = new Map<string, Spread>();
  /** Until then series of any tenant may still lie in other shards, Unix ms. */
  #movingUntilMs = 0;

  readonly #onChange: () => void;

  constructor(options: {
    readonly shards: number;
    readonly file: SlotsFile;
    readonly clock: Clock;
    /** Told of each change. */
    readonly onChange?: () => void;
  }) {
    const { shards, file, clock, onChange = () => {} } = options;
    this.#onChange = onChange;
    this.#shards = shards;
    this.#file = file;
    this.#clock = clock;
  }

  /** Reads the file. Before, every tenant is one slot. */
  open(): void {
    const saved = this.#file.load();
    const nowMs = this.#clock.nowMs();
    for (const { tenant, buckets, changedMs, series } of saved?.tenants ?? []) {
      this.#tenants.set(tenant, { buckets, changedMs, series, day: dayOf(nowMs), most: WHOLE_SERIES_MAX + 1 });
    }
    if (saved?.shards === this.#shards) return;
    if (saved !== undefined) this.#movingUntilMs = nowMs + MOVING_MS;
    this.#save();
  }

  of(tenant: string): LocalSlots {
    const spread = this.#tenants.get(tenant);
    const nowMs = this.#clock.nowMs();
    const moved = nowMs < this.#movingUntilMs ? Number.MAX_SAFE_INTEGER : movedOf(spread, nowMs);
    if (spread === undefined && moved === 0) return WHOLE;
    return { buckets: spread?.buckets ?? 1, moved };
  }

  /** Learns how many series of a tenant the shards have that one of its requests went to. */
  report(tenant: string, series: number): void {
    const spread = this.#tenants.get(tenant);
    const buckets = Math.min(bucketsFor(series), this.#shards > WIDE_SHARDS ? 256 : 16);
    if (buckets > (spread?.buckets ?? 1)) this.#set(tenant, buckets, series);
    else if (spread !== undefined) this.#mayShrink(tenant, spread, series);
  }

  #mayShrink(tenant: string, spread: Spread, series: number): void {
    const nowMs = this.#clock.nowMs();
    const day = dayOf(nowMs);
    if (spread.day !== day) {
      if (spread.most <= WHOLE_SERIES_MAX && spread.buckets > 1) {
        this.#set(tenant, 1, spread.most);
        return;
      }
      if (spread.buckets === 1 && movedOf(spread, nowMs) === 0) {
        this.#tenants.delete(tenant);
        this.#save();
        return;
      }
      spread.day = day;
      spread.most = 0;
    }
    spread.most = Math.max(spread.most, series);
  }

  #set(tenant: string, buckets: number, series: number): void {
    const nowMs = this.#clock.nowMs();
    this.#tenants.set(tenant, { buckets, changedMs: nowMs, series, day: dayOf(nowMs), most: series });
    this.#save();
  }

  #save(): void {
    const tenants = [...this.#tenants].map(([tenant, { buckets, changedMs, series }]) => ({
      tenant,
      buckets,
      changedMs,
      series,
    }));
    this.#file.save({ shards: this.#shards, tenants });
    this.#onChange();
  }
}

function movedOf(spread: Spread | undefined, nowMs: number): number {
  return spread !== undefined && nowMs < spread.changedMs + MOVING_MS ? spread.series : 0;
}
