import { createHmac } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Clock } from '../../lib/clock.ts';
import { systemBytes } from '../../lib/random.ts';
import { processErrors } from '../../model/errors-process.ts';
import { checkTenant } from '../../model/tenant.ts';
import { joinTenants, TENANT_SEPARATOR } from '../../model/tenants.ts';
import { defaultsOf } from '../config/section.ts';
import { type Logger, silentLogger } from '../observe/log.ts';
import { type AuthConfig, type TenantFederationConfig, tenantFederationConfig } from './config.ts';
import { LoginBrake } from './login-brake.ts';
import { SESSION_MAX_MS, SessionSigner, sessionClaimOf } from './session.ts';
import type { SharedLogins } from './shared-logins.ts';
import { type Identity, type ReadText, RIGHTS, type Right, readTextFile, readUsers, type User } from './users.ts';

/** Whoever asks where nobody has to prove who they are. */
export const ANYBODY: Identity = { name: '', tenants: undefined, rights: RIGHTS };

const NAME_SHOWN_CHARS = 64;

interface GateOptions {
  readonly log?: Logger;
  readonly clock: Clock;
  /** How users and secrets are read. Default: from files. */
  readonly readText?: ReadText;
  /** Default: no request names several tenants. */
  readonly federation?: TenantFederationConfig;
  /** The key that signs sessions. Default: one that this process alone has. */
  readonly sessionKey?: () => Uint8Array;
  /** Where several threads count failed logins together. Default: this gate counts alone. */
  readonly logins?: SharedLogins;
  /** Users as another thread has read them: then this gate reads none itself, and is told of others (`take`). */
  readonly users?: readonly User[];
}

/** A user's session, as a cookie carries it. */
export interface Session {
  readonly value: string;
  readonly maxAgeMs: number;
}

/** Proves who asks, and decides on the tenant. */
export class Gate {
  readonly #config: AuthConfig;
  readonly #federation: TenantFederationConfig;
  readonly #log: Logger;
  readonly #brake: LoginBrake;
  /** Digest of what a client presents → who it is. Keyed anew in every process: comparing digests tells nothing of them. */
  #identities: ReadonlyMap<string, Identity> = new Map();
  readonly #key: Uint8Array;
  /** By name: for sessions. */
  #users: ReadonlyMap<string, User> = new Map();
  readonly #sessions: SessionSigner;
  readonly #clock: Clock;

  readonly #readText: ReadText;

  private constructor(
    config: AuthConfig,
    {
      log = silentLogger,
      clock,
      readText = readTextFile,
      federation = defaultsOf(tenantFederationConfig),
      sessionKey = () => this.#key,
      logins,
    }: GateOptions,
  ) {
    this.#clock = clock;
    this.#key = logins?.digestKey ?? systemBytes(32);
    this.#sessions = new SessionSigner(sessionKey);
    this.#config = config;
    this.#federation = federation;
    this.#readText = readText;
    this.#log = log;
    this.#brake = new LoginBrake(() => clock.monotonicMs(), logins);
  }

  /** @throws where authentication is configured by half, with the setting's name */
  static of(config: AuthConfig, options: GateOptions): Gate {
    if (config.defaultTenant === '') throw new Error('-auth.default-tenant is empty');
    try {
      checkTenant(config.defaultTenant);
    } catch (cause) {
      throw new Error(`-auth.default-tenant: ${(cause as Error).message}`, { cause });
    }
    const gate = new Gate(config, options);
    if (options.users === undefined) gate.reload();
    else gate.take(options.users);
    return gate;
  }

  /** Reads users, passwords and tokens again from their files. @throws what is wrong with them: those in force stay */
  reload(): void {
    this.take(readUsers(this.#config, this.#readText));
  }

  /** All users, with their secrets: for other threads of this process. */
  get users(): readonly User[] {
    return [...this.#users.values()];
  }

  /** These users, and no others, from now on. */
  take(users: readonly User[]): void {
    const identities = new Map<string, Identity>();
    for (const { credentials, ...identity } of users) {
      for (const one of credentials) identities.set(this.#digest(one), identity);
    }
    this.#identities = identities;
    this.#users = new Map(users.map((user) => [user.name, user]));
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
    if (authorization === undefined || authorization === '') return this.#inSession(headers);
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

  /** A session of whoever has proven who they are; undefined where nobody has to. */
  session({ name }: Identity): Session | undefined {
    const user = this.#users.get(name);
    if (user === undefined) return undefined;
    const endMs = this.#clock.nowMs() + SESSION_MAX_MS;
    return { value: this.#sessions.sign(name, user.credentials, endMs), maxAgeMs: SESSION_MAX_MS };
  }

  /** @throws unauthorized */
  #inSession(headers: IncomingHttpHeaders): Identity {
    const claim = sessionClaimOf(headers);
    const user = claim === undefined ? undefined : this.#users.get(claim.name);
    if (claim === undefined || user === undefined) throw processErrors.unauthorized({});
    if (!this.#sessions.verify(claim, user.credentials, this.#clock.nowMs())) throw processErrors.unauthorized({});
    const { credentials: _, ...identity } = user;
    return identity;
  }

  /** @throws rightMissing */
  check({ name, rights }: Identity, right: Right): void {
    if (!rights.includes(right)) throw processErrors.rightMissing({ name, right });
  }

  /**
   * The tenant that a request is for, or where it may be for several, their joined name.
   * @throws tenantMissing, tenantInvalid, tenantForbidden, severalTenants, tooManyTenants
   */
  tenant(
    headers: IncomingHttpHeaders,
    identity: Pick<Identity, 'name' | 'tenants'>,
    takes: 'one' | 'several' = 'one',
  ): string {
    const { name, tenants } = identity;
    const header = headers['x-scope-orgid'];
    const named = Array.isArray(header) ? header[0] : header;
    const { tenancy, defaultTenant } = this.#config;
    if (named === undefined || named === '') {
      if (tenancy === 'single') return this.#allowed(defaultTenant, name, tenants);
      if (tenants?.length === 1) return tenants[0]!;
      if (tenancy === 'required') throw processErrors.tenantMissing({});
      return this.#allowed(defaultTenant, name, tenants);
    }
    if (!this.#federation.enabled || !named.includes(TENANT_SEPARATOR)) return this.#checked(named, identity);
    const joined = joinTenants(this.#several(named).map((each) => this.#checked(each, identity)));
    if (takes === 'one' && joined.includes(TENANT_SEPARATOR)) throw processErrors.severalTenants({ name: joined });
    return joined;
  }

  /** The tenants of a name with bars, each once. @throws tooManyTenants, tenantInvalid */
  #several(named: string): string[] {
    const all = [...new Set(named.split(TENANT_SEPARATOR))];
    const { maxTenants: limit } = this.#federation;
    if (all.length > limit) throw processErrors.tooManyTenants({ tenants: all.length, limit });
    if (all.includes('')) throw processErrors.tenantInvalid({ reason: 'one of several tenant IDs is empty' });
    return all;
  }

  /** A tenant that is named. @throws tenantInvalid, tenantForbidden */
  #checked(tenant: string, { name, tenants }: Pick<Identity, 'name' | 'tenants'>): string {
    checkTenant(tenant);
    const { tenancy, defaultTenant } = this.#config;
    if (tenancy === 'single' && tenant !== defaultTenant) {
      throw processErrors.tenantForbidden({
        tenant,
        reason: `this server holds only ${defaultTenant} (-auth.tenancy=single)`,
      });
    }
    return this.#allowed(tenant, name, tenants);
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
