import assert from 'node:assert/strict';
import type { PushResponse } from '../../src/contract/push.ts';
import type { QueryResult } from '../../src/contract/query.ts';
import type { Random } from '../../src/lib/random.ts';
import type { RingMember } from '../../src/ring/member.ts';
import type { RingView } from '../../src/ring/view.ts';
import type { Doors } from './load.ts';
import { Network } from './network.ts';
import { type Machine, SimProcess } from './process.ts';
import type { Rule } from './rules.ts';
import type { SentSeries } from './sent-series.ts';
import { SimDisk } from './sim-disk.ts';
import { SimKv } from './sim-kv.ts';
import { SimStore } from './store.ts';
import type { World } from './world.ts';

/** A process' parts that others see. */
export interface Parts {
  /** Takes writes and queries, where it is a front. */
  readonly front?: FrontParts;
  /** Its part of a ring that changes. */
  readonly ring?: RingMember;
  /** The ring as it knows it. */
  readonly known?: () => RingView | undefined;
  /** Ends it as SIGTERM does, where it holds samples. After the signal only what cannot be left undone. */
  stop?(signal: AbortSignal): Promise<void>;
  /** Why it takes no part yet; undefined: it does. */
  notReady(): string | undefined;
}

export interface ApiAnswer {
  readonly data: unknown;
  readonly warnings?: readonly string[];
}

export interface FrontParts {
  push(tenant: string, series: readonly SentSeries[]): Promise<PushResponse>;
  query(tenant: string, expr: string, timeMs: number): Promise<QueryResult>;
  /** As the HTTP API has it: `data` and `warnings` of a path's answer. */
  get(tenant: string, path: string, params: readonly [string, string][]): Promise<ApiAnswer>;
  /** @returns the end of the range that is deleted */
  deleteSeries(tenant: string, metric: string, startMs: number, endMs: number): Promise<number>;
}

/** The surroundings of a process that is started. */
export interface Site {
  readonly process: SimProcess;
  readonly network: Network;
  readonly store: SimStore;
  readonly kv: SimKv;
  readonly disk: SimDisk;
  /** The rule that is taken out of this run. */
  readonly broken: Rule | undefined;
}

/** A machine of the cluster and how its process is put together. */
export interface NodePlan {
  readonly name: string;
  /** Whether it holds samples. */
  readonly keeps: boolean;
  /** It is not there from the beginning. */
  readonly isSpare?: boolean;
  readonly start: (site: Site) => Parts;
}

export class Node {
  readonly machine: Machine;
  readonly disk: SimDisk;
  readonly plan: NodePlan;
  process: SimProcess | undefined;
  parts: Parts | undefined;
  lives = 0;
  /** The process that was told to stop, and whether another one is to be started once it has. */
  stopping: SimProcess | undefined;
  startsAgain = false;
  /** Whether its process is to run when nothing is wrong. */
  isWanted: boolean;

  constructor(plan: NodePlan, disk: SimDisk) {
    this.plan = plan;
    this.isWanted = plan.isSpare !== true;
    this.machine = { name: plan.name, skewMs: 0 };
    this.disk = disk;
  }

  get name(): string {
    return this.machine.name;
  }

  get isUp(): boolean {
    return this.process?.isAlive === true;
  }

  get isReady(): boolean {
    return this.parts !== undefined && this.parts.notReady() === undefined;
  }
}

/** Longest time after its start for which everything in a process takes long, ms. */
const SLOW_START_MS = 90_000;

/** Time that a process gets to stop, from which on it leaves undone what it can, and after which it is killed, ms. */
const STOP_MS = 60_000;
const STOP_MS_MAX = 90_000;

/** How long whoever looks after a machine's process takes to start it again when it ended by itself, ms. */
const SUPERVISOR_MS = 10_000;

const READY_LOOK_MS = 500;

/** Machines, their network, and the stores that they share. */
export class Cluster implements Doors {
  readonly world: World;
  readonly network: Network;
  readonly store: SimStore;
  readonly kv: SimKv;
  readonly nodes: readonly Node[];
  readonly #broken: Rule | undefined;
  readonly #random: Random;

  constructor(world: World, plans: readonly NodePlan[], broken?: Rule) {
    this.#broken = broken;
    this.#random = world.random('cluster');
    this.world = world;
    this.network = new Network(world);
    this.store = new SimStore(world);
    this.kv = new SimKv(world);
    this.nodes = plans.map((plan) => new Node(plan, new SimDisk(world.random(`disk ${plan.name}`))));
  }

  start(node: Node): void {
    node.startsAgain = true;
    if (node.isUp || !node.isWanted) return;
    const process = new SimProcess(this.world, node.machine, `${node.name}.${++node.lives}`);
    node.process = process;
    // a disk that is slow while a log is read
    if (this.#random() < 0.5) process.slowTurns(SLOW_START_MS * this.#random());
    node.parts = undefined;
    this.world.trace(`${process.name} starts`);
    const { network, store, kv } = this;
    const broken = this.#broken;
    process.onEnd = (error) => {
      node.parts = undefined;
      this.world.trace(`${process.name} ends: ${error.message}`);
      this.world.after(SUPERVISOR_MS, () => {
        if (node.process === process) this.start(node);
      });
    };
    // as an event of its own: what it throws ends the process, as it would end a real one
    process.after(0, () => {
      try {
        node.parts = node.plan.start({ process, network, store, kv, disk: node.disk, broken });
        this.#tellReady(node, process);
      } catch (error) {
        if (error instanceof TypeError || error instanceof assert.AssertionError) throw error;
        process.end(error as Error);
      }
    });
  }

  #tellReady(node: Node, process: SimProcess): void {
    if (node.process !== process || !process.isAlive) return;
    if (node.parts?.notReady() === undefined) this.world.trace(`${process.name} is ready`);
    else this.world.after(READY_LOOK_MS, () => this.#tellReady(node, process));
  }

  /** Ends the process, as SIGKILL does. */
  kill(node: Node): void {
    this.#end(node, 'is killed');
  }

  #end(node: Node, how: string): void {
    if (!node.isUp) return;
    this.world.trace(`${node.process!.name} ${how}`);
    node.process!.kill();
    node.parts = undefined;
  }

  /** Ends the process as SIGTERM does: it has a time in which to end. Who holds nothing, or has not begun, is gone at once. */
  stop(node: Node): void {
    const { process, parts } = node;
    if (process === undefined || !process.isAlive || node.stopping === process) return;
    if (parts?.stop === undefined) {
      this.kill(node);
      return;
    }
    this.world.trace(`${process.name} stops`);
    node.stopping = process;
    node.startsAgain = false;
    const hurry = new AbortController();
    const gone = (how: string) => {
      if (node.process !== process || !process.isAlive) return;
      this.#end(node, how);
      if (node.startsAgain) this.start(node);
    };
    process.after(1, () => {
      parts.stop!(hurry.signal).then(
        () => this.world.after(0, () => gone('has stopped')),
        (error: Error) => this.world.after(0, () => gone(`stops with: ${error.message}`)),
      );
    });
    process.after(STOP_MS, () => hurry.abort(new Error('the time to stop is over')));
    this.world.after(STOP_MS_MAX, () => gone('is killed as it stops'));
  }

  /** Ends the machine: what was not synced is lost, or not. */
  crash(node: Node): void {
    this.kill(node);
    node.disk.crash();
  }

  get isReady(): boolean {
    return this.nodes.every(({ isWanted, isReady }) => !isWanted || isReady);
  }

  get hasRing(): boolean {
    return this.nodes.some(({ parts }) => parts?.ring !== undefined);
  }

  fronts(): readonly string[] {
    return this.nodes.filter(({ parts }) => parts?.front !== undefined).map(({ name }) => name);
  }

  push(front: string, tenant: string, series: readonly SentSeries[]): Promise<PushResponse> {
    return this.#at(front, (parts) => parts.push(tenant, series));
  }

  query(front: string, tenant: string, expr: string, timeMs: number): Promise<QueryResult> {
    return this.#at(front, (parts) => parts.query(tenant, expr, timeMs));
  }

  get(front: string, tenant: string, path: string, params: readonly [string, string][]): Promise<ApiAnswer> {
    return this.#at(front, (parts) => parts.get(tenant, path, params));
  }

  deleteSeries(front: string, tenant: string, metric: string, startMs: number, endMs: number): Promise<number> {
    return this.#at(front, (parts) => parts.deleteSeries(tenant, metric, startMs, endMs));
  }

  /** Asks a front, in its process. One that is not there any more never answers. */
  #at<T>(name: string, ask: (front: FrontParts) => Promise<T>): Promise<T> {
    const node = this.nodes.find((each) => each.name === name)!;
    const { parts, process } = node;
    return new Promise((resolve, reject) => {
      process?.after(1, () => {
        ask(parts!.front!).then(resolve, reject);
      });
    });
  }
}
