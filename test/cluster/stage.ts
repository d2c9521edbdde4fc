import type { RingMember } from '../../src/ring/member.ts';
import { metricHashOf, RingSlots } from '../../src/ring/slots.ts';
import { ownersOf, type RingVersion } from '../../src/ring/version.ts';
import { Cluster, type Node, type NodePlan } from './cluster.ts';
import { type Answer, answerOf, Oracle, seriesKey, type TimeRange, toldMissing, Wrong } from './oracle.ts';
import type { Rule } from './rules.ts';
import { World } from './world.ts';

const MINUTE = 60_000;
/** Longest wait for an answer: of calls, of writes, and of readers that learn a version. */
const PATIENCE_MS = 60_000;
const GRAIN_MS = 5_000;
const DAYS_GRAIN_MS = 30 * MINUTE;

export interface StageOptions {
  readonly seed?: number;
  readonly broken?: Rule | undefined;
  readonly onTrace?: ((line: string) => void) | undefined;
}

/** A sample of a script. */
export interface Line {
  readonly tenant: string;
  readonly metric?: string;
  readonly series?: string;
  /** Unix ms; absent: now. */
  readonly timeMs?: number;
  readonly value?: number;
}

/** A question of a script: the newest minutes of a metric. */
export interface Question {
  readonly tenant: string;
  readonly metric?: string;
  readonly minutes?: number;
  /** End of the range, Unix ms; absent: now. */
  readonly toMs?: number;
}

/**
 * A cluster that a script directs: who fails, who writes and who reads is said step by step, and answers are held against the oracle as
 * those of a run by chance are.
 */
export class Stage {
  readonly world: World;
  readonly cluster: Cluster;
  readonly oracle = new Oracle();

  constructor(plans: readonly NodePlan[], { seed = 1, broken, onTrace }: StageOptions = {}) {
    this.world = new World(onTrace === undefined ? { seed } : { seed, onTrace });
    this.cluster = new Cluster(this.world, plans, broken);
    this.world.grainMs = GRAIN_MS;
  }

  node(name: string): Node {
    const node = this.cluster.nodes.find((each) => each.name === name);
    if (node === undefined) throw new Error(`bug: no machine ${name}`);
    return node;
  }

  /** Starts all machines that are there from the beginning. */
  async begin(): Promise<void> {
    for (const node of this.cluster.nodes) this.cluster.start(node);
    await this.until(() => this.cluster.isReady, 'the cluster does not start');
  }

  /** Waits for a version that counts and has so many members. */
  async joined(count: number): Promise<void> {
    await this.until(() => this.counts('front-1', ({ members }) => members.length === count), 'not all join');
  }

  /** Adds machines that were not there. */
  add(...names: readonly string[]): void {
    for (const name of names) {
      const node = this.node(name);
      node.isWanted = true;
      this.cluster.start(node);
    }
  }

  /** Takes a machine away. */
  remove(name: string): void {
    const node = this.node(name);
    this.cluster.kill(node);
    node.isWanted = false;
  }

  restart(name: string): void {
    this.cluster.kill(this.node(name));
    this.cluster.start(this.node(name));
  }

  /** Stops a holder of samples as SIGTERM does, and starts it again. */
  async stopAndStart(name: string): Promise<void> {
    const node = this.node(name);
    this.cluster.stop(node);
    await this.until(() => !node.isUp, `${name} does not stop`);
    this.cluster.start(node);
    await this.until(() => this.cluster.isReady, `${name} does not start`);
  }

  run(ms: number): Promise<void> {
    return this.world.run(ms);
  }

  async until(done: () => boolean, what: string, ms = 20 * MINUTE): Promise<void> {
    if (!(await this.world.until(done, ms))) throw new Error(what);
  }

  /** Stops all messages between some and others, both ways. */
  cut(some: readonly string[], others: readonly string[]): void {
    for (const one of some) {
      for (const other of others) {
        this.cluster.network.cut(one, other);
        this.cluster.network.cut(other, one);
      }
    }
  }

  heal(): void {
    this.cluster.network.heal();
  }

  /** Keeps machines from the key-value store, and lets all others to it. */
  cutFromKv(...names: readonly string[]): void {
    this.cluster.kv.cutOff.clear();
    for (const name of names) this.cluster.kv.cutOff.add(name);
  }

  /** Asks something of a machine's part of the ring, in its process. */
  ring(name: string, ask: (ring: RingMember) => unknown): void {
    const { parts, process } = this.node(name);
    process!.after(1, () => {
      Promise.resolve(ask(parts!.ring!)).catch((error: Error) => this.world.trace(`${name}: ${error.message}`));
    });
  }

  /** The newest version of the ring that a machine knows. */
  newest(name: string): RingVersion {
    const view = this.node(name).parts?.known?.();
    if (view === undefined) throw new Error(`${name} knows no ring`);
    return view.newest;
  }

  /** Whether a version that counts has this member, by the name of its machine. */
  counts(name: string, isIt: (version: RingVersion) => boolean): boolean {
    const view = this.node(name).parts?.known?.();
    return view !== undefined && view.confirmed === view.newest.number && isIt(view.newest);
  }

  /** A tenant whose metric lies on an arc with these owners, by their machines' names, of a version. */
  tenantOf(version: RingVersion, owners: readonly string[], metric = 'm'): string {
    const slots = new RingSlots(version);
    for (let i = 0; i < 10_000; i++) {
      const tenant = `tenant-${i}`;
      const ids = ownersOf(version, slots.arcOf(tenant, metricHashOf(metric), 0));
      if (owners.every((name) => ids.some((id) => machineOf(id) === name))) return tenant;
    }
    throw new Error(`no arc of ${owners.join(', ')}`);
  }

  /** Sends a sample. @returns the status; `none` without an answer */
  async push(front: string, { tenant, metric = 'm', series = 's', timeMs, value = 1 }: Line): Promise<number | 'none'> {
    const { world, oracle, cluster } = this;
    const atMs = timeMs ?? Math.floor(world.nowMs);
    const pairs = ['__name__', metric, 'instance', series];
    const sample = oracle.sent(tenant, metric, seriesKey(pairs), atMs, value);
    let status: number | undefined;
    cluster.push(front, tenant, [{ pairs, samples: [{ timeMs: atMs, value }] }]).then(({ status: found, text }) => {
      world.trace(`${front} push ${tenant} ${found} ${text}`);
      status = found;
      if (found < 300) oracle.acknowledged(sample, world.atMs);
    });
    await world.until(() => status !== undefined, PATIENCE_MS, 100);
    return status ?? 'none';
  }

  /** Sends until it is taken. */
  async pushed(front: string, line: Line): Promise<void> {
    for (let tries = 0; ; tries++) {
      const status = await this.push(front, { timeMs: Math.floor(this.world.nowMs), ...line });
      if (typeof status === 'number' && status < 300) return;
      if (tries === 20) throw new Error(`${front} takes no writes: ${status}`);
      await this.run(10_000);
    }
  }

  /**
   * Asks, and holds the answer against what is known.
   * @throws Wrong
   * @returns the answer, or why there is none
   */
  async ask(front: string, question: Question): Promise<Answer | Error> {
    const { world, oracle, cluster } = this;
    const { tenant, metric = 'm', minutes = 60, toMs = Math.floor(world.nowMs) } = question;
    const begunMs = world.atMs;
    let answer: Answer | Error | undefined;
    let missing: readonly TimeRange[] = [];
    cluster.query(front, tenant, `${metric}[${minutes}m]`, toMs).then(
      (result) => {
        missing = toldMissing(result.warnings);
        answer = answerOf(result);
        world.trace(`${front} query ${tenant}: ${answer.size} series ${result.warnings.join('; ')}`);
      },
      (error: Error) => {
        answer = error;
        world.trace(`${front} query ${tenant} failed: ${error.message}`);
      },
    );
    await world.until(() => answer !== undefined, PATIENCE_MS, 100);
    if (answer === undefined) throw new Error(`${front} does not answer`);
    // what an answer says that it may lack is not looked for
    if (!(answer instanceof Error)) {
      const selection = { tenant, metric, afterMs: toMs - minutes * MINUTE, toMs };
      oracle.check(selection, answer, begunMs, missing);
    }
    return answer;
  }

  /** Asks what tenants have after each of so many minutes. @throws Wrong */
  async askEachMinute(front: string, minutes: number, tenants: readonly string[]): Promise<void> {
    for (let i = 0; i < minutes; i++) {
      await this.run(MINUTE);
      for (const tenant of tenants) await this.ask(front, { tenant });
    }
  }

  /** Deletes a metric's samples of a day up to a time. Resolves when the request is in force. */
  async delete(front: string, { tenant, metric = 'm', toMs }: Omit<Question, 'minutes'>): Promise<void> {
    const { world, oracle, cluster } = this;
    const endMs = toMs ?? Math.floor(world.nowMs);
    const startMs = endMs - 24 * 60 * MINUTE;
    const deletion = oracle.deleting(tenant, metric, startMs, endMs, world.atMs);
    cluster.deleteSeries(front, tenant, metric, startMs, endMs).then((coveredMs) => {
      world.trace(`${front} deleted ${metric} of ${tenant} until ${coveredMs}`);
      deletion.coveredMs = coveredMs;
      deletion.ackedMs = world.atMs;
    });
    await this.until(() => deletion.ackedMs !== undefined, 'a delete request is not answered');
  }

  /** Days in which little happens. */
  async days(count: number): Promise<void> {
    const { world } = this;
    const { grainMs } = world;
    world.grainMs = DAYS_GRAIN_MS;
    await world.run(count * 24 * 60 * MINUTE);
    world.grainMs = grainMs;
  }

  /** Asks until there is an answer. */
  async asked(front: string, question: Question): Promise<Answer> {
    for (let tries = 0; ; tries++) {
      const answer = await this.ask(front, question);
      if (!(answer instanceof Error)) return answer;
      if (tries === 30) throw new Wrong(`${front} never answers: ${answer.message}`);
      await this.run(30_000);
    }
  }
}

/** The name of the machine that a member's id begins with. */
export function machineOf(id: string): string {
  return id.slice(0, id.lastIndexOf('-'));
}
