import { assert } from '../lib/assert.ts';

const KEY_BYTES_MAX = 1024;
const SEGMENT_BYTES_MAX = 255;
const SEGMENT = /^[A-Za-z0-9\-_=][A-Za-z0-9\-_.=]*$/;

/** Keys are made by the schema; an ill-formed one is a bug, and could reach outside a folder. */
export function assertObjectKey(key: string): void {
  const segments = key.split('/');
  const ok = segments.every((part) => SEGMENT.test(part) && part.length <= SEGMENT_BYTES_MAX);
  assert(ok && key.length <= KEY_BYTES_MAX, `object key ${JSON.stringify(key.slice(0, 100))} is not well-formed`);
}
