import type { Random } from '../../src/lib/random.ts';
import type { Cluster, Node } from './cluster.ts';

const MINUTE = 60_000;

/** A kind of trouble: begins, and says how it ends. */
interface Trouble {
  readonly name: string;
  /** How often it is chosen, against others. */
  readonly weight: number;
  /** Begins it at one machine; returns how it ends, with how long it lasts at most. */
  begin(
    cluster: Cluster,
    node: Node,
    random: Random,
  ): { readonly end: () => void; readonly maxMs: number; readonly what: string };
}

const SECOND = 1_000;
/** Kills that are restarts of all in turn, and that tell a process to stop. */
const ROLLING_SHARE = 0.2;
const STOP_SHARE = 0.3;
/** How often a restart of all in turn looks whether the last one is ready, and how long it waits for it at most. */
const ROLL_LOOK_MS = 5_000;
const ROLL_MS_MAX = 5 * MINUTE;

const TROUBLES: readonly Trouble[] = [
  {
    name: 'kill',
    weight: 6,
    begin(cluster, node) {
      // or it is told to stop, alone or in turn with all others
      const kind = cluster.world.random(`stop ${cluster.world.atMs}`)();
      if (kind < ROLLING_SHARE) return rollingRestart(cluster);
      const isTold = kind < ROLLING_SHARE + STOP_SHARE;
      if (isTold) cluster.stop(node);
      else cluster.kill(node);
      return { end: () => cluster.start(node), maxMs: 10 * MINUTE, what: isTold ? `${node.name} softly` : node.name };
    },
  },
  {
    name: 'power cut',
    weight: 4,
    begin(cluster, node) {
      cluster.crash(node);
      return { end: () => cluster.start(node), maxMs: 10 * MINUTE, what: node.name };
    },
  },
  {
    name: 'two down',
    weight: 6,
    begin(cluster, _, random) {
      const ingesters = cluster.nodes.filter(({ plan, isWanted }) => plan.keeps && isWanted);
      const first = Math.floor(random() * ingesters.length);
      const down = ingesters.length < 2 ? ingesters : [ingesters[first]!, ingesters[(first + 1) % ingesters.length]!];
      for (const each of down) {
        if (random() < 0.5) cluster.kill(each);
        else cluster.crash(each);
      }
      const end = () => {
        for (const each of down) cluster.start(each);
      };
      return { end, maxMs: 15 * MINUTE, what: down.map(({ name }) => name).join(', ') };
    },
  },
  {
    name: 'all restart at once',
    weight: 1,
    begin(cluster) {
      const down = cluster.nodes.filter(({ isUp }) => isUp);
      for (const each of down) cluster.kill(each);
      return { end: () => down.forEach((each) => void cluster.start(each)), maxMs: 30 * SECOND, what: 'all' };
    },
  },
  {
    name: 'pause',
    weight: 4,
    begin(_, node) {
      const { process } = node;
      // a machine that sleeps stops the monotonic clock, too
      process?.pause(process.world.random(`sleep ${process.world.atMs}`)() < 0.5);
      return { end: () => process?.resume(), maxMs: 20 * MINUTE, what: node.name };
    },
  },
  {
    name: 'alone',
    weight: 4,
    begin(cluster, node, random) {
      const kind = random();
      for (const { name } of cluster.nodes) {
        if (name === node.name) continue;
        if (kind < 0.7) cluster.network.cut(node.name, name);
        if (kind < 0.4 || kind >= 0.7) cluster.network.cut(name, node.name);
      }
      const what = `${node.name} ${kind < 0.4 ? 'both ways' : kind < 0.7 ? 'cannot send' : 'cannot hear'}`;
      return { end: () => cluster.network.heal(), maxMs: 15 * MINUTE, what };
    },
  },
  {
    name: 'bad network',
    weight: 3,
    begin(cluster, _, random) {
      const { weather } = cluster.network;
      const before = { ...weather };
      weather.lossShare = random() * 0.1;
      weather.delayMsMax = 10 + random() * 3_000;
      return {
        end: () => Object.assign(weather, before),
        maxMs: 20 * MINUTE,
        what: `${Math.round(weather.delayMsMax)} ms`,
      };
    },
  },
  {
    name: 'wrong clock',
    weight: 3,
    begin(cluster, node, random) {
      const { machine } = node;
      machine.skewMs = (random() - 0.5) * 20 * MINUTE;
      const what = `${machine.name} by ${Math.round(machine.skewMs / 1000)} s`;
      // stays wrong after a while too, at times
      const end = () => {
        if (random() < 0.7) machine.skewMs = 0;
      };
      void cluster;
      return { end, maxMs: 40 * MINUTE, what };
    },
  },
  {
    name: 'store away',
    weight: 3,
    begin(cluster) {
      cluster.store.faults.unavailable = 1;
      return { end: () => (cluster.store.faults.unavailable = 0), maxMs: 30 * MINUTE, what: '' };
    },
  },
  {
    name: 'store fails at times',
    weight: 3,
    begin(cluster, _, random) {
      const { faults } = cluster.store;
      faults.unavailable = random() * 0.2;
      faults.lost = random() * 0.2;
      faults.repeated = random() * 0.2;
      faults.delayMs = 20 + random() * 5_000;
      const end = () => Object.assign(faults, { unavailable: 0, lost: 0, repeated: 0, delayMs: 20 });
      return { end, maxMs: 40 * MINUTE, what: '' };
    },
  },
  {
    name: 'full disk',
    weight: 2,
    begin(_, node, random) {
      const { disk } = node;
      disk.bytesMax = disk.bytes + Math.floor(random() * 10_000);
      return { end: () => (disk.bytesMax = Number.POSITIVE_INFINITY), maxMs: 20 * MINUTE, what: node.name };
    },
  },
  {
    name: 'kv away',
    weight: 2,
    begin(cluster) {
      const { kv, world } = cluster;
      const before = kv.delayMsMax;
      // or it is slow, and calls fail, half of them when what they asked for was done
      const random = world.random(`kv ${world.atMs}`);
      if (random() < 0.5) {
        kv.failShare = 0.1 + 0.5 * random();
        kv.delayMsMax = 5 + 2_000 * random();
      } else {
        kv.isAway = true;
      }
      const end = () => Object.assign(kv, { isAway: false, failShare: 0, delayMsMax: before });
      return { end, maxMs: 40 * MINUTE, what: kv.isAway ? '' : `${Math.round(100 * kv.failShare)} % fail` };
    },
  },
];

/** All are told to stop and started again, one after another, each when the last is ready or has had its time. */
function rollingRestart(cluster: Cluster): ReturnType<Trouble['begin']> {
  const { world } = cluster;
  const nodes = cluster.nodes.filter(({ isUp }) => isUp);
  let isOver = false;
  const next = (i: number, waitedMs: number) => {
    const last = nodes[i - 1];
    const isReady = last === undefined || (last.stopping !== last.process && last.isReady);
    if (isOver || i === nodes.length) return;
    if (!isReady && waitedMs < ROLL_MS_MAX)
      return void world.after(ROLL_LOOK_MS, () => next(i, waitedMs + ROLL_LOOK_MS));
    cluster.stop(nodes[i]!);
    cluster.start(nodes[i]!);
    world.after(ROLL_LOOK_MS, () => next(i + 1, 0));
  };
  next(0, 0);
  return { end: () => (isOver = true), maxMs: nodes.length * ROLL_MS_MAX, what: 'all in turn' };
}

/** Trouble of a run: chosen by its seed, several at a time at most. */
export class FaultsPlan {
  readonly #cluster: Cluster;
  readonly #random: Random;
  /** Ends of what is under way. */
  readonly #under = new Set<() => void>();
  #isOn = true;
  #restsUntilMs = 0;

  /** @param everyMs mean time between two beginnings */
  constructor(cluster: Cluster, everyMs: number) {
    this.#cluster = cluster;
    this.#random = cluster.world.random('faults');
    const next = () => {
      if (!this.#isOn) return;
      if (cluster.world.atMs >= this.#restsUntilMs) this.#begin();
      cluster.world.after(everyMs * 2 * this.#random(), next);
    };
    cluster.world.after(everyMs * 2 * this.#random(), next);
  }

  #begin(): void {
    const { world } = this.#cluster;
    const nodes = this.#cluster.nodes.filter(({ isWanted }) => isWanted);
    const random = this.#random;
    let at = random() * TROUBLES.reduce((sum, { weight }) => sum + weight, 0);
    const trouble = TROUBLES.find(({ weight }) => {
      at -= weight;
      return at < 0;
    })!;
    // most trouble is of those that hold samples
    const keeping = nodes.filter(({ plan }) => plan.keeps);
    const among = random() < 0.75 ? keeping : nodes;
    const node = among[Math.floor(random() * among.length)]!;
    const { end, maxMs, what } = trouble.begin(this.#cluster, node, random);
    world.trace(`TROUBLE ${trouble.name} ${what}`);
    const over = () => {
      if (!this.#under.delete(over)) return;
      end();
      world.trace(`over: ${trouble.name} ${what}`);
    };
    this.#under.add(over);
    world.after(SECOND + random() ** 2 * maxMs, over);
  }

  /** Trouble that there is ends, and no other begins for so long. */
  rest(ms: number): void {
    this.#restsUntilMs = this.#cluster.world.atMs + ms;
    this.#end();
  }

  /** No trouble begins any more, and what there is ends. */
  stop(): void {
    this.#isOn = false;
    this.#end();
  }

  #end(): void {
    for (const over of [...this.#under]) over();
    const { nodes, network, store, kv } = this.#cluster;
    network.heal();
    Object.assign(network.weather, { lossShare: 0, delayMsMin: 0.2, delayMsMax: 2 });
    Object.assign(store.faults, { unavailable: 0, lost: 0, repeated: 0, throttled: 0, delayMs: 20 });
    Object.assign(kv, { isAway: false, failShare: 0 });
    for (const node of nodes) {
      node.disk.bytesMax = Number.POSITIVE_INFINITY;
      node.machine.skewMs = 0;
      this.#cluster.start(node);
      node.process?.resume();
    }
  }
}
