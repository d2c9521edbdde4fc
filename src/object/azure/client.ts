import type { BlobItem, ContainerClient } from '@azure/storage-blob';
import { StoreCaller } from '../../kit/store/caller.ts';
import type { Failure } from '../../kit/store/failure.ts';
import { classifyStatus, readBody } from '../../kit/store/http.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import type { ObjectClient, ObjectInfo } from '../client.ts';
import { assertObjectKey } from '../key.ts';
import type { AzureConfig } from './config.ts';

const BACKEND = 'azure';
const PAGE_KEYS = 1000;
const BLOCKS_AT_ONCE = 4;

export interface AzureParts {
  readonly clock: Clock;
  readonly random?: Random;
}

/** Objects in a container of Azure Blob Storage, as block blobs. */
export class AzureObjectClient implements ObjectClient {
  readonly #container: ContainerClient;
  readonly #caller: StoreCaller;
  readonly #blockBytes: number;

  private constructor(container: ContainerClient, config: AzureConfig, parts: AzureParts) {
    this.#container = container;
    this.#blockBytes = config.blockBytes;
    this.#caller = new StoreCaller({
      backend: BACKEND,
      classify,
      backoff: { minMs: config.minBackoffMs, maxMs: config.maxBackoffMs, triesMax: config.maxRetries + 1 },
      timeoutMs: config.timeoutMs,
      parallelMax: config.concurrency,
      secrets: [config.accountKey],
      ...parts,
    });
  }

  static async open(config: AzureConfig, parts: AzureParts): Promise<AzureObjectClient> {
    const { BlobServiceClient, StorageSharedKeyCredential } = await import('@azure/storage-blob');
    const url = config.endpoint || `https://${config.accountName}.${config.endpointSuffix}`;
    const credential = new StorageSharedKeyCredential(config.accountName, config.accountKey);
    const service = new BlobServiceClient(url, credential, { retryOptions: { maxTries: 1 } });
    return new AzureObjectClient(service.getContainerClient(config.containerName), config, parts);
  }

  async put(key: string, body: Uint8Array, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    assertObjectKey(key);
    const blob = this.#container.getBlockBlobClient(key);
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
    const sizes = {
      blockSize: this.#blockBytes,
      maxSingleShotSize: this.#blockBytes,
      concurrency: BLOCKS_AT_ONCE,
    };
    await this.#call('put', key, signal, (abortSignal) => blob.uploadData(bytes, { ...sizes, abortSignal }));
  }

  async get(key: string, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#read(key, 0, undefined, signal);
  }

  async getRange(key: string, offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    // there is no range of nothing: one byte tells whether the object is there
    const body = await this.#read(key, offset, Math.max(1, length), signal);
    return body.subarray(0, length);
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<readonly ObjectInfo[]> {
    let from: string | undefined;
    do {
      const answer = await this.#call('list', prefix, signal, async (abortSignal) => {
        const pages = this.#container.listBlobsFlat({ prefix, abortSignal });
        const { value } = await pages.byPage({ continuationToken: from, maxPageSize: PAGE_KEYS }).next();
        return value;
      });
      const blobs: readonly BlobItem[] = answer?.segment.blobItems ?? [];
      const page = blobs.map(
        ({ name, properties }): ObjectInfo => ({
          key: name,
          bytes: properties.contentLength ?? 0,
          modifiedMs: properties.lastModified.getTime(),
        }),
      );
      if (page.length > 0) yield page;
      from = answer?.continuationToken || undefined;
    } while (from !== undefined);
  }

  async delete(key: string, signal?: AbortSignal): Promise<void> {
    assertObjectKey(key);
    await this.#call('delete', key, signal, (abortSignal) =>
      this.#container.getBlobClient(key).deleteIfExists({ abortSignal }),
    );
  }

  async close(): Promise<void> {
    this.#caller.close();
  }

  async #read(
    key: string,
    offset: number,
    length: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    assertObjectKey(key);
    const blob = this.#container.getBlobClient(key);
    return this.#call('get', key, signal, async (abortSignal) => {
      try {
        const { readableStreamBody } = await blob.download(offset, length, { abortSignal, maxRetryRequests: 0 });
        return await readBody(readableStreamBody!, abortSignal);
      } catch (thrown) {
        if ((thrown as { statusCode?: unknown }).statusCode === 416) return new Uint8Array(0); // beyond the end
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
    return this.#caller.call({ operation, table: this.#container.containerName, key }, signal, attempt);
  }
}

function classify(thrown: unknown): Failure {
  const { statusCode, code, message } = (thrown ?? {}) as { statusCode?: number; code?: string; message?: string };
  // the first line: what follows are the service's time and request id
  const reason = [code, message?.split('\n')[0]].filter(Boolean).join(': ') || `status ${statusCode}`;
  if (code === 'BlobNotFound' || code === 'ResourceNotFound') return { kind: 'object-missing', reason };
  if (code === 'ServerBusy') return { kind: 'throttled', reason };
  return classifyStatus(thrown, statusCode, reason);
}
