import { getOrMake } from '../../src/lib/map.ts';
import type { Random } from '../../src/lib/random.ts';
import { ALL_IN_ONE } from './all-in-one.ts';
import { changingRingNodes } from './changing-ring.ts';
import { Cluster, type NodePlan } from './cluster.ts';
import { FaultsPlan } from './faults-plan.ts';
import { Load, type LoadCounts } from './load.ts';
import { type Answer, differenceOf, Oracle, Wrong } from './oracle.ts';
import { INGESTER, makeCompactor } from './parts.ts';
import { SimProcess } from './process.ts';
import { fixedRingNodes } from './ring-nodes.ts';
import { RingPlan } from './ring-plan.ts';
import type { Rule } from './rules.ts';
import { lookThrough } from './store-look.ts';
import { World } from './world.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Runs at whose end all days are merged. */
const MERGED_SHARE = 0.2;
/** Groups that nobody needs, of which a run may leave some. */
const SPARE_MIN = 5;
const SPARE_SHARE = 0.1;
/** How far apart timers that repeat are at least, and while days pass. */
const GRAIN_MS = 20_000;
/** When faults are over and nothing new is sent. */
const CALM_GRAIN_MS = MINUTE;
const DAYS_GRAIN_MS = 15 * MINUTE;

interface Scenario {
  readonly what: string;
  /** One of so many seeds is run where no scenario is named: it costs more than others. */
  readonly every: number;
  readonly nodes: readonly NodePlan[];
}

/** A tenant with slots all around the ring, as those of more than 20,000 series have. */
const SIZES = new Map([['tenant-1', { buckets: 16, splits: new Map([['alpha', 16]]) }]]);

/** Clusters that are simulated. */
export const SCENARIOS = {
  three: {
    what: 'three ingesters in as many zones, three owners of each arc',
    every: 1,
    nodes: fixedRingNodes({ ingesters: 3, zones: 3, replicas: 3, fronts: 2, compactors: 1 }),
  },
  six: {
    what: 'six ingesters without zones, three owners of each arc, two compactors, a tenant that is spread',
    every: 1,
    nodes: fixedRingNodes({ ingesters: 6, zones: 0, replicas: 3, fronts: 2, compactors: 2, sizes: SIZES }),
  },
  growing: {
    what: 'a ring that three ingesters in as many zones begin, that grows to nine at most, shrinks, and loses members and their folders',
    every: 3,
    nodes: changingRingNodes({ ingesters: 9, first: 3, zones: 3, replicas: 3, fronts: 2, compactors: 1 }),
  },
  one: { what: 'all targets in one process, without a ring', every: 1, nodes: [ALL_IN_ONE] },
} satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof SCENARIOS;

export interface SimulationOptions {
  readonly scenario: ScenarioName;
  readonly seed: number;
  /** A rule to be taken out. */
  readonly broken?: Rule;
  readonly onTrace?: (line: string) => void;
}

export interface SimulationResult {
  readonly seed: number;
  readonly digest: string;
  readonly events: number;
  readonly counts: LoadCounts;
  readonly acked: number;
  readonly checked: number;
  readonly failure: Error | undefined;
  readonly trace: readonly string[];
}

/** Runs a cluster with trouble and load for some hours, lets it recover, and asks for everything at the end. */
export async function simulate({ scenario, seed, broken, onTrace }: SimulationOptions): Promise<SimulationResult> {
  const world = new World(onTrace === undefined ? { seed } : { seed, onTrace });
  const cluster = new Cluster(world, SCENARIOS[scenario].nodes, broken);
  const oracle = new Oracle();
  const random = world.random('simulation');
  const load = new Load(world, oracle, cluster, {
    tenants: 3,
    series: 2 + Math.floor(random() * 4),
    deletes: random() < 0.5,
    histograms: world.random('histograms')() < 0.5,
    starts: world.random('starts')() < 0.3,
    stale: world.random('stale')() < 0.3,
  });
  let failure: Error | undefined;
  // every wait of a member is an event, so a promise that fails without owner is a bug of whoever made it
  const unowned = (error: Error) => world.fail(error);
  process.on('unhandledRejection', unowned);
  try {
    world.grainMs = GRAIN_MS;
    for (const node of cluster.nodes) cluster.start(node);
    if (!(await world.until(() => cluster.isReady, 10 * MINUTE))) throw new Error('the cluster does not start');
    load.start();
    await world.run(20 * MINUTE);
    const faults = new FaultsPlan(cluster, (3 + random() * 12) * MINUTE);
    const ring = cluster.hasRing ? new RingPlan(cluster, faults, 12 * MINUTE) : undefined;
    await world.run((0.75 + 1.5 * random()) * HOUR);
    ring?.stop();
    faults.stop();
    if (random() < 0.25) await daysPass(world, cluster, load, random);
    world.trace('TROUBLE is over');
    await recovered(world, cluster, load, ring);
    await end(world, cluster, load);
    if (world.random('merge')() < MERGED_SHARE) await mergeAll(world, cluster, load);
    await lookAtStore(world, cluster);
  } catch (error) {
    failure = error as Error;
    world.trace(`FAILED ${failure.message}`);
  } finally {
    process.off('unhandledRejection', unowned);
  }
  const { digest, events, lastTrace: trace } = world;
  return { seed, digest, events, counts: load.counts, acked: oracle.acked, checked: oracle.checked, failure, trace };
}

/** A holder of samples is away for days in which little happens. */
async function daysPass(world: World, cluster: Cluster, load: Load, random: Random): Promise<void> {
  const keeping = cluster.nodes.filter(({ plan, isWanted }) => plan.keeps && isWanted);
  const node = keeping[Math.floor(random() * keeping.length)]!;
  const kind = random();
  world.trace(`TROUBLE days without ${node.name}`);
  if (kind < 0.3) node.process?.pause();
  else if (kind < 0.45) cluster.stop(node);
  else if (kind < 0.6) cluster.kill(node);
  else cluster.crash(node);
  await world.run(10 * MINUTE * random());
  load.isResting = true;
  world.grainMs = DAYS_GRAIN_MS;
  // heartbeats are written all the time
  const days = cluster.hasRing ? 0.1 + 0.5 * random() : 0.5 + 2 * random();
  await world.run(days * 24 * HOUR);
  world.grainMs = GRAIN_MS;
  load.isResting = false;
  node.process?.resume();
  cluster.start(node);
  await world.run(20 * MINUTE);
}

/** Once faults are over, writes and queries are taken again, without anybody's help. */
async function recovered(world: World, cluster: Cluster, load: Load, ring: RingPlan | undefined): Promise<void> {
  if (!(await world.until(() => cluster.isReady, 30 * MINUTE))) {
    const reasons = cluster.nodes.map(
      ({ name, parts }) => `${name}: ${parts === undefined ? 'down' : parts.notReady()}`,
    );
    throw new Error(`the cluster does not recover: ${reasons.join('; ')}`);
  }
  if (ring !== undefined) await ringRests(world, ring);
  const { acked } = load.counts;
  if (!(await world.until(() => load.counts.acked >= acked + 2 * load.tenants.length, 30 * MINUTE, MINUTE))) {
    throw new Error('no writes are taken although faults are over');
  }
  load.stopSending();
  world.grainMs = CALM_GRAIN_MS;
  // late ones are due hours later
  if (!(await world.until(() => load.backlog === 0, 4 * HOUR, MINUTE))) {
    throw new Error(`${load.backlog} batches are neither taken nor refused although faults are over`);
  }
}

/** All know one version, which counts, and are members; an operator says so for those that never come back. */
async function ringRests(world: World, ring: RingPlan): Promise<void> {
  const rests = () => ring.restless() === undefined;
  if (await world.until(rests, HOUR, MINUTE)) return;
  ring.force();
  if (!(await world.until(rests, HOUR, MINUTE))) throw new Error(`the ring does not come to rest: ${ring.restless()}`);
}

/** All that was sent, from every front; then once more when all of it is in the store. */
async function end(world: World, cluster: Cluster, load: Load): Promise<void> {
  load.stopReading();
  // owners that know of a loss count only when the rest of the window is in the store
  await askForAll(world, cluster, load, { mayFail: true });
  await world.run(INGESTER.windowMs + INGESTER.flushDelayMs + INGESTER.flushSpreadMs + 40 * MINUTE);
  await askForAll(world, cluster, load, { mayFail: false });
}

/** Days are merged before their time: answers stay as they are. */
async function mergeAll(world: World, cluster: Cluster, load: Load): Promise<void> {
  const process = new SimProcess(world, { name: 'merger', skewMs: 0 }, 'merger.1');
  let done: Error | 'merged' | undefined;
  makeCompactor({ process, schema: cluster.store.of(process) })
    .run({ force: true })
    .then(
      () => (done = 'merged'),
      (error: Error) => (done = error),
    );
  if (!(await world.until(() => done !== undefined, HOUR))) throw new Error('a merge does not end');
  if (done instanceof Error) throw done;
  world.trace('all days are merged');
  // lists of rows from before are no longer believed
  await world.run(INGESTER.keepFlushedMs);
  await askForAll(world, cluster, load, { mayFail: false });
}

/** Nothing in the store is damaged, and hardly anything there twice: holders that look at the same moment find nothing of each other. */
async function lookAtStore(world: World, { store }: Cluster): Promise<void> {
  const { groups, spare, damage } = await lookThrough(store.plain);
  world.trace(`${groups} groups in the store, ${spare} of them spare`);
  if (damage !== undefined) throw new Error(`the store is damaged: ${damage}`);
  if (spare > SPARE_MIN + groups * SPARE_SHARE) throw new Error(`${spare} of ${groups} groups in the store are spare`);
}

async function askForAll(
  world: World,
  cluster: Cluster,
  load: Load,
  { mayFail }: { readonly mayFail: boolean },
): Promise<void> {
  const toMs = Math.floor(world.nowMs);
  const afterMs = toMs - Math.ceil(world.atMs / MINUTE + 60) * MINUTE;
  const firsts = new Map<string, Answer>();
  for (const front of cluster.fronts()) {
    for (const tenant of load.tenants) {
      for (const metric of load.metrics) {
        const seen = load.ask(front, { tenant, metric, afterMs, toMs });
        if (!(await world.until(() => seen.done !== undefined, 5 * MINUTE))) throw new Error('a query does not end');
        if (mayFail) continue;
        if (seen.done === 'failed') throw new Error(`a query fails although faults are over: ${seen.text}`);
        // what is all in the store is one answer, whoever is asked
        const first = getOrMake(firsts, `${tenant} ${metric}`, () => seen.answer!);
        const difference = differenceOf(first, seen.answer!);
        if (difference !== undefined) throw new Wrong(`${metric} of ${tenant} is not the same for all: ${difference}`);
      }
    }
  }
}
