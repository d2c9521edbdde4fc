import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OneByOne } from './one-by-one.ts';

test('queries evaluate one after another in the order in which they came, and others have their turn in between', async () => {
  let cpuMs = 0;
  const told: string[] = [];
  const clock = {
    async turn() {
      told.push('turn');
    },
  };
  const turns = new OneByOne(clock, () => cpuMs);
  const evaluate = async (name: string, ms: number) => {
    const place = await turns.enter();
    told.push(`${name} begins`);
    await Promise.resolve();
    cpuMs += ms;
    told.push(`${name} ends`);
    assert.equal(place.leave(), ms);
    // twice does no harm
    assert.equal(place.leave(), ms);
  };
  await Promise.all([evaluate('a', 2), evaluate('b', 4), evaluate('c', 1)]);
  assert.deepEqual(told, ['a begins', 'a ends', 'b begins', 'b ends', 'turn', 'c begins', 'c ends']);
  await evaluate('d', 1);
  assert.equal(told.at(-1), 'd ends');
});
