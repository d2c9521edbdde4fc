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
});
