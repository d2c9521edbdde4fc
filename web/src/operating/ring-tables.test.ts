import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tablesOf } from './ring-tables.ts';

test('what a process tells of its ring becomes tables', () => {
  assert.deepEqual(
    tablesOf({
      version: 3,
      members: [
        { id: 'a', state: 'active' },
        { id: 'b', zone: 'z', holds: { windowsOwed: 2, oldestOwedMs: 1.8e12 }, ageMs: 30 },
      ],
      owed: [],
    }),
    [
      { title: 'ring', columns: ['', 'value'], rows: [['version', '3']] },
      {
        title: 'members',
        columns: ['id', 'state', 'zone', 'holds.windowsOwed', 'holds.oldestOwedMs', 'ageMs'],
        rows: [
          ['a', 'active', '–', '–', '–', '–'],
          ['b', '–', 'z', '2', '2027-01-15T08:00:00.000Z', '30 ms'],
        ],
      },
      { title: 'owed', columns: [], rows: [] },
    ],
  );
  assert.deepEqual(tablesOf('odd'), []);
});
