import type { SeriesShard } from '../model/series-shard.ts';
import { goneOf, isStored } from './confirmation.ts';
import { readQuorum } from './quorum.ts';
import { metricHashOf, RingSlots } from './slots.ts';
import { type GivenUp, ownersOf, type RingVersion } from './version.ts';
import type { RingView } from './view.ts';

/**
 * A quorum that a read needs. Below the newest version known, who gave its word is among the owners no more, and the quorum smaller by it:
 * the store, which is read as well, is its answer.
 */
export interface ReadAsk {
  /** Number of the newest version that has these owners. */
  readonly version: number;
  /** The first arc that needs it. */
  readonly arc: number;
  readonly owners: readonly string[];
  /** How many of them must answer. */
  readonly quorum: number;
  /** Owners that were given up, beside the others: they are as ones that answered and lost what the store does not have. */
  readonly gone: readonly GivenUp[];
}

export interface ReadAsks {
  readonly asks: readonly ReadAsk[];
  /** Members that hold no more what they held only as an operator said so (`force`): what they had not stored is gone. */
  readonly givenUp: readonly GivenUp[];
}

/**
 * The quorums that a read of a tenant needs: for each version from the newest down to the floor those of the arcs where its series
 * were **under that version**, as sizes of tenants change from one to the next and series go to other arcs with them. A version whose
 * owners said that the store has all is left out; versions and arcs with the same owners are one.
 * @param metrics names of the metrics that are read; undefined: any
 * @param shard undefined: series of all shards are read
 */
export function readAsks(
  view: RingView,
  tenant: string,
  metrics: readonly string[] | undefined,
  shard?: SeriesShard,
): ReadAsks {
  const { chain, words } = view;
  const hashes = metrics?.map(metricHashOf);
  const asks = new Map<string, ReadAsk>();
  const givenUp = new Map<string, GivenUp>((view.newest.lost ?? []).map((each) => [each.id, each]));
  for (let at = chain.length - 1; at >= 0; at--) {
    const version = chain[at]!;
    const isNewest = at === chain.length - 1;
    for (const arc of arcsOf(slotsOf(version), tenant, hashes, shard)) {
      const owners = ownersOf(version, arc);
      const quorum = readQuorum(owners.length, version.replicas);
      // an owner that gave its word for the newest version known here knows a newer one, and says so when it is asked
      const silent = isNewest ? owners : owners.filter((id) => (words.get(id) ?? 0) < version.number);
      const said = owners.length - silent.length;
      const gone = goneOf(silent, chain.slice(at + 1));
      if (!isNewest && isStored(chain, at, words, arc)) {
        if (said < quorum) for (const each of gone) givenUp.set(each.id, each);
        continue;
      }
      const key = owners.toSorted().join('\0');
      if (asks.has(key)) continue;
      const asked = silent.filter((id) => !gone.some((each) => each.id === id));
      asks.set(key, { version: version.number, arc, owners: asked, gone, quorum: quorum - said });
    }
  }
  return { asks: [...asks.values()], givenUp: [...givenUp.values()] };
}

function arcsOf(
  slots: RingSlots,
  tenant: string,
  hashes: readonly number[] | undefined,
  shard: SeriesShard | undefined,
): readonly number[] {
  if (hashes === undefined) return slots.arcsOfTenant(tenant, shard);
  return [...new Set(hashes.flatMap((hash) => slots.arcsOfMetric(tenant, hash, shard)))];
}

const known = new WeakMap<RingVersion, RingSlots>();

function slotsOf(version: RingVersion): RingSlots {
  let slots = known.get(version);
  if (slots === undefined) {
    slots = new RingSlots(version);
    known.set(version, slots);
  }
  return slots;
}
