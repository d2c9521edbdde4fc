import type { KvClient, KvEntry } from '../../src/kv/client.ts';
import type { Random } from '../../src/lib/random.ts';
import { processErrors } from '../../src/model/errors-process.ts';
import type { SimProcess } from './process.ts';
import type { World } from './world.ts';

interface Stored {
  readonly value: Uint8Array;
  readonly revision: string;
}

interface Watcher {
  readonly prefix: string;
  readonly changed: Set<string>;
  wake(): void;
}

/** How far apart the states are that a backup has, ms, and how many there are. */
const BACKUP_MS = 10 * 60_000;
const BACKUPS_MAX = 12;

/** The key-value store of a cluster: away at times, slow, answers lost, and put back to an older state by its operator. */
export class SimKv {
  isAway = false;
  /** Machines that do not reach it. */
  readonly cutOff = new Set<string>();
  /** Share of calls that fail, half of them after they did their work. */
  failShare = 0;
  delayMsMax = 5;
  readonly #world: World;
  readonly #random: Random;
  #entries = new Map<string, Stored>();
  readonly #watchers = new Set<Watcher>();
  readonly #backups: { readonly atMs: number; readonly entries: ReadonlyMap<string, Stored> }[] = [];
  #revision = 0;

  constructor(world: World) {
    this.#world = world;
    this.#random = world.random('kv');
    const backup = () => {
      this.#backups.push({ atMs: world.atMs, entries: new Map(this.#entries) });
      if (this.#backups.length > BACKUPS_MAX) this.#backups.shift();
      world.after(BACKUP_MS, backup);
    };
    backup();
  }

  /** Loses everything. */
  empty(): void {
    this.#replace(new Map());
  }

  /** Goes back to what it held so long ago, or as near to it as there is a backup. */
  restore(ageMs: number): void {
    const before = this.#backups.findLast(({ atMs }) => atMs <= this.#world.atMs - ageMs) ?? this.#backups[0];
    this.#replace(new Map(before?.entries));
  }

  #replace(entries: Map<string, Stored>): void {
    this.#entries = entries;
    for (const watcher of this.#watchers) {
      for (const key of entries.keys()) if (key.startsWith(watcher.prefix)) watcher.changed.add(key);
      watcher.wake();
    }
  }

  /** The store as a process calls it. */
  of(process: SimProcess): KvClient {
    return {
      get: (key, signal) => this.#call(process, signal, () => this.#entryOf(key)),
      put: (key, value, signal) => {
        const copy = value.slice();
        return this.#call(process, signal, () => this.#set(key, copy));
      },
      compareAndSet: (key, expected, next, signal) => {
        const copy = next.slice();
        return this.#call(process, signal, () => {
          if (this.#entries.get(key)?.revision !== expected) return false;
          this.#set(key, copy);
          return true;
        });
      },
      remove: (key, expected, signal) =>
        this.#call(process, signal, () => this.#entries.get(key)?.revision === expected && this.#entries.delete(key)),
      watch: (prefix, signal) => this.#watch(process, prefix, signal),
    };
  }

  async #call<T>(process: SimProcess, signal: AbortSignal | undefined, work: () => T): Promise<T> {
    signal?.throwIfAborted();
    await process.clock.sleep(this.#random() * this.delayMsMax, signal);
    const fails = this.#random() < this.failShare;
    if (this.#isAwayOf(process) || (fails && this.#random() < 0.5)) throw away();
    const answer = work();
    await process.clock.sleep(this.#random() * this.delayMsMax, signal);
    if (fails) throw away();
    return answer;
  }

  async *#watch(process: SimProcess, prefix: string, signal: AbortSignal): AsyncGenerator<KvEntry> {
    const { clock } = process;
    if (this.#isAwayOf(process)) throw away();
    let wake = () => {};
    let isWaking = false;
    const wakeSoon = () => {
      if (!process.isAlive) this.#watchers.delete(watcher);
      if (isWaking || !process.isAlive) return;
      isWaking = true;
      process.after(1, () => {
        isWaking = false;
        wake();
      });
    };
    const watcher: Watcher = { prefix, changed: new Set(), wake: wakeSoon };
    for (const key of this.#entries.keys()) if (key.startsWith(prefix)) watcher.changed.add(key);
    this.#watchers.add(watcher);
    const onAbort = () => wake();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      while (!signal.aborted) {
        if (this.#isAwayOf(process)) throw away();
        const [key] = watcher.changed;
        if (key === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          continue;
        }
        await clock.sleep(this.#random() * this.delayMsMax);
        watcher.changed.delete(key);
        const entry = this.#entryOf(key);
        if (entry !== undefined) yield entry;
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#watchers.delete(watcher);
    }
  }

  #isAwayOf({ machine }: SimProcess): boolean {
    return this.isAway || this.cutOff.has(machine.name);
  }

  #entryOf(key: string): KvEntry | undefined {
    const stored = this.#entries.get(key);
    return stored && { key, value: stored.value.slice(), revision: stored.revision };
  }

  #set(key: string, value: Uint8Array): void {
    this.#entries.set(key, { value, revision: String(++this.#revision) });
    for (const watcher of this.#watchers) {
      if (!key.startsWith(watcher.prefix)) continue;
      watcher.changed.add(key);
      watcher.wake();
    }
  }
}

function away(): Error {
  return processErrors.workerGone({ worker: 'key-value store', reason: 'away' });
}
