import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../src/lib/random.ts';
import type { Journal } from './journal.ts';
import type { Network } from './network.ts';
import type { MemberProcess } from './processes.ts';

const FROZEN_MS = 30_000;
const CUT_MS = 20_000;
/** Ingesters that are touched at the same time: a third begins when one of them is back. */
const TOUCHED_MAX = 2;

export interface FaultsOptions {
  readonly processes: readonly MemberProcess[];
  readonly network: Network;
  readonly journal: Journal;
  readonly seed: number;
  readonly everyMs: number;
  readonly untilMs: number;
  /** Kinds that are made; empty: all. */
  readonly kinds: readonly string[];
}

type Kind = readonly [name: string, weight: number, make: (process: MemberProcess) => Promise<void>];

/** Makes faults to single processes, one after another, the same for the same seed. */
export class Faults {
  readonly #options: FaultsOptions;
  #isOver = false;
  readonly #random: () => number;
  readonly #touched = new Set<MemberProcess>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #kinds: readonly Kind[];

  constructor(options: FaultsOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    const { kinds } = options;
    const all: readonly Kind[] = [
      ['kill', 4, (process) => this.#kill(process)],
      ['stop', 2, (process) => process.freeze(FROZEN_MS)],
      ['cut', 1, (process) => this.#cut(process, 'both')],
      ['cut-out', 1, (process) => this.#cut(process, 'out')],
      ['cut-in', 1, (process) => this.#cut(process, 'in')],
    ];
    this.#kinds = all.filter(([kind]) => kinds.length === 0 || kinds.includes(kind));
  }

  /** Whether a zone is away: ingesters of the others are killed then, and not kept away. */
  isZoneAway = false;

  /** A random number of the seed's. */
  draw(): number {
    return this.#random();
  }

  /** Whether a fault of a process is under way. */
  isTouched(process: MemberProcess): boolean {
    return this.#touched.has(process);
  }

  /** Lets faults end when their time is over; until then they go on. */
  mayEnd(): void {
    this.#isOver = true;
  }

  async run(): Promise<void> {
    const { everyMs, untilMs } = this.#options;
    for (;;) {
      await sleep(everyMs);
      if (Date.now() >= untilMs && this.#isOver) break;
      this.#next();
    }
    await Promise.all(this.#underWay);
  }

  /** Makes one fault of a process, of which no other is told meanwhile. */
  async touch(process: MemberProcess, what: string, make: () => Promise<void>, single = true): Promise<void> {
    const { journal } = this.#options;
    this.#touched.add(process);
    const fault = journal.began(`${process.name}: ${what}`, single);
    try {
      await make();
    } finally {
      journal.ended(fault);
      this.#touched.delete(process);
    }
  }

  #next(): void {
    // drawn whether it can be made or not: the next draws stay the same
    const draws = [this.#random(), this.#random()] as const;
    const touchedIngesters = [...this.#touched].filter(({ isIngester }) => isIngester).length;
    const processes = this.#options.processes.filter(
      (process) => !this.#touched.has(process) && (!process.isIngester || touchedIngesters < this.#ingestersMax),
    );
    const process = processes[Math.floor(draws[0] * processes.length)];
    if (process === undefined || this.#kinds.length === 0) return;
    const kind = this.isZoneAway && process.isIngester ? this.#kinds[0]! : this.#kind(draws[1])!;
    if (
      this.isZoneAway &&
      process.isIngester &&
      this.#options.processes.filter(({ isIngester }) => isIngester).length === 3
    )
      return;
    const made = this.touch(process, kind[0], () => kind[2](process)).catch((thrown) => {
      this.#options.journal.wasWrong(`${process.name} after ${kind[0]}: ${(thrown as Error).message}`);
    });
    this.#underWay.add(made);
    void made.finally(() => this.#underWay.delete(made));
  }

  get #ingestersMax(): number {
    return this.#options.processes.filter(({ isIngester }) => isIngester).length > 3 ? TOUCHED_MAX : 1;
  }

  #kind(draw: number) {
    const sum = this.#kinds.reduce((total, [, weight]) => total + weight, 0);
    let left = draw * sum;
    for (const kind of this.#kinds) {
      left -= kind[1];
      if (left < 0) return kind;
    }
    return this.#kinds.at(-1);
  }

  async #kill(process: MemberProcess): Promise<void> {
    await process.kill();
    await process.start();
    await process.ready();
  }

  async #cut(process: MemberProcess, direction: 'both' | 'out' | 'in'): Promise<void> {
    const { network, processes } = this.#options;
    network.cut(
      process.name,
      processes.map(({ name }) => name),
      direction,
    );
    await sleep(CUT_MS);
    network.heal(process.name);
    await process.ready();
  }
}
