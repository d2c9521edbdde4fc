import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { Agent } from 'undici';
import { connectionFailure, redact } from '../../kit/store/failure.ts';
import { unlessAborted } from '../../lib/aborted.ts';
import { type Clock, timeout } from '../../lib/clock.ts';
import { AppError } from '../../model/errors.ts';
import { kvErrors } from '../../model/errors-kv.ts';
import type { EtcdConfig } from './config.ts';

const BACKEND = 'etcd';
/** Bytes of an answer that is read whole: a page of entries. */
const ANSWER_BYTES_MAX = 64 << 20;
const PAUSE_MS = 100;
type Response = Awaited<ReturnType<Agent['request']>>;

/** gRPC's codes. */
const UNAUTHENTICATED = 16;
const PASSING_CODES = new Set([4, 8, 13, 14]);

/** A refusal, as etcd's gateway tells it. */
interface Refusal {
  readonly error?: string;
  readonly message?: string;
  readonly code?: number;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** The call may be made again though it may have been done already. */
  readonly isRepeatable: boolean;
}

/** etcd's JSON gateway: calls at one member, at another where that does not answer. */
export class EtcdGateway {
  readonly #config: EtcdConfig;
  readonly #clock: Clock;
  readonly #agent: Agent;
  readonly #origins: readonly string[];
  readonly #secrets: readonly string[];
  /** Index of the member that is asked. */
  #at = 0;
  #token: Promise<string> | undefined;

  /** @throws where a certificate or key cannot be read */
  constructor(config: EtcdConfig, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
    if (config.endpoints.length === 0) throw new Error('-etcd.endpoints is missing: -ring.store is etcd');
    if ((config.username === '') !== (config.password === '')) {
      throw new Error('-etcd.username and -etcd.password are wanted together');
    }
    if ((config.tlsCertPath === '') !== (config.tlsKeyPath === '')) {
      throw new Error('-etcd.tls-cert-path and -etcd.tls-key-path are wanted together');
    }
    const scheme = config.tlsEnabled ? 'https' : 'http';
    this.#origins = config.endpoints.map(
      (each) => new URL(/^https?:\/\//.test(each) ? each : `${scheme}://${each}`).origin,
    );
    this.#secrets = [config.password];
    this.#agent = new Agent({
      connections: 16,
      // a watch has pauses of any length
      bodyTimeout: 0,
      headersTimeout: 0,
      connect: { timeout: config.dialTimeoutMs, ...tlsOf(config) },
    });
  }

  /**
   * One call.
   * @throws errors.kvAway, errors.kvRefused
   */
  async call<T>(path: string, body: object, { signal, isRepeatable }: CallOptions): Promise<T> {
    for (let tries = 0; ; tries++) {
      signal?.throwIfAborted();
      try {
        return await this.#try<T>(path, body, signal);
      } catch (thrown) {
        if (signal?.aborted) throw signal.reason;
        const isLast = tries >= this.#config.maxRetries;
        const isUndone = thrown instanceof Unanswered && (thrown.isUndone || isRepeatable);
        if (!isUndone || isLast) throw this.#error(path, thrown);
      }
      // each member once without a pause
      if (tries + 1 >= this.#origins.length) await this.#clock.sleep(PAUSE_MS, signal);
    }
  }

  /** Messages of a call that goes on until it is aborted, each a line of JSON. */
  async *stream(path: string, body: object, signal: AbortSignal): AsyncGenerator<unknown> {
    const response = await this.#send(path, body, signal, signal).catch((thrown) => {
      throw signal.aborted ? signal.reason : this.#error(path, thrown);
    });
    try {
      let rest = '';
      const decoder = new TextDecoder();
      for await (const part of response.body) {
        rest += decoder.decode(part as Uint8Array, { stream: true });
        if (rest.length > ANSWER_BYTES_MAX) throw new Unanswered(`a message of more than ${ANSWER_BYTES_MAX} bytes`);
        const lines = rest.split('\n');
        rest = lines.pop()!;
        for (const line of lines) if (line.trim() !== '') yield JSON.parse(line);
      }
    } catch (thrown) {
      throw signal.aborted ? signal.reason : this.#error(path, this.#unanswered(thrown));
    } finally {
      response.body.destroy();
    }
    this.#next();
    throw this.#error(path, new Unanswered('the stream ended'));
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #try<T>(path: string, body: object, signal: AbortSignal | undefined): Promise<T> {
    const limit = timeout(this.#clock, this.#config.timeoutMs);
    const either = signal === undefined ? limit.signal : AbortSignal.any([signal, limit.signal]);
    try {
      const response = await this.#send(path, body, either, signal);
      return JSON.parse(await wholeText(response.body)) as T;
    } catch (thrown) {
      throw this.#unanswered(thrown);
    } finally {
      limit.cancel();
    }
  }

  /** @param caller the caller's own signal, for calls that come before */
  async #send(
    path: string,
    body: object,
    signal: AbortSignal,
    caller: AbortSignal | undefined,
    isAgain = false,
  ): Promise<Response> {
    const token =
      this.#config.username === '' || path.startsWith('/v3/auth/')
        ? undefined
        : await unlessAborted(this.#login(), caller);
    const origin = this.#origins[this.#at]!;
    let response: Response;
    try {
      response = await this.#agent.request({
        origin,
        path,
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(token === undefined ? {} : { authorization: token }) },
        body: JSON.stringify(body),
        signal,
      });
    } catch (thrown) {
      throw this.#unanswered(thrown);
    }
    const { statusCode } = response;
    if (statusCode === 200) return response;
    const text = await wholeText(response.body);
    const { error, message, code } = refusalOf(text);
    const reason = error ?? message ?? `status ${statusCode}: ${text}`;
    const isLogin =
      code === UNAUTHENTICATED || statusCode === 401 || /invalid auth token|revision in header is old/.test(reason);
    if (token !== undefined && isLogin && !isAgain) {
      this.#token = undefined;
      return this.#send(path, body, signal, caller, true);
    }
    if (statusCode >= 500 || PASSING_CODES.has(code ?? 0)) {
      this.#next();
      throw new Unanswered(reason);
    }
    throw kvErrors.kvRefused({ backend: BACKEND, operation: path, reason: redact(reason, this.#secrets) });
  }

  /** A token, asked for once by all calls that want it: no call's own signal ends that. */
  #login(): Promise<string> {
    const { username: name, password } = this.#config;
    this.#token ??= this.call<{ token?: string }>('/v3/auth/authenticate', { name, password }, { isRepeatable: true })
      .then(({ token = '' }) => token)
      .catch((thrown) => {
        this.#token = undefined;
        throw thrown;
      });
    return this.#token;
  }

  #next(): void {
    this.#at = (this.#at + 1) % this.#origins.length;
  }

  /** A failure of a connection, after which another member is asked. */
  #unanswered(thrown: unknown): unknown {
    if (thrown instanceof AppError || thrown instanceof Unanswered) return thrown;
    const { code, name, message } = (thrown ?? {}) as { code?: string; name?: string; message?: string };
    this.#next();
    const reason = connectionFailure(thrown)?.reason ?? code ?? message ?? String(thrown);
    const isUndone = UNCONNECTED.has(code ?? '');
    return new Unanswered(name === 'TimeoutError' ? `no answer within ${this.#config.timeoutMs} ms` : reason, isUndone);
  }

  #error(path: string, thrown: unknown): unknown {
    if (!(thrown instanceof Unanswered)) return thrown;
    return kvErrors.kvAway({ backend: BACKEND, operation: path, reason: redact(thrown.message, this.#secrets) });
  }
}

/** Codes of connections that were never made: nothing was sent. */
const UNCONNECTED = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** No answer: whether the call was done is unknown, unless it is undone. */
class Unanswered extends Error {
  readonly isUndone: boolean;

  constructor(reason: string, isUndone = false) {
    super(reason);
    this.isUndone = isUndone;
  }
}

async function wholeText(body: Readable): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body) {
    bytes += (part as Uint8Array).length;
    if (bytes > ANSWER_BYTES_MAX) throw new Unanswered(`an answer of more than ${ANSWER_BYTES_MAX} bytes`);
    parts.push(part as Uint8Array);
  }
  return Buffer.concat(parts).toString();
}

function refusalOf(text: string): Refusal {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Refusal) : {};
  } catch {
    return {};
  }
}

function tlsOf(config: EtcdConfig) {
  const { tlsCaPath, tlsCertPath, tlsKeyPath, tlsServerName, tlsInsecureSkipVerify } = config;
  return {
    ...(tlsCaPath === '' ? {} : { ca: pem(tlsCaPath, '-etcd.tls-ca-path') }),
    ...(tlsCertPath === '' ? {} : { cert: pem(tlsCertPath, '-etcd.tls-cert-path') }),
    ...(tlsKeyPath === '' ? {} : { key: pem(tlsKeyPath, '-etcd.tls-key-path') }),
    ...(tlsServerName === '' ? {} : { servername: tlsServerName }),
    rejectUnauthorized: !tlsInsecureSkipVerify,
  };
}

function pem(file: string, flag: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Error(`${flag}: ${(cause as Error).message}`, { cause });
  }
}
