import type { Random } from '../../src/lib/random.ts';
import type { RingMember } from '../../src/ring/member.ts';
import type { Cluster, Node } from './cluster.ts';
import type { FaultsPlan } from './faults-plan.ts';

const MINUTE = 60_000;
/** How often the operator looks whether a member left. */
const LOOK_MS = MINUTE;
/** Time that recoveries get before a folder is lost, and that others get to take the arcs of its member afterwards. */
const CALM_MS = 12 * MINUTE;

/** An operator's work on a ring, chosen by the seed: machines are added, drained and taken away, one loses its folder, the key-value store is put back. */
export class RingPlan {
  readonly #cluster: Cluster;
  readonly #faults: FaultsPlan;
  readonly #random: Random;
  #isOn = true;
  #isWiped = false;

  /** @param everyMs mean time between two pieces of work */
  constructor(cluster: Cluster, faults: FaultsPlan, everyMs: number) {
    this.#cluster = cluster;
    this.#faults = faults;
    this.#random = cluster.world.random('ring plan');
    const next = () => {
      if (!this.#isOn) return;
      this.#work();
      cluster.world.after(everyMs * 2 * this.#random(), next);
    };
    cluster.world.after(everyMs * this.#random(), next);
    this.#look();
  }

  stop(): void {
    this.#isOn = false;
    this.#cluster.kv.cutOff.clear();
  }

  get #ingesters(): readonly Node[] {
    return this.#cluster.nodes.filter(({ plan }) => plan.keeps);
  }

  #work(): void {
    const { world, kv } = this.#cluster;
    const what = this.#random();
    if (what < 0.3) this.#add();
    else if (what < 0.5) this.#drain();
    else if (what < 0.58) this.#keep();
    else if (what < 0.64) {
      world.trace('OPERATOR loses the key-value store');
      kv.empty();
    } else if (what < 0.72) {
      world.trace('OPERATOR puts the key-value store back');
      kv.restore((10 + this.#random() * 50) * MINUTE);
    } else if (what < 0.88) this.#cutOff();
    else if (!this.#isWiped) {
      this.#isWiped = true;
      this.#wipe();
    }
  }

  /** Some machines do not reach the key-value store, though each other; a machine may join meanwhile. */
  #cutOff(): void {
    const { world, kv, nodes } = this.#cluster;
    const share = this.#random();
    const cut = nodes.filter(({ isWanted }) => isWanted && this.#random() < share).map(({ name }) => name);
    world.trace(`TROUBLE ${cut.join(', ')} cut off from the key-value store`);
    for (const name of cut) kv.cutOff.add(name);
    if (this.#random() < 0.6) world.after(this.#random() * 2 * MINUTE, () => this.#isOn && this.#add());
    world.after((5 + 40 * this.#random()) * MINUTE, () => {
      for (const name of cut) kv.cutOff.delete(name);
    });
  }

  #one<T>(of: readonly T[]): T | undefined {
    return of[Math.floor(this.#random() * of.length)];
  }

  #add(): void {
    const node = this.#one(this.#ingesters.filter(({ isWanted }) => !isWanted));
    if (node === undefined) return;
    this.#cluster.world.trace(`OPERATOR adds ${node.name}`);
    node.isWanted = true;
    this.#cluster.start(node);
  }

  #drain(): void {
    const node = this.#one(this.#ingesters.filter(({ parts }) => parts?.ring?.standing === 'member'));
    if (node === undefined) return;
    this.#cluster.world.trace(`OPERATOR drains ${node.name}`);
    this.#ask(node, (ring) => ring.drain());
  }

  /** One that drains stays after all. */
  #keep(): void {
    const node = this.#one(this.#ingesters.filter(({ parts }) => parts?.ring?.wants === 'drain'));
    if (node === undefined) return;
    this.#cluster.world.trace(`OPERATOR keeps ${node.name}`);
    this.#ask(node, (ring) => ring.join());
  }

  #ask(node: Node, ask: (ring: RingMember) => void): void {
    const { parts, process } = node;
    process?.after(1, () => {
      try {
        ask(parts!.ring!);
      } catch (error) {
        this.#cluster.world.trace(`${node.name}: ${(error as Error).message}`);
      }
    });
  }

  /** Takes away machines whose member left; some are given away, others come back with their folder. */
  #look(): void {
    const { world } = this.#cluster;
    world.after(LOOK_MS, () => this.#look());
    for (const node of this.#ingesters) {
      const ring = node.parts?.ring;
      if (ring?.standing !== 'out' || ring.wants !== 'leave') continue;
      world.trace(`OPERATOR takes ${node.name} away`);
      this.#cluster.kill(node);
      node.isWanted = false;
      if (this.#random() < 0.5) node.disk.wipe();
    }
  }

  /** A machine loses its folder while all others are well: more than one at a time is more than three holders can make good. */
  #wipe(): void {
    const { world } = this.#cluster;
    this.#faults.rest(3 * CALM_MS);
    // one that was away lacks what came meanwhile, of which two have it then
    const away = this.#one(this.#ingesters.filter(({ isUp }) => isUp));
    world.after(CALM_MS - 7 * MINUTE, () => away && this.#cluster.kill(away));
    world.after(CALM_MS - 4 * MINUTE, () => away && this.#cluster.start(away));
    world.after(CALM_MS, () => {
      const well = this.#ingesters.filter(({ isWanted, parts }) => isWanted && parts?.ring !== undefined);
      const isWell = this.#ingesters.every(({ isWanted, isUp }) => !isWanted || isUp);
      const rings = well.map(({ parts }) => parts!.ring!);
      const rows = rings.map((ring) => ring.rows.get(ring.id));
      const [first] = rings;
      const view = first?.current();
      const isWhole =
        view !== undefined &&
        view.confirmed === view.newest.number &&
        view.newest.members.every(({ id }) => rows.some((row) => row?.id === id && row.complete && !row.lost));
      const node = this.#one(well.filter((each) => each !== away && each.parts?.ring?.standing === 'member'));
      if (!isWell || !isWhole || node === undefined) return;
      world.trace(`OPERATOR: ${node.name} loses its folder`);
      this.#cluster.kill(node);
      node.disk.wipe();
      world.after((1 + this.#random()) * MINUTE, () => this.#cluster.start(node));
    });
  }

  /** The reason why the ring has not come to rest; undefined: it has. */
  restless(): string | undefined {
    const nodes = this.#ingesters.filter(({ isWanted }) => isWanted);
    const views = nodes.map(({ parts }) => parts?.ring?.current());
    const newest = Math.max(...views.map((view) => view?.newest.number ?? 0));
    for (const [i, { name, parts }] of nodes.entries()) {
      const ring = parts?.ring;
      const view = views[i];
      if (ring === undefined || view === undefined) return `${name} knows no ring`;
      if (view.newest.number < newest) return `${name} knows version ${view.newest.number} of ${newest}`;
      if (view.hash !== views[0]!.hash) return `${name} knows another version ${newest}`;
      if (view.confirmed < newest) return `version ${newest} does not count for ${name}`;
      if (ring.standing === 'out' && ring.wants !== 'leave') return `${name} is out: ${String(ring.lastError ?? '')}`;
    }
    return undefined;
  }

  /** Says for members whose folder is gone that they do not run, where the ring does not dare to. */
  force(): void {
    const runs = new Set(this.#ingesters.map(({ parts }) => parts?.ring?.id));
    for (const { parts, process } of this.#ingesters) {
      const ring = parts?.ring;
      const view = ring?.current();
      if (ring?.standing !== 'member' || view === undefined) continue;
      const gone = view.newest.members.find(({ id }) => !runs.has(id));
      if (gone === undefined) return;
      this.#cluster.world.trace(`OPERATOR gives up ${gone.id}`);
      process?.after(1, () => {
        ring
          .change({ kind: 'remove', id: gone.id }, { force: true })
          .catch((error: Error) => this.#cluster.world.trace(`not given up: ${error.message}`));
      });
      return;
    }
  }
}
