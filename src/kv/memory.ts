import { copyBytes } from '../lib/copy.ts';
import type { KvClient, KvEntry } from './client.ts';
import { checkEntry } from './limits.ts';

const BACKEND = 'memory';

interface Watcher {
  readonly prefix: string;
  /** Changed since they were last given. */
  readonly changed: Set<string>;
  wake: () => void;
}

/** Keys in this process, for `-target=all`, tests and the simulator. Bytes are copied in and out. */
export class MemoryKv implements KvClient {
  readonly #entries = new Map<string, KvEntry>();
  readonly #watchers = new Set<Watcher>();
  #revision = 0;

  async get(key: string, signal?: AbortSignal): Promise<KvEntry | undefined> {
    signal?.throwIfAborted();
    return this.#copyOf(key);
  }

  async put(key: string, value: Uint8Array, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.#set(key, value);
  }

  async compareAndSet(
    key: string,
    expected: string | undefined,
    next: Uint8Array,
    signal?: AbortSignal,
  ): Promise<boolean> {
    signal?.throwIfAborted();
    checkEntry(BACKEND, key, next);
    if (this.#entries.get(key)?.revision !== expected) return false;
    this.#set(key, next);
    return true;
  }

  async remove(key: string, expected: string, signal?: AbortSignal): Promise<boolean> {
    signal?.throwIfAborted();
    if (this.#entries.get(key)?.revision !== expected) return false;
    this.#entries.delete(key);
    for (const { changed } of this.#watchers) changed.delete(key);
    return true;
  }

  async *watch(prefix: string, signal: AbortSignal): AsyncGenerator<KvEntry> {
    const watcher: Watcher = { prefix, changed: new Set(), wake: () => {} };
    for (const key of this.#entries.keys()) if (key.startsWith(prefix)) watcher.changed.add(key);
    this.#watchers.add(watcher);
    const onAbort = () => watcher.wake();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      while (!signal.aborted) {
        const [key] = watcher.changed;
        if (key === undefined) {
          await new Promise<void>((resolve) => {
            watcher.wake = resolve;
          });
          continue;
        }
        watcher.changed.delete(key);
        yield this.#copyOf(key)!;
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#watchers.delete(watcher);
    }
  }

  #copyOf(key: string): KvEntry | undefined {
    const entry = this.#entries.get(key);
    return entry === undefined ? undefined : { ...entry, value: copyBytes(entry.value) };
  }

  #set(key: string, value: Uint8Array): void {
    checkEntry(BACKEND, key, value);
    this.#entries.set(key, { key, value: copyBytes(value), revision: String(++this.#revision) });
    for (const watcher of this.#watchers) {
      if (!key.startsWith(watcher.prefix)) continue;
      watcher.changed.add(key);
      watcher.wake();
    }
  }
}
