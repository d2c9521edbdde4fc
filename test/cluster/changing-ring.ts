import { Edge } from '../../src/distributor/edge.ts';
import { DistributorService } from '../../src/distributor/service.ts';
import { IngesterMember } from '../../src/ingester/member.ts';
import { Replica } from '../../src/ingester/replica.ts';
import { RingLife } from '../../src/ingester/ring-life.ts';
import { ShardsClient } from '../../src/ingester/shard/shard-client.ts';
import { silentLogger } from '../../src/kit/observe/log.ts';
import { Registry } from '../../src/kit/observe/metrics.ts';
import { aborted } from '../../src/lib/aborted.ts';
import { getOrMake } from '../../src/lib/map.ts';
import type { RandomBytes } from '../../src/lib/random.ts';
import { ReplicatedIngesters } from '../../src/querier/replicated-ingesters.ts';
import { RingFollower } from '../../src/ring/follower.ts';
import { type KnownVersion, meet, met } from '../../src/ring/meeting.ts';
import { RingMember } from '../../src/ring/member.ts';
import type { NodePlan, Parts, Site } from './cluster.ts';
import { ARCS } from './fixed-ring.ts';
import { type MemberRole, memberRole, remoteMember } from './member-wire.ts';
import { frontOf, LIMITS, makeIngester, makeQuerier, startShards } from './parts.ts';
import { startCompactor } from './ring-nodes.ts';
import { countedAtOnce, neverNewer, newestOnly } from './rules.ts';

// Machines of a cluster whose ring changes: ingesters that register, join, drain and leave, and fronts that follow.

/** The cluster's secret: keys of series are the same everywhere. */
const SECRET = new Uint8Array(16).fill(9);
const MINUTE = 60_000;
const RING_FOLDER = 'ring';
const SHARDS = 1;
const NONCE_BYTES = 6;
/** Some tenants have more of a metric after some time: each slot of theirs costs a group a window. */
const SPLIT_SERIES = 12;

/** Times of a ring in a run of hours. */
const TIMES = {
  heartbeatMs: 30_000,
  unhealthyMs: 3 * MINUTE,
  /** Less than five times that, so that runs of hours see it. */
  writesOldMs: 5 * MINUTE,
  forgetMs: 12 * MINUTE,
  /** No run lasts as long: what a log lost is told to its end. */
  walAgeMaxMs: 10 * 24 * 60 * MINUTE,
};

export interface ChangingRingOptions {
  /** Machines with an ingester, and how many of them are there from the beginning. */
  readonly ingesters: number;
  readonly first: number;
  readonly zones: number;
  readonly replicas: number;
  readonly fronts: number;
  readonly compactors: number;
  /** Absent: those of a run of hours. */
  readonly times?: Partial<RingTimes>;
}

type RingTimes = typeof TIMES;

export function changingRingNodes(options: ChangingRingOptions): readonly NodePlan[] {
  const { ingesters, first, zones, replicas, fronts, compactors } = options;
  const times = { ...TIMES, ...options.times };
  const nodes: NodePlan[] = [];
  for (let i = 0; i < ingesters; i++) {
    nodes.push({
      name: `ingester-${i}`,
      keeps: true,
      isSpare: i >= first,
      start: (site) => startIngester(site, `zone-${i % zones}`, { zones, replicas, times }),
    });
  }
  for (let i = 0; i < fronts; i++)
    nodes.push({ name: `front-${i}`, keeps: false, start: (site) => startFront(site, times) });
  for (let i = 0; i < compactors; i++) nodes.push({ name: `compactor-${i}`, keeps: false, start: startCompactor });
  return nodes;
}

/** A process that tells others of its ring. */
type PeerRole = { meet(known: KnownVersion): KnownVersion };

function startIngester(
  { process, network, store, kv, disk, broken }: Site,
  zone: string,
  { zones, replicas, times }: Pick<ChangingRingOptions, 'zones' | 'replicas'> & { readonly times: RingTimes },
): Parts {
  const { clock, randomBytes, machine } = process;
  const own = disk.of(process);
  own.makeFolder(RING_FOLDER);
  let hasLog = false;
  for (let i = 0; i < SHARDS; i++) {
    own.makeFolder(`shard-${i}`);
    hasLog ||= own.list(`shard-${i}`).length > 0;
  }
  const ring = new RingMember({
    kv: kv.of(process),
    clock,
    randomBytes: broken === 'an empty folder is another member' ? sameNonce(randomBytes) : randomBytes,
    disk: own,
    folder: RING_FOLDER,
    name: machine.name,
    zone,
    address: machine.name,
    replicas,
    arcs: ARCS,
    zonesMin: zones,
    hasLog,
    ...times,
    splitSeries: SPLIT_SERIES,
    sizesSeriesMin: 2,
  });
  const place = { process, schema: store.of(process) };
  const shards = startShards(place, {
    disk: own,
    seriesSecret: SECRET,
    shards: SHARDS,
    fsync: 'interval',
    machineRun: disk.machineRun,
    broken,
  });
  const ingester = makeIngester(place, shards, { flushLosses: true, ring: { source: ring, member: ring.id }, broken });
  void ingester.start();
  const member = new IngesterMember({
    shards: () => shards.map(({ channel }) => channel),
    ring,
    refusing: (writing) => ring.writeGate(writing),
  });
  const replica = new Replica({
    ring,
    shards: new ShardsClient(shards),
    refusing: () => ring.readGate() ?? ingester.readGate(),
  });
  network.listen(process, { ...memberRole(member, replica), meet: (known: KnownVersion) => met(ring, known) });
  const owing =
    broken === 'the store has it before the word'
      ? { notReady: () => ingester.notReady(), losses: () => ingester.losses(), ...owingNothing }
      : ingester;
  const life = new RingLife({
    ring,
    member,
    ingester: owing,
    shards: () => shards.map(({ channel }) => channel),
    clock,
    log: silentLogger,
    intervalMs: times.heartbeatMs,
  });
  void life.start();
  ring.start();
  traceRing(ring, site(process));
  return {
    ring,
    known: () => ring.current(),
    notReady: () => ingester.notReady() ?? (ring.standing === undefined ? 'it knows no ring' : undefined),
    async stop(signal) {
      await Promise.race([life.stop(), aborted(signal)]);
      await ingester.stop({ signal, progress: () => {} });
      await ring.stop();
    },
  };
}

const site = (process: Site['process']) => (line: string) => process.world.trace(`${process.name} ${line}`);

/** Says in the trace what a member hears of its ring. */
function traceRing(ring: RingMember, trace: (line: string) => void): void {
  let last = 0;
  ring.onChange(({ newest, confirmed }) => {
    if (newest.number === last) return;
    last = newest.number;
    const members = newest.members.map(({ id, state }) => (state === 'active' ? id : `${id} (${state})`));
    trace(`knows version ${newest.number}, floor ${newest.floor}, ${confirmed} counts: ${members.join(', ')}`);
  });
}

/** A distributor and a querier. */
function startFront({ process, network, store, kv, broken }: Site, { heartbeatMs }: RingTimes): Parts {
  const { clock } = process;
  const place = { process, schema: store.of(process) };
  const ring = new RingFollower({ kv: kv.of(process), clock, refreshMs: heartbeatMs });
  ring.start();
  const clients = new Map<string, ReturnType<typeof network.client<MemberRole & PeerRole>>>();
  const client = (id: string) => {
    const address = ring.current()?.addressOf(id);
    return address === undefined
      ? undefined
      : getOrMake(clients, address, () => network.client<MemberRole & PeerRole>(process, address));
  };
  const members = new Map<string, ReturnType<typeof remoteMember>>();
  const member = (id: string) => {
    const remote = client(id);
    return (
      remote &&
      getOrMake(members, id, () =>
        broken === 'a newer version asks again' ? neverNewer(remoteMember(remote)) : remoteMember(remote),
      )
    );
  };
  const meetMember = async (id: string) => {
    const remote = client(id);
    if (remote !== undefined) await meet(ring, (known) => remote.call('meet', known));
  };
  const source = broken === 'writers wait for a version to count' ? countedAtOnce(ring) : ring;
  const targets = { source, member, learn: (_: unknown, from: string) => meetMember(from) };
  const edges = new Edge({ clock, rawBytesMax: 1 << 20, seriesSecret: SECRET, ring: targets });
  const distributor = new DistributorService({ edges, limits: () => LIMITS, registry: new Registry(), clock });
  const read = broken === 'older versions are asked' ? newestOnly(ring) : ring;
  const ingesters = new ReplicatedIngesters({ ring: read, member, meet: meetMember, clock });
  if (broken === 'the store is listed after the word') ingesters.storedSinceMs = () => Number.NEGATIVE_INFINITY;
  const queries = makeQuerier(place, ingesters);
  return {
    front: frontOf(place, distributor, queries),
    known: () => ring.current(),
    notReady: () => ((ring.current()?.confirmed ?? 0) > 0 ? undefined : 'it knows no ring that counts'),
  };
}

const owingNothing = { owed: async () => new Set<string>(), flush: async () => {} };

/** Chance that makes the same member of every folder. */
function sameNonce(randomBytes: RandomBytes): RandomBytes {
  return (count) => (count === NONCE_BYTES ? new Uint8Array(count) : randomBytes(count));
}
