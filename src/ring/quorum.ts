// How many owners must say yes, and what became of a series when they have answered (pure functions).

/** Owners that must have kept a sample before it is acknowledged, whatever the number of owners. */
export function writeQuorum(replicas: number): number {
  return Math.floor(replicas / 2) + 1;
}

/** Owners that must answer a read so that one of them at least kept what was acknowledged. */
export function readQuorum(owners: number, replicas: number): number {
  return Math.max(1, owners - writeQuorum(replicas) + 1);
}

/** Owners by what they said of a series; one that is in none of these did not answer, drains, is full, replays, or knows no such version. */
export interface Answers {
  /** Kept it, or held it already. */
  readonly kept: number;
  /** Refused it for its own sake: the sample is wrong wherever it goes. */
  readonly refused: number;
}

/** Success, 4xx, 503. */
export type Outcome = 'kept' | 'refused' | 'unavailable';

/**
 * The outcome that the sender hears. A sample that one kept and another refuses, with the rest away, is refused: else one odd sample
 * would block its sender for as long as an ingester is away.
 */
export function outcomeOf({ kept, refused }: Answers, replicas: number): Outcome {
  const quorum = writeQuorum(replicas);
  if (kept >= quorum) return 'kept';
  return refused > 0 && kept + refused >= quorum ? 'refused' : 'unavailable';
}

/** One owner's answer: the numbers of the frames that it refused; undefined: it is away. */
export type OwnerAnswer = ReadonlySet<number> | undefined;

export interface PushOutcome {
  /** Outcome of the whole request: a sender sends again all that was not kept, so one frame without quorum makes it unavailable. */
  readonly outcome: Outcome;
  /** Frames that are refused, ascending. */
  readonly refused: readonly number[];
  /** Answers to the frame that got the fewest, for the text of a 503. */
  readonly answeredMin: number;
}

/** The outcome of frames that all go to the same owners. */
export function pushOutcome(frames: number, answers: readonly OwnerAnswer[], replicas: number): PushOutcome {
  const present = answers.filter((each) => each !== undefined);
  const refused: number[] = [];
  let outcome: Outcome = 'kept';
  let answeredMin = present.length;
  for (let frame = 0; frame < frames; frame++) {
    const refusals = present.reduce((sum, each) => sum + (each.has(frame) ? 1 : 0), 0);
    const kept = present.length - refusals;
    const each = outcomeOf({ kept, refused: refusals }, replicas);
    if (each === 'refused') refused.push(frame);
    if (each === 'unavailable') {
      outcome = 'unavailable';
      answeredMin = Math.min(answeredMin, kept + refusals);
    } else if (each === 'refused' && outcome === 'kept') outcome = 'refused';
  }
  return { outcome, refused, answeredMin };
}
