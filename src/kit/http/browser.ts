import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { processErrors } from '../../model/errors-process.ts';

export interface BrowserOptions {
  /** Where the listener is bound. */
  readonly host: string;
  readonly tls: boolean;
  /** Further names it is asked by. */
  readonly hostNames: readonly string[];
  /** Origins whose scripts may call it; `*`: all, for reading. */
  readonly corsOrigins: readonly string[];
}

const ANY = '*';
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Keeps pages of others from using a browser that can reach the listener. */
export class BrowserGuard {
  readonly #tls: boolean;
  /** Names it may be asked by, besides addresses; undefined: any. */
  readonly #names: ReadonlySet<string> | undefined;
  readonly #origins: ReadonlySet<string>;
  /** One that was right: most requests say the same. */
  #lastHost: string | undefined;

  private constructor({ host, tls, hostNames, corsOrigins }: BrowserOptions) {
    this.#tls = tls;
    this.#names =
      isLoopback(host) || hostNames.length > 0 ? new Set(['localhost', host, ...hostNames].map(lowered)) : undefined;
    this.#origins = new Set(corsOrigins.map(lowered));
  }

  static of(options: BrowserOptions): BrowserGuard {
    return new BrowserGuard(options);
  }

  /** @param isReading the request changes nothing, whatever its method
   *  @throws hostForbidden, originForbidden */
  check(method: string, headers: IncomingHttpHeaders, isReading = false): void {
    this.#checkHost(headers.host);
    if (!SAFE_METHODS.has(method) && !(isReading && this.#origins.has(ANY))) this.#checkOrigin(headers);
  }

  /** Headers that a script of another origin needs to see the answer; undefined: it may not see it. */
  corsHeaders({ origin }: IncomingHttpHeaders): Readonly<Record<string, string>> | undefined {
    if (origin === undefined) return undefined;
    if (this.#origins.has(lowered(origin))) {
      return { ...CORS_HEADERS, 'access-control-allow-origin': origin, 'access-control-allow-headers': NAMED_HEADERS };
    }
    return this.#origins.has(ANY) ? { ...CORS_HEADERS, 'access-control-allow-origin': ANY } : undefined;
  }

  /** A page whose name suddenly means this machine (DNS rebinding) still says its own name. */
  #checkHost(host: string | undefined): void {
    if (this.#names === undefined || host === undefined || host === this.#lastHost) return;
    const name = nameOf(host);
    if (isIP(name) !== 0 || this.#names.has(name) || name.endsWith('.localhost')) {
      this.#lastHost = host;
      return;
    }
    throw processErrors.hostForbidden({ host: name });
  }

  #checkOrigin({ origin, host, 'sec-fetch-site': site }: IncomingHttpHeaders): void {
    if (origin !== undefined && this.#origins.has(lowered(origin))) return;
    // another port of the same machine is of the same site, and may be anybody's
    const foreignSite = site !== undefined && site !== 'same-origin' && site !== 'none';
    if (!foreignSite && (origin === undefined || this.#isOwn(origin, host ?? ''))) return;
    throw processErrors.originForbidden({ origin: origin ?? `a ${site} page` });
  }

  #isOwn(origin: string, host: string): boolean {
    const [, scheme, authority] = /^(https?):\/\/(.*)$/.exec(lowered(origin)) ?? [];
    // what speaks no TLS itself may stand behind something that does
    return authority !== undefined && authority === lowered(host) && (scheme === 'https' || !this.#tls);
  }
}

const CORS_HEADERS: Readonly<Record<string, string>> = {
  'access-control-allow-headers': 'Accept, Authorization, Content-Type, Origin',
  'access-control-allow-methods': 'GET, POST, OPTIONS',
  'access-control-expose-headers': 'Date',
};

/** Only origins that are named may name a tenant. */
const NAMED_HEADERS = `${CORS_HEADERS['access-control-allow-headers']}, X-Scope-OrgID`;

/** For the setting. @throws where it is no origin */
export function checkOriginSetting(origin: string): void {
  if (origin === ANY) return;
  const url = URL.canParse(origin) ? new URL(origin) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.origin !== lowered(origin)) {
    throw new RangeError(`${origin} is no origin, like https://grafana.example.com:3000`);
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** `name:port`, `[::1]:port` → the name */
function nameOf(host: string): string {
  const bracketed = /^\[([^\]]*)\](:\d*)?$/.exec(host);
  return lowered(bracketed === null ? host.replace(/:\d*$/, '').replace(/\.$/, '') : bracketed[1]!);
}

function lowered(text: string): string {
  return text.toLowerCase();
}
