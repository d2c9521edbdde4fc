import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tablesOf } from './ring-tables.ts';

test('what a process tells of its ring becomes tables', () => {
  assert.deepEqual(
    tablesOf({
      version: 3,
      members: [
        { id: 'a', state: 'active' },
        { id: 'b', zone: 'z' },
      ],
      owed: [],
    }),
    [
      { title: 'ring', columns: ['', 'value'], rows: [['version', '3']] },
      {
        title: 'members',
        columns: ['id', 'state', 'zone'],
        rows: [
          ['a', 'active', '–'],
          ['b', '–', 'z'],
        ],
      },
      { title: 'owed', columns: [], rows: [] },
    ],
  );
  assert.deepEqual(tablesOf('odd'), []);
});
