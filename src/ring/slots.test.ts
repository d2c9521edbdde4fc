import assert from 'node:assert/strict';
import { test } from 'node:test';
import xxhash from 'xxhash-wasm';
import { metricHashOf, nextSizes, RingSlots } from './slots.ts';
import {
  aboveMean,
  addSeries,
  after,
  grownRing,
  imbalanceOf,
  memberOf,
  membersOf,
  metricsOf,
  ringOf,
} from './test-ring.ts';
import { ownersOf, type RingVersion } from './version.ts';

const { h64 } = await xxhash();
/** Worked out once, by the page of the format. */
const PINNED = [3854, 3641, 662, 2122];
const ring = ringOf(membersOf(6, 3), 4096, 3);
const withTenant = (sizes: { buckets: number; splits?: [string, number][] }): RingVersion => ({
  ...ring,
  tenants: new Map([['t', { buckets: sizes.buckets, splits: new Map(sizes.splits) }]]),
});

test('arcs are the same for everyone, for ever', () => {
  const slots = new RingSlots(withTenant({ buckets: 16, splits: [['split', 256]] }));
  const arcs = [
    slots.arcOf('anonymous', metricHashOf('up'), 0),
    slots.arcOf('t', metricHashOf('up'), 0),
    slots.arcOf('t', metricHashOf('split'), 0xffff_ff17),
    slots.arcOf('team-a', 1, 2),
  ];
  assert.deepEqual(arcs, PINNED);
});

test('a tenant of one slot is on one arc; buckets go by the metric, parts by the labels, as in the store', () => {
  const small = new RingSlots(ring);
  assert.equal(small.arcsOfTenant('t').length, 1);
  assert.equal(small.arcOf('t', 1, 2), small.arcOf('t', 3, 4));

  const slots = new RingSlots(withTenant({ buckets: 16, splits: [['split', 256]] }));
  const byBucket = new Map<bigint, number>();
  for (let i = 0; i < 300; i++) {
    const metric = `metric_${i}`;
    const arc = slots.arcOf('t', metricHashOf(metric), i * 7919);
    const bucket = h64(metric) % 16n;
    assert.equal(arc, byBucket.get(bucket) ?? arc);
    byBucket.set(bucket, arc);
    assert.deepEqual(slots.arcsOfMetric('t', metricHashOf(metric)), [arc]);
  }
  assert.equal(new Set(byBucket.values()).size, 16);
  const split = metricHashOf('split');
  assert.equal(slots.arcOf('t', split, 0x1234_5617), slots.arcOf('t', split, 0xabcd_ef17));
  assert.equal(slots.arcsOfMetric('t', split).length, 256);
  assert.ok(slots.arcsOfMetric('t', split).includes(slots.arcOf('t', split, 0x17)));
  const all = new Set(slots.arcsOfTenant('t'));
  for (const arc of [...byBucket.values(), ...slots.arcsOfMetric('t', split)]) assert.ok(all.has(arc));
});

test('a shard of the series has its own parts of a split metric, and all that is not split', () => {
  const slots = new RingSlots(withTenant({ buckets: 16, splits: [['split', 256]] }));
  const split = metricHashOf('split');
  const shards = [0, 1, 2, 3].map((index) => ({ index, count: 4 }));
  const own = shards.map((shard) => slots.arcsOfMetric('t', split, shard));
  assert.deepEqual(
    own.map(({ length }) => length),
    [64, 64, 64, 64],
  );
  assert.deepEqual(
    own.flat().sort((a, b) => a - b),
    slots.arcsOfMetric('t', split),
  );
  for (let hash = 0; hash < 2 ** 32; hash += 0x0101_0101) {
    assert.ok(own[hash % 4]!.includes(slots.arcOf('t', split, hash)));
  }
  const plain = metricHashOf('plain');
  for (const shard of shards) {
    assert.deepEqual(slots.arcsOfMetric('t', plain, shard), slots.arcsOfMetric('t', plain));
    assert.ok(slots.arcsOfTenant('t', shard).length < slots.arcsOfTenant('t').length);
  }
});

test('slots of a tenant lie evenly around the ring', () => {
  for (const buckets of [16, 256, 4096]) {
    const arcs = new RingSlots(withTenant({ buckets })).arcsOfTenant('t');
    assert.equal(arcs.length, buckets);
    for (let i = 1; i < arcs.length; i++) assert.equal(arcs[i]! - arcs[i - 1]!, 4096 / buckets);
  }
});

test('arcs of a larger ring are pieces of those of a smaller one', () => {
  const large = new RingSlots(ringOf(membersOf(6, 3), 16_384, 3));
  const small = new RingSlots(ring);
  for (let i = 0; i < 200; i++) assert.equal(large.arcOf(`t${i}`, i, i) >> 2, small.arcOf(`t${i}`, i, i));
});

test('owners are those that the version names, and none where an operator left fewer', () => {
  const fewer = after(ringOf(membersOf(3, 3), 4096, 3), { kind: 'remove', id: memberOf(0, 3).id }, true);
  for (const version of [ring, fewer]) {
    const slots = new RingSlots(version);
    const into = new Uint16Array(3);
    for (const arc of [0, 1, 2000, 4095]) {
      const found = slots.owners(arc, into);
      assert.deepEqual(
        [...into.subarray(0, found)].map((index) => version.members[index]!.id),
        ownersOf(version, arc),
      );
    }
  }
});

test('sizes only grow, and say so only when they do', () => {
  assert.equal(nextSizes(undefined, { series: 20_000, metrics: new Map([['m', 20_000]]) }), undefined);
  const grown = nextSizes(undefined, { series: 50_000, metrics: new Map([['m', 20_001]]) })!;
  assert.deepEqual(grown, { buckets: 16, splits: new Map([['m', 16]]) });
  assert.equal(nextSizes(grown, { series: 5, metrics: new Map() }), undefined);
  assert.deepEqual(
    nextSizes(grown, { series: 5, metrics: new Map([['n', 320_001]]) })!.splits,
    new Map([
      ['m', 16],
      ['n', 256],
    ]),
  );
  assert.deepEqual(nextSizes(undefined, { series: 5, metrics: new Map([['m', 4]]) }, 3)!.splits, new Map([['m', 16]]));
});

test('a tenant of 300,000 series, half of them of one metric, is within 15 % on 6 members, however they came', () => {
  assert.equal(nextSizes(undefined, { series: 300_000, metrics: metricsOf(300_000) })!.splits.size, 1);
  for (const version of [ring, grownRing(6, 3, 4096, 3)]) {
    for (let i = 0; i < 100; i++) {
      const above = imbalanceOf(version, `tenant-${i}`, 300_000);
      assert.ok(above <= 0.15, `tenant-${i}: +${above}`);
    }
  }
});

test('a tenant of 5 million series is within 30 % on 30 members, however they came', () => {
  for (const version of [ringOf(membersOf(30, 3), 4096, 3), grownRing(30, 3, 4096, 3)]) {
    for (let i = 0; i < 30; i++) {
      const above = imbalanceOf(version, `tenant-${i}`, 5_000_000);
      assert.ok(above <= 0.3, `tenant-${i}: +${above}`);
    }
  }
});

test('100,000 tenants of 365 series are within 25 % on 1,000 members', () => {
  const version = ringOf(membersOf(1000, 3), 16_384, 3);
  const slots = new RingSlots(version);
  const loads = new Float64Array(1000);
  for (let i = 0; i < 100_000; i++) addSeries(version, slots, `tenant-${i}`, 365, loads);
  assert.ok(aboveMean(loads) <= 0.25, `+${aboveMean(loads)}`);
});
