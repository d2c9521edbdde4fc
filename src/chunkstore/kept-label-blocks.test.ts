import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeSeriesBlock } from '../chunk/group/series-block.ts';
import { Kernel } from '../chunk/kernel.ts';
import { ByteReader } from '../lib/bytes.ts';
import { systemClock } from '../lib/clock.ts';
import { DAY_MS } from '../lib/day.ts';
import { LabelMatcher } from '../model/matcher.ts';
import { MemoryObjectClient } from '../object/memory.ts';
import { MemoryTableStore } from '../table/memory.ts';
import { KeptLabelBlocks } from './kept-label-blocks.ts';
import { PLACEMENT_DEFAULT, slotOf } from './placement.ts';
import { ChunkStoreReader } from './reader.ts';
import { Schema, TABLE_MS_DEFAULT } from './schema.ts';
import { seriesOf, testContext } from './test-series.ts';
import { ChunkStoreWriter } from './writer.ts';

/** The labels of a series block, as they are stored. */
function block(...hosts: readonly string[]): Uint8Array {
  const count = hosts.length;
  const raw = encodeSeriesBlock(
    hosts.map((host) => ['__name__', 'up', 'host', host]),
    {
      timeColumns: new Uint32Array(count),
      flags: new Uint8Array(count),
      counts: new Uint32Array(count).fill(1),
      firsts: new Float64Array(count),
      lasts: new Float64Array(count),
    },
  );
  const from = new ByteReader(raw);
  return from.take(from.count(1));
}

test('a block of the same bytes is the one of before, of each tenant by itself', () => {
  const kept = new KeptLabelBlocks();
  const one = kept.of('one', block('a', 'b'));
  assert.equal(kept.of('one', block('a', 'b')), one);
  assert.notEqual(kept.of('one', block('a', 'c')), one);
  assert.notEqual(kept.of('two', block('a', 'b')), one);
  assert.deepEqual(kept.of('one', block('a', 'c')).pairs(kept.of('one', block('a', 'c')).sections[0]!, 1), [
    '__name__',
    'up',
    'host',
    'c',
  ]);
});

const ROOM = 40_000;
const filler = (i: number) => block(`${i}`, 'x'.repeat(1000));

test('blocks that nobody asked for lately are let go when they take too many bytes', () => {
  const kept = new KeptLabelBlocks(ROOM);
  const first = kept.of('t', block('a', 'b'));
  const second = kept.of('t', block('bb', 'cc'));
  for (let i = 0; i < 30; i++) {
    kept.of('t', filler(i));
    assert.equal(kept.of('t', block('a', 'b')), first);
    assert.ok(kept.bytes <= ROOM, `${kept.bytes} bytes`);
  }
  assert.notEqual(kept.of('t', block('bb', 'cc')), second);
});

test('few series with long labels take as much as many others, and what is too large is not kept', () => {
  const kept = new KeptLabelBlocks();
  for (let i = 0; i < 100; i++) kept.of('t', block(...Array.from({ length: 10 }, (_, k) => `${i} ${k} `.repeat(2000))));
  assert.ok(kept.bytes > 6 * 2 ** 20 && kept.bytes <= 12 * 2 ** 20, `${kept.bytes} bytes`);
  const large = block('x'.repeat(260 * 1024));
  assert.notEqual(kept.of('t', large), kept.of('t', large));
  // a long text that many series have is one symbol of the block, and in each of their keys
  const shared = block(...Array.from({ length: 10 }, () => 'x'.repeat(5000)));
  const own = new KeptLabelBlocks();
  own.of('t', shared);
  assert.ok(own.bytes > 50_000, `${own.bytes} bytes`);
});

test('a tenant has what others leave free, and takes nothing from one that has less than its share', () => {
  const kept = new KeptLabelBlocks(ROOM);
  const small = kept.of('small', block('a', 'b'));
  const own = Array.from({ length: 4 }, (_, i) => kept.of('large', filler(i)));
  assert.ok(kept.bytes > ROOM / 2);
  for (const [i, each] of own.entries()) assert.equal(kept.of('large', filler(i)), each);
  for (let i = 10; i < 60; i++) kept.of('large', filler(i));
  assert.equal(kept.of('small', block('a', 'b')), small);
});

test('series have the same labels on each day, made once for a tenant', async () => {
  const tables = new MemoryTableStore();
  const objects = new MemoryObjectClient(systemClock);
  const period = { fromMs: Number.NEGATIVE_INFINITY, tables, objects, tablePrefix: 'test_', tableMs: TABLE_MS_DEFAULT };
  const schema = new Schema([period]);
  const kernel = Kernel.create();
  const writer = new ChunkStoreWriter(schema, kernel, { clock: systemClock });
  const startMs = Date.UTC(2026, 0, 5);
  const windowMs = 7_200_000;
  for (const tenant of ['one', 'two']) {
    for (const windowStartMs of [startMs, startMs + DAY_MS]) {
      const series = ['a', 'b'].map((host) => seriesOf({ __name__: 'up', host }, [windowStartMs], () => 1));
      const slot = slotOf(PLACEMENT_DEFAULT, series[0]!.labels);
      await writer.write([{ tenant, placement: PLACEMENT_DEFAULT, slot, windowStartMs, windowMs, series }]);
    }
  }
  const reader = new ChunkStoreReader(schema, kernel, systemClock);
  const labelsOf = async (tenant: string, fromMs: number) => {
    const matchers = [LabelMatcher.of('__name__', '=', 'up')];
    const set = await reader.select(tenant, { matchers, startMs: fromMs, endMs: fromMs + windowMs }, testContext());
    set.close();
    return set.series;
  };
  const [first, next, other] = [
    await labelsOf('one', startMs),
    await labelsOf('one', startMs + DAY_MS),
    await labelsOf('two', startMs),
  ];
  assert.deepEqual(first.map(String), ['{__name__="up", host="a"}', '{__name__="up", host="b"}']);
  for (const [i, labels] of first.entries()) {
    assert.equal(next[i], labels);
    assert.notEqual(other[i], labels);
  }
});
