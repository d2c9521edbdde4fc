import { catalogue } from './errors.ts';

/** Errors of the store that the ring's versions lie in. */
export const kvErrors = catalogue({
  kvTooLarge: {
    http: 500,
    promType: 'internal',
    retry: false,
    text: (v: { backend: string; part: 'key' | 'value'; bytes: number; limitBytes: number }) =>
      `a ${v.part} of ${v.bytes} bytes is not one that the ${v.backend} key-value store takes: from ${v.part === 'key' ? 1 : 0} to ${v.limitBytes}`,
  },
  kvValueDamaged: {
    http: 500,
    promType: 'internal',
    retry: true,
    text: (v: { backend: string; key: string; reason: string }) =>
      `the value of ${v.key} in the ${v.backend} key-value store is damaged: ${v.reason}`,
  },
  kvRaced: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { backend: string; key: string; tries: number }) =>
      `${v.key} in the ${v.backend} key-value store was changed by others ${v.tries} times while it was written`,
  },
  kvAway: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { backend: string; operation: string; reason: string }) =>
      `the ${v.backend} key-value store did not answer ${v.operation}: ${v.reason}`,
  },
  kvRefused: {
    http: 500,
    promType: 'internal',
    retry: false,
    text: (v: { backend: string; operation: string; reason: string }) =>
      `the ${v.backend} key-value store refused ${v.operation}: ${v.reason}`,
  },
});
