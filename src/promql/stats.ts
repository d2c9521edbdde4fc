import { type Grid, stepMs } from './plan/grid.ts';

/** What `stats=all` answers, beside the timings. */
export interface QueryStats {
  readonly totalQueryableSamples: number;
  readonly peakSamples: number;
  /** [time in ms, samples read for that step]; only where it was asked for. */
  readonly totalQueryableSamplesPerStep: readonly (readonly [number, number])[] | undefined;
}

/** Counts the samples that a query reads: in all, for each step of the query, and at most at a time. */
export class SampleStats {
  readonly #grid: Grid;
  readonly perStep: Float64Array | undefined;
  #total = 0;
  #peak = 0;

  constructor(grid: Grid, perStep: boolean) {
    this.#grid = grid;
    this.perStep = perStep ? new Float64Array(grid.steps) : undefined;
  }

  /** @param step of `grid`; where that is not the query's own, all is counted at the end of the query, as Prometheus does */
  count(samples: number, grid: Grid, step: number): void {
    this.#total += samples;
    if (this.perStep !== undefined && this.perStep.length > 0) {
      const own = grid.steps === this.#grid.steps && grid.startMs === this.#grid.startMs;
      this.perStep[own ? step : this.perStep.length - 1]! += samples;
    }
  }

  /** For all steps together, where nobody asked for each. */
  countAll(samples: number): void {
    this.#total += samples;
  }

  atPeak(samples: number): void {
    if (samples > this.#peak) this.#peak = samples;
  }

  result(): QueryStats {
    return {
      totalQueryableSamples: this.#total,
      peakSamples: this.#peak,
      totalQueryableSamplesPerStep:
        this.perStep === undefined
          ? undefined
          : Array.from(this.perStep, (count, step) => [stepMs(this.#grid, step), count] as const),
    };
  }
}
