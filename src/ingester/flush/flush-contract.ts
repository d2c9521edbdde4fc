import type { Placement } from '../../chunkstore/placement.ts';
import type { FlushSpread, FlushTurns } from '../flush-turn.ts';

// Requests for flushes, and their answers.

/** Does flushes: in a thread of its own, or in this one. */
export interface FlushRunner {
  /** Seals windows, writes what is due of all that is sealed (or what one tenant has), and confirms to the shards what is written in whole. */
  flush(request: FlushRequest): Promise<FlushReport>;
  /** Reads the delete requests of all tenants that the shards have, strongly, and tells the shards. */
  readDeletions(request: DeletionsRequest): Promise<void>;
  /** Reads back from the store all that the shards hold, and writes again what it lacks. */
  readBack(request: ReadBackRequest, signal: AbortSignal): Promise<ReadBackReport>;
}

export interface ReadBackRequest {
  readonly turns: FlushTurns;
}

export interface ReadBackReport {
  /** Held here, without those that are deleted. */
  readonly samples: number;
  /** Samples that the store lacked, and that were written again. */
  readonly again: number;
  /** Reasons why the store may lack some; empty: it has them all. */
  readonly failures: readonly string[];
}

export interface DeletionsRequest {
  /** Also those of tenants that the shards do not have yet, as far as a scan of the store tells. */
  readonly everyTenant: boolean;
}

export interface FlushRequest {
  /** Windows that end at or before are sealed. */
  readonly sealBeforeMs: number;
  /** By shard: windows that stay open all the same. */
  readonly keepOpen: readonly (readonly number[])[];
  /**
   * Only what this tenant has is written, of open windows too: none is sealed, and none confirmed, so that others see nothing of it.
   * Absent: what all have.
   */
  readonly tenant?: string;
  /** When the slots of a window are due; undefined: all are. */
  readonly pace: FlushPace | undefined;
  /** How far the windows are that earlier flushes have begun; of others nothing is written. */
  readonly progress: readonly FlushProgress[];
  /** Where others hold the same samples: the store is asked before anything is written. Absent: there are no others. */
  readonly turns?: FlushTurns;
  /** By shard: when windows that were over long ago were seen to be open again, by window. Their slots are due from then on. */
  readonly late?: readonly ReadonlyMap<number, number>[];
}

export interface FlushPace {
  readonly nowMs: number;
  /** From the end of a window to its first slots. */
  readonly delayMs: number;
  /** From its first slots to its last, of one owner. */
  readonly spreadMs: number;
  /** From an owner's slots to those of the one after it; absent: nobody waits. */
  readonly waitMs?: number;
  /** Whether memory is short, so that all that is over is due at once. */
  readonly hurry?: boolean;
}

/** A sealed window of a shard of which a part is in the store, or was to be there when the store failed. */
export interface FlushProgress {
  readonly shard: number;
  readonly sealLsn: number;
  /** Slots whose turn (`slotTurn`) is below are written. */
  readonly share: number;
  /** The time from which its slots are due, less the delay: its end, or when it was seen to be open again. */
  readonly endMs: number;
  /**
   * The same, less the time in which the store failed: turns of its slots go on where they stopped, so that owners do not all look at the
   * moment at which it is back. Absent: it did not fail.
   */
  readonly resumedEndMs?: number;
  /** How its slots are spread, from its beginning to its end: whatever the ring comes to, each has one turn. */
  readonly spread: FlushSpread;
  /** By tenant: how its series are spread, for all of the window. */
  readonly placements: ReadonlyMap<string, Placement>;
}

export const FLUSH_ALL: FlushRequest = {
  sealBeforeMs: Number.MAX_SAFE_INTEGER,
  keepOpen: [],
  pace: undefined,
  progress: [],
};

export interface FlushReport {
  /** Written in whole. */
  readonly windows: number;
  readonly groups: number;
  readonly series: number;
  readonly samples: number;
  /** At rest. */
  readonly bytes: number;
  /** Windows that could not be written: they stay in the head and in the log, and are tried again. */
  readonly failures: readonly string[];
  /** Windows that are written in part, and those that the store failed to take. */
  readonly progress: readonly FlushProgress[];
  /** Windows that are due and wait for another flush, since one takes only so many; absent: none. */
  readonly left?: number;
}
