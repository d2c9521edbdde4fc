import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FoundDeployment, VersionTrack } from './version-track.ts';

/**
 * Minutes as text: `a5x90` is 90 minutes of five instances of version a, `a4,b1` one minute of both, `-x20` a gap. A revision
 * follows a colon: `a:c1=5`. Answers the last word on each deployment: kind, from>to, begin and end as minutes.
 */
function found(text: string): string[] {
  const track = new VersionTrack();
  const told = new Map<string, FoundDeployment>();
  let minute = 0;
  for (const part of text.split(/\s+/)) {
    const [, counts = '', times = '1'] = /^(.*?)(?:x(\d+))?$/.exec(part)!;
    const versions = [...counts.matchAll(/([a-z]+)(?::(\w+)=)?(\d+)/g)].map(([, version, revision, instances]) => ({
      version: { version: version!, revision: revision ?? '' },
      instances: Number(instances),
    }));
    for (let i = 0; i < Number(times); i++, minute++) {
      for (const one of track.push(minute * 60_000, versions)) told.set(`${one.to} ${one.beginMs}`, one);
    }
  }
  return [...told.values()].map(
    ({ kind, from, to, beginMs, endMs }) =>
      `${kind} ${from}>${to} ${beginMs / 60_000}-${endMs === undefined ? '' : endMs / 60_000}`,
  );
}

test('a roll-out begins with the first instance and ends with nearly the last of before', () => {
  assert.deepEqual(found('a10x90 a9,b1 a7,b3 a5,b5 a3,b7 a1,b9 b10x10'), ['deployment a>b 90-95']);
  assert.deepEqual(found('a10x90 b10x10'), ['deployment a>b 90-90']);
  assert.deepEqual(found('a1x90 b1x10'), ['deployment a>b 90-90'], 'a single instance');
});

test('it counts at half of the instances, and as a canary after ten minutes', () => {
  assert.deepEqual(found('a10x90 a9,b1x9 a10x60'), [], 'gone before');
  assert.deepEqual(found('a10x90 a9,b1x15'), ['canary a>b 90-']);
  assert.deepEqual(found('a10x90 a9,b1x15 a10x60'), ['canary a>b 90-105']);
  assert.deepEqual(found('a10x90 a9,b1x15 a4,b6x5'), ['deployment a>b 90-'], 'the same one goes on');
  assert.deepEqual(found('a10x90 a9,b1x15 a4,b6x5 b10x5'), ['deployment a>b 90-110']);
});

test('a version that returns is a rollback, within the hour and after it', () => {
  assert.deepEqual(found('a8x90 a4,b4x4 b8x20 a2,b6 a6,b2 a8x5'), ['deployment a>b 90-94', 'rollback b>a 114-116']);
  assert.deepEqual(found('a8x90 a4,b4x4 b8x90 a4,b4x4 a8x5'), ['deployment a>b 90-94', 'rollback b>a 184-188']);
  assert.deepEqual(
    found('a8x90 a4,b4x4 a2,b6x9 a4,b4 a6,b2 a8x5'),
    ['deployment a>b 90-103', 'rollback b>a 103-105'],
    'half-way back',
  );
  assert.deepEqual(found('a8x90 a7,b1x15 a8x90 a4,b4x4 b8x9'), ['canary a>b 90-105', 'deployment a>b 195-199']);
});

test('nothing is marked where no version is new', () => {
  assert.deepEqual(found('a5x90 a50x30 a3x30 a20x30'), [], 'scaling');
  assert.deepEqual(found('a5x90 -x30 a5x90 -x500 a5x30'), [], 'gaps');
  assert.deepEqual(found('a1 a2 a4,b1 a4,b3 b9,a1 b10x90'), [], 'the first appearance');
  assert.deepEqual(found('a5,b5x90 a9,b5x30 a5,b9x30 a2,b9x30 a9,b2x60'), [], 'two side by side');
  assert.deepEqual(found('a4,b1x90 b1 a1,b1 a2,b1 a4,b1x90'), [], 'all restart, the canary first');
  assert.deepEqual(found('a9x90 a4,a:r=5x9 a:r=9x90 a:r=9x90'), [], 'a label more');
});

test('a gap within a roll-out neither ends nor begins it', () => {
  assert.deepEqual(found('a10x90 a8,b2 -x25 a8,b2x2 a3,b7x3 b10x10'), ['deployment a>b 90-121']);
  assert.deepEqual(found('a10x90 -x25 b10x10'), ['deployment a>b 115-115']);
  // an edge of a gap shows single instances first
  assert.deepEqual(found('a9,b1x90 b1 -x20 b1 b1,a1 a9,b1x30'), []);
});

test('a revision alone is a version, and of versions that have one both are told', () => {
  assert.deepEqual(found('a:c1=5x90 a:c2=5x10'), ['deployment a (c1)>a (c2) 90-90']);
});

test('a newer roll-out ends the one before', () => {
  assert.deepEqual(found('a10x90 a5,b5x5 a3,b6,c2 a2,b2,c8x5 c10x5'), [
    'deployment a>b 90-95',
    'deployment a>c 95-101',
  ]);
});
