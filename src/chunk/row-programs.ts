import { ROW_SLOTS, ROW_STEP_BYTES } from '../storage/row-layout.ts';
import type { RowProgram } from '../storage/series-rows.ts';
import type { Kernel } from './kernel.ts';
import { Region } from './region.ts';

/** Samples of a series that rows are made of; those of larger ones are read as columns. */
export const ROW_SAMPLES_MAX = 16 * 1024;

/** The program and range that a kernel makes rows by. */
export class RowPrograms {
  readonly #kernel: Kernel;
  readonly #steps: Region;
  #samples = 0;
  #program: RowProgram | undefined;
  #startMs = 0;
  #endMs = 0;
  #begun = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#steps = new Region(kernel);
  }

  /** Has the kernel work by a program. @returns false where it does already, with all that it found for it */
  begin(program: RowProgram, startMs: number, endMs: number): boolean {
    const { exports } = this.#kernel;
    // others make rows with the same kernel
    const isOwn = this.#program !== undefined && exports.rowsBegun() === this.#begun;
    if (isOwn && this.#program === program && this.#startMs === startMs && this.#endMs === endMs) return false;
    // what throws leaves no program
    this.#program = undefined;
    if (this.#samples === 0) this.#samples = this.#kernel.reserve(exports.rowsSampleBytes(ROW_SAMPLES_MAX));
    const { func, steps, firstEndMs, stepMs, backMs, rangeSeconds } = program;
    const perStep = this.#steps.ensure(ROW_SLOTS * ROW_STEP_BYTES * steps);
    exports.rowsBegin(
      func,
      steps,
      firstEndMs,
      stepMs,
      backMs,
      rangeSeconds,
      startMs,
      endMs,
      this.#samples,
      ROW_SAMPLES_MAX,
      perStep,
    );
    this.#begun = exports.rowsBegun();
    this.#program = program;
    this.#startMs = startMs;
    this.#endMs = endMs;
    return true;
  }

  /** Has the next series begin anew. */
  forget(): void {
    this.#program = undefined;
  }
}
