import type { ApiBackend } from './api.ts';
import type { AlertTarget } from './rules.ts';

/**
 * The Alertmanager of all tenants: HTTP hands it requests below `/alertmanager`, and those about configuration. Alerts of rules
 * are not kept over a restart: whoever posts them posts them again.
 */
export interface AlertmanagerBackend extends ApiBackend, AlertTarget {}
