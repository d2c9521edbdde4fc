import { connectionFailure, type Failure } from './failure.ts';

/** Errors of AWS services, and of those that speak their protocol, by their meaning. */
export function classifyAws(thrown: unknown): Failure {
  const { name, message, $metadata } = (thrown ?? {}) as {
    name?: string;
    message?: string;
    $metadata?: { httpStatusCode?: number };
  };
  const status = $metadata?.httpStatusCode ?? 0;
  const reason = [name, message].filter((part) => part && part !== 'UnknownError').join(': ') || `status ${status}`;
  if (THROTTLED.has(name ?? '') || status === 429) return { kind: 'throttled', reason };
  if (DENIED.has(name ?? '') || status === 401 || status === 403) return { kind: 'denied', reason };
  const known = connectionFailure(thrown);
  if (known) return known;
  if (name === 'TimeoutError' || status === 0 || status === 408 || status >= 500)
    return { kind: 'unavailable', reason };
  return { kind: 'refused', reason };
}

const THROTTLED = new Set([
  'ProvisionedThroughputExceededException',
  'ThrottlingException',
  'Throttling',
  'ThrottledException',
  'RequestLimitExceeded',
  'RequestThrottled',
  'RequestThrottledException',
  'LimitExceededException', // too many changes of tables at once
  'TooManyRequestsException',
  'BandwidthLimitExceeded',
  'SlowDown',
]);

const DENIED = new Set([
  'AccessDenied',
  'AccessDeniedException',
  'CredentialsProviderError',
  'ExpiredToken',
  'ExpiredTokenException',
  'IncompleteSignature',
  'IncompleteSignatureException',
  'InvalidAccessKeyId',
  'InvalidClientTokenId',
  'InvalidSignatureException',
  'MissingAuthenticationToken',
  'MissingAuthenticationTokenException',
  'SignatureDoesNotMatch',
  'UnrecognizedClientException',
]);
