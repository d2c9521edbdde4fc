import { ageMsOf, type Clock, type Moment } from '../lib/clock.ts';
import { fencedSignal } from '../lib/fenced-signal.ts';

/** An object that no row names may be swept after a day. One that was put so long ago is put again before rows name it; … */
const OBJECT_OLD_MS = 3_600_000;
/** … and rows that name it are not tried any more when it was put so long ago: a process may stand still between two tries. */
const NAMED_MS_MAX = 2 * OBJECT_OLD_MS;
/** Rows of an object that was put wait no longer than this for others. */
export const OBJECT_WAITS_MS = OBJECT_OLD_MS / 4;

/** @param putMs when it was put; taken before, as whoever waits for the answer for long does not know when that was */
export function isOld(clock: Clock, putMs: Moment): boolean {
  return ageMsOf(clock, putMs) > OBJECT_OLD_MS;
}

/** The signal of writes of rows that name objects: they end where one of these may have been swept, which only who tries can tell. */
export function namingSignal(clock: Clock, putMs: readonly Moment[], signal: AbortSignal | undefined) {
  return fencedSignal(() => {
    const isSwept = putMs.some((each) => ageMsOf(clock, each) > NAMED_MS_MAX);
    return isSwept
      ? new Error('an object was put too long ago for rows to name it: all is to be written anew')
      : undefined;
  }, signal);
}
