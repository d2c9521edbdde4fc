import xxhash from 'xxhash-wasm';
import type { StateHead, StateRows } from '../chunkstore/documents/state-rows.ts';
import type { Clock } from '../lib/clock.ts';

const { h64 } = await xxhash();

/** The kind of state rows that rulers have, each under its own name and no tenant. */
const RULERS = 'rulers';

export interface MemberTiming {
  /** A member moves its row so often. */
  readonly beatMs: number;
  /** A row that a watcher saw stand still for so long is of a member that is gone. */
  readonly goneMs: number;
}

export const MEMBER_TIMING: MemberTiming = { beatMs: 5_000, goneMs: 30_000 };

interface SeenRow {
  readonly value: Uint8Array;
  readonly changedMs: number;
}

/**
 * The rulers that share a store, each with a row that it moves. Whether one is gone is judged by the watcher's own monotonic
 * clock, so that no two clocks need agree. Groups go to members by rendezvous hash: one that comes or goes moves its own only.
 */
export class RulerMembers {
  readonly #rows: StateRows;
  readonly #id: string;
  readonly #clock: Clock;
  readonly #timing: MemberTiming;
  readonly #seen = new Map<string, SeenRow>();
  #own: StateHead | undefined;
  #counter = 0;
  #live: readonly string[];

  constructor(rows: StateRows, id: string, clock: Clock, timing: MemberTiming = MEMBER_TIMING) {
    this.#rows = rows;
    this.#id = id;
    this.#clock = clock;
    this.#timing = timing;
    this.#live = [id];
  }

  /** Moves the own row, and looks at the others. @returns whether other members are there than before */
  async beat(signal?: AbortSignal): Promise<boolean> {
    const key = { tenant: '', kind: RULERS, name: this.#id };
    const body = Buffer.from(String(++this.#counter));
    const next = await this.#rows.compareAndSet(key, this.#own, { pages: [], body }, signal);
    // another answer than the last one was lost: what is there now is what the next beat replaces
    this.#own = next ?? (await this.#rows.get(key, signal));
    return this.#look(signal);
  }

  /** Whether a group of a tenant is this member's. */
  owns(tenant: string, group: string): boolean {
    let owner = '';
    let most = -1n;
    for (const member of this.#live) {
      const weight = h64(JSON.stringify([member, tenant, group]));
      if (weight > most) [owner, most] = [member, weight];
    }
    return owner === this.#id;
  }

  /** The others take over at once. */
  async leave(): Promise<void> {
    await this.#rows.remove({ tenant: '', kind: RULERS, name: this.#id });
  }

  async #look(signal: AbortSignal | undefined): Promise<boolean> {
    const nowMs = this.#clock.monotonicMs();
    const there = new Set<string>();
    for await (const { name, value } of this.#rows.list('', RULERS, signal)) {
      there.add(name);
      const before = this.#seen.get(name);
      if (before === undefined || Buffer.compare(before.value, value) !== 0) {
        this.#seen.set(name, { value, changedMs: nowMs });
      } else if (nowMs - before.changedMs > FORGOTTEN_AFTER * this.#timing.goneMs) {
        await this.#rows.remove({ tenant: '', kind: RULERS, name }, signal);
      }
    }
    for (const name of this.#seen.keys()) if (!there.has(name)) this.#seen.delete(name);
    const live = [...this.#seen]
      .filter(([name, { changedMs }]) => name !== this.#id && nowMs - changedMs < this.#timing.goneMs)
      .map(([name]) => name);
    live.push(this.#id);
    live.sort();
    const isSame = live.length === this.#live.length && live.every((name, i) => name === this.#live[i]);
    this.#live = live;
    return !isSame;
  }
}

/** A row that stands still for so many times as long as it takes to be gone is removed. */
const FORGOTTEN_AFTER = 100;
