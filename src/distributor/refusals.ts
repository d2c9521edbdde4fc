import type { AppError } from '../model/errors.ts';

/** Samples of a request that were not kept, by reason, and the first error: what the sender is told. */
export interface Refusals {
  readonly byReason: Record<string, number>;
  first: AppError | undefined;
}

export function noRefusals(): Refusals {
  return { byReason: {}, first: undefined };
}

export function refuse(refusals: Refusals, error: AppError, samples: number): void {
  refusals.first ??= error;
  refusals.byReason[error.reason] = (refusals.byReason[error.reason] ?? 0) + samples;
}
