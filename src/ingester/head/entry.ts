import { writeErrors } from '../../model/errors-write.ts';

/** Longest sample or exemplar as the log has it: a record holds it whole. */
export const ENTRY_BYTES_MAX = 1024 * 1024;

/** @throws sampleTooLarge */
export function checkEntry(bytes: number): void {
  if (bytes > ENTRY_BYTES_MAX) throw writeErrors.sampleTooLarge({ bytes, limit: ENTRY_BYTES_MAX });
}
