import type { AppError } from './errors.ts';
import { queryErrors } from './errors-query.ts';

/** How V8 words that one allocation is larger than it can be, or than there is memory. */
const REFUSED =
  /^(?:Array buffer allocation failed|Invalid (?:string|array|typed array|array buffer) length|Invalid typed array length: .*|(?:Map|Set) maximum size exceeded|WebAssembly\.Memory.*|Invalid count value.*|the kernel cannot reserve.*)/;

/** The error of a query whose allocation was refused; undefined where `thrown` is something else. */
export function memoryError(thrown: unknown): AppError | undefined {
  if (!(thrown instanceof RangeError) || !REFUSED.test(thrown.message)) return undefined;
  return queryErrors.queryMemoryUnavailable({ reason: thrown.message });
}
