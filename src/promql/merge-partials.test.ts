import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PartialAggregation, PartialGroup, QueryStatistics, WholeReason } from '../contract/query.ts';
import { mergePartials } from './merge-partials.ts';

const STATISTICS: QueryStatistics = {
  evaluatedMs: 5,
  totalQueryableSamples: 10,
  samplesRead: 7,
  peakSamples: 3,
  totalQueryableSamplesPerStep: [[1000, 10]],
  fetchedBytes: 100,
  fetchedChunks: 0,
  fetchedChunkBytes: 0,
  fetchedRows: 2,
  fetchedObjects: 1,
  cachedBlocks: 4,
  readSlots: 8,
  readGroups: 6,
};

const INSTANT = { instant: true, startMs: 1000, stepMs: 1, count: 1 };
const NONE = new Float64Array(0);

function group(job: string, first: string, more: Partial<PartialGroup> = {}): PartialGroup {
  return { pairs: ['job', job], first: ['__name__', 'm', 'pod', first], dropName: false, unit: 1, ...more };
}

/** A part of a sum; each cell is [points, sum, compensation, magnitudes]. */
function part(
  index: number,
  groups: readonly PartialGroup[],
  cells: readonly (readonly [number, number, number, number])[],
  more: Partial<PartialAggregation> = {},
): PartialAggregation {
  const column = (at: number) => Float64Array.from(cells, (cell) => cell[at]!);
  return {
    type: 'partial',
    op: 'sum',
    shard: { index, count: 2 },
    steps: INSTANT,
    groups,
    counts: column(0),
    values: column(1),
    lost: column(2),
    magnitudes: column(3),
    dropped: undefined,
    warnings: [],
    infos: [],
    statistics: STATISTICS,
    explanation: undefined,
    ...more,
  };
}

const whole = (reason: WholeReason) => ({ type: 'whole', reason, statistics: STATISTICS }) as const;

async function reasonOf(...parts: Parameters<typeof mergePartials>[0]): Promise<WholeReason | undefined> {
  const answer = await mergePartials(parts);
  return 'type' in answer ? answer.reason : undefined;
}

test('groups of an instant come by their first series, those of a range by their labels; absent cells are none', async () => {
  const one = part(
    1,
    [group('x', 'c'), group('y', 'd'), group('z', 'a')],
    [
      [1, 1, 0, 1],
      [0, 0, 0, 0],
      [0, 0, 0, 0],
    ],
  );
  const other = part(
    0,
    [group('y', 'b'), group('x', 'e')],
    [
      [2, 5, 0, 5],
      [1, 4, 0, 4],
    ],
  );
  const answer = await mergePartials([one, other]);
  assert.ok(!('type' in answer) && answer.value.type === 'vector');
  assert.deepEqual(answer.value.pairs, [
    ['job', 'y'],
    ['job', 'x'],
  ]);
  assert.deepEqual([...answer.value.values], [5, 5]);
  assert.equal(answer.value.timeMs, 1000);

  const steps = { instant: false, startMs: 1000, stepMs: 500, count: 2 };
  const groups = [group('y', 'a'), group('x', 'b')];
  const ranges = [0, 1].map((index) =>
    part(
      index,
      groups,
      [
        [1, 1, 0, 1],
        [1 - index, 2, 0, 2],
        [0, 0, 0, 0],
        [index, 3, 0, 3],
      ],
      { steps },
    ),
  );
  const range = await mergePartials(ranges);
  assert.deepEqual(!('type' in range) && range.value, {
    type: 'matrix',
    series: [
      { pairs: ['job', 'x'], times: Float64Array.of(1500), values: Float64Array.of(3), histograms: undefined },
      { pairs: ['job', 'y'], times: Float64Array.of(1000, 1500), values: Float64Array.of(2, 2), histograms: undefined },
    ],
  });
});

test('costs are added up, the time is that of the longest', async () => {
  const slow = { ...STATISTICS, evaluatedMs: 9 };
  const answer = await mergePartials([part(0, [], []), part(1, [], [], { statistics: slow })]);
  assert.deepEqual(answer.statistics, {
    evaluatedMs: 9,
    totalQueryableSamples: 20,
    samplesRead: 14,
    peakSamples: 6,
    totalQueryableSamplesPerStep: [[1000, 20]],
    fetchedBytes: 200,
    fetchedChunks: 0,
    fetchedChunkBytes: 0,
    fetchedRows: 4,
    fetchedObjects: 2,
    cachedBlocks: 8,
    readSlots: 16,
    readGroups: 12,
  });
  const refused = await mergePartials([part(0, [], []), whole('histograms')]);
  assert.equal('type' in refused && refused.reason, 'histograms');
  assert.equal(refused.statistics.fetchedBytes, 200);
});

test('sums that may round either way, overflow, or hide how means were divided need all series', async () => {
  const sums = (
    cells: readonly (readonly [number, number, number, number])[],
    unit: number,
    op: 'sum' | 'avg' = 'sum',
  ) => cells.map((cell, i) => part(i, [group('x', 'a', { unit })], [cell], { op }));
  // the half of a last bit, and an error that is not nothing
  const half = [
    [2, 1, 2 ** -53, 1],
    [2, 0, 0, 1e-30],
  ] as const;
  assert.equal(await reasonOf(...sums(half, 2 ** -60)), undefined);
  assert.equal(await reasonOf(...sums(half, 2 ** -200)), 'rounding');
  assert.equal(
    await reasonOf(
      ...sums(
        [
          [2, 1, 2 ** -55, 1],
          [2, 0, 0, 1e-30],
        ],
        2 ** -200,
      ),
    ),
    undefined,
  );
  assert.equal(
    await reasonOf(
      ...sums(
        [
          [2, 1e308, 0, 1e308],
          [1, -1e308, 0, 1e308],
        ],
        1,
      ),
    ),
    'overflow',
  );
  assert.equal(
    await reasonOf(
      ...sums(
        [
          [2, Infinity, 0, 1],
          [1, -Infinity, 0, 1],
        ],
        1,
      ),
    ),
    undefined,
  );
  const thirds = [
    [2, 0.3, 0, 0.3],
    [1, 0.1, 0, 0.1],
  ] as const;
  assert.equal(await reasonOf(...sums(thirds, 2 ** -56, 'avg')), 'rounding');
  assert.equal(await reasonOf(...sums([thirds[0], [2, 0.1, 0, 0.1]], 2 ** -56, 'avg')), undefined);
  assert.equal(
    await reasonOf(
      ...sums(
        [
          [2, 3, 0, 3],
          [1, 1, 0, 1],
        ],
        1,
        'avg',
      ),
    ),
    undefined,
  );
});

test('notes are told once, unless their place depends on the shard', async () => {
  const noted = (index: number, ...warnings: string[]) => part(index, [], [], { warnings, infos: ['i (1:1)'] });
  const answer = await mergePartials([noted(0, 'a (1:2)', 'stored data is lost'), noted(1, 'b (1:9)', 'a (1:2)')]);
  assert.deepEqual(!('type' in answer) && answer.warnings, ['a (1:2)', 'stored data is lost', 'b (1:9)']);
  assert.deepEqual(!('type' in answer) && answer.infos, ['i (1:1)']);
  assert.equal(await reasonOf(noted(0, 'a (1:2)'), noted(1, 'a (1:7)')), 'notes');
  const many = (index: number) => noted(index, ...Array.from({ length: 600 }, (_, i) => `${index} ${i} (1:2)`));
  assert.equal(await reasonOf(many(0), many(1)), 'notes');
});

test('groups that are the same without their names need all series', async () => {
  const named = (index: number, name: string) =>
    part(index, [{ ...group('x', 'a'), pairs: ['__name__', name, 'job', 'x'], dropName: true }], [[1, 1, 0, 1]]);
  assert.equal(await reasonOf(named(0, 'm'), named(1, 'n')), 'names');
  const answer = await mergePartials([named(0, 'm'), named(1, 'm')]);
  assert.ok(!('type' in answer) && answer.value.type === 'vector');
  assert.deepEqual(answer.value.pairs, [['job', 'x']]);
  assert.equal(await reasonOf(part(0, [], [], { dropped: 'a' }), part(1, [], [], { dropped: 'b' })), 'names');
});

test('answers that are not all of one query are a bug', async () => {
  const good = part(0, [], []);
  const count = { counts: NONE, values: NONE, lost: NONE, magnitudes: NONE };
  for (const bad of [
    [],
    [good],
    [good, good],
    [good, part(1, [], [], { op: 'count', ...count })],
    [good, part(1, [], [], { shard: { index: 1, count: 4 } })],
    [good, part(1, [], [], { steps: { ...INSTANT, startMs: 2000 } })],
    [good, part(1, [], [], { steps: { ...INSTANT, instant: false } })],
  ]) {
    await assert.rejects(mergePartials(bad), /^Error: bug: /);
  }
});

test('others have their turn while many cells are merged', async () => {
  let pauses = 0;
  const turns = { due: true, pause: async () => void pauses++ };
  const groups = Array.from({ length: 5000 }, (_, i) => group(`${i}`, `${i}`));
  const cells = groups.map(() => [1, 1, 0, 1] as const);
  await mergePartials([part(0, groups, cells), part(1, groups, cells)], turns);
  assert.ok(pauses >= 14, `${pauses}`);
});
