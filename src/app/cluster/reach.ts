import { writeQuorum } from '../../ring/quorum.ts';
import { ownersOf } from '../../ring/version.ts';
import type { RingView } from '../../ring/view.ts';

/** Arcs of which too few owners can be reached. */
export interface Reach {
  readonly arcs: number;
  /** Arcs that lack a quorum. */
  readonly lacking: number;
  readonly quorum: number;
  /** Owners that cannot be reached. */
  readonly away: readonly string[];
}

/** Looks for a quorum of each arc's owners. @param isReached whether a member answers */
export function reachOf(view: RingView, isReached: (id: string) => boolean): Reach {
  const version = view.writing;
  // readers need no more than writers
  const quorum = writeQuorum(version.replicas);
  const away = version.members.filter(({ id, state }) => state === 'active' && !isReached(id)).map(({ id }) => id);
  if (away.length === 0) return { arcs: version.arcs, lacking: 0, quorum, away };
  const gone = new Set(away);
  let lacking = 0;
  for (let arc = 0; arc < version.arcs; arc++) {
    const there = ownersOf(version, arc).filter((id) => !gone.has(id)).length;
    if (there < quorum) lacking++;
  }
  return { arcs: version.arcs, lacking, quorum, away };
}
