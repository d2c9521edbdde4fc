import { isIP } from 'node:net';
import { Agent, buildConnector, request } from 'undici';
import { type Clock, timeout } from '../../lib/clock.ts';
import type { HttpConfig, TlsConfig } from '../fields/http-config.ts';
import { secretToken } from '../fields/secret.ts';
import type { Firewall } from './firewall.ts';
import { type Answer, type FailureReason, type HttpSender, type OutgoingRequest, SendError } from './notification.ts';
import { AccessTokens } from './oauth2.ts';

const redirectsMax = 10;
const bodyBytesMax = 64 << 10;
const connectTimeoutMs = 10_000;
const timeoutMsMax = 1 << 30;
/** Headers of receivers that other origins may know when they are redirected to: all others may be credentials. */
const OPEN_HEADERS = new Set(['accept', 'accept-language', 'content-type']);

/** Sends requests of receivers: through the firewall, with each redirect, and without proxies. */
export class HttpClient implements HttpSender {
  readonly #firewall: Firewall;
  readonly #clock: Clock;
  readonly #userAgent: string;
  readonly #tokens: AccessTokens;

  constructor(options: { readonly firewall: Firewall; readonly clock: Clock; readonly userAgent: string }) {
    this.#firewall = options.firewall;
    this.#clock = options.clock;
    this.#userAgent = options.userAgent;
    this.#tokens = new AccessTokens((request, signal) => this.#sent(request, signal), options.clock);
  }

  async send(given: OutgoingRequest, signal: AbortSignal): Promise<Answer> {
    const own =
      given.timeoutMs === undefined ? undefined : timeout(this.#clock, Math.min(given.timeoutMs, timeoutMsMax));
    const stop = own === undefined ? signal : AbortSignal.any([signal, own.signal]);
    try {
      return await this.#authorized(given, stop);
    } catch (thrown) {
      if (own?.signal.aborted === true) {
        throw new SendError(`configured timeout reached (${given.timeoutMs} ms)`, 'contextDeadlineExceeded');
      }
      throw sendErrorOf(thrown, signal);
    } finally {
      own?.cancel();
    }
  }

  async #authorized(given: OutgoingRequest, signal: AbortSignal): Promise<Answer> {
    const { oauth2 } = given.config;
    if (oauth2 === undefined) return this.#sent(given, signal);
    const token = await this.#tokens.of(oauth2, signal);
    const authorization = { type: token.type, credentials: token.text };
    const answer = await this.#sent({ ...given, config: { ...given.config, authorization } }, signal);
    if (answer.status === 401) this.#tokens.forget(token);
    // no secret of the configuration, and one all the same
    return { ...answer, body: answer.body.replaceAll(token.text, secretToken) };
  }

  async #sent(given: OutgoingRequest, signal: AbortSignal): Promise<Answer> {
    const agent = this.#agent(given.config);
    try {
      return await this.#follow(agent, given, signal);
    } finally {
      await agent.destroy();
    }
  }

  #agent({ tls, usesHttp2 }: HttpConfig): Agent {
    const dial = buildConnector({ timeout: connectTimeoutMs, allowH2: usesHttp2, ...tlsOptions(tls) });
    const firewall = this.#firewall;
    return new Agent({
      allowH2: usesHttp2,
      connect(options, callback) {
        const { hostname } = options;
        const name = hostname.replace(/^\[(.*)\]$/, '$1');
        const servername = tls.serverName || (isIP(name) > 0 ? '' : name);
        firewall.addressOf(hostname).then(
          (address) => dial({ ...options, hostname: address, host: hostname, servername }, callback),
          (thrown) => callback(thrown, null),
        );
      },
    });
  }

  async #follow(agent: Agent, given: OutgoingRequest, signal: AbortSignal): Promise<Answer> {
    const { config } = given;
    let url = new URL(given.url);
    const first = url.origin;
    let { method, body } = given as { method: string; body: string | undefined };
    for (let redirects = 0; ; redirects++) {
      const headers = this.#headers(given, url.origin === first, body !== undefined);
      // credentials in an address are a header's matter
      const target = new URL(url.href);
      target.username = '';
      target.password = '';
      const options = {
        dispatcher: agent,
        method: method as 'GET',
        headers,
        signal,
        ...(body === undefined ? {} : { body }),
      };
      const answer = await request(target.href, options);
      const location = answer.headers.location;
      if (!isRedirect(answer.statusCode) || typeof location !== 'string' || !config.followsRedirects) {
        return { status: answer.statusCode, headers: headersOf(answer.headers), body: await readStart(answer.body) };
      }
      await readStart(answer.body);
      if (redirects === redirectsMax) throw new SendError(`stopped after ${redirectsMax} redirects`);
      const next = URL.parse(location, url.href);
      if (next === null || (next.protocol !== 'http:' && next.protocol !== 'https:')) {
        throw new SendError('redirected to an address that is none of HTTP', 'clientError');
      }
      url = next;
      if (answer.statusCode < 307 && method !== 'GET') {
        method = 'GET';
        body = undefined;
      }
    }
  }

  #headers(
    { headers, config, url }: OutgoingRequest,
    isFirstOrigin: boolean,
    hasBody: boolean,
  ): Record<string, string | string[]> {
    const all: Record<string, string | string[]> = { 'user-agent': this.#userAgent };
    for (const [name, value] of Object.entries(headers ?? {})) {
      if ((name !== 'content-type' || hasBody) && (isFirstOrigin || OPEN_HEADERS.has(name))) all[name] = value;
    }
    if (!isFirstOrigin) return all;
    for (const [name, values] of config.headers) all[name.toLowerCase()] = [...values];
    const { username, password } = new URL(url);
    if (config.basicAuth !== undefined) all.authorization = basic(config.basicAuth.username, config.basicAuth.password);
    else if (config.authorization !== undefined) {
      all.authorization = `${config.authorization.type} ${config.authorization.credentials}`.trim();
    } else if (username !== '') all.authorization = basic(decodeURIComponent(username), decodeURIComponent(password));
    return all;
  }
}

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function isRedirect(status: number): boolean {
  return [301, 302, 303, 307, 308].includes(status);
}

export function tlsOptions(tls: TlsConfig): object {
  return {
    ...(tls.ca === '' ? {} : { ca: tls.ca }),
    ...(tls.cert === '' ? {} : { cert: tls.cert, key: tls.key }),
    ...(tls.minVersion === undefined ? {} : { minVersion: tls.minVersion }),
    ...(tls.maxVersion === undefined ? {} : { maxVersion: tls.maxVersion }),
    rejectUnauthorized: !tls.skipsVerify,
  };
}

function headersOf(headers: Readonly<Record<string, string | string[] | undefined>>): Map<string, string> {
  const flat = new Map<string, string>();
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat.set(name, Array.isArray(value) ? value.join(', ') : value);
  }
  return flat;
}

/** No more than is shown: whoever answers with gigabytes is cut off. */
async function readStart(body: AsyncIterable<Uint8Array> & { destroy(): unknown }): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body) {
    parts.push(part);
    bytes += part.length;
    if (bytes >= bodyBytesMax) break;
  }
  body.destroy();
  return Buffer.concat(parts).subarray(0, bodyBytesMax).toString();
}

/** Codes of errors before there is an answer; their texts may hold the address. */
function sendErrorOf(thrown: unknown, signal: AbortSignal): SendError {
  if (thrown instanceof SendError) return thrown;
  if (signal.aborted) {
    const isTimeout = (signal.reason as { name?: unknown } | undefined)?.name === 'TimeoutError';
    const reason: FailureReason = isTimeout ? 'contextDeadlineExceeded' : 'contextCanceled';
    return new SendError(isTimeout ? 'context deadline exceeded' : 'context canceled', reason);
  }
  const { code, cause, name } = thrown as { code?: unknown; cause?: { code?: unknown }; name?: unknown };
  const shown = [cause?.code, code, name].find((each) => typeof each === 'string' && /^\w+$/.test(each));
  return new SendError(`the request failed: ${String(shown ?? 'unknown')}`);
}
