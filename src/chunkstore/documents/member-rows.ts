import xxhash from 'xxhash-wasm';
import type { Clock } from '../../lib/clock.ts';
import type { StateHead, StateRows } from './state-rows.ts';

const { h64 } = await xxhash();

export interface MemberTiming {
  /** A member moves its row so often. */
  readonly beatMs: number;
  /** A row that a watcher saw stand still for so long is of a member that is gone. */
  readonly goneMs: number;
}

export const MEMBER_TIMING: MemberTiming = { beatMs: 5_000, goneMs: 30_000 };

/** A process that shares the work of a kind with others. */
export interface Member {
  readonly id: string;
  /** Where it is asked; empty: nobody asks it. */
  readonly address: string;
}

export interface MemberWatchOptions {
  readonly rows: StateRows;
  /** The kind of the state rows that these members have, each under its own id and no tenant. */
  readonly kind: string;
  readonly clock: Clock;
  /** Default: MEMBER_TIMING. */
  readonly timing?: MemberTiming | undefined;
}

export interface MemberRowsOptions extends MemberWatchOptions {
  readonly self: Member;
  /** Work is asked for at its member: a row without an address, or with the own one, is of nobody who can be asked, and not counted. */
  readonly isAsked?: boolean | undefined;
}

interface SeenRow {
  readonly value: Uint8Array;
  readonly address: string;
  /** `#watchedMs` of the reading that found it changed. */
  readonly changedMs: number;
  /** It was seen to move, so that somebody was there. */
  readonly hasMoved: boolean;
}

/**
 * The rows of members that share a store, as a watcher sees them: whether one is gone is judged by its own monotonic clock, so that no two
 * clocks need agree.
 */
export class MemberWatch {
  readonly #options: MemberWatchOptions;
  readonly #timing: MemberTiming;
  readonly #seen = new Map<string, SeenRow>();
  /** When the last reading began that succeeded. */
  #readMs: number | undefined;
  /** Time between readings that succeeded: while the store is away nobody can move a row, so that none stands still. */
  #watchedMs = 0;
  #reading: { readonly signal: AbortSignal | undefined; readonly done: Promise<void> } | undefined;

  constructor(options: MemberWatchOptions) {
    this.#options = options;
    this.#timing = options.timing ?? MEMBER_TIMING;
  }

  /** Reads all rows. Who asks meanwhile waits for the same reading: an older one that ends later would forget what a newer one saw. */
  async read(signal?: AbortSignal): Promise<void> {
    for (let other = this.#reading; other !== undefined; other = this.#reading) {
      try {
        return await other.done;
      } catch (thrown) {
        // that it was left says nothing of the rows
        if (other.signal?.aborted !== true) throw thrown;
        signal?.throwIfAborted();
      }
    }
    const done = this.#readAll(signal).finally(() => {
      this.#reading = undefined;
    });
    this.#reading = { signal, done };
    return done;
  }

  async #readAll(signal?: AbortSignal): Promise<void> {
    const { rows, kind, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    const passedMs = nowMs - (this.#readMs ?? nowMs);
    const watchedMs = this.#watchedMs + Math.min(passedMs, WATCHED_BEATS_MAX * this.#timing.beatMs);
    const there = new Set<string>();
    for await (const { name, value, body } of rows.list('', kind, signal)) {
      there.add(name);
      const before = this.#seen.get(name);
      if (before === undefined || Buffer.compare(before.value, value) !== 0) {
        const [, address = ''] = Buffer.from(body).toString().split(' ');
        this.#seen.set(name, { value, address, changedMs: watchedMs, hasMoved: before !== undefined });
      } else if (watchedMs - before.changedMs > FORGOTTEN_AFTER * this.#timing.goneMs) {
        await rows.remove({ tenant: '', kind, name }, signal);
      }
    }
    for (const name of this.#seen.keys()) if (!there.has(name)) this.#seen.delete(name);
    this.#readMs = nowMs;
    this.#watchedMs = watchedMs;
  }

  /** Whether there is a row of a member who can be asked, gone or not. */
  get hasAddress(): boolean {
    return this.#seen.values().some(({ address }) => address !== '');
  }

  /** Members that are not gone, by the last reading: where rows cannot be read, nobody is seen to stand still. */
  members(): readonly (Member & Pick<SeenRow, 'hasMoved'>)[] {
    return [...this.#seen]
      .filter(([, { changedMs }]) => this.#watchedMs - changedMs < this.#timing.goneMs)
      .map(([id, { address, hasMoved }]) => ({ id, address, hasMoved }));
  }
}

/**
 * The member of these whose work it is, by rendezvous hash: one that comes or goes moves its own only.
 * @param what names it, the same for all members
 */
export function ownerAmong(members: Iterable<Member>, what: readonly string[]): Member | undefined {
  let owner: Member | undefined;
  let most = -1n;
  for (const member of members) {
    const weight = h64(JSON.stringify([member.id, ...what]));
    if (weight > most) [owner, most] = [member, weight];
  }
  return owner;
}

/** Members that share a store, each with a row that it moves, and work that goes to them. */
export class MemberRows {
  readonly #options: MemberRowsOptions;
  readonly #watch: MemberWatch;
  #own: StateHead | undefined;
  #counter = 0;
  #live: readonly Member[];

  constructor(options: MemberRowsOptions) {
    this.#options = options;
    this.#watch = new MemberWatch(options);
    this.#live = [options.self];
  }

  /** This member and those that are not gone, ascending by id. */
  get live(): readonly Member[] {
    return this.#live;
  }

  /** Whether another member that moves its row tells the own address. */
  get isAddressShared(): boolean {
    const { self } = this.#options;
    return this.#others().some(({ address, hasMoved }) => hasMoved && address !== '' && address === self.address);
  }

  /** Moves the own row, and looks at the others. @returns whether other members are there than before */
  async beat(signal?: AbortSignal): Promise<boolean> {
    const { rows, kind, self } = this.#options;
    const key = { tenant: '', kind, name: self.id };
    const body = Buffer.from(`${++this.#counter} ${self.address}`.trim());
    const next = await rows.compareAndSet(key, this.#own, { pages: [], body }, signal);
    // another answer than the last one was lost: what is there now is what the next beat replaces
    this.#own = next ?? (await rows.get(key, signal));
    return this.look(signal);
  }

  /** Looks at the others. @returns whether other members are there than before */
  async look(signal?: AbortSignal): Promise<boolean> {
    const { self } = this.#options;
    await this.#watch.read(signal);
    const live = this.#others()
      .filter(({ address }) => this.#canAsk(address))
      .map(({ id, address }): Member => ({ id, address }));
    live.push(self);
    live.sort((a, b) => (a.id < b.id ? -1 : 1));
    const isSame = live.length === this.#live.length && live.every(({ id }, i) => id === this.#live[i]!.id);
    this.#live = live;
    return !isSame;
  }

  /** Other members that are not gone. */
  #others() {
    return this.#watch.members().filter(({ id }) => id !== this.#options.self.id);
  }

  /** A process that was killed leaves its row to the one that comes in its place: whoever asked there would ask itself. */
  #canAsk(address: string): boolean {
    const { self, isAsked = false } = this.#options;
    return !isAsked || (address !== '' && self.address !== '' && address !== self.address);
  }

  /** The member whose work it is. @param what names it, the same for all members */
  ownerOf(...what: readonly string[]): Member {
    return ownerAmong(this.#live, what)!;
  }

  /** Whether work is this member's. */
  owns(...what: readonly string[]): boolean {
    return this.ownerOf(...what).id === this.#options.self.id;
  }

  /** The others take over at once. */
  async leave(): Promise<void> {
    const { rows, kind, self } = this.#options;
    await rows.remove({ tenant: '', kind, name: self.id });
  }
}

/** Beats of a member that may lie between two readings; more of them were not watched. */
const WATCHED_BEATS_MAX = 2;

/** A row that stands still for so many times as long as it takes to be gone is removed. */
const FORGOTTEN_AFTER = 100;
