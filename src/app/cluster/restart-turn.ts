import { createHash } from 'node:crypto';

/**
 * Turn of a member, in times after which one without heartbeats counts as unhealthy. It may end in the first half: by the end of the
 * second it is back, or everybody sees that it is not.
 */
const MEMBER_TURN_TIMEOUTS = 2;
/** Turn of a process without samples: a look at the settings falls into it. */
const OTHER_TURN_TIMEOUTS = 0.5;
const OTHER_TURNS = 16;

/**
 * Whether a process that is to be started again may end now: members one behind the other by their ids, other processes spread by their
 * names, so that all that find the same at the same time do not end together.
 * @param name id of a member, name of another process
 * @param members ids of the ring's members
 * @param nowMs wall clock: who is a turn apart by its clock may end together with another one
 * @param unhealthyMs time after which a member without heartbeats is unhealthy
 */
export function isRestartTurn(name: string, members: readonly string[], nowMs: number, unhealthyMs: number): boolean {
  const place = members.toSorted().indexOf(name);
  if (place >= 0) {
    const turns = nowMs / (MEMBER_TURN_TIMEOUTS * unhealthyMs);
    return Math.floor(turns) % members.length === place && turns % 1 < 0.5;
  }
  const turn = createHash('sha256').update(name).digest()[0]! % OTHER_TURNS;
  return Math.floor(nowMs / (OTHER_TURN_TIMEOUTS * unhealthyMs)) % OTHER_TURNS === turn;
}
