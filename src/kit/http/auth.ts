import { createHmac } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { type Clock, systemClock } from '../../lib/clock.ts';
import { systemBytes } from '../../lib/random.ts';
import { processErrors } from '../../model/errors-process.ts';
import { checkTenant } from '../../model/tenant.ts';
import { type Logger, silentLogger } from '../observe/log.ts';
import type { AuthConfig } from './config.ts';
import { LoginBrake } from './login-brake.ts';
import { type Identity, type ReadText, RIGHTS, type Right, readTextFile, readUsers } from './users.ts';

/** Whoever asks where nobody has to prove who they are. */
export const ANYBODY: Identity = { name: '', tenants: undefined, rights: RIGHTS };

const NAME_SHOWN_CHARS = 64;

interface GateOptions {
  readonly log?: Logger;
  readonly clock?: Clock;
}

/** Proves who asks, and decides on the tenant. */
export class Gate {
  readonly #config: AuthConfig;
  readonly #log: Logger;
  readonly #brake: LoginBrake;
  /** Digest of what a client presents → who it is. Keyed anew in every process: comparing digests tells nothing of them. */
  #identities: ReadonlyMap<string, Identity> = new Map();
  readonly #key = systemBytes(32);

  readonly #readText: ReadText;

  private constructor(
    config: AuthConfig,
    readText: ReadText,
    { log = silentLogger, clock = systemClock }: GateOptions,
  ) {
    this.#config = config;
    this.#readText = readText;
    this.#log = log;
    this.#brake = new LoginBrake(() => clock.monotonicMs());
  }

  /** @throws where authentication is configured by half, with the setting's name */
  static of(config: AuthConfig, readText: ReadText = readTextFile, options: GateOptions = {}): Gate {
    if (config.defaultTenant === '') throw new Error('-auth.default-tenant is empty');
    try {
      checkTenant(config.defaultTenant);
    } catch (cause) {
      throw new Error(`-auth.default-tenant: ${(cause as Error).message}`, { cause });
    }
    const gate = new Gate(config, readText, options);
    gate.reload();
    return gate;
  }

  /** Reads users, passwords and tokens again from their files. @throws what is wrong with them: those in force stay */
  reload(): void {
    const identities = new Map<string, Identity>();
    for (const { credentials, ...identity } of readUsers(this.#config, this.#readText)) {
      for (const one of credentials) identities.set(this.#digest(one), identity);
    }
    this.#identities = identities;
  }

  /** Whether anybody must prove who they are. */
  get closed(): boolean {
    return this.#identities.size > 0;
  }

  /**
   * @param address of the client; logins that fail are logged and slowed by it
   * @throws unauthorized, tooManyFailedLogins
   */
  identify(headers: IncomingHttpHeaders, address = ''): Identity {
    if (!this.closed) return ANYBODY;
    const { authorization } = headers;
    if (authorization === undefined || authorization === '') throw processErrors.unauthorized({});
    const [, scheme = '', rest = ''] = /^(\S+)\s+(\S+)\s*$/.exec(authorization) ?? [];
    const digest = this.#digest(`${scheme.toLowerCase()} ${rest}`);
    if (!this.#brake.mayTry(address, digest)) throw processErrors.tooManyFailedLogins({ address });
    const identity = this.#identities.get(digest);
    if (identity === undefined) {
      const failures = this.#brake.failed(address);
      if (failures !== undefined) this.#log.warn({ address, user: nameIn(scheme, rest), failures }, 'login failed');
      throw processErrors.unauthorized({});
    }
    this.#brake.succeeded(address, digest);
    return identity;
  }

  /** @throws rightMissing */
  check({ name, rights }: Identity, right: Right): void {
    if (!rights.includes(right)) throw processErrors.rightMissing({ name, right });
  }

  /** @throws tenantMissing, tenantInvalid, tenantForbidden */
  tenant(headers: IncomingHttpHeaders, { name, tenants }: Pick<Identity, 'name' | 'tenants'>): string {
    const header = headers['x-scope-orgid'];
    const named = Array.isArray(header) ? header[0] : header;
    const { tenancy, defaultTenant } = this.#config;
    if (named === undefined || named === '') {
      if (tenancy === 'single') return this.#allowed(defaultTenant, name, tenants);
      if (tenants?.length === 1) return tenants[0]!;
      if (tenancy === 'required') throw processErrors.tenantMissing({});
      return this.#allowed(defaultTenant, name, tenants);
    }
    checkTenant(named);
    if (tenancy === 'single' && named !== defaultTenant) {
      throw processErrors.tenantForbidden({
        tenant: named,
        reason: `this server holds only ${defaultTenant} (-auth.tenancy=single)`,
      });
    }
    return this.#allowed(named, name, tenants);
  }

  #allowed(tenant: string, name: string, tenants: readonly string[] | undefined): string {
    if (tenants === undefined || tenants.includes(tenant)) return tenant;
    throw processErrors.tenantForbidden({ tenant, reason: `${name} may name ${tenants.join(', ')}` });
  }

  #digest(credentials: string): string {
    return createHmac('sha256', this.#key).update(credentials).digest('base64');
  }
}

/** The user's name in what a client presents, for the log; a token is not shown. */
function nameIn(scheme: string, rest: string): string | undefined {
  if (scheme.toLowerCase() !== 'basic') return undefined;
  const pair = Buffer.from(rest.slice(0, 4 * NAME_SHOWN_CHARS), 'base64').toString();
  const colon = pair.indexOf(':');
  // without a colon it may be a password in the wrong place
  return colon < 0 ? undefined : pair.slice(0, Math.min(colon, NAME_SHOWN_CHARS));
}
