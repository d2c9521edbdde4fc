import type { v2 } from '@google-cloud/bigtable';
import { StoreCaller } from '../../kit/store/caller.ts';
import { connectionFailure, type Failure } from '../../kit/store/failure.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import type { BigtableConfig } from './config.ts';

export const BACKEND = 'bigtable';

export interface BigtableParts {
  readonly clock: Clock;
  readonly random?: Random;
}

/**
 * The service's own calls, below the library's table objects: those decode keys as text, try again by themselves, and
 * send measurements elsewhere.
 */
export class BigtableSession {
  readonly config: BigtableConfig;
  readonly data: v2.BigtableClient;
  readonly admin: v2.BigtableTableAdminClient;
  readonly caller: StoreCaller;
  /** `projects/…/instances/…` */
  readonly instance: string;

  private constructor(
    config: BigtableConfig,
    parts: BigtableParts,
    data: v2.BigtableClient,
    admin: v2.BigtableTableAdminClient,
  ) {
    this.config = config;
    this.data = data;
    this.admin = admin;
    this.instance = `projects/${config.project}/instances/${config.instance}`;
    this.caller = new StoreCaller({
      backend: BACKEND,
      classify: classifyBigtable,
      backoff: { minMs: config.minBackoffMs, maxMs: config.maxBackoffMs, triesMax: config.maxRetries + 1 },
      timeoutMs: config.timeoutMs,
      parallelMax: config.queryConcurrency,
      ...parts,
    });
  }

  static async open(config: BigtableConfig, parts: BigtableParts): Promise<BigtableSession> {
    const { Bigtable, v2: api } = await import('@google-cloud/bigtable');
    const { options } = new Bigtable({
      projectId: config.project,
      apiEndpoint: config.emulatorHost || undefined,
      keyFilename: config.keyFile || undefined,
      metricsEnabled: false,
    });
    const data = new api.BigtableClient(options.BigtableClient);
    const admin = new api.BigtableTableAdminClient(options.BigtableTableAdminClient);
    return new BigtableSession(config, parts, data, admin);
  }

  nameOf(table: string): string {
    return `${this.instance}/tables/${table}`;
  }

  /** For every call: no retries but ours. Calls and streams have their own ways to say so. */
  get callOptions(): CallOptions {
    return { timeout: this.config.timeoutMs, retry: null, retryRequestOptions: { retries: 0, noResponseRetries: 0 } };
  }

  async close(): Promise<void> {
    this.caller.close();
    await Promise.all([this.data.close(), this.admin.close()]);
  }
}

interface CallOptions {
  readonly timeout: number;
  readonly retry: null;
  readonly retryRequestOptions: { readonly retries: number; readonly noResponseRetries: number };
}

/** A row of a batch that was refused, with the code of the service. */
export class RowFailed extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** Codes of gRPC. */
const CODES: Record<number, Failure['kind']> = {
  1: 'unavailable', // cancelled
  2: 'unavailable', // unknown
  4: 'unavailable', // deadline exceeded
  5: 'table-missing',
  7: 'denied',
  8: 'throttled',
  10: 'unavailable', // aborted
  13: 'unavailable', // internal
  14: 'unavailable',
  16: 'denied',
};

export function classifyBigtable(thrown: unknown): Failure {
  const known = connectionFailure(thrown);
  if (known) return known;
  const { code, message } = (thrown ?? {}) as { code?: unknown; message?: string };
  const reason = message ?? String(thrown);
  if (typeof code !== 'number') {
    return { kind: /credential|auth|project id/i.test(reason) ? 'denied' : 'unavailable', reason };
  }
  return { kind: CODES[code] ?? 'refused', reason };
}
