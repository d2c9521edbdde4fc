import type { KernelExports } from '../../chunk/kernel.ts';
import type { SavedArena } from '../log/checkpoint.ts';

/** The windows of a head, an arena each: open, sealed, and when the store had them. */
export class Windows {
  readonly #exports: KernelExports;
  /** LSN of the seal of each sealed arena, and when the store had it; 0: not yet. */
  readonly #sealed = new Map<number, { readonly sealLsn: number; readonly flushedMs: number }>();

  constructor(exports: KernelExports) {
    this.#exports = exports;
  }

  /** Those of a checkpoint; their arenas are in the head. */
  load(arenas: readonly SavedArena[]): void {
    for (const { id, sealLsn, flushedMs } of arenas) if (sealLsn > 0) this.#sealed.set(id, { sealLsn, flushedMs });
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
      if (sealed.sealLsn === sealLsn) this.#sealed.set(id, { sealLsn, flushedMs: atMs });
    }
  }

  /** Takes out arenas that the store had at or before `beforeMs`, one after another: the caller drops each from the head. */
  *takeFlushed(beforeMs: number): Generator<number> {
    for (const [id, { flushedMs }] of this.#sealed) {
      if (flushedMs === 0 || flushedMs > beforeMs) continue;
      this.#sealed.delete(id);
      yield id;
    }
  }
}
