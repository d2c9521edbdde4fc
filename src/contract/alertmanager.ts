import type { ApiBackend } from './api.ts';
import type { AlertTarget } from './rules.ts';

/** The kind of the rows of Alertmanagers that share a store. */
export const ALERTMANAGERS = 'alertmanagers';

/** The kind of the documents with tenants' configurations. */
export const CONFIG_KIND = 'alertmanager';

/**
 * The Alertmanager of all tenants: HTTP hands it requests below `/alertmanager`, and those about configuration. Alerts of rules
 * are not kept over a restart: whoever posts them posts them again.
 */
export interface AlertmanagerBackend extends ApiBackend, AlertTarget {}

/**
 * An Alertmanager as others ask it that share its store: each tenant is held by one of them.
 * `handle` and `post` reject with `tenantElsewhere` where it does not hold the tenant, and nothing has been done then.
 */
export interface AlertmanagerMember extends AlertmanagerBackend {
  /** Lets go of a tenant: the caller holds it from now on. @throws tenantElsewhere where this one sees itself as its owner */
  release(tenant: string, signal: AbortSignal): Promise<void>;
}
