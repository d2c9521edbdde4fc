import { floatOfWords, isStale } from '../lib/float-bits.ts';
import { storeErrors } from '../model/errors-store.ts';
import type { SampleColumns } from '../storage/columns.ts';
import type { Int64 } from './int64.ts';

/** Appends a float sample by its bits, so that stale markers are found whatever becomes of a NaN's payload. */
export function pushSample(out: SampleColumns, timeMs: number, high: number, low: number): void {
  if (isStale(high, low)) out.pushStale(timeMs);
  else out.pushFloat(timeMs, floatOfWords(high, low));
}

/** A time for a column. No store takes in one that a number cannot hold. @throws AppError chunk-corrupt */
export function safeTime(time: Int64, encoding: string): number {
  if (!time.isSafe) throw storeErrors.chunkCorrupt({ encoding, reason: `it holds a sample at ${time.toBigInt()} ms` });
  return time.toNumber();
}
