import { getOrMake } from '../lib/map.ts';
import type { TenantLimits } from './limits.ts';
import { OTHER_TENANTS, type Overrides, type OverridesMessage, packOverrides, unpackOverrides } from './overrides.ts';

/** Limits in force on their way to another thread. */
export interface LimitsMessage {
  /** The overrides of one tenant without a name, who has all of them. */
  readonly defaults: OverridesMessage;
  readonly overrides: OverridesMessage;
}

/** The limits of tenants as they are at a moment: defaults, and what single tenants have in their place. */
export class LimitsTable {
  #defaults: TenantLimits;
  #overrides: Overrides = new Map();
  /** Joined with the defaults on first use. */
  #joined = new WeakMap<Partial<TenantLimits>, TenantLimits>();

  constructor(defaults: TenantLimits) {
    this.#defaults = defaults;
  }

  static unpacked({ defaults, overrides }: LimitsMessage): LimitsTable {
    const [all] = unpackOverrides(defaults).values();
    const table = new LimitsTable(all as TenantLimits);
    table.#overrides = unpackOverrides(overrides);
    return table;
  }

  set(defaults: TenantLimits, overrides: Overrides): void {
    if (defaults !== this.#defaults) this.#joined = new WeakMap();
    this.#defaults = defaults;
    this.#overrides = overrides;
  }

  of(tenant: string): TenantLimits {
    return this.#joinedWith(tenant) ?? this.others;
  }

  /** Those of all tenants that have none of their own. */
  get others(): TenantLimits {
    return this.#joinedWith(OTHER_TENANTS) ?? this.#defaults;
  }

  get defaults(): TenantLimits {
    return this.#defaults;
  }

  get overrides(): Overrides {
    return this.#overrides;
  }

  #joinedWith(tenant: string): TenantLimits | undefined {
    const own = this.#overrides.get(tenant);
    return own && getOrMake(this.#joined, own, () => ({ ...this.#defaults, ...own }));
  }
}

export function packLimits({ defaults, overrides }: Pick<LimitsTable, 'defaults' | 'overrides'>): LimitsMessage {
  return { defaults: packOverrides(new Map([['', defaults]])), overrides: packOverrides(overrides) };
}
