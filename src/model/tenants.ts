/** Between the tenants of a name that stands for several; no tenant has it in its own. */
export const TENANT_SEPARATOR = '|';

/** One name for several tenants, each once and ascending: `a|b`. The name of one tenant is its own. */
export function joinTenants(tenants: readonly string[]): string {
  return [...new Set(tenants)].sort().join(TENANT_SEPARATOR);
}

/** The tenants that a name stands for, at least one. */
export function tenantsOf(name: string): readonly string[] {
  return name.split(TENANT_SEPARATOR);
}
