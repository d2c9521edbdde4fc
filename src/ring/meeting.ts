import { ringErrors } from '../model/errors-ring.ts';
import type { MemberPlace } from './places.ts';
import type { RingSource } from './view.ts';

// Versions between members (docs/decisions/ring.md): each request and each answer names the newest version of who sends it, and
// whichever side knows the newer one hands it over, here.

/** The ring as one process tells another of it. */
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
  /** The sender's own row as the store of the ring has it, so that nobody waits for the next look there. Absent: it has none. */
  readonly row?: Uint8Array;
  /** Beside the row. Absent: it does not know yet. */
  readonly holds?: HeldSummary;
  /** Where the sender listens, and in an answer all members that listen elsewhere than the ring says. Absent: nothing to tell. */
  readonly places?: readonly MemberPlace[];
  /** Name of what its sender knows of such members (`nameOfPlaces`): who knows otherwise tells all of it. Absent: it asks for none. */
  readonly placesName?: string;
}

/** Holdings of a member, as it tells others for people to see. */
export interface HeldSummary {
  readonly series: number;
  /** Samples of windows that the store does not have all of. Absent: a build before told none. */
  readonly samplesOwed?: number;
  /** Number of these windows. */
  readonly windowsOwed: number;
  /** Start of the oldest of these, Unix ms; 0: there are none. */
  readonly oldestOwedMs: number;
}

/** Versions that are handed over in one go; more go with the next. */
export const HANDED_VERSIONS_MAX = 16;

/** The ring of a process that takes part in requests between members. */
export interface RingPeer extends RingSource {
  /**
   * The own version, with the documents above number `above`, so far as they are known.
   * @param placesName as of the process that is answered; absent: none is
   */
  known(above: number, placesName?: string): KnownVersion;
  /** Takes what the other side knows: versions that follow on the own newest, and what counts. Others are left. */
  learn(known: KnownVersion): void;
}

/** The way to the ring of another process: takes what is known here, and says what is known there. */
export type RingLink = (known: KnownVersion) => Promise<KnownVersion>;

/** The other side of a link. */
export function met(ring: RingPeer, caller: KnownVersion): KnownVersion {
  ring.learn(caller);
  return ring.known(caller.number, caller.placesName);
}

/**
 * Lets two processes tell each other what they know, until the one that knew less has all of it: for a caller whose version the
 * other does not know, and for one that hears of a version that it does not know itself. Neither needs the key-value store for it.
 * @throws errors.ringVersionUnknown where neither follows the other, and what `link` throws
 */
export async function meet(ring: RingPeer, link: RingLink): Promise<void> {
  let before = '';
  for (let above = Number.MAX_SAFE_INTEGER; ; ) {
    const theirs = await link(ring.known(above));
    ring.learn(theirs);
    const own = ring.known(Number.MAX_SAFE_INTEGER);
    if (own.hash === theirs.hash) return;
    const now = `${own.hash} ${theirs.hash}`;
    // nothing that either took of what was handed over: they never will
    if (now === before) throw ringErrors.ringVersionUnknown({ number: own.number, known: theirs.number });
    before = now;
    above = theirs.number;
  }
}
