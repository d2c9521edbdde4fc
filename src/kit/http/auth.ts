import { createHmac, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { parse } from 'yaml';
import { errors } from '../../model/errors.ts';
import { checkTenant } from '../../model/tenant.ts';
import { aListOf, aRecordOf, aText } from '../config/record.ts';
import type { AuthConfig } from './config.ts';

/** Who asks, once that is proven. */
export interface Identity {
  readonly name: string;
  /** The tenants it may name; undefined: any. */
  readonly tenants: readonly string[] | undefined;
}

interface UsersFile {
  readonly users: readonly {
    readonly name: string;
    readonly password?: string;
    readonly token?: string;
    readonly tenants?: readonly string[];
  }[];
}

const usersFile = aRecordOf({
  'users!': aListOf(
    aRecordOf({ 'name!': aText(1), password: aText(1), token: aText(8), tenants: aListOf(aText(1), 1) }),
  ),
});

/** Proves who asks, and decides on the tenant. */
export class Gate {
  readonly #config: AuthConfig;
  /** Digest of what a client presents → who it is. Keyed anew in every process: comparing digests tells nothing of them. */
  readonly #identities = new Map<string, Identity>();
  readonly #key = randomBytes(32);

  private constructor(config: AuthConfig) {
    this.#config = config;
  }

  /** @throws where the users file cannot be read or says something else than users */
  static of(config: AuthConfig, readText = (file: string) => readFileSync(file, 'utf8')): Gate {
    checkTenant(config.defaultTenant);
    const gate = new Gate(config);
    if (config.basicUser !== '')
      gate.#admit(basic(config.basicUser, config.basicPassword), { name: config.basicUser, tenants: undefined });
    if (config.usersFile === '') return gate;
    const file = parse(readText(config.usersFile)) as UsersFile;
    const wrong = usersFile(file);
    if (wrong !== undefined) throw new Error(`-auth.users-file ${config.usersFile}: ${wrong}`);
    for (const { name, password, token, tenants } of file.users) {
      tenants?.forEach(checkTenant);
      if (password !== undefined) gate.#admit(basic(name, password), { name, tenants });
      if (token !== undefined) gate.#admit(`bearer ${token}`, { name, tenants });
    }
    return gate;
  }

  /** Whether anybody must prove who they are. */
  get closed(): boolean {
    return this.#identities.size > 0;
  }

  /** @throws unauthorized */
  identify(headers: IncomingHttpHeaders): Identity {
    if (!this.closed) return { name: '', tenants: undefined };
    const [, scheme, rest] = /^(\S+)\s+(\S+)\s*$/.exec(headers.authorization ?? '') ?? [];
    const presented = scheme === undefined ? '' : `${scheme.toLowerCase()} ${rest}`;
    const identity = this.#identities.get(this.#digest(presented));
    if (identity === undefined) throw errors.unauthorized({});
    return identity;
  }

  /** @throws tenantMissing, tenantInvalid, tenantForbidden */
  tenant(headers: IncomingHttpHeaders, { name, tenants }: Identity): string {
    const header = headers['x-scope-orgid'];
    const named = Array.isArray(header) ? header[0] : header;
    const { tenancy, defaultTenant } = this.#config;
    if (named === undefined || named === '') {
      if (tenants?.length === 1) return tenants[0]!;
      if (tenancy === 'required') throw errors.tenantMissing({});
      return this.#allowed(defaultTenant, name, tenants);
    }
    checkTenant(named);
    if (tenancy === 'single' && named !== defaultTenant) {
      throw errors.tenantForbidden({
        tenant: named,
        reason: `this server holds only ${defaultTenant} (-auth.tenancy=single)`,
      });
    }
    return this.#allowed(named, name, tenants);
  }

  #allowed(tenant: string, name: string, tenants: readonly string[] | undefined): string {
    if (tenants === undefined || tenants.includes(tenant)) return tenant;
    throw errors.tenantForbidden({ tenant, reason: `${name} may name ${tenants.join(', ')}` });
  }

  #admit(credentials: string, identity: Identity): void {
    this.#identities.set(this.#digest(credentials), identity);
  }

  #digest(credentials: string): string {
    return createHmac('sha256', this.#key).update(credentials).digest('base64');
  }
}

function basic(user: string, password: string): string {
  return `basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}
