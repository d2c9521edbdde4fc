import type { CompletedPart, S3Client } from '@aws-sdk/client-s3';
import { classifyAws } from '../../kit/store/aws.ts';
import { StoreCaller } from '../../kit/store/caller.ts';
import type { Failure } from '../../kit/store/failure.ts';
import { readBody } from '../../kit/store/http.ts';
import { type Clock, timeout } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import { forEachAtOnce } from '../../lib/semaphore.ts';
import type { ObjectClient, ObjectInfo } from '../client.ts';
import { assertObjectKey } from '../key.ts';
import type { S3Config } from './config.ts';

const BACKEND = 's3';
/** How long it may take to say that an upload is given up. */
const ABORT_TIMEOUT_MS = 5000;
const PARTS_AT_ONCE = 4;

export interface S3Parts {
  readonly clock: Clock;
  readonly random?: Random;
}

type Sdk = typeof import('@aws-sdk/client-s3');

/** Objects in a bucket. All retrying is ours, part by part of a large body. */
export class S3ObjectClient implements ObjectClient {
  readonly #sdk: Sdk;
  readonly #service: S3Client;
  readonly #caller: StoreCaller;
  readonly #clock: Clock;
  readonly #bucket: string;
  readonly #partBytes: number;
  /** Encryption that every new object is made with. */
  readonly #encryption: Encryption;

  private constructor(sdk: Sdk, config: S3Config, parts: S3Parts) {
    this.#sdk = sdk;
    this.#clock = parts.clock;
    this.#bucket = config.bucketName;
    this.#partBytes = config.partBytes;
    this.#encryption = encryptionOf(config);
    this.#service = new sdk.S3Client({
      region: config.region,
      endpoint: endpointOf(config),
      forcePathStyle: config.forcePathStyle,
      credentials:
        config.accessKeyId === ''
          ? undefined
          : { accessKeyId: config.accessKeyId, secretAccessKey: config.secretAccessKey },
      maxAttempts: 1,
      // checksums beyond the protocol's first version are unknown to many services; what we store carries its own
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        connectionTimeout: config.timeoutMs,
        requestTimeout: config.timeoutMs,
        httpAgent: { maxSockets: config.concurrency },
        httpsAgent: { maxSockets: config.concurrency },
      },
    });
    this.#caller = new StoreCaller({
      backend: BACKEND,
      classify,
      backoff: { minMs: config.minBackoffMs, maxMs: config.maxBackoffMs, triesMax: config.maxRetries + 1 },
      timeoutMs: config.timeoutMs,
      parallelMax: config.concurrency,
      secrets: [config.secretAccessKey],
      ...parts,
    });
  }

  static async open(config: S3Config, parts: S3Parts): Promise<S3ObjectClient> {
    return new S3ObjectClient(await import('@aws-sdk/client-s3'), config, parts);
  }

  async put(key: string, body: Uint8Array, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    assertObjectKey(key);
    if (body.length > this.#partBytes) return this.#putInParts(key, body, signal);
    await this.#call('put', key, signal, (abortSignal) => {
      const input = { Bucket: this.#bucket, Key: key, Body: body, ...this.#encryption };
      return this.#service.send(new this.#sdk.PutObjectCommand(input), { abortSignal });
    });
  }

  async get(key: string, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#read(key, undefined, signal);
  }

  async getRange(key: string, offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    // there is no range of nothing: one byte tells whether the object is there
    const body = await this.#read(key, `bytes=${offset}-${offset + Math.max(1, length) - 1}`, signal);
    return body.subarray(0, length);
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<readonly ObjectInfo[]> {
    let from: string | undefined;
    do {
      const input = { Bucket: this.#bucket, Prefix: prefix, ContinuationToken: from };
      const answer = await this.#call('list', prefix, signal, (abortSignal) =>
        this.#service.send(new this.#sdk.ListObjectsV2Command(input), { abortSignal }),
      );
      const page = (answer.Contents ?? []).map(
        (object): ObjectInfo => ({
          key: object.Key ?? '',
          bytes: object.Size ?? 0,
          modifiedMs: object.LastModified?.getTime() ?? 0,
        }),
      );
      if (page.length > 0) yield page;
      from = answer.NextContinuationToken;
    } while (from !== undefined);
  }

  async delete(key: string, signal?: AbortSignal): Promise<void> {
    assertObjectKey(key);
    await this.#call('delete', key, signal, (abortSignal) =>
      this.#service.send(new this.#sdk.DeleteObjectCommand({ Bucket: this.#bucket, Key: key }), { abortSignal }),
    );
  }

  async close(): Promise<void> {
    this.#caller.close();
    this.#service.destroy();
  }

  async #read(key: string, range: string | undefined, signal: AbortSignal | undefined): Promise<Uint8Array> {
    assertObjectKey(key);
    const command = new this.#sdk.GetObjectCommand({ Bucket: this.#bucket, Key: key, Range: range });
    return this.#call('get', key, signal, async (abortSignal) => {
      try {
        const { Body } = await this.#service.send(command, { abortSignal });
        return await readBody(Body as NodeJS.ReadableStream, abortSignal);
      } catch (thrown) {
        if ((thrown as { name?: string }).name === 'InvalidRange') return new Uint8Array(0); // beyond the end
        throw thrown;
      }
    });
  }

  async #putInParts(key: string, body: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const target = { Bucket: this.#bucket, Key: key };
    const { UploadId } = await this.#call('put', key, signal, (abortSignal) =>
      this.#service.send(new this.#sdk.CreateMultipartUploadCommand({ ...target, ...this.#encryption }), {
        abortSignal,
      }),
    );
    try {
      const numbers = Array.from({ length: Math.ceil(body.length / this.#partBytes) }, (_, i) => i + 1);
      const parts: CompletedPart[] = [];
      await forEachAtOnce(numbers, PARTS_AT_ONCE, async (PartNumber) => {
        const Body = body.subarray((PartNumber - 1) * this.#partBytes, PartNumber * this.#partBytes);
        const { ETag } = await this.#call('put', key, signal, (abortSignal) =>
          this.#service.send(new this.#sdk.UploadPartCommand({ ...target, UploadId, PartNumber, Body }), {
            abortSignal,
          }),
        );
        parts[PartNumber - 1] = { PartNumber, ETag };
      });
      await this.#complete(key, UploadId, parts, body.length, signal);
    } catch (thrown) {
      // parts that nobody completes are stored, and paid for, until somebody removes them
      const command = new this.#sdk.AbortMultipartUploadCommand({ ...target, UploadId });
      const { signal: abortSignal, cancel } = timeout(this.#clock, ABORT_TIMEOUT_MS);
      await this.#service.send(command, { abortSignal }).catch(() => {});
      cancel();
      throw thrown;
    }
  }

  async #complete(
    key: string,
    UploadId: string | undefined,
    Parts: CompletedPart[],
    length: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const target = { Bucket: this.#bucket, Key: key };
    const command = new this.#sdk.CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts } });
    await this.#call('put', key, signal, async (abortSignal, failedTries) => {
      try {
        await this.#service.send(command, { abortSignal });
      } catch (thrown) {
        if (failedTries === 0 || (thrown as { name?: string }).name !== 'NoSuchUpload') throw thrown;
        // a try that seemed to fail has completed it
        const head = await this.#service.send(new this.#sdk.HeadObjectCommand(target), { abortSignal });
        if (head.ContentLength !== length) throw thrown;
      }
    });
  }

  #call<T>(
    operation: string,
    key: string,
    signal: AbortSignal | undefined,
    attempt: (signal: AbortSignal, failedTries: number) => Promise<T>,
  ): Promise<T> {
    return this.#caller.call({ operation, table: this.#bucket, key }, signal, attempt);
  }
}

interface Encryption {
  readonly ServerSideEncryption?: 'AES256' | 'aws:kms';
  readonly SSEKMSKeyId?: string;
  readonly SSEKMSEncryptionContext?: string;
}

function encryptionOf(config: S3Config): Encryption {
  switch (config.sseType) {
    case 'none':
      return {};
    case 'SSE-S3':
      return { ServerSideEncryption: 'AES256' };
    case 'SSE-KMS':
      return {
        ServerSideEncryption: 'aws:kms',
        SSEKMSKeyId: config.sseKmsKeyId || undefined,
        SSEKMSEncryptionContext:
          config.sseKmsEncryptionContext === ''
            ? undefined
            : Buffer.from(config.sseKmsEncryptionContext).toString('base64'),
      };
  }
}

function endpointOf({ endpoint, insecure }: S3Config): string | undefined {
  if (endpoint === '') return undefined;
  if (endpoint.includes('://')) return endpoint;
  return `${insecure ? 'http' : 'https'}://${endpoint}`;
}

function classify(thrown: unknown): Failure {
  const { name, message } = (thrown ?? {}) as { name?: string; message?: string };
  if (name === 'NoSuchKey' || name === 'NotFound') return { kind: 'object-missing', reason: message ?? name };
  return classifyAws(thrown);
}
