import type { KernelExports } from '../../chunk/kernel.ts';
import type { Clock } from '../../lib/clock.ts';
import type { SavedArena } from '../log/checkpoint.ts';

/** The windows of a head, an arena each: open, sealed, and when the store had them. */
export class Windows {
  readonly #exports: KernelExports;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  /** LSN of the seal of each sealed arena, and when the store had it; 0: not yet. */
  readonly #sealed = new Map<number, { readonly sealLsn: number; readonly flushedMs: number }>();
  /** Monotonic time since which this process knows that the store has them: how long they stay must not depend on a wall clock that jumps. */
  readonly #storedSinceMs = new Map<number, number>();

  constructor(exports: KernelExports, clock: Pick<Clock, 'monotonicMs'>) {
    this.#exports = exports;
    this.#clock = clock;
  }

  /** Those of a checkpoint; their arenas are in the head. */
  load(arenas: readonly SavedArena[]): void {
    for (const { id, sealLsn, flushedMs } of arenas) {
      if (sealLsn === 0) continue;
      this.#sealed.set(id, { sealLsn, flushedMs });
      if (flushedMs > 0) this.#storedSinceMs.set(id, this.#clock.monotonicMs());
    }
  }

  arenas(): SavedArena[] {
    const arenas: SavedArena[] = [];
    for (let id = 1; id < this.#exports.arenaCount(); id++) {
      if (!this.#exports.arenaExists(id)) continue;
      const { sealLsn, flushedMs } = this.#sealed.get(id) ?? { sealLsn: 0, flushedMs: 0 };
      arenas.push({ id, window: this.#exports.arenaWindow(id), sealLsn, flushedMs });
    }
    return arenas;
  }

  /** Samples of windows that the store does not have all of; those of tenants that were deleted since count until their window goes. */
  get owedSamples(): number {
    const owed = this.arenas().filter(({ flushedMs }) => flushedMs === 0);
    return owed.reduce((sum, { id }) => sum + this.#exports.arenaSamples(id), 0);
  }

  /** No sample goes into the window's open arena any more; the next one makes another. */
  seal(window: number, lsn: number): void {
    const { arenaCount, arenaExists, arenaSealed, arenaWindow, arenaSeal } = this.#exports;
    for (let id = 1; id < arenaCount(); id++) {
      if (!arenaExists(id) || arenaSealed(id) || arenaWindow(id) !== window) continue;
      arenaSeal(id);
      this.#sealed.set(id, { sealLsn: lsn, flushedMs: 0 });
    }
  }

  markFlushed(sealLsn: number, atMs: number): void {
    for (const [id, sealed] of this.#sealed) {
      if (sealed.sealLsn !== sealLsn) continue;
      this.#sealed.set(id, { sealLsn, flushedMs: atMs });
      this.#storedSinceMs.set(id, this.#clock.monotonicMs());
    }
  }

  /** Takes out arenas that the store has had for so long, one after another: the caller drops each from the head. */
  *takeFlushed(keepMs: number): Generator<number> {
    for (const [id, sinceMs] of this.#storedSinceMs) {
      if (this.#clock.monotonicMs() - sinceMs < keepMs) continue;
      this.#storedSinceMs.delete(id);
      this.#sealed.delete(id);
      yield id;
    }
  }
}
