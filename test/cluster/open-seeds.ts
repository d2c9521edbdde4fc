import type { ScenarioName } from './simulation.ts';

/** A seed that fails and is not mended yet: what it found is a fault of the product, or of the simulator, and nobody knows which. */
export interface OpenSeed {
  readonly scenario: ScenarioName;
  readonly seed: number;
  readonly fails: string;
}

export const OPEN_SEEDS: readonly OpenSeed[] = [];
