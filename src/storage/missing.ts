/** A part of what was asked for that could not be had. Times in Unix ms, both ends inclusive. */
export interface MissingPart {
  readonly what: 'recent samples' | 'stored samples' | 'part of the query';
  readonly startMs: number;
  readonly endMs: number;
  /** The error that there would be otherwise. */
  readonly reason: string;
}

/** Parts that are told of; of more than so many the first say enough. */
const PARTS_MAX = 100;

/** Parts that are missing in an answer that may be incomplete. */
export class MissingParts {
  readonly #parts = new Map<string, MissingPart>();

  get list(): readonly MissingPart[] {
    return [...this.#parts.values()];
  }

  add(part: MissingPart): void {
    if (this.#parts.size < PARTS_MAX) this.#parts.set(missingText(part), part);
  }
}

/** For an answer's warnings. */
export function missingText({ what, startMs, endMs, reason }: MissingPart): string {
  return `the answer is incomplete: ${what} from ${isoOf(startMs)} to ${isoOf(endMs)}: ${reason}`;
}

/** Requests may ask from the beginning of time to its end. */
function isoOf(ms: number): string {
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : ms < 0 ? 'the beginning' : 'the end';
}
