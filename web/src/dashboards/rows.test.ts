import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newRow, withoutRow, withValue } from './rows.ts';

test('a row keeps its key while it is edited and others go, and no key is given twice', () => {
  const before = ['deploy', 'incident'].map(newRow);
  const [deploy, incident] = before;
  const edited = withValue(before, incident!.key, 'outage');
  const left = withoutRow(edited, deploy!.key);
  assert.deepEqual(left, [{ key: incident!.key, value: 'outage' }]);
  const again = [...withoutRow(left, incident!.key), newRow('deploy')];
  assert.equal(new Set([...before, ...again].map(({ key }) => key)).size, 3);
});
