import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { classifyAws } from '../../kit/store/aws.ts';
import { StoreCaller } from '../../kit/store/caller.ts';
import type { Failure } from '../../kit/store/failure.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import type { DynamodbConfig } from './config.ts';

export const BACKEND = 'dynamodb';

export interface DynamodbParts {
  readonly clock: Clock;
  readonly random?: Random;
}

type Sdk = typeof import('@aws-sdk/client-dynamodb');

/** The service as one process talks to it. All retrying is ours; the library's own would be blind to who waits for what. */
export class DynamodbSession {
  readonly config: DynamodbConfig;
  readonly clock: Clock;
  readonly sdk: Sdk;
  readonly service: DynamoDBClient;
  readonly caller: StoreCaller;

  private constructor(sdk: Sdk, config: DynamodbConfig, parts: DynamodbParts) {
    this.sdk = sdk;
    this.config = config;
    this.clock = parts.clock;
    this.service = new sdk.DynamoDBClient({
      region: config.region,
      endpoint: config.endpoint || undefined,
      credentials:
        config.accessKeyId === ''
          ? undefined
          : { accessKeyId: config.accessKeyId, secretAccessKey: config.secretAccessKey },
      maxAttempts: 1,
      requestHandler: {
        connectionTimeout: config.timeoutMs,
        requestTimeout: config.timeoutMs,
        httpAgent: { maxSockets: config.queryConcurrency },
        httpsAgent: { maxSockets: config.queryConcurrency },
      },
    });
    this.caller = new StoreCaller({
      backend: BACKEND,
      classify,
      backoff: { minMs: config.minBackoffMs, maxMs: config.maxBackoffMs, triesMax: config.maxRetries + 1 },
      timeoutMs: config.timeoutMs,
      parallelMax: config.queryConcurrency,
      secrets: [config.secretAccessKey],
      ...parts,
    });
  }

  static async open(config: DynamodbConfig, parts: DynamodbParts): Promise<DynamodbSession> {
    return new DynamodbSession(await import('@aws-sdk/client-dynamodb'), config, parts);
  }

  async close(): Promise<void> {
    this.caller.close();
    this.service.destroy();
  }
}

function classify(thrown: unknown): Failure {
  const { name, message } = (thrown ?? {}) as { name?: string; message?: string };
  if (name === 'ResourceNotFoundException') return { kind: 'table-missing', reason: message ?? name };
  // a table that is being made or dropped: it will be done
  if (name === 'ResourceInUseException' || name === 'TransactionConflictException') {
    return { kind: 'unavailable', reason: message ?? name };
  }
  return classifyAws(thrown);
}
