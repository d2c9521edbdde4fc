import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Schema, TABLE_MS_DEFAULT } from '../../chunkstore/schema.ts';
import { QueryTombstones, Tombstones } from '../../chunkstore/tombstones.ts';
import { ManualClock } from '../../lib/manual-clock.ts';
import { seededRandom } from '../../lib/random.ts';
import { LabelMatcher } from '../../model/matcher.ts';
import { MemoryObjectClient } from '../../object/memory.ts';
import { MemoryTableStore } from '../../table/memory.ts';
import { listPlainTombstones } from './plain-tombstones.ts';
import { NotSmall } from './small-queryable.ts';

async function created(matchers: readonly LabelMatcher[], times = 1) {
  const clock = new ManualClock();
  const period = {
    fromMs: Number.NEGATIVE_INFINITY,
    tables: new MemoryTableStore(),
    objects: new MemoryObjectClient(clock),
    tablePrefix: 't_',
    tableMs: TABLE_MS_DEFAULT,
  };
  const schema = new Schema([period]);
  const tombstones = new Tombstones(schema, clock, seededRandom(1), 0);
  for (let i = 0; i < times; i++) await tombstones.create('a', matchers, 0, 1);
  return schema;
}

const ask = (schema: Schema) =>
  new QueryTombstones(schema, new ManualClock(), listPlainTombstones).of('a', new AbortController().signal);

test('delete requests that are spelt are listed', async () => {
  const found = await ask(await created([LabelMatcher.of('a', '=', 'b'), LabelMatcher.of('c', '=~', 'd|10\\.0')], 3));
  assert.equal(found.length, 3);
});

test('a query is not small where a delete request has a regular expression, or where there are many', async () => {
  await assert.rejects(ask(await created([LabelMatcher.of('a', '=~', '(\\p{L}{1,10}){1,10}')])), NotSmall);
  await assert.rejects(ask(await created([LabelMatcher.of('a', '!~', '.+')])), NotSmall);
  await assert.rejects(ask(await created([LabelMatcher.of('a', '=', 'b')], 65)), NotSmall);
});
