import { catalogue } from './errors.ts';

/** Errors of dashboards that are sent in. */
export const dashboardErrors = catalogue({
  dashboardInvalid: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { reason: string }) => `invalid dashboard: ${v.reason}`,
  },
  dashboardUnknown: {
    http: 404,
    promType: 'not_found',
    retry: false,
    text: (v: { id: string; version?: number }) =>
      v.version === undefined
        ? `there is no dashboard ${JSON.stringify(v.id)}`
        : `dashboard ${JSON.stringify(v.id)} has no version ${v.version}; the last 100 are kept`,
  },
  dashboardLimit: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { limit: number }) => `the tenant has ${v.limit} dashboards, as many as it may have`,
  },
});
