import type { Bucket, GetFilesOptions } from '@google-cloud/storage';
import { StoreCaller } from '../../kit/store/caller.ts';
import type { Failure } from '../../kit/store/failure.ts';
import { classifyStatus, readBody } from '../../kit/store/http.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import type { ObjectClient, ObjectInfo } from '../client.ts';
import { assertObjectKey } from '../key.ts';
import type { GcsConfig } from './config.ts';

const BACKEND = 'gcs';
const PAGE_KEYS = 1000;

export interface GcsParts {
  readonly clock: Clock;
  readonly random?: Random;
}

/** Objects in a bucket of Google Cloud Storage. */
export class GcsObjectClient implements ObjectClient {
  readonly #bucket: Bucket;
  readonly #caller: StoreCaller;

  private constructor(bucket: Bucket, config: GcsConfig, parts: GcsParts) {
    this.#bucket = bucket;
    this.#caller = new StoreCaller({
      backend: BACKEND,
      classify,
      backoff: { minMs: config.minBackoffMs, maxMs: config.maxBackoffMs, triesMax: config.maxRetries + 1 },
      timeoutMs: config.requestTimeoutMs,
      parallelMax: config.concurrency,
      ...parts,
    });
  }

  static async open(config: GcsConfig, parts: GcsParts): Promise<GcsObjectClient> {
    const { Storage } = await import('@google-cloud/storage');
    const storage = new Storage({
      projectId: config.project || undefined,
      keyFilename: config.keyFile || undefined,
      apiEndpoint: config.endpoint || undefined,
      retryOptions: { autoRetry: false },
      timeout: config.requestTimeoutMs,
    });
    return new GcsObjectClient(storage.bucket(config.bucketName), config, parts);
  }

  async put(key: string, body: Uint8Array, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    assertObjectKey(key);
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
    // in one request: an object is there only once all of it has arrived
    await this.#call('put', key, signal, () => this.#bucket.file(key).save(bytes, { resumable: false }));
  }

  async get(key: string, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#read(key, {}, signal);
  }

  async getRange(key: string, offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    // there is no range of nothing: one byte tells whether the object is there
    const body = await this.#read(key, { start: offset, end: offset + Math.max(1, length) - 1 }, signal);
    return body.subarray(0, length);
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<readonly ObjectInfo[]> {
    let query: GetFilesOptions | undefined = { prefix, maxResults: PAGE_KEYS, autoPaginate: false };
    while (query !== undefined) {
      const asked: GetFilesOptions = query;
      const [files, next] = await this.#call('list', prefix, signal, () => this.#bucket.getFiles(asked));
      const page = files.map(
        ({ name, metadata }): ObjectInfo => ({
          key: name,
          bytes: Number(metadata.size ?? 0),
          modifiedMs: Date.parse(metadata.updated ?? ''),
        }),
      );
      if (page.length > 0) yield page;
      query = (next as GetFilesOptions | null) ?? undefined;
    }
  }

  async delete(key: string, signal?: AbortSignal): Promise<void> {
    assertObjectKey(key);
    await this.#call('delete', key, signal, () => this.#bucket.file(key).delete({ ignoreNotFound: true }));
  }

  async close(): Promise<void> {
    this.#caller.close();
  }

  async #read(
    key: string,
    range: { readonly start?: number; readonly end?: number },
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    assertObjectKey(key);
    return this.#call('get', key, signal, async (stop) => {
      try {
        // as it was stored; whoever stored it checks it
        const stream = this.#bucket.file(key).createReadStream({ ...range, validation: false, decompress: false });
        return await readBody(stream, stop);
      } catch (thrown) {
        if (statusOf(thrown) === 416) return new Uint8Array(0); // beyond the end
        throw thrown;
      }
    });
  }

  #call<T>(
    operation: string,
    key: string,
    signal: AbortSignal | undefined,
    attempt: (stop: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return this.#caller.call({ operation, table: this.#bucket.name, key }, signal, attempt);
  }
}

function statusOf(thrown: unknown): number | undefined {
  const { code, status } = (thrown ?? {}) as { code?: unknown; status?: unknown };
  const found = Number(code ?? status);
  return Number.isInteger(found) ? found : undefined;
}

function classify(thrown: unknown): Failure {
  const { message } = (thrown ?? {}) as { message?: string };
  const status = statusOf(thrown);
  const reason = message ?? `status ${status}`;
  if (status === 404 && !/bucket/i.test(reason)) return { kind: 'object-missing', reason };
  if (status === undefined && /credential|could not load|project id/i.test(reason)) return { kind: 'denied', reason };
  return classifyStatus(thrown, status, reason);
}
