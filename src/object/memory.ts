import type { Clock } from '../lib/clock.ts';
import { copyBytes } from '../lib/copy.ts';
import { storeErrors } from '../model/errors-store.ts';
import type { ObjectClient, ObjectInfo } from './client.ts';
import { assertObjectKey } from './key.ts';

const BACKEND = 'memory';
const PAGE_KEYS = 1000;

/** Objects in this process, for tests and for trying things out. */
export class MemoryObjectClient implements ObjectClient {
  readonly #clock: Clock;
  readonly #objects = new Map<string, { readonly body: Uint8Array; readonly modifiedMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async put(key: string, body: Uint8Array, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    assertObjectKey(key);
    this.#objects.set(key, { body: copyBytes(body), modifiedMs: this.#clock.nowMs() });
  }

  async get(key: string, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#body(key, signal).slice();
  }

  async getRange(key: string, offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#body(key, signal).slice(offset, offset + length);
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<readonly ObjectInfo[]> {
    const keys = [...this.#objects.keys()].filter((key) => key.startsWith(prefix)).sort();
    for (let at = 0; at < keys.length; at += PAGE_KEYS) {
      signal?.throwIfAborted();
      const page: ObjectInfo[] = [];
      for (const key of keys.slice(at, at + PAGE_KEYS)) {
        const object = this.#objects.get(key);
        if (object) page.push({ key, bytes: object.body.length, modifiedMs: object.modifiedMs });
      }
      if (page.length > 0) yield page;
    }
  }

  async delete(key: string, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    assertObjectKey(key);
    this.#objects.delete(key);
  }

  async close(): Promise<void> {}

  #body(key: string, signal?: AbortSignal): Uint8Array {
    signal?.throwIfAborted();
    assertObjectKey(key);
    const object = this.#objects.get(key);
    if (object === undefined) throw storeErrors.objectNotFound({ backend: BACKEND, key });
    return object.body;
  }
}
