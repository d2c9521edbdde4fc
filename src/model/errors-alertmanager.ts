import { catalogue } from './errors.ts';

/** Errors of Alertmanagers that share their tenants. */
export const alertmanagerErrors = catalogue({
  tenantElsewhere: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { tenant: string }) => `another Alertmanager holds ${v.tenant} by now: try again`,
  },
});
