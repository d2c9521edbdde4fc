import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../lib/manual-clock.ts';
import { Labels } from '../../model/labels.ts';
import type { Queryable } from '../../storage/queryable.ts';
import type { WholeBlock } from '../../storage/series-stream.ts';
import { unlimited } from '../../storage/unlimited.ts';
import { OneByOne, WorkMeter } from './one-by-one.ts';
import { NotSmall, SmallQueryable } from './small-queryable.ts';

const REQUEST = { matchers: [], startMs: 0, endMs: 1 };
const BLOCK: WholeBlock = {
  labels: [Labels.of({ __name__: 'm' })],
  warnings: [],
  read: (_index, out) => out.clear(),
  close() {},
};

class Place {
  readonly turns = new OneByOne(new ManualClock());
  cpuMs = 0;
  isShareLeft = true;
  mayLook = true;

  query(whole: Queryable['whole']) {
    const meter = new WorkMeter(() => this.cpuMs);
    const queryable = new SmallQueryable({
      inner: { whole } as Queryable,
      turns: this.turns,
      meter,
      look: async () => this.mayLook,
      mayWork: () => this.isShareLeft,
    });
    return { queryable, meter, select: () => queryable.select(REQUEST, unlimited()) };
  }
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test('who waits for more samples holds no place', async () => {
  const place = new Place();
  const late = Promise.withResolvers<WholeBlock>();
  const answers = [Promise.resolve(BLOCK), late.promise, Promise.resolve(BLOCK)];
  const slow = place.query(() => answers.shift()!);
  const both = Promise.all([slow.select(), slow.select()]);
  await settled();
  const quick = place.query(async () => BLOCK);
  assert.equal((await quick.select()).series.length, 1);
  quick.queryable.end();
  late.resolve(BLOCK);
  assert.equal((await both).length, 2);
  // one after another, too
  answers.unshift(Promise.withResolvers<WholeBlock>().promise);
  void slow.select();
  const next = place.query(async () => BLOCK);
  assert.equal((await next.select()).series.length, 1);
});

test('to read counts as work', async () => {
  const place = new Place();
  const { select, meter, queryable } = place.query(async () => {
    await Promise.resolve();
    place.cpuMs += 9;
    return BLOCK;
  });
  await select();
  queryable.end();
  assert.equal(meter.usedMs, 9);
});

test('who finds no turn, no share or no look may be small all the same; who has many series is not', async () => {
  const place = new Place();
  place.isShareLeft = false;
  const poor = place.query(async () => BLOCK);
  await assert.rejects(poor.select(), NotSmall);
  assert.equal(poor.queryable.isCrowded, true);
  place.isShareLeft = true;
  place.mayLook = false;
  const unknown = place.query(async () => undefined);
  await assert.rejects(unknown.select(), NotSmall);
  assert.equal(unknown.queryable.isCrowded, true);
  const large = place.query(async () => ({ ...BLOCK, labels: Array.from({ length: 101 }, () => BLOCK.labels[0]!) }));
  await assert.rejects(large.select(), NotSmall);
  assert.equal(large.queryable.isCrowded, false);
  const free = place.query(async () => BLOCK);
  assert.equal((await free.select()).series.length, 1);
});
