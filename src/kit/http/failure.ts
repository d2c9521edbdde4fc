import { maskSecrets } from '../../lib/mask.ts';
import { AppError, type ErrorFacts } from '../../model/errors.ts';
import { type FailureStyle, type HttpResponse, jsonResponse, textResponse } from './message.ts';

/** An error, as far as a client gets to know it. */
export interface Failure {
  readonly status: number;
  /** `errorType` of the Prometheus API. */
  readonly errorType: ErrorFacts['promType'];
  /** `retry-after`, `www-authenticate`. */
  readonly headers: Readonly<Record<string, string>>;
  /** Without a line break at its end. */
  readonly text: string;
}

/** Seconds after which a request that came at a bad time is worth another try. */
const RETRY_AFTER = '1';

/** The one map from an error to its answer, whatever was thrown. */
export function failureOf(thrown: unknown): Failure {
  const { facts, message } = AppError.from(thrown);
  const { http, promType, retry, id } = facts;
  const headers: Record<string, string> = {};
  if (retry && (http === 503 || http === 429)) headers['retry-after'] = RETRY_AFTER;
  if (id === 'unauthorized') headers['www-authenticate'] = 'Basic realm="pallium", charset="UTF-8"';
  return { status: http, errorType: promType, headers, text: maskSecrets(message) };
}

/** The same for senders: what is not the request's fault is 503, so that it comes again. */
export function senderFailureOf(thrown: unknown): Failure {
  const failure = failureOf(thrown);
  return failure.status < 500
    ? failure
    : { ...failure, status: 503, headers: { ...failure.headers, 'retry-after': RETRY_AFTER } };
}

/** The answer of a listener. */
export function failureResponse({ status, errorType, headers, text }: Failure, style: FailureStyle): HttpResponse {
  return style === 'api'
    ? jsonResponse(apiError(errorType, text), { status, headers })
    : textResponse(status, `${text}\n`, headers);
}

/** The body of an error as the Prometheus API words it. */
export function apiError(errorType: string, error: string): object {
  return { status: 'error', errorType, error };
}
