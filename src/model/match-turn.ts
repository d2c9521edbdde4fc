import type { LabelMatcher } from './matcher.ts';
import { PausedMatch, type Work } from './regex/regex.ts';

/** Steps of matching between two looks at the clock; about as long as a quarter of a millisecond. */
export const STEPS_BETWEEN = 20_000;

/** Work that someone who matches many values may do before others have their turn. */
export interface MatchTurn extends Work {
  /** Whether it is time to `pause`; if not, there are steps again. Cheap while there are any left. */
  isDue(): boolean;
  /** @throws where nobody waits for the answer any more */
  pause(): Promise<void>;
}

/** A turn that ends as a pacer says. */
export class PacedTurn implements MatchTurn {
  steps = STEPS_BETWEEN;
  readonly #pacer: { readonly due: boolean; pause(): Promise<void> };

  constructor(pacer: { readonly due: boolean; pause(): Promise<void> }) {
    this.#pacer = pacer;
  }

  isDue(): boolean {
    if (this.steps > 0) return false;
    this.steps = STEPS_BETWEEN;
    return this.#pacer.due;
  }

  pause(): Promise<void> {
    return this.#pacer.pause();
  }
}

/** Whether it matches, with turns for others in between. */
export async function matchesInTurns(matcher: LabelMatcher, value: string, turn: MatchTurn): Promise<boolean> {
  let verdict = matcher.match(value, turn);
  while (verdict instanceof PausedMatch) {
    if (turn.isDue()) await turn.pause();
    verdict = matcher.match(value, turn, verdict);
  }
  return verdict;
}
