import { copyBytes } from '../lib/copy.ts';
import type { TableQuery } from './client.ts';

/** The ranges that a query asks for: [from, before), `before` undefined for no end. */
export interface RangeBounds {
  readonly from: Uint8Array;
  readonly before: Uint8Array | undefined;
}

const EMPTY = new Uint8Array(0);

/** Prefix, from and before as one interval; undefined where nothing can lie in it. */
export function boundsOf(query: Pick<TableQuery, 'prefix' | 'from' | 'before'>): RangeBounds | undefined {
  let from = query.prefix ?? EMPTY;
  if (query.from !== undefined && Buffer.compare(query.from, from) > 0) from = query.from;
  let before = query.prefix === undefined ? undefined : afterPrefix(query.prefix);
  if (query.before !== undefined && (before === undefined || Buffer.compare(query.before, before) < 0)) {
    before = query.before;
  }
  if (before !== undefined && Buffer.compare(from, before) >= 0) return undefined;
  return { from, before };
}

/** The least bytes above all that start with `prefix`; undefined where there are none (empty, or all 0xff). */
export function afterPrefix(prefix: Uint8Array): Uint8Array | undefined {
  let end = prefix.length;
  while (end > 0 && prefix[end - 1] === 0xff) end--;
  if (end === 0) return undefined;
  const after = copyBytes(prefix.subarray(0, end));
  after[end - 1]! += 1;
  return after;
}
