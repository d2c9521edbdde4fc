import { ringErrors } from '../model/errors-ring.ts';
import type { RingSource, RingView } from './view.ts';

// Versions in requests between members (docs/decisions/ring.md): each request and each answer carries the version of who sends it,
// and whichever side knows the newer one hands it over. Streams carry it with their first message.

/** The ring as a request or an answer names it. */
export interface KnownVersion {
  /** Number and hash of the newest version that its sender knows; 0 and empty: none. */
  readonly number: number;
  readonly hash: string;
  /** Number of the oldest version whose owners readers still ask: no document below it is kept. */
  readonly floor: number;
  /** Number of the newest version that its sender knows to count: writes are under this one. */
  readonly confirmed: number;
  /** Documents that the other side does not know, ascending, at most `HANDED_VERSIONS_MAX`: none where it knows them all. */
  readonly documents: readonly Uint8Array[];
}

/** Versions that one request or answer hands over; more go with the next. */
export const HANDED_VERSIONS_MAX = 16;

/** An answer as it travels. Without `answer` the callee does not know the caller's version: the caller hands it over and asks again. */
export interface Answered<T> {
  readonly known: KnownVersion;
  readonly answer?: T;
}

/** The ring of a process that takes part in requests between members. */
export interface RingPeer extends RingSource {
  /** The own version, with the documents above number `above`, so far as they are known. */
  known(above: number): KnownVersion;
  /** Takes what the other side knows: versions that follow on the own newest, and what counts. Others are left. */
  learn(known: KnownVersion): void;
}

/** Tries of one exchange: one for each part of the documents that are handed over, and one for the answer. */
const TRIES_MAX = 8;

/**
 * Asks one member once, and hands versions to and fro: what it knows more is learnt before the answer is given back.
 * @throws errors.ringVersionUnknown where the member does not follow the caller's version, and what `call` throws
 */
export async function exchange<T>(ring: RingPeer, call: (known: KnownVersion) => Promise<Answered<T>>): Promise<T> {
  let above = Number.MAX_SAFE_INTEGER;
  for (let tries = 1; ; tries++) {
    const own = ring.known(above);
    const answered = await call(own);
    ring.learn(answered.known);
    if (answered.answer !== undefined) return answered.answer;
    // nothing that it took of what was handed over: it never will
    if (tries === TRIES_MAX || answered.known.number === above) {
      throw ringErrors.ringVersionUnknown({ number: own.number, known: answered.known.number });
    }
    above = answered.known.number;
  }
}

/**
 * The other side of an exchange. The question is answered only under a version that is known here; newer ones go with the answer.
 * @param answer is called with the view that knows the caller's version
 */
export async function answerUnder<T>(
  ring: RingPeer,
  caller: KnownVersion,
  answer: (view: RingView) => Promise<T>,
): Promise<Answered<T>> {
  ring.learn(caller);
  const view = ring.current();
  if (view === undefined || !knows(view, caller)) return { known: ring.known(caller.number) };
  const given = await answer(view);
  // as of now: the ring may have moved on while it was answered
  return { known: ring.known(caller.number), answer: given };
}

/** Whether the caller's newest version is one that is followed here: the same, or an older one. */
function knows(view: RingView, { number, hash }: KnownVersion): boolean {
  if (number === view.newest.number) return hash === view.hash;
  if (number > view.newest.number) return false;
  // below the floor nobody has to be asked any more, and the caller hears of the newer ones
  return view.chain.find((version) => version.number === number + 1)?.parent === hash || number < view.chain[0]!.number;
}

/** How often a question is asked again because the ring moved on. */
const ROUNDS_MAX = 8;

/**
 * Asks a question of several members until the ring did not move on while it was asked: an answer that comes with a newer
 * version does not count before the question was asked under that version too. A question that failed meanwhile is asked again as well.
 * @param of the version that the question depends on: readers ask the newest that they know, writers the newest that counts
 * @throws errors.ringUnknown, errors.ringMovedOn, and what the last `ask` throws
 */
export async function askUnderNewest<T>(
  ring: RingSource,
  ask: (view: RingView) => Promise<T>,
  of: (view: RingView) => number = (view) => view.newest.number,
): Promise<T> {
  for (let round = 1; ; round++) {
    const view = ring.current();
    if (view === undefined) throw ringErrors.ringUnknown({});
    const movedOn = () => of(ring.current()!) !== of(view);
    let answer: T;
    try {
      answer = await ask(view);
    } catch (error) {
      if (!movedOn() || round === ROUNDS_MAX) throw error;
      continue;
    }
    if (!movedOn()) return answer;
    if (round === ROUNDS_MAX) throw ringErrors.ringMovedOn({ rounds: round, number: ring.current()!.newest.number });
  }
}

/** For `askUnderNewest` of writers. */
export function writingNumber(view: RingView): number {
  return view.confirmed;
}
