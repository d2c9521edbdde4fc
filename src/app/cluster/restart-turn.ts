import { createHash } from 'node:crypto';

/** Turn of a member: it ends, is started again, reads its log and is complete before the next one asks whether all are. */
const MEMBER_TURN_MS = 120_000;
/** Turn of a process without samples: a look at the settings falls into it. */
const OTHER_TURN_MS = 30_000;
const OTHER_TURNS = 16;

/**
 * Whether a process that is to be started again may end now: members one behind the other by their ids, other processes spread by their
 * names, so that all that find the same at the same time do not end together.
 * @param name id of a member, name of another process
 * @param members ids of the ring's members
 * @param nowMs wall clock: who is a turn apart by its clock may end together with another one
 */
export function isRestartTurn(name: string, members: readonly string[], nowMs: number): boolean {
  const place = members.toSorted().indexOf(name);
  if (place >= 0) return Math.floor(nowMs / MEMBER_TURN_MS) % members.length === place;
  const turn = createHash('sha256').update(name).digest()[0]! % OTHER_TURNS;
  return Math.floor(nowMs / OTHER_TURN_MS) % OTHER_TURNS === turn;
}
