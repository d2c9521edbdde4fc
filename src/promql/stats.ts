import { type Grid, stepMs } from './plan/grid.ts';

/** The answer to `stats=all`, beside the timings. */
export interface QueryStats {
  /** Samples that steps looked at, those in several windows counted for each. */
  readonly totalQueryableSamples: number;
  /** As before, but those of a window only where they were not in the one before. */
  readonly samplesRead: number;
  /** As Prometheus counts them: as if every part kept all its points. What is really held is less. */
  readonly peakSamples: number;
  /** [time in ms, samples looked at for that step]; only where it was asked for. */
  readonly totalQueryableSamplesPerStep: readonly (readonly [number, number])[] | undefined;
}

/** Counts the samples that a query reads: in all, for each step of the query, and at most at a time. */
export class SampleStats {
  readonly #grid: Grid;
  readonly perStep: Float64Array | undefined;
  #total = 0;
  #read = 0;
  #peak = 0;

  constructor(grid: Grid, perStep: boolean) {
    this.#grid = grid;
    this.perStep = perStep ? new Float64Array(grid.steps) : undefined;
  }

  /** Samples of a series at all its steps, and how many of them were read for it. */
  count(samples: number, read: number): void {
    this.#total += samples;
    this.#read += read;
  }

  /**
   * For where `perStep` is wanted, beside `count`.
   *
   * @param step of `grid`; where that is not the query's own, all is counted at the end of the query, as Prometheus does
   */
  countStep(samples: number, grid: Grid, step: number): void {
    if (this.perStep === undefined || this.perStep.length === 0) return;
    const own = grid.steps === this.#grid.steps && grid.startMs === this.#grid.startMs;
    this.perStep[own ? step : this.perStep.length - 1]! += samples;
  }

  atPeak(samples: number): void {
    if (samples > this.#peak) this.#peak = samples;
  }

  /** Answers what makes these figures again what they are now. */
  mark(): () => void {
    const [total, read, peak, perStep] = [this.#total, this.#read, this.#peak, this.perStep?.slice()];
    return () => {
      this.#total = total;
      this.#read = read;
      this.#peak = peak;
      if (perStep !== undefined) this.perStep!.set(perStep);
    };
  }

  result(): QueryStats {
    return {
      totalQueryableSamples: this.#total,
      samplesRead: this.#read,
      peakSamples: this.#peak,
      totalQueryableSamplesPerStep:
        this.perStep === undefined
          ? undefined
          : Array.from(this.perStep, (count, step) => [stepMs(this.#grid, step), count] as const),
    };
  }
}
