import { catalogue } from './errors.ts';

/** Errors of the wire between members (kit/rpc). */
export const peerErrors = catalogue({
  peerAway: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { peer: string; reason: string }) => `${v.peer} cannot be reached: ${v.reason}`,
  },
  peerGone: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { peer: string; reason: string }) => `the connection with ${v.peer} ended: ${v.reason}`,
  },
  peerBusy: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { peer: string; what: string; limit: number }) =>
      `${v.peer} has too much under way: at most ${v.limit} ${v.what} at a time`,
  },
  peerSlow: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { peer: string; method: string; limitMs: number }) =>
      `${v.peer} did not answer ${v.method} within ${v.limitMs} ms`,
  },
  peerRefused: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { reason: string }) => v.reason,
  },
  peerMessageInvalid: {
    http: 500,
    promType: 'internal',
    retry: true,
    text: (v: { reason: string }) => `a message between members is not as it should be: ${v.reason}`,
  },
  peerMessageTooLarge: {
    http: 500,
    promType: 'internal',
    retry: true,
    text: (v: { bytes: number; limit: number; what: string }) =>
      `a message of ${v.bytes} bytes between members is above ${v.limit} (${v.what})`,
  },
  peerMethodUnknown: {
    http: 501,
    promType: 'internal',
    retry: true,
    text: (v: { method: string }) => `the other member does not know ${v.method}: it may be of an older version`,
  },
});
