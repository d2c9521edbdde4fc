/** The times at which an expression is evaluated: `startMs + i × stepMs` for i in 0 … steps − 1. */
export interface Grid {
  readonly startMs: number;
  /** Above 0, also where there is only one step. */
  readonly stepMs: number;
  readonly steps: number;
  /** The end of the interval that was asked for; absent: the last step. */
  readonly endMs?: number;
}

export function gridOf(startMs: number, endMs: number, stepMs: number): Grid {
  return { startMs, stepMs, steps: endMs < startMs ? 0 : Math.floor((endMs - startMs) / stepMs) + 1, endMs };
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

/** Whether the interval has a length, even if only one step lies in it. */
export function takesTime(grid: Grid): boolean {
  return (grid.endMs ?? gridEndMs(grid)) > grid.startMs;
}
