import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { type Random, seededRandom } from '../../src/lib/random.ts';
import type { ObjectClient, ObjectInfo } from '../../src/object/client.ts';
import { FaultSource, type Faults } from './faults.ts';

/** An object client that fails as real ones do, above their own retrying. */
export class FaultyObjectClient implements ObjectClient {
  readonly source: FaultSource;
  readonly #client: ObjectClient;

  constructor(client: ObjectClient, faults: Faults, random: Random = seededRandom(1), clock: Clock = systemClock) {
    this.#client = client;
    this.source = new FaultSource('faulty', faults, random, clock);
  }

  async put(key: string, body: Uint8Array, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await this.source.call('put', key, () => this.#client.put(key, body, signal));
  }

  async get(key: string, signal?: AbortSignal): Promise<Uint8Array> {
    signal?.throwIfAborted();
    return this.source.call('get', key, () => this.#client.get(key, signal));
  }

  async getRange(key: string, offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    signal?.throwIfAborted();
    return this.source.call('get', key, () => this.#client.getRange(key, offset, length, signal));
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<readonly ObjectInfo[]> {
    await this.source.before('list', prefix);
    for await (const page of this.#client.list(prefix, signal)) {
      yield page;
      await this.source.before('list', prefix);
    }
  }

  async delete(key: string, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await this.source.call('delete', key, () => this.#client.delete(key, signal));
  }

  async close(): Promise<void> {
    await this.#client.close();
  }
}
