import { AppError } from '../model/errors.ts';
import type { SlotSizes, TenantSize } from '../model/slot-sizes.ts';
import { isOver, nextFloor } from './confirmation.ts';
import { type Change, changed } from './placement.ts';
import type { MemberRow, Sizes } from './row.ts';
import { nextSizes } from './slots.ts';
import { compareIds, type Member, ownersOf, type RingVersion } from './version.ts';
import type { RingView } from './view.ts';

// Reasons for the next version, which any healthy member makes (docs/decisions/ring.md).

/** Versions above the floor: more are made only by force, until the store has what the oldest ones hold. */
const VERSIONS_MAX = 256;
/** Versions above the floor that may stay although the store has what they hold, where they ask nobody else than the newest does. */
const VERSIONS_KEPT = 16;

export interface PlanInput {
  readonly view: RingView;
  readonly rows: ReadonlyMap<string, MemberRow>;
  readonly sizes: ReadonlyMap<string, Sizes>;
  /** Time without a heartbeat, ms, as the own heartbeats count it. Infinite: never seen. */
  readonly ageMs: (id: string) => number;
  readonly unhealthyMs: number;
  readonly forgetMs: number;
  readonly splitSeries: number;
  /** Whether tenants' sizes and the floor are looked at, too. */
  readonly isSizesDue: boolean;
}

/** Parts of the next version that differ from the newest. */
export type NextParts = Partial<
  Pick<RingVersion, 'members' | 'owners' | 'givenUp' | 'givenUpMs' | 'tenants' | 'floor'>
>;

/** The next version's parts; undefined: there is nothing to do. */
export function nextParts(input: PlanInput): NextParts | undefined {
  const { view } = input;
  const { newest } = view;
  if (view.chain.length >= VERSIONS_MAX) return undefined;
  const healthy = newest.members.filter(({ id }) => isHealthy(input, id));
  // who sees fewer than half is more likely cut off itself
  if (healthy.length * 2 <= newest.members.length) return undefined;
  for (const change of changesOf(input)) {
    try {
      return changed(change, { since: sinceOf(view) });
    } catch (error) {
      // refused: what is next on the list may not be
      if (!(error instanceof AppError)) throw error;
    }
  }
  if (!input.isSizesDue || view.confirmed !== newest.number) return undefined;
  const tenants = grownTenants(input);
  if (tenants !== undefined) return { tenants };
  const floor = floorOf(view);
  // versions that ask nobody else stay until the next change: each version made for them would be the next to be dropped
  const isGain = view.chain.some((each) => each.number < floor && !isSameRing(each, newest));
  return isGain || floor > newest.floor + VERSIONS_KEPT ? { floor } : undefined;
}

/**
 * Parts of the next version that differ from the newest where an operator changes it. By force, one that is no member any more is given up
 * as a member is, as long as readers may ask for what it held.
 * @throws what `changed` throws
 */
export function changedParts(view: RingView, change: Change, force: boolean, nowMs: number): NextParts {
  const { chain, newest } = view;
  const { id } = change.kind === 'join' ? change.member : change;
  const last = chain.findLastIndex(({ members }) => members.some((each) => each.id === id));
  const isPast =
    last >= 0 && chain[last] !== newest && !chain.slice(last + 1).some((each) => each.givenUp.includes(id));
  if (force && isPast && change.kind === 'remove') return { givenUp: [id], givenUpMs: nowMs };
  return changed(change, { since: sinceOf(view), force, nowMs });
}

/** Whether series have the same owners under both. */
function isSameRing(one: RingVersion, other: RingVersion): boolean {
  if (one.owners.length !== other.owners.length || !isSameSizes(one.tenants, other.tenants)) return false;
  if (one.members.length !== other.members.length) return false;
  if (!one.members.every(({ id }, i) => id === other.members[i]!.id)) return false;
  return one.owners.every((owner, i) => owner === other.owners[i]);
}

function isSameSizes(one: ReadonlyMap<string, SlotSizes>, other: ReadonlyMap<string, SlotSizes>): boolean {
  if (one === other) return true;
  const isSame = (a: SlotSizes, b: SlotSizes | undefined) =>
    b !== undefined &&
    a.buckets === b.buckets &&
    a.splits.size === b.splits.size &&
    [...a.splits].every(([metric, parts]) => b.splits.get(metric) === parts);
  return one.size === other.size && [...one].every(([tenant, sizes]) => isSame(sizes, other.get(tenant)));
}

/** Versions that may count: from the newest that does on. */
export function sinceOf({ chain, confirmed }: RingView): readonly RingVersion[] {
  return chain.filter(({ number }) => number >= confirmed);
}

export function floorOf({ chain, words, confirmed }: RingView): number {
  return nextFloor(chain, words, Math.max(confirmed, chain[0]!.number));
}

function* changesOf(input: PlanInput): Generator<Change> {
  const { view, rows, forgetMs } = input;
  const { newest } = view;
  const members = new Set(newest.members.map(({ id }) => id));
  const candidates = [...rows.values()]
    .filter((row) => row.wants === 'join' && row.complete && !members.has(row.id) && isHealthy(input, row.id))
    .filter((row) => knowsThatItIsOut(row, view))
    .sort((a, b) => compareIds(a.id, b.id));
  for (const { id, state } of newest.members) {
    const row = rows.get(id);
    if (state === 'draining' && row?.wants === 'leave') yield { kind: 'remove', id };
    if (isHealthy(input, id) || !areOthersWell(input, id)) continue;
    const heir = candidates.find((each) => nameOf(each.id) === nameOf(id));
    if (heir !== undefined) yield { kind: 'replace', id, member: memberOf(heir) };
    if (input.ageMs(id) > forgetMs) yield { kind: 'remove', id };
  }
  // what can wait until the newest version counts does
  if (view.confirmed !== newest.number) return;
  for (const { id, state } of newest.members) {
    const row = rows.get(id);
    if (state === 'active' && row?.wants === 'drain') yield { kind: 'drain', id };
    // who knows that it drains and wants arcs all the same was asked to stay
    if (state === 'draining' && row?.wants === 'join' && row.hash === view.hash) yield { kind: 'return', id };
  }
  const names = new Set(newest.members.map(({ id }) => nameOf(id)));
  for (const each of candidates) if (!names.has(nameOf(each.id))) yield { kind: 'join', member: memberOf(each) };
}

/** One that was taken out while it was away, or dead, wished to be a member before: it wishes anew when it has heard of it. */
function knowsThatItIsOut({ id, version }: MemberRow, { chain }: RingView): boolean {
  const last = chain.findLast(({ members }) => members.some((each) => each.id === id));
  return last === undefined || version > last.number;
}

export function isHealthy({ ageMs, unhealthyMs }: Pick<PlanInput, 'ageMs' | 'unhealthyMs'>, id: string): boolean {
  return ageMs(id) <= unhealthyMs;
}

/**
 * Whether all that own arcs with a member, under any version that matters, are healthy and complete. There must be some for each arc where
 * the store may lack something.
 */
export function areOthersWell(input: Pick<PlanInput, 'view' | 'rows' | 'ageMs' | 'unhealthyMs'>, id: string): boolean {
  const { newest, chain, words } = input.view;
  const members = new Set(newest.members.map((each) => each.id));
  const others = new Set<string>();
  for (const [at, version] of chain.entries()) {
    for (let arc = 0; arc < version.arcs; arc++) {
      const owners = ownersOf(version, arc);
      if (!owners.includes(id)) continue;
      const left = owners.filter((owner) => owner !== id && members.has(owner));
      if (left.length === 0 && !isOver(chain, at, words, arc)) return false;
      for (const owner of left) others.add(owner);
    }
  }
  const isWhole = (id: string) => input.rows.get(id)?.complete === true && input.rows.get(id)?.lost === false;
  return others.size > 0 && [...others].every((each) => isHealthy(input, each) && isWhole(each));
}

/** Why others cannot own what a member owns under the newest version; undefined: they can, or it owns nothing. */
export function drainRefused({ newest }: RingView, id: string): string | undefined {
  if (newest.members.find((each) => each.id === id)?.state !== 'active') return undefined;
  try {
    changed({ kind: 'drain', id }, { since: [newest] });
    return undefined;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return error.message;
  }
}

/** Sizes that tenants need by what members report, each series by as many members as there are owners. */
function grownTenants({ view: { newest }, sizes, splitSeries }: PlanInput): Map<string, SlotSizes> | undefined {
  const sums = new Map<string, { series: number; metrics: Map<string, number> }>();
  for (const { id } of newest.members) {
    for (const [tenant, { series, metrics }] of sizes.get(id) ?? []) {
      const sum = sums.get(tenant) ?? { series: 0, metrics: new Map() };
      sums.set(tenant, sum);
      sum.series += series / newest.replicas;
      for (const [metric, count] of metrics) {
        sum.metrics.set(metric, (sum.metrics.get(metric) ?? 0) + count / newest.replicas);
      }
    }
  }
  const tenants = new Map(newest.tenants);
  let grown = false;
  for (const [tenant, size] of sums) {
    const next = nextSizes(tenants.get(tenant), size satisfies TenantSize, splitSeries);
    if (next === undefined) continue;
    tenants.set(tenant, next);
    grown = true;
  }
  return grown ? tenants : undefined;
}

export function memberOf({ id, zone, address }: MemberRow): Member {
  return { id, zone, address, state: 'active' };
}

/** The name in an id, in front of the nonce. */
export function nameOf(id: string): string {
  return id.slice(0, id.lastIndexOf('-'));
}
