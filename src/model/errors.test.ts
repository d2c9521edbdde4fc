import assert from 'node:assert/strict';
import { test } from 'node:test';
import { processErrors } from './errors-process.ts';
import { queryErrors } from './errors-query.ts';
import { storeErrors } from './errors-store.ts';
import { writeErrors } from './errors-write.ts';

test('an id stands in one catalogue only', () => {
  const reasons = [writeErrors, queryErrors, storeErrors, processErrors].flatMap((one) =>
    Object.values(one).map(({ reason }) => reason),
  );
  assert.equal(new Set(reasons).size, reasons.length);
  assert.ok(reasons.includes('sample_out_of_order'));
});
