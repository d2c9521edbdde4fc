import { AppError, type ErrorFacts } from '../../model/errors.ts';
import { peerErrors } from '../../model/errors-peer.ts';
import { decodeValue, encodeValue } from './codec.ts';

// Errors on their way between members.

const TEXT_CHARS_MAX = 16 * 1024;
const PROM_TYPES = new Set(['bad_data', 'execution', 'timeout', 'unavailable', 'internal', 'canceled', 'not_found']);

/** A thrown error, as it is sent. One that is none of ours is a bug, and arrives as one. */
export function flattenedError(thrown: unknown): Buffer {
  const { facts, message } = AppError.from(thrown);
  const { id, http, promType, retry } = facts;
  return encodeValue({ id, http, promType, retry, text: message.slice(0, TEXT_CHARS_MAX) });
}

/** An error that was sent. */
export function revivedError(head: Uint8Array): AppError {
  let sent: unknown;
  try {
    sent = decodeValue(head);
  } catch (error) {
    return AppError.from(error);
  }
  const { text, ...facts } = (sent ?? {}) as Partial<ErrorFacts> & { readonly text?: unknown };
  return isFacts(facts) && typeof text === 'string'
    ? new AppError(facts, text)
    : peerErrors.peerMessageInvalid({ reason: 'an error that says nothing' });
}

function isFacts(facts: Partial<ErrorFacts>): facts is ErrorFacts {
  const { id, http, promType, retry } = facts;
  return (
    typeof id === 'string' &&
    Number.isInteger(http) &&
    http! >= 400 &&
    http! <= 599 &&
    PROM_TYPES.has(promType as string) &&
    typeof retry === 'boolean'
  );
}
