import type { Clock } from '../../lib/clock.ts';
import { quoteGo } from '../../model/labels.ts';
import { JWT_GRANT, type OAuth2, plainHttp } from '../fields/http-config.ts';
import { assertionOf } from './jwt-assertion.ts';
import { type Answer, type OutgoingRequest, SendError } from './notification.ts';

interface Kept {
  readonly token: AccessToken;
  /** Monotonic time; infinite where the server does not say. */
  readonly untilMs: number;
}

export interface AccessToken {
  /** As it stands in the header. */
  readonly type: string;
  readonly text: string;
}

type Send = (request: OutgoingRequest, signal: AbortSignal) => Promise<Answer>;
type AuthStyle = 'header' | 'params';

/** A token that ends so soon is not taken any more. */
const earlyMs = 10_000;
const tokensMax = 100;

/** Access tokens by client credentials (RFC 6749, 4.4) or signed assertions (RFC 7523, 2.1), each asked for once until it ends. */
export class AccessTokens {
  readonly #send: Send;
  readonly #clock: Pick<Clock, 'monotonicMs' | 'nowMs'>;
  readonly #kept = new Map<string, Kept>();
  /** How each server takes the client's credentials, as far as it is known. */
  readonly #styles = new Map<string, AuthStyle>();

  /** @param send through the firewall, as notifications go */
  constructor(send: Send, clock: Pick<Clock, 'monotonicMs' | 'nowMs'>) {
    this.#send = send;
    this.#clock = clock;
  }

  /** @throws SendError */
  async of(config: OAuth2, signal: AbortSignal): Promise<AccessToken> {
    const key = JSON.stringify([
      config.clientId,
      config.clientSecret,
      config.jwt,
      config.tokenUrl,
      config.scopes,
      [...config.params],
    ]);
    const known = this.#kept.get(key);
    if (known !== undefined && known.untilMs > this.#clock.monotonicMs()) return known.token;
    const { token, expiresInSeconds } = await this.#fetched(config, signal);
    const untilMs =
      expiresInSeconds > 0 ? this.#clock.monotonicMs() + expiresInSeconds * 1000 - earlyMs : Number.POSITIVE_INFINITY;
    this.#kept.delete(key);
    if (this.#kept.size >= tokensMax) this.#kept.delete(this.#kept.keys().next().value!);
    this.#kept.set(key, { token, untilMs });
    return token;
  }

  /** A token that a receiver did not take is not used again. */
  forget(token: AccessToken): void {
    for (const [key, kept] of this.#kept) if (kept.token === token) this.#kept.delete(key);
  }

  /** As Go's client: with the credentials in a header, and where that is refused as parameters. */
  async #fetched(config: OAuth2, signal: AbortSignal): Promise<Granted> {
    if (config.jwt !== undefined) {
      const assertion = await assertionOf(config.jwt, config, this.#clock.nowMs());
      const granted = grantedBy(await this.#send(assertionRequest(config, assertion), signal));
      if (granted instanceof SendError) throw granted;
      return granted;
    }
    const known = this.#styles.get(config.tokenUrl);
    const styles: readonly AuthStyle[] = known === undefined ? ['header', 'params'] : [known];
    let failure = new SendError('oauth2: cannot fetch token', 'authError');
    for (const style of styles) {
      const answer = await this.#send(requestOf(config, style), signal);
      const granted = grantedBy(answer);
      if (granted instanceof SendError) failure = granted;
      else {
        if (this.#styles.size >= tokensMax) this.#styles.clear();
        this.#styles.set(config.tokenUrl, style);
        return granted;
      }
    }
    throw failure;
  }
}

interface Granted {
  readonly token: AccessToken;
  /** 0: the server does not say. */
  readonly expiresInSeconds: number;
}

function requestOf(
  { clientId, clientSecret, tokenUrl, scopes, params, tls }: OAuth2,
  style: AuthStyle,
): OutgoingRequest {
  const form = new Map<string, string>([['grant_type', 'client_credentials']]);
  if (scopes.length > 0) form.set('scope', scopes.join(' '));
  for (const [name, value] of params) form.set(name, value);
  if (style === 'params') form.set('client_id', clientId).set('client_secret', clientSecret);
  const body = new URLSearchParams([...form].sort(([a], [b]) => (a < b ? -1 : 1))).toString();
  const escaped = (text: string) => new URLSearchParams({ '': text }).toString().slice(1);
  const basic = Buffer.from(`${escaped(clientId)}:${escaped(clientSecret)}`).toString('base64');
  return formRequest(tokenUrl, tls, body, style === 'header' ? { authorization: `Basic ${basic}` } : {});
}

/** @throws SendError */
function assertionRequest({ tokenUrl, scopes, params, tls }: OAuth2, assertion: string): OutgoingRequest {
  const form = new Map([
    ['grant_type', JWT_GRANT],
    ['assertion', assertion],
  ]);
  if (scopes.length > 0) form.set('scope', scopes.join(' '));
  for (const [name, value] of params) {
    // servers that know the grant by another name
    if (form.has(name) && name !== 'grant_type') {
      throw new SendError(`oauth2: cannot overwrite parameter ${quoteGo(name)}`, 'clientError');
    }
    form.set(name, value);
  }
  return formRequest(tokenUrl, tls, new URLSearchParams([...form]).toString(), {});
}

function formRequest(
  url: string,
  tls: OAuth2['tls'],
  body: string,
  headers: Readonly<Record<string, string>>,
): OutgoingRequest {
  return {
    method: 'POST',
    url,
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body,
    // credentials go nowhere else
    config: { ...plainHttp, tls, followsRedirects: false },
  };
}

/** Texts of servers are not shown: they may repeat what they were sent. */
function grantedBy({ status, headers, body }: Answer): Granted | SendError {
  const type = (headers.get('content-type') ?? '').split(';')[0]!.trim();
  const isForm = type === 'application/x-www-form-urlencoded' || type === 'text/plain';
  let given: Readonly<Record<string, unknown>>;
  try {
    given = isForm ? Object.fromEntries(new URLSearchParams(body)) : (JSON.parse(body) ?? {});
  } catch {
    given = {};
  }
  const code = typeof given.error === 'string' && /^[a-z_]{1,40}$/.test(given.error) ? `: ${given.error}` : '';
  if (status < 200 || status > 299 || given.error !== undefined) {
    return new SendError(
      `oauth2: cannot fetch token: status ${status}${code}`,
      status >= 500 ? 'serverError' : 'authError',
    );
  }
  const { access_token: text, token_type: kind, expires_in: expires } = given;
  if (typeof text !== 'string' || text === '' || /[\r\n\0]/.test(text)) {
    return new SendError('oauth2: server response missing access_token', 'authError');
  }
  const seconds = Number(expires ?? 0);
  return {
    token: { type: typeof kind === 'string' ? typeOf(kind) : 'Bearer', text },
    expiresInSeconds: Number.isFinite(seconds) ? seconds : 0,
  };
}

/** As Go writes it in the header. */
function typeOf(kind: string): string {
  const lower = kind.toLowerCase();
  if (lower === 'bearer' || lower === '') return 'Bearer';
  if (lower === 'mac') return 'MAC';
  if (lower === 'basic') return 'Basic';
  return /^[\w-]{1,40}$/.test(kind) ? kind : 'Bearer';
}
