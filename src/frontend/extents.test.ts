import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { QueryNotes, ResultSeries } from '../contract/query.ts';
import type { FloatHistogram } from '../model/histogram.ts';
import { decodeExtents, type Extent, encodeExtents, LabelLists } from './extents.ts';
import { joinSteps } from './merge-steps.ts';
import { ColumnSteps } from './step-columns.ts';

const NOTES: QueryNotes = { storage: [], warnings: { notes: [], omitted: 0 }, infos: { notes: [], omitted: 0 } };
const STEP_MS = 1000;
const TURNS = { due: true, pause: async () => {} };

function series(pairs: readonly string[], steps: readonly number[], value = (step: number) => step / 3): ResultSeries {
  const times = Float64Array.from(steps, (step) => step * STEP_MS);
  return { pairs, times, values: Float64Array.from(steps, value), histograms: undefined };
}

function extent(first: number, last: number, all: readonly ResultSeries[]): Extent {
  const range = { startMs: first * STEP_MS, endMs: last * STEP_MS };
  return { ...range, token: 't', expr: undefined, steps: { series: all, notes: NOTES } };
}

/** The same as bits: NaN with its payload, zero with its sign. */
function bitsOf(all: readonly ResultSeries[]) {
  const hex = (list: Float64Array) => Buffer.from(list.buffer, list.byteOffset, list.byteLength).toString('hex');
  return all.map(({ pairs, times, values, histograms }) => [pairs, hex(times), hex(values), histograms]);
}

const A = ['__name__', 'm', 'a', 'é\ud800"\\'];
const B = ['__name__', 'm', 'b', ''];
const STALE = new Float64Array(new BigUint64Array([0x7ff0000000000002n, 0x8000000000000000n]).buffer);

test('extents are what they were, to the last bit', () => {
  const odd = { ...series(A, [1, 2]), values: STALE };
  const histogram = { count: 3, sum: 4 } as unknown as FloatHistogram;
  const mixed = { ...series(B, [1, 3]), histograms: [undefined, histogram] };
  for (const all of [[], [odd], [odd, series(B, [2])], [odd, mixed], [series(A, [1, 2, 3]), series(B, [1, 2, 3])]]) {
    const kept = [extent(1, 3, all), extent(4, 9, [series(B, [4, 9])])];
    const bytes = encodeExtents(kept)!;
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    for (const value of [bytes, shifted.subarray(3)]) {
      const found = decodeExtents(value);
      assert.deepEqual(
        found.map(({ steps, ...rest }) => ({ ...rest, series: bitsOf(steps.series), notes: steps.notes })),
        kept.map(({ steps, ...rest }) => ({ ...rest, series: bitsOf(steps.series), notes: steps.notes })),
      );
    }
    const again = decodeExtents(encodeExtents(decodeExtents(bytes))!);
    assert.deepEqual(
      again.map(({ steps }) => bitsOf(steps.series)),
      kept.map(({ steps }) => bitsOf(steps.series)),
    );
  }
});

test('changed bytes are no extents', () => {
  const bytes = encodeExtents([extent(1, 2, [series(A, [1, 2])])])!;
  for (let i = 0; i < bytes.length; i++) {
    if (i > 0 && i < 4) continue; // nothing stands there
    const changed = Uint8Array.from(bytes);
    changed[i]! ^= 0x10;
    assert.deepEqual(decodeExtents(changed), [], `byte ${i}`);
  }
  for (let length = 0; length < bytes.length; length += 5)
    assert.deepEqual(decodeExtents(bytes.subarray(0, length)), []);
});

test('kept steps are joined in their places as by their labels', async () => {
  const parts = [
    [series(A, [1, 2]), series(B, [1, 2])],
    [series(A, [3, 4]), series(B, [4])],
    [series(A, [5, 6]), series(B, [5, 6])],
  ];
  const onlyA = [series(A, [3, 4])];
  const grid = { startMs: STEP_MS, endMs: 6 * STEP_MS, stepMs: STEP_MS };
  for (const middle of [parts[1]!, onlyA, []]) {
    const plain = [parts[0]!, middle, parts[2]!].map((all) => ({ series: all, notes: NOTES }));
    const expected = bitsOf((await joinSteps(grid, plain, TURNS)).series);
    for (const evaluated of [-1, 0, 1, 2]) {
      const lists = new LabelLists();
      const steps = plain.map((part, i) => {
        if (i === evaluated) return part;
        const kept = decodeExtents(encodeExtents([extent(2 * i + 1, 2 * i + 2, part.series)])!, lists);
        return kept[0]!.steps;
      });
      const joined = await joinSteps(grid, steps, TURNS);
      assert.deepEqual(bitsOf(joined.series), expected, `${middle.length} series, ${evaluated} evaluated`);
    }
  }
});

test('equal lists of labels are one object', () => {
  const lists = new LabelLists();
  const columns = [1, 3].map((first) => {
    const bytes = encodeExtents([extent(first, first + 1, [series(A, [first]), series(B, [first])])])!;
    const { steps } = decodeExtents(bytes, lists)[0]!;
    return steps instanceof ColumnSteps ? steps.columns : assert.fail('not as columns');
  });
  assert.equal(columns[0]!.labels, columns[1]!.labels);
});
