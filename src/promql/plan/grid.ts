/** The times at which an expression is evaluated: `startMs + i × stepMs` for i in 0 … steps − 1. */
export interface Grid {
  readonly startMs: number;
  /** Above 0, also where there is only one step. */
  readonly stepMs: number;
  readonly steps: number;
}

export function gridOf(startMs: number, endMs: number, stepMs: number): Grid {
  return { startMs, stepMs, steps: endMs < startMs ? 0 : Math.floor((endMs - startMs) / stepMs) + 1 };
}

/** Only the first step of `grid`: where what does not depend on the time is evaluated. */
export function firstStep(grid: Grid): Grid {
  return { startMs: grid.startMs, stepMs: grid.stepMs, steps: Math.min(1, grid.steps) };
}

export function stepMs(grid: Grid, step: number): number {
  return grid.startMs + step * grid.stepMs;
}

export function gridEndMs(grid: Grid): number {
  return grid.startMs + (grid.steps - 1) * grid.stepMs;
}
