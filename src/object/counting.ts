import type { ObjectClient, ObjectInfo } from './client.ts';

/** Traffic that went through a client. A range of an object counts as one read, with the bytes that came. */
export class ObjectCounts {
  objectsRead = 0;
  bytesRead = 0;
  objectsWritten = 0;
  bytesWritten = 0;
  objectsListed = 0;
  objectsDeleted = 0;
}

/** Counts for whoever makes it, one query for instance, and leaves the rest to a client that many share. */
export class CountingObjectClient implements ObjectClient {
  readonly counts: ObjectCounts;
  readonly #client: ObjectClient;

  constructor(client: ObjectClient, counts: ObjectCounts = new ObjectCounts()) {
    this.#client = client;
    this.counts = counts;
  }

  async put(key: string, body: Uint8Array, signal?: AbortSignal): Promise<void> {
    await this.#client.put(key, body, signal);
    this.counts.objectsWritten++;
    this.counts.bytesWritten += body.length;
  }

  async get(key: string, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#read(await this.#client.get(key, signal));
  }

  get isLocal(): boolean {
    return this.#client.isLocal === true;
  }

  async getRange(...asked: Parameters<ObjectClient['getRange']>): Promise<Uint8Array> {
    return this.#read(await this.#client.getRange(...asked));
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<readonly ObjectInfo[]> {
    for await (const page of this.#client.list(prefix, signal)) {
      this.counts.objectsListed += page.length;
      yield page;
    }
  }

  async delete(key: string, signal?: AbortSignal): Promise<void> {
    await this.#client.delete(key, signal);
    this.counts.objectsDeleted++;
  }

  /** The client is not ours to close. */
  async close(): Promise<void> {}

  #read(body: Uint8Array): Uint8Array {
    this.counts.objectsRead++;
    this.counts.bytesRead += body.length;
    return body;
  }
}
