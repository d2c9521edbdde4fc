import { assert } from '../lib/assert.ts';
import { readQuorum } from './quorum.ts';
import { compareIds, type GivenUp, LOST_MAX, ownersOf, type RingVersion } from './version.ts';

// Which versions count, and which a reader still has to ask (docs/decisions/ring.md). Chains are ascending and without gaps.

/** Number of the newest version that each member has synced beside its log; a member that has none is left out. */
export type Confirmations = ReadonlyMap<string, number>;

/** Number up to which each member said that the store has all that it held under versions; kept after it left. */
export type Words = ReadonlyMap<string, number>;

/**
 * Number of the newest version that counts: all members of it and of every version since the last confirmed one have
 * confirmed it, except those that it has no more.
 * @param chain from the last confirmed version on
 */
export function confirmedNumber(chain: readonly RingVersion[], confirmations: Confirmations): number {
  assert(chain.length > 0, 'no version that counts');
  for (let at = chain.length - 1; at > 0; at--) {
    const version = chain[at]!;
    // who was a member once since and is not now was taken out, so its own members are all there are to ask
    if (version.members.every(({ id }) => (confirmations.get(id) ?? 0) >= version.number)) return version.number;
  }
  return chain[0]!.number;
}

/**
 * The floor that the next version carries: the oldest version that still has to be asked for some arc. Never above the last
 * confirmed one, which writers may be at.
 */
export function nextFloor(chain: readonly RingVersion[], words: Words, confirmed: number): number {
  for (const [at, version] of chain.entries()) {
    if (version.number >= confirmed) return version.number;
    for (let arc = 0; arc < version.arcs; arc++) if (!isOver(chain, at, words, arc)) return version.number;
  }
  throw new Error('bug: the confirmed version is not in the chain');
}

/**
 * Whether nobody is left who may hold, beside the store, what was acknowledged under a version: a read quorum of the arc's owners said so,
 * or all but those that were given up. One that was given up stands in for a reader's quorum, with a warning; were the version forgotten
 * by then, so would be the warning, and the one that holds the other copy.
 */
export function isOver(chain: readonly RingVersion[], at: number, words: Words, arc: number): boolean {
  const version = chain[at]!;
  const owners = ownersOf(version, arc);
  const silent = owners.filter((id) => (words.get(id) ?? 0) < version.number);
  if (owners.length - silent.length >= readQuorum(owners.length, version.replicas)) return true;
  return silent.every((id) => chain.slice(at + 1).some(({ givenUp }) => givenUp.includes(id)));
}

/** Time for which answers tell of owners that were given up, once the versions are forgotten. */
const LOST_TOLD_MS = 7 * 86_400_000;

/**
 * Owners that a version with this floor has to tell of: under versions below it, fewer than a read quorum of an arc's owners said that the
 * store has all, and nobody else is left to ask. What one that was given up acknowledged with another of them is gone.
 */
export function lostBelow(
  chain: readonly RingVersion[],
  words: Words,
  { floor, nowMs }: { readonly floor: number; readonly nowMs: number },
): readonly GivenUp[] {
  const told = chain.at(-1)?.lost ?? [];
  const lost = new Map(told.filter(({ atMs }) => nowMs - atMs < LOST_TOLD_MS).map((each) => [each.id, each]));
  const below = chain.some(({ givenUp }) => givenUp.length > 0) ? chain.filter(({ number }) => number < floor) : [];
  for (const [at, version] of below.entries()) {
    const later = chain.slice(at + 1);
    for (let arc = 0; arc < version.arcs; arc++) {
      const owners = ownersOf(version, arc);
      const silent = owners.filter((id) => (words.get(id) ?? 0) < version.number);
      if (owners.length - silent.length >= readQuorum(owners.length, version.replicas)) continue;
      for (const gone of goneOf(silent, later)) lost.set(gone.id, gone);
    }
  }
  const newest = [...lost.values()].sort((a, b) => b.atMs - a.atMs).slice(0, LOST_MAX);
  return newest.sort((a, b) => compareIds(a.id, b.id));
}

/** Those of the owners that a later version gave up. */
export function goneOf(owners: readonly string[], later: readonly RingVersion[]): GivenUp[] {
  return owners.flatMap((id) => {
    const by = later.find(({ givenUp }) => givenUp.includes(id));
    return by === undefined ? [] : [{ id, atMs: by.givenUpMs }];
  });
}

/** Whether a read quorum of an arc's owners under a version said that the store has all they held under it; one that was given up since counts as having said it. */
export function isStored(chain: readonly RingVersion[], at: number, words: Words, arc: number): boolean {
  const version = chain[at]!;
  const owners = ownersOf(version, arc);
  const said = owners.filter(
    (id) => (words.get(id) ?? 0) >= version.number || chain.slice(at + 1).some(({ givenUp }) => givenUp.includes(id)),
  );
  return said.length >= readQuorum(owners.length, version.replicas);
}
