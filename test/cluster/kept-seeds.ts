import type { ScenarioName } from './simulation.ts';

/** A seed that failed once, and what it found. What a seed does changes with the simulator: what it found has a test of its own. */
export interface KeptSeed {
  readonly scenario: ScenarioName;
  readonly seed: number;
  readonly found: string;
}

export const KEPT_SEEDS: readonly KeptSeed[] = [
  {
    scenario: 'one',
    seed: 15,
    found:
      'a wall clock that jumps let windows go, or lists of rows stay, for too short or too long; floats were stored as stale markers beside a delete',
  },
  {
    scenario: 'one',
    seed: 12,
    found: 'the simulator: a delete whose end a clock that was behind had not reached covers less than was asked for',
  },
  {
    scenario: 'one',
    seed: 365,
    found:
      'what a killed process had not synced was not synced by the next one either: a power cut took it, and left what was written and acknowledged on top of it',
  },
  {
    scenario: 'three',
    seed: 15,
    found: 'the simulator: ingesters did not know of power cuts, so that two that lost what was not synced counted',
  },
  { scenario: 'three', seed: 18, found: 'the same' },
  { scenario: 'three', seed: 25, found: 'the same' },
  {
    scenario: 'six',
    seed: 15,
    found:
      'the simulator: nobody started a process again that its full disk ended. Beside it: a shard that died while it started kept its process from being ready for ever',
  },
  {
    scenario: 'growing',
    seed: 5,
    found:
      'groups in slots of newer sizes without rows that lead to them, after a look at a window that was stored by older ones',
  },
  {
    scenario: 'growing',
    seed: 12,
    found: 'the word of a member that left counted for nothing beside others that had lost something',
  },
  {
    scenario: 'growing',
    seed: 3,
    found: 'a front that started after the key-value store was lost did not find out that any version counts',
  },
  {
    scenario: 'growing',
    seed: 15,
    found: 'the word of a member that left was lost with the key-value store',
  },
  {
    scenario: 'three',
    seed: 27,
    found:
      'floats that were flushed beside a delete request after histograms of another series were taken for histograms: the window was never stored',
  },
  {
    scenario: 'six',
    seed: 126,
    found:
      'holders that lost something flushed all at once, looked at the same moment, and left 24 of 147 groups spare',
  },
  { scenario: 'three', seed: 64, found: 'the same: 14 of 89' },
  { scenario: 'three', seed: 67, found: 'the same: 29 of 122' },
  {
    scenario: 'growing',
    seed: 13,
    found:
      'holders whose turns had all come while the store failed looked at the moment at which it was back, and left 19 of 127 groups spare',
  },
  {
    scenario: 'growing',
    seed: 193,
    found:
      'a member that drained, was killed after the others had taken it out, and heard of it when it was back, wished to drain for ever',
  },
];
