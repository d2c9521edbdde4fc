import type { Labels } from '../../model/labels.ts';
import type { LabelMatcher } from '../../model/matcher.ts';

/** The label that says whose a series is, in queries over several tenants. */
export const TENANT_LABEL = '__tenant_id__';
/** The label of a series that has one of that name itself. */
export const ORIGINAL_TENANT_LABEL = `original_${TENANT_LABEL}`;

/** A tenant's series as a query over several shows it. */
export function withTenant(labels: Labels, tenant: string): Labels {
  const original = labels.get(TENANT_LABEL);
  const kept = original === '' ? labels : labels.with(ORIGINAL_TENANT_LABEL, original);
  return kept.with(TENANT_LABEL, tenant);
}

/** Whether `withTenant` may make the same of this series and of another one of its tenant. */
export function mayBecomeAnother(labels: Labels): boolean {
  return labels.has(TENANT_LABEL) || labels.has(ORIGINAL_TENANT_LABEL);
}

/** A selector, as it is asked of each tenant. */
export interface Chosen {
  readonly tenants: readonly string[];
  readonly matchers: readonly LabelMatcher[];
}

/** Matchers on the tenant's label choose tenants; the others are for their series. */
export function chosenBy(matchers: readonly LabelMatcher[], tenants: readonly string[]): Chosen {
  const ofTenants = matchers.filter(({ name }) => name === TENANT_LABEL);
  return {
    tenants: tenants.filter((tenant) => ofTenants.every((matcher) => matcher.matches(tenant))),
    matchers: matchers
      .filter(({ name }) => name !== TENANT_LABEL)
      .map((matcher) => (matcher.name === ORIGINAL_TENANT_LABEL ? matcher.named(TENANT_LABEL) : matcher)),
  };
}

/** A tenant, and the lists of matchers that are asked of it; no list: everything. */
export interface Asked {
  readonly tenant: string;
  readonly lists: readonly (readonly LabelMatcher[])[];
}

/** The tenants that any of the lists chooses, each with what these lists ask of its series. */
export function askedOf(lists: readonly (readonly LabelMatcher[])[], tenants: readonly string[]): readonly Asked[] {
  if (lists.length === 0) return tenants.map((tenant) => ({ tenant, lists }));
  const chosen = lists.map((matchers) => chosenBy(matchers, tenants));
  return tenants.flatMap((tenant) => {
    const own = chosen.filter((each) => each.tenants.includes(tenant)).map(({ matchers }) => matchers);
    if (own.length === 0) return [];
    // a list that names tenants only wants all that they have
    return [{ tenant, lists: own.some(({ length }) => length === 0) ? [] : own }];
  });
}

/** A warning with the tenant whose data it is about. */
export function warningOf(tenant: string, text: string): string {
  return `warning querying tenant_id ${tenant}: ${text}`;
}

/** Tenants that one query asks at once. */
export const TENANTS_AT_ONCE = 16;
