import { AppError, catalogue } from './errors.ts';

/** Errors of Alertmanagers that share their tenants. */
export const alertmanagerErrors = catalogue({
  tenantElsewhere: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { tenant: string }) => `another Alertmanager holds ${v.tenant} by now: try again`,
  },
});

const ELSEWHERE = alertmanagerErrors.tenantElsewhere({ tenant: '' }).facts.id;

/** Whether another member holds the tenant. */
export function isElsewhere(thrown: unknown): boolean {
  return thrown instanceof AppError && thrown.facts.id === ELSEWHERE;
}
