import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventAnswer } from '../../../src/contract/services.ts';
import { eventText, markOf, marksAt } from './time-mark.ts';

const event: EventAnswer = {
  id: 'x',
  type: 'deployment',
  evidence: 'image',
  tags: [],
  time: 60_000,
  timeEnd: 120_000,
  from: '1',
  to: '2',
};

test('events say what happened', () => {
  assert.equal(eventText(event), 'deployment 1 → 2');
  const { from, ...first } = event;
  assert.equal(from, '1');
  assert.equal(eventText({ ...first, text: 'by CI' }), 'deployment 2 by CI');
  assert.equal(
    eventText({ id: 'y', type: 'annotation', evidence: 'sent', tags: [], time: 0, text: '<b>x</b>'.repeat(100) })
      .length,
    200,
  );
});

test('a point of a chart is at a mark within half a step, and while it lasts', () => {
  const marks = [markOf(event), markOf({ ...event, type: 'restart' })];
  assert.deepEqual(
    marks.map(({ isFaint }) => isFaint),
    [false, true],
  );
  assert.equal(marksAt(marks, 90, 15).length, 2);
  assert.equal(marksAt(marks, 54, 15).length, 2);
  assert.equal(marksAt(marks, 40, 15).length, 0);
  assert.equal(marksAt(marks, 130, 15).length, 0);
});
