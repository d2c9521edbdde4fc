import { assert } from '../lib/assert.ts';
import { getOrMake } from '../lib/map.ts';
import { ringErrors } from '../model/errors-ring.ts';
import { compareIds, MEMBERS_MAX, type Member, NO_OWNER, type RingVersion } from './version.ts';

// Who owns which arc. Arcs are equal and handed out one by one: a change moves as few as balance allows, and from each
// owner in one stretch where it can, since the slots of a tenant lie evenly around the ring (slots.ts).

/** A version that is about to be made: without what only its maker knows. */
export type NextVersion = Pick<RingVersion, 'members' | 'owners' | 'givenUp' | 'givenUpMs'>;

export type Change =
  /** A new member takes arcs of those that have most. */
  | { readonly kind: 'join'; readonly member: Member }
  /** A member's arcs go to those that have least; it stays to serve and flush what it holds. */
  | { readonly kind: 'drain'; readonly id: string }
  /** The same, and it is no member any more. */
  | { readonly kind: 'remove'; readonly id: string }
  /** A member that drains takes arcs again. */
  | { readonly kind: 'return'; readonly id: string }
  /** A new member on the arcs of an old one. */
  | { readonly kind: 'replace'; readonly id: string; readonly member: Member };

export interface ChangeOptions {
  /** Versions from the last confirmed one to the newest, which the change is made to. */
  readonly since: readonly RingVersion[];
  /** An operator vouches that owners who lose arcs do not run. */
  readonly force?: boolean;
  /** Wall clock, Unix ms; stands in the version where owners are given up. */
  readonly nowMs?: number;
}

/**
 * Owners of version 1: as many arcs for each, one stretch for each.
 * @throws errors.ringMembersTooFew
 */
export function firstOwners(members: readonly Member[], arcs: number, replicas: number): NextVersion {
  if (members.length < replicas) {
    throw ringErrors.ringMembersTooFew({ change: 'beginning', members: members.length, replicas });
  }
  const sorted = [...members].sort((a, b) => compareIds(a.id, b.id));
  const shares = sharesOf(sorted, arcs, replicas);
  // Laid end to end, zone by zone, on a line that goes around the ring once for each replica: since nobody's stretch is
  // longer than the ring, and no zone's where zones are enough, what lies above one arc are distinct members and zones.
  const line = sorted.map((_, index) => index).sort((a, b) => compareIds(sorted[a]!.zone, sorted[b]!.zone) || a - b);
  const owners = new Uint16Array(arcs * replicas);
  let at = 0;
  let end = 0;
  for (const index of line) {
    end += shares[index]!;
    for (const until = Math.min(owners.length, Math.round(end)); at < until; at++) {
      const arc = at % arcs;
      const replica = (Math.floor(at / arcs) + arc) % replicas; // each is the first of as many arcs
      owners[arc * replicas + replica] = index;
    }
  }
  assert(at === owners.length, 'arcs without owner');
  return { members: sorted, owners, givenUp: [], givenUpMs: 0 };
}

/**
 * The next version's members and owners.
 * @throws errors.ringMemberUnknown, errors.ringMemberKnown, errors.ringMembersTooFew, errors.ringZonesTooFew, errors.ringOwnersTakenTwice
 */
export function changed(change: Change, { since, force = false, nowMs = 1 }: ChangeOptions): NextVersion {
  const newest = since.at(-1);
  assert(newest !== undefined, 'a change of no version');
  const plan = new Plan(newest, since, force);
  switch (change.kind) {
    case 'join':
      plan.add(change.member);
      plan.fill(change.member.id);
      break;
    case 'drain':
      plan.empty(change.id, 'drain');
      break;
    case 'return':
      plan.activate(change.id);
      plan.fill(change.id);
      break;
    case 'remove':
      plan.empty(change.id, 'remove');
      plan.forget(change.id);
      break;
    case 'replace':
      plan.add(change.member);
      plan.hand(change.id, change.member.id);
      plan.forget(change.id);
      break;
  }
  return plan.done(nowMs);
}

/** Arcs that each member should have, with fractions: equal ones, but nobody more than all, and no zone more than keeps replicas apart. */
function sharesOf(members: readonly Member[], arcs: number, replicas: number): Float64Array {
  const zones = new Map<string, number[]>();
  for (const [index, { zone, state }] of members.entries()) {
    if (state === 'active') getOrMake(zones, zone, () => [] as number[]).push(index);
  }
  const ofZoneMax = ownersPerZoneMax(members, replicas);
  const shares = new Float64Array(members.length);
  let membersLeft = [...zones.values()].reduce((sum, { length }) => sum + length, 0);
  let left = arcs * Math.min(replicas, membersLeft);
  // The largest zones reach their bound first; the others share out what those cannot take.
  for (const zone of [...zones.values()].sort((a, b) => b.length - a.length)) {
    const share = Math.min(arcs * Math.min(ofZoneMax, zone.length), (left * zone.length) / membersLeft);
    for (const index of zone) shares[index] = share / zone.length;
    left -= share;
    membersLeft -= zone.length;
  }
  return shares;
}

/** Owners of an arc that may be in one zone: as few as let every arc have all its owners. */
function ownersPerZoneMax(members: readonly Member[], replicas: number): number {
  const sizes = new Map<string, number>();
  for (const { zone, state } of members) if (state === 'active') sizes.set(zone, (sizes.get(zone) ?? 0) + 1);
  const active = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  const places = (max: number) => [...sizes.values()].reduce((sum, size) => sum + Math.min(max, size), 0);
  let max = 1;
  while (places(max) < Math.min(replicas, active)) max++;
  return max;
}

function zonesOf(members: readonly Member[]): number {
  return new Set(members.filter(({ state }) => state === 'active').map(({ zone }) => zone)).size;
}

/** How many arcs each gives so that those with most above their share come down together. */
function quotas(
  available: ReadonlyMap<number, number>,
  loads: Float64Array,
  shares: Float64Array,
  wanted: number,
): Map<number, number> {
  const after = loads.slice();
  const left = new Map(available);
  const given = new Map<number, number>();
  for (let count = 0; count < wanted && left.size > 0; count++) {
    const donor = mostOver(left.keys(), after, shares);
    after[donor]!--;
    given.set(donor, (given.get(donor) ?? 0) + 1);
    const more = left.get(donor)! - 1;
    if (more === 0) left.delete(donor);
    else left.set(donor, more);
  }
  return given;
}

function mostOver(of: Iterable<number>, loads: Float64Array, shares: Float64Array): number {
  let most = -1;
  for (const each of of) if (most < 0 || loads[each]! - shares[each]! > loads[most]! - shares[most]!) most = each;
  return most;
}

/** Owners as they are changed. Members have numbers of their own here, which stay while others come and go. */
class Plan {
  readonly #arcs: number;
  readonly #replicas: number;
  readonly #force: boolean;
  readonly #members: (Member | undefined)[];
  readonly #owners: Uint16Array;
  readonly #givenUp = new Set<string>();
  /** Per version of `since`: its owners by this plan's numbers; members that are gone have numbers that no member has. */
  readonly #before: Uint16Array[];

  constructor(newest: RingVersion, since: readonly RingVersion[], force: boolean) {
    this.#arcs = newest.arcs;
    this.#replicas = newest.replicas;
    this.#force = force;
    this.#members = [...newest.members];
    this.#owners = newest.owners.slice();
    const numbers = new Map(newest.members.map(({ id }, number) => [id, number]));
    this.#before = since.map(({ members, owners }) => {
      const translated = members.map(({ id }, index) => numbers.get(id) ?? MEMBERS_MAX * 2 + index);
      return owners.map((owner) => (owner === NO_OWNER ? NO_OWNER : translated[owner]!));
    });
  }

  add(member: Member): void {
    if (this.#members.some((each) => each?.id === member.id)) throw ringErrors.ringMemberKnown({ member: member.id });
    assert(this.#members.length < MEMBERS_MAX, 'more members than a version holds');
    this.#members.push(member);
  }

  activate(id: string): void {
    const number = this.#numberOf(id);
    this.#members[number] = { ...this.#members[number]!, state: 'active' };
  }

  /** Gives a new member its share, from those that have most above theirs. */
  fill(id: string): void {
    const taker = this.#numberOf(id);
    const shares = this.#shares();
    const zoneMax = this.#zoneMax();
    const loads = this.#loads();
    const held = this.#arcsByOwner();
    // an arc that lacks an owner (an operator gave it up) is filled at once
    let wanted = Math.floor(shares[taker]!);
    for (let arc = 0; arc < this.#arcs; arc++) {
      const at = this.#ownersAt(arc).indexOf(NO_OWNER);
      if (at < 0 || !this.#fits(arc, NO_OWNER, taker, zoneMax)) continue;
      this.#owners[arc * this.#replicas + at] = taker;
      wanted--;
    }
    const take = (donor: number, arc: number) => {
      // what does not fit now never will: owners only change to the taker
      if (!this.#fits(arc, donor, taker, zoneMax) || !this.#mayTake(arc, donor)) return;
      this.#owners[arc * this.#replicas + this.#ownersAt(arc).indexOf(donor)] = taker;
      loads[donor]!--;
      wanted--;
    };
    // How many each gives is settled first, so that each gives one stretch.
    for (const [donor, count] of quotas(this.#available(taker, zoneMax), loads, shares, wanted)) {
      const arcs = held.get(donor)!;
      const least = loads[donor]! - count;
      while (arcs.length > 0 && loads[donor]! > least) take(donor, arcs.pop()!);
    }
    // Where two gave the same arcs, others give the rest.
    const rest = new Set(held.keys());
    while (wanted > 0 && rest.size > 0) {
      const donor = mostOver(rest, loads, shares);
      const arc = held.get(donor)!.pop();
      if (arc === undefined) rest.delete(donor);
      else take(donor, arc);
    }
  }

  /** Arcs that each owner could give, as long as no other gives the same. */
  #available(taker: number, zoneMax: number): Map<number, number> {
    const counts = new Map<number, number>();
    for (const [i, owner] of this.#owners.entries()) {
      const arc = Math.floor(i / this.#replicas);
      if (owner === NO_OWNER || !this.#fits(arc, owner, taker, zoneMax) || !this.#mayTake(arc, owner)) continue;
      counts.set(owner, (counts.get(owner) ?? 0) + 1);
    }
    return counts;
  }

  /** Takes all arcs from a member, for those of the others that have least. */
  empty(id: string, change: 'drain' | 'remove'): void {
    const giver = this.#numberOf(id);
    const member = this.#members[giver]!;
    const zonesBefore = zonesOf(this.#present());
    this.#members[giver] = { ...member, state: 'draining' };
    const active = this.#present().filter(({ state }) => state === 'active').length;
    const zones = zonesOf(this.#present());
    const replicas = this.#replicas;
    if (active < Math.min(replicas, this.#ownersMin()) && !this.#force) {
      throw ringErrors.ringMembersTooFew({ change, members: active, replicas });
    }
    if (zones < Math.min(replicas, zonesBefore) && !this.#force) {
      throw ringErrors.ringZonesTooFew({ change, zones, replicas });
    }
    assert(active > 0, 'a ring without members');
    const shares = this.#shares();
    const zoneMax = this.#zoneMax();
    const loads = this.#loads();
    let last = -1;
    const under = (number: number) => shares[number]! - loads[number]!;
    for (const arc of this.#arcsByOwner().get(giver) ?? []) {
      let taker = last;
      // a stretch goes to one as long as it has room
      if (last < 0 || under(last) < 1 || !this.#fits(arc, giver, last, zoneMax)) {
        taker = this.#mostUnder(arc, giver, zoneMax, under);
        // an arc that has two of a zone already, or has to
        if (taker < 0) taker = this.#mostUnder(arc, giver, replicas, under);
      }
      const at = arc * replicas + this.#ownersAt(arc).indexOf(giver);
      if (taker < 0) {
        // fewer members than replicas: by force only
        this.#owners.copyWithin(at, at + 1, (arc + 1) * replicas);
        this.#owners[(arc + 1) * replicas - 1] = NO_OWNER;
        continue;
      }
      this.#owners[at] = taker;
      loads[taker]!++;
      last = taker;
    }
    if (this.#force) this.#givenUp.add(id);
  }

  /** Who may take an arc and lacks most; −1: nobody may. */
  #mostUnder(arc: number, giver: number, zoneMax: number, under: (number: number) => number): number {
    let taker = -1;
    for (const [number, each] of this.#members.entries()) {
      if (each?.state !== 'active' || !this.#fits(arc, giver, number, zoneMax)) continue;
      if (taker < 0 || under(number) > under(taker)) taker = number;
    }
    return taker;
  }

  /** Puts one on the arcs of another. */
  hand(from: string, to: string): void {
    const [giver, taker] = [this.#numberOf(from), this.#numberOf(to)];
    const zones = (number: number) => this.#members[number]!.zone;
    if (zones(giver) !== zones(taker) && !this.#force) {
      throw ringErrors.ringZoneDiffers({ member: from, zone: zones(giver), newZone: zones(taker) });
    }
    for (let i = 0; i < this.#owners.length; i++) if (this.#owners[i] === giver) this.#owners[i] = taker;
    if (this.#force) this.#givenUp.add(from);
  }

  forget(id: string): void {
    this.#members[this.#numberOf(id)] = undefined;
  }

  done(nowMs: number): NextVersion {
    const members = this.#present().sort((a, b) => compareIds(a.id, b.id));
    const indexes = new Map(members.map(({ id }, index) => [id, index]));
    const owners = this.#owners.map((owner) =>
      owner === NO_OWNER ? NO_OWNER : indexes.get(this.#members[owner]!.id)!,
    );
    const givenUp = [...this.#givenUp].sort(compareIds);
    const next = { members, owners, givenUp, givenUpMs: givenUp.length > 0 ? nowMs : 0 };
    const twice = this.#takenTwice();
    if (twice > 0 && !this.#force) throw ringErrors.ringOwnersTakenTwice({ arcs: twice, of: this.#arcs });
    return next;
  }

  #present(): Member[] {
    return this.#members.filter((each) => each !== undefined);
  }

  #numberOf(id: string): number {
    const number = this.#members.findIndex((each) => each?.id === id);
    if (number < 0) throw ringErrors.ringMemberUnknown({ member: id });
    return number;
  }

  #shares(): Float64Array {
    const members = this.#members.map((each) => each ?? { id: '', zone: '', address: '', state: 'draining' as const });
    return sharesOf(members, this.#arcs, this.#replicas);
  }

  #zoneMax(): number {
    return ownersPerZoneMax(this.#present(), this.#replicas);
  }

  #ownersAt(arc: number): Uint16Array {
    return this.#owners.subarray(arc * this.#replicas, (arc + 1) * this.#replicas);
  }

  /** The fewest owners that an arc has: below RF after an operator gave up too many. */
  #ownersMin(): number {
    let least = this.#replicas;
    for (let arc = 0; arc < this.#arcs; arc++) {
      const none = this.#ownersAt(arc).indexOf(NO_OWNER);
      if (none >= 0) least = Math.min(least, none);
    }
    return least;
  }

  #loads(): Float64Array {
    const loads = new Float64Array(this.#members.length);
    for (const owner of this.#owners) if (owner !== NO_OWNER) loads[owner]!++;
    return loads;
  }

  /** Arcs of each owner, ascending. */
  #arcsByOwner(): Map<number, number[]> {
    const found = new Map<number, number[]>();
    for (const [i, owner] of this.#owners.entries()) {
      if (owner === NO_OWNER) continue;
      const arc = Math.floor(i / this.#replicas);
      const arcs = found.get(owner);
      if (arcs === undefined) found.set(owner, [arc]);
      else arcs.push(arc);
    }
    return found;
  }

  /** Whether `taker` in the place of `giver` leaves an arc with distinct members, and no more of any zone than may be. */
  #fits(arc: number, giver: number, taker: number, zoneMax: number): boolean {
    const owners = this.#ownersAt(arc);
    if (owners.includes(taker)) return false;
    // an arc that lacks several owners gets one of them
    const place = owners.indexOf(giver);
    const zoneAt = (at: number) => this.#members[at === place ? taker : owners[at]!]?.zone;
    for (let one = 0; one < owners.length; one++) {
      let ofZone = 0;
      for (let other = 0; other < owners.length; other++) {
        if (zoneAt(other) !== undefined && zoneAt(other) === zoneAt(one)) ofZone++;
      }
      if (ofZone > zoneMax) return false;
    }
    return true;
  }

  /** Whether one more owner may lose this arc. */
  #mayTake(arc: number, owner: number): boolean {
    return this.#force || this.#goneMax(arc, owner) <= 1;
  }

  /** Arcs that would lose more than one owner since a version that may count. */
  #takenTwice(): number {
    let count = 0;
    for (let arc = 0; arc < this.#arcs; arc++) if (this.#goneMax(arc, NO_OWNER) > 1) count++;
    return count;
  }

  /** The most owners that an arc has lost since any of the versions that may count, `besides` one that is still there. */
  #goneMax(arc: number, besides: number): number {
    const now = this.#ownersAt(arc);
    let most = 0;
    for (const before of this.#before) {
      let gone = 0;
      for (let at = arc * this.#replicas; at < (arc + 1) * this.#replicas; at++) {
        const owner = before[at]!;
        if (owner !== NO_OWNER && (owner === besides || !now.includes(owner))) gone++;
      }
      most = Math.max(most, gone);
    }
    return most;
  }
}
