import { catalogue } from './errors.ts';

/** Errors of events that are sent in. */
export const eventErrors = catalogue({
  eventInvalid: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { reason: string }) => `invalid event: ${v.reason}`,
  },
  tooManyEvents: {
    http: 429,
    promType: 'bad_data',
    retry: false,
    text: (v: { count: number; limit: number }) =>
      `${v.count} events are more than the ${v.limit} that a tenant may have; they are kept for a year`,
  },
  tooManyEventsOfDay: {
    http: 429,
    promType: 'bad_data',
    retry: false,
    text: (v: { bytes: number; limit: number }) =>
      `the events of one day are too many: ${v.bytes} bytes in one of its rows, more than ${v.limit}`,
  },
  eventsContended: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { tries: number }) => `others wrote events at the same time, ${v.tries} times in a row`,
  },
  serviceUnknown: {
    http: 404,
    promType: 'not_found',
    retry: false,
    text: (v: { service: string }) => `there is no service ${v.service}`,
  },
  serviceKeyInvalid: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { key: string }) =>
      `${v.key} is no key of a service: cluster/namespace/name is wanted, each percent-encoded`,
  },
  deploymentUnknown: {
    http: 404,
    promType: 'not_found',
    retry: false,
    text: (v: { id: string }) => `the service has no deployment ${v.id}`,
  },
});
