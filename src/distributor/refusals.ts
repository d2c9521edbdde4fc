import type { AppError } from '../model/errors.ts';
import type { Fault } from '../model/validate.ts';

/** Samples of a request that were not kept, by reason, and the first error: what the sender is told. */
export interface Refusals {
  readonly byReason: Record<string, number>;
  first: AppError | undefined;
}

export function noRefusals(): Refusals {
  return { byReason: {}, first: undefined };
}

/** Counts samples that are not kept. Only the first fault of a request becomes a text. */
export function refuse(refusals: Refusals, fault: Fault, samples: number): void {
  refusals.first ??= fault.error();
  countRefused(refusals, fault.reason, samples);
}

/** Counts what is not kept and is no error of the request. */
export function countRefused({ byReason }: Refusals, reason: string, samples: number): void {
  byReason[reason] = (byReason[reason] ?? 0) + samples;
}
