/** Between the tenants of a name that stands for several; no tenant has it in its own. */
const SEPARATOR = '|';

/** The tenants that a name stands for, at least one. */
export function tenantsOf(name: string): readonly string[] {
  return name.split(SEPARATOR);
}
