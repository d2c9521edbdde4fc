import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeLabels } from '../../model/canonical.ts';
import { Labels } from '../../model/labels.ts';
import { ExemplarStore } from './exemplars.ts';

const labels = (name: string) => encodeLabels(Labels.of({ __name__: name }));
const exemplar = (timeMs: number, value = 1, trace = 't') => ({
  timeMs,
  value,
  labels: encodeLabels(Labels.of({ trace_id: trace })),
});

test('the newest of a tenant are kept, in the order of their times; the same again is success', () => {
  const store = new ExemplarStore();
  const a = labels('a');
  assert.deepEqual(store.add(0, a, exemplar(10), 3), { kept: true, isNew: true });
  assert.deepEqual(store.add(0, a, exemplar(10), 3), { kept: true, isNew: false });
  assert.deepEqual(store.add(0, a, exemplar(9), 3), { kept: false, isNew: false });
  // those of other buckets have the same time
  assert.deepEqual(store.add(0, a, exemplar(10, 2), 3), { kept: true, isNew: true });
  assert.deepEqual(store.add(0, a, exemplar(10, 2, 'u'), 3), { kept: true, isNew: true });
  store.add(0, labels('b'), exemplar(5), 3);
  store.add(1, a, exemplar(1), 3);
  const times = [...store.of(0)].map((series) => series.exemplars.map(({ timeMs, value }) => [timeMs, value]));
  assert.deepEqual(times, [
    [
      [10, 2],
      [10, 2],
    ],
    [[5, 1]],
  ]);
  assert.equal(store.count, 4);
  assert.deepEqual(
    [...store.all()].map(({ series: { tenant }, exemplar: { timeMs } }) => [tenant, timeMs]),
    [
      [0, 10],
      [0, 10],
      [0, 5],
      [1, 1],
    ],
  );
});

test('memory is bounded over all tenants: the one with the most gives way', () => {
  const store = new ExemplarStore(100_000);
  store.add(1, labels('small'), exemplar(1), 10_000);
  for (let i = 0; i < 5000; i++) store.add(0, labels(`m${i % 7}`), exemplar(i, i), 10_000);
  assert.ok(store.bytes <= 100_000, `${store.bytes} bytes`);
  assert.equal([...store.of(1)].length, 1);
  const newest = [...store.of(0)].flatMap(({ exemplars }) => exemplars.map(({ timeMs }) => timeMs));
  assert.equal(Math.max(...newest), 4999);
  assert.equal(store.count, newest.length + 1);
});
