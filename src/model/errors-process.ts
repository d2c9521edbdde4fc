import { catalogue } from './errors.ts';

/** Errors of the process and of its HTTP edge: who asks, how much at once, and whether there is anybody to answer. */
export const processErrors = catalogue({
  shuttingDown: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (_: Record<string, never>) => 'this process is shutting down; send again to another, or later',
  },
  starting: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (_: Record<string, never>) => 'this process is starting; send again to another, or later',
  },
  workerQueueFull: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { pool: string; limit: number }) =>
      `too many outstanding requests: ${v.limit} wait for the ${v.pool} workers already`,
  },
  tooManyOutstandingRequests: {
    http: 429,
    promType: 'unavailable',
    retry: true,
    text: (v: { limit: number }) =>
      `too many outstanding requests: ${v.limit} of this tenant wait already (max_outstanding_requests_per_tenant)`,
  },
  workerGone: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { worker: string; reason: string }) => `the ${v.worker} thread ended (${v.reason}); send again`,
  },
  workerOutOfMemory: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { worker: string; reason: string }) =>
      `the ${v.worker} thread ended with all that it had under way (${v.reason}); send again later`,
  },
  querierGone: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { querier: string; reason: string }) => `querier ${v.querier} is gone (${v.reason}); send again`,
  },
  querierDiffers: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { flag: string; own: boolean; asked: boolean }) =>
      `a querier has ${v.flag}=${v.own} where the query front end has ${v.asked}; both want the same`,
  },
  schedulerAway: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { waitedMs: number }) =>
      `no query scheduler could be reached for ${v.waitedMs} ms (frontend.scheduler-address); send again later`,
  },
  callCancelled: {
    http: 499,
    promType: 'canceled',
    retry: true,
    text: (_: Record<string, never>) => 'the caller no longer waits',
  },
  tenantMissing: {
    http: 401,
    promType: 'bad_data',
    retry: false,
    text: (_: Record<string, never>) => 'no org id',
  },
  tenantInvalid: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { reason: string }) => v.reason,
  },
  severalTenants: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { name: string }) => `multiple org IDs present: ${v.name}; only queries may name several tenants`,
  },
  tooManyTenants: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { tenants: number; limit: number }) =>
      `too many tenants, max: ${v.limit}, actual: ${v.tenants} (tenant_federation.max_tenants)`,
  },
  tenantForbidden: {
    http: 403,
    promType: 'bad_data',
    retry: false,
    text: (v: { tenant: string; reason: string }) => `tenant ${v.tenant} is not yours: ${v.reason}`,
  },
  rightMissing: {
    http: 403,
    promType: 'bad_data',
    retry: false,
    text: (v: { name: string; right: string }) => `${v.name} has not the right ${v.right} (auth.users_file)`,
  },
  unauthorized: {
    http: 401,
    promType: 'bad_data',
    retry: false,
    text: (_: Record<string, never>) => 'authentication required',
  },
  sessionKeyAway: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (_: Record<string, never>) => 'the key of sessions is not known yet: the store of the ring does not answer',
  },
  hostForbidden: {
    http: 403,
    promType: 'bad_data',
    retry: false,
    text: (v: { host: string }) => `this server is not known as ${v.host}; name it with -server.http-host-names`,
  },
  originForbidden: {
    http: 403,
    promType: 'bad_data',
    retry: false,
    text: (v: { origin: string }) =>
      `a page of ${v.origin} may change nothing here; origins that may are named with -server.http-cors-origins`,
  },
  tooManyFailedLogins: {
    http: 429,
    promType: 'unavailable',
    retry: true,
    text: (v: { address: string }) => `too many failed logins from ${v.address}; one a second is looked at`,
  },
  serverBusy: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { heldBytes: number; ownBytes: number; limitBytes: number }) =>
      `bodies of ${v.heldBytes} bytes are being taken in, ${v.ownBytes} of them of this tenant, of at most ${v.limitBytes} (server.inflight_body_bytes_max); send again later`,
  },
  tooManyPipelined: {
    http: 429,
    promType: 'unavailable',
    retry: true,
    text: (v: { limit: number }) => `more than ${v.limit} requests of one connection wait for their answers (fixed)`,
  },
  tooManyAnswers: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { heldBytes: number; ownBytes: number; limitBytes: number }) =>
      `answers of ${v.heldBytes} bytes wait to be read, ${v.ownBytes} of them of this tenant, of at most ${v.limitBytes} (server.inflight_answer_bytes_max); ask again later`,
  },
  bodyTooLarge: {
    http: 413,
    promType: 'bad_data',
    retry: false,
    text: (v: { limitBytes: number; limit: string }) =>
      `the request body is larger than ${v.limitBytes} bytes (${v.limit})`,
  },
  tooManyParams: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { params: number; limit: string }) => `the request has more than ${v.params} parameters (${v.limit})`,
  },
  formInvalid: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { reason: string }) => `the body is no form: ${v.reason}`,
  },
});
