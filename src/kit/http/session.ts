import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** The cookie of a user that logged in on a page. */
export const SESSION_COOKIE = 'pallium_session';
/** Age after which a session ends. */
export const SESSION_MAX_MS = 12 * 3_600_000;

/** Version of what a cookie holds: `1.NAME.END.MAC`, the name as base64url, its end in Unix ms. */
const VERSION = '1';
const COOKIE_CHARS_MAX = 4096;

/** A session that a cookie tells of; not proven until `verify` has seen it. */
export interface SessionClaim {
  readonly name: string;
  readonly endMs: number;
  readonly mac: string;
}

/** Signs sessions, so that no process need remember them. One ends with its user, and with the credentials it was begun with. */
export class SessionSigner {
  readonly #key: () => Uint8Array;

  /** @param key asked when it is first needed, and the same for all processes that shall honour a session */
  constructor(key: () => Uint8Array) {
    this.#key = key;
  }

  /** The cookie's value for a user, until `endMs`. */
  sign(name: string, credentials: readonly string[], endMs: number): string {
    return [VERSION, Buffer.from(name).toString('base64url'), endMs, this.#mac(name, credentials, endMs)].join('.');
  }

  verify({ name, endMs, mac }: SessionClaim, credentials: readonly string[], nowMs: number): boolean {
    if (!(nowMs < endMs && endMs <= nowMs + SESSION_MAX_MS)) return false;
    const [given, wanted] = [mac, this.#mac(name, credentials, endMs)].map((text) => Buffer.from(text, 'base64url'));
    return given!.length === wanted!.length && timingSafeEqual(given!, wanted!);
  }

  #mac(name: string, credentials: readonly string[], endMs: number): string {
    const text = JSON.stringify([VERSION, name, endMs, ...credentials]);
    return createHmac('sha256', this.#key()).update(text).digest('base64url');
  }
}

/** The session of a request that a page of this server sent: no other's cookie counts, whatever a browser attaches. */
export function sessionClaimOf({ cookie, 'sec-fetch-site': site }: IncomingHttpHeaders): SessionClaim | undefined {
  if (cookie === undefined || site !== 'same-origin') return undefined;
  const pair = cookie.split(/;\s*/).find((one) => one.startsWith(`${SESSION_COOKIE}=`));
  const value = pair?.slice(SESSION_COOKIE.length + 1);
  if (value === undefined || value.length > COOKIE_CHARS_MAX) return undefined;
  const [version, name, end, mac, ...rest] = value.split('.');
  if (version !== VERSION || mac === undefined || rest.length > 0 || !/^\d{1,15}$/.test(end!)) return undefined;
  return { name: Buffer.from(name!, 'base64url').toString(), endMs: Number(end), mac };
}
