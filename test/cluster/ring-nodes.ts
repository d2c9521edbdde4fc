import type { ReplicaReader } from '../../src/contract/replica.ts';
import type { RingStamp } from '../../src/contract/ring-stamp.ts';
import { Edge } from '../../src/distributor/edge.ts';
import { DistributorService } from '../../src/distributor/service.ts';
import { IngesterMember } from '../../src/ingester/member.ts';
import { Replica } from '../../src/ingester/replica.ts';
import { ShardsClient } from '../../src/ingester/shard/shard-client.ts';
import { Registry } from '../../src/kit/observe/metrics.ts';
import { getOrMake } from '../../src/lib/map.ts';
import type { TenantLimits } from '../../src/limits/limits.ts';
import type { SlotSizes } from '../../src/model/slot-sizes.ts';
import { ReplicatedIngesters } from '../../src/querier/replicated-ingesters.ts';
import type { RingSource } from '../../src/ring/view.ts';
import type { NodePlan, Site } from './cluster.ts';
import { fixedRing, memberOf } from './fixed-ring.ts';
import { type MemberRole, memberRole, remoteMember } from './member-wire.ts';
import { frontOf, LIMITS, makeCompactor, makeIngester, makeQuerier, type RunningShard, startShards } from './parts.ts';
import { emptyWhenAway, neverAway } from './rules.ts';

/** The cluster's secret: keys of series are the same everywhere. */
const SECRET = new Uint8Array(16).fill(9);

export interface RingClusterOptions {
  readonly ingesters: number;
  readonly zones: number;
  readonly replicas: number;
  readonly fronts: number;
  readonly compactors: number;
  /** Tenants of more than one slot. */
  readonly sizes?: ReadonlyMap<string, SlotSizes>;
  readonly headBytesMax?: number;
  readonly oldWindowsMax?: number;
  /** Groups of more bytes lie in objects. */
  readonly inlineBytesMax?: number;
}

/** Machines of a cluster whose ring never changes. */
export function fixedRingNodes(options: RingClusterOptions): readonly NodePlan[] {
  const { ingesters, zones, replicas, fronts, compactors, sizes, oldWindowsMax } = options;
  const limits = oldWindowsMax === undefined ? LIMITS : { ...LIMITS, maxOldWindowsPerUser: oldWindowsMax };
  const names = Array.from({ length: ingesters }, (_, i) => `ingester-${i}`);
  const zoneOf = (i: number) => (zones === 0 ? '' : `zone-${i % zones}`);
  const ring = fixedRing(
    names.map((name, i) => memberOf(name, zoneOf(i))),
    replicas,
    sizes,
  );
  const many = (count: number, name: string, start: NodePlan['start']) =>
    Array.from({ length: count }, (_, i): NodePlan => ({ name: `${name}-${i}`, keeps: name === 'ingester', start }));
  return [
    ...many(ingesters, 'ingester', (site) => startIngester(site, ring, options)),
    ...many(fronts, 'front', (site) => startFront(site, ring, limits)),
    ...many(compactors, 'compactor', startCompactor),
  ];
}

function startIngester(site: Site, ring: RingSource, { headBytesMax, inlineBytesMax }: RingClusterOptions) {
  const { process, network, store, disk, broken } = site;
  const place = { process, schema: store.of(process) };
  const shards = startShards(place, {
    disk: disk.of(process),
    seriesSecret: SECRET,
    shards: 2,
    fsync: 'interval',
    machineRun: disk.machineRun,
    headBytesMax,
    broken,
  });
  const ingester = makeIngester(place, shards, {
    flushLosses: true,
    ring: { source: ring, member: memberOf(process.machine.name, '').id },
    inlineBytesMax,
    broken,
  });
  void ingester.start();
  const member = new IngesterMember({ shards: () => shards.map(({ channel }) => channel), ring });
  const replica = new Replica({
    ring,
    shards: broken === 'losses are told' ? unaware(shards) : new ShardsClient(shards),
    refusing: () => ingester.readGate(),
  });
  const reader = broken === 'replaying counts not' ? emptyWhenAway(readerOf(replica)) : replica;
  network.listen(process, memberRole(member, reader));
  return {
    notReady: () => ingester.notReady(),
    stop: (signal: AbortSignal) => ingester.stop({ signal, progress: () => {} }),
  };
}

/** A distributor and a querier. */
function startFront(site: Site, ring: RingSource, limits: TenantLimits) {
  const { process, network, store, broken } = site;
  const { clock } = process;
  const place = { process, schema: store.of(process) };
  const members = new Map<string, ReturnType<typeof remoteMember>>();
  const addresses = new Map(ring.current()!.newest.members.map(({ id, address }) => [id, address]));
  const member = (id: string) => {
    const address = addresses.get(id);
    if (address === undefined) return undefined;
    return getOrMake(members, id, () => {
      const remote = remoteMember(network.client<MemberRole>(process, address));
      if (broken === 'write quorum') return { ...remote, ...neverAway(remote) };
      return broken === 'read quorum' ? emptyWhenAway(remote) : remote;
    });
  };
  const learn = async (version: RingStamp) => {
    throw new Error(`bug: a ring that never changes has a version ${version.number}`);
  };
  const targets = { source: ring, member, learn };
  const edges = new Edge({ clock, rawBytesMax: 1 << 20, seriesSecret: SECRET, ring: targets });
  const distributor = new DistributorService({ edges, limits: () => limits, registry: new Registry(), clock });
  const queries = makeQuerier(place, new ReplicatedIngesters({ ring, member, clock }), broken);
  return { front: frontOf(place, distributor, queries), notReady: () => undefined };
}

export function startCompactor({ process, store }: Site) {
  const compactor = makeCompactor({ process, schema: store.of(process) });
  void compactor.start();
  return { notReady: () => undefined };
}

/** The methods of a reader as an object of their own. */
function readerOf(reader: ReplicaReader): ReplicaReader {
  return {
    select: (...asked) => reader.select(...asked),
    labels: (...asked) => reader.labels(...asked),
    metadata: (...asked) => reader.metadata(...asked),
    headStats: (...asked) => reader.headStats(...asked),
    exemplars: (...asked) => reader.exemplars(...asked),
  };
}

/** Shards that know of no loss. */
function unaware(shards: readonly RunningShard[]): ShardsClient {
  const client = new ShardsClient(shards);
  client.losses = async () => [];
  return client;
}
