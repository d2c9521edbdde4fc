import type { HeldSummary } from '../../ring/meeting.ts';
import type { MemberRow } from '../../ring/row.ts';
import { NO_OWNER, type RingVersion } from '../../ring/version.ts';
import type { RingView } from '../../ring/view.ts';

/**
 * States of a member, as pages show them:
 * - `active`: it owns arcs; `draining`: it owns none, and serves what it holds until the store has it;
 * - `joining`, `waiting`: it is no member, and asks to be one, or first writes what its log holds to the store;
 * - `left`: it is none any more.
 */
export type MemberStateShown = 'active' | 'draining' | 'joining' | 'waiting' | 'left';

export interface MemberStatus {
  readonly id: string;
  readonly zone: string;
  readonly address: string;
  readonly state: MemberStateShown;
  /** Whether its heartbeats come; undefined: nothing was heard of it yet. */
  readonly healthy: boolean | undefined;
  readonly heartbeatAgeMs: number | undefined;
  /** Whether it answers this process; undefined: it is not asked. */
  readonly reached: boolean | undefined;
  readonly arcs: number;
  /** Newest version that it has confirmed. */
  readonly version: number;
  /** Version up to which the store has all that it held. */
  readonly word: number;
  readonly complete: boolean;
  readonly lost: boolean;
  readonly settling: boolean;
  /** Holdings, as the member told them when it was last met; undefined: it did not tell. */
  readonly holds: HeldSummary | undefined;
}

export interface RingStatus {
  /** 0: none is known. */
  readonly version: number;
  readonly hash: string;
  readonly confirmed: number;
  readonly floor: number;
  readonly replicas: number;
  readonly arcs: number;
  readonly members: readonly MemberStatus[];
}

export interface Known {
  readonly view: RingView | undefined;
  readonly rows: ReadonlyMap<string, MemberRow>;
  readonly ageMs: (id: string) => number | undefined;
  readonly unhealthyMs: number;
  readonly isReached: (id: string) => boolean | undefined;
  readonly holdsOf: (id: string) => HeldSummary | undefined;
}

/** The ring as this process knows it; members of the newest version come first. */
export function ringStatus({ view, rows, ageMs, unhealthyMs, isReached, holdsOf }: Known): RingStatus {
  const newest = view?.newest;
  const arcs = newest === undefined ? new Map<string, number>() : arcsOf(newest);
  const ids = [...new Set([...(newest?.members.map(({ id }) => id) ?? []), ...[...rows.keys()].sort()])];
  const members = ids.map((id): MemberStatus => {
    const member = newest?.members.find((each) => each.id === id);
    const row = rows.get(id);
    const age = ageMs(id);
    const { zone = '', address = '' } = member ?? row ?? {};
    return {
      id,
      zone,
      address,
      state: member?.state ?? (row?.wants === 'join' ? 'joining' : row?.wants === 'nothing' ? 'waiting' : 'left'),
      healthy: age === undefined ? undefined : age <= unhealthyMs,
      heartbeatAgeMs: age,
      reached: isReached(id),
      arcs: arcs.get(id) ?? 0,
      version: row?.version ?? 0,
      word: row?.word ?? 0,
      complete: row?.complete ?? false,
      lost: row?.lost ?? false,
      settling: row?.settling ?? false,
      holds: holdsOf(id),
    };
  });
  return {
    version: newest?.number ?? 0,
    hash: view?.hash ?? '',
    confirmed: view?.confirmed ?? 0,
    floor: newest?.floor ?? 0,
    replicas: newest?.replicas ?? 0,
    arcs: newest?.arcs ?? 0,
    members,
  };
}

function arcsOf({ members, owners }: RingVersion): Map<string, number> {
  const counts = new Map<string, number>();
  for (const owner of owners) {
    if (owner === NO_OWNER) continue;
    const { id } = members[owner]!;
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}
