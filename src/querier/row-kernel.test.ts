import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Random, seededRandom } from '../lib/random.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { LimitedBudget } from '../limits/query-budget.ts';
import { AppError } from '../model/errors.ts';
import { Labels } from '../model/labels.ts';
import { Engine } from '../promql/engine.ts';
import type { RowKernel } from '../promql/row/row-memory.ts';
import { nextTimesId } from '../storage/columns.ts';
import type { Queryable } from '../storage/queryable.ts';
import { unlimited } from '../storage/unlimited.ts';
import { KernelRows } from './row-kernel.ts';

const PAGE = 64 * 1024;

test('memory is taken in whole pages from the first gap, and given back', () => {
  const rows = new KernelRows(4 * PAGE);
  const first = rows.take(1)!;
  assert.equal(rows.take(2 * PAGE), first + PAGE);
  assert.equal(rows.take(PAGE + 1), undefined, 'one page is left');
  assert.equal(rows.take(PAGE), first + 3 * PAGE);
  assert.equal(rows.take(1), undefined);
  rows.giveBack(first + PAGE);
  assert.equal(rows.take(2 * PAGE + 1), undefined);
  assert.equal(rows.take(PAGE), first + PAGE);
  rows.giveBack(first);
  assert.equal(rows.take(2 * PAGE), undefined, 'the two that are left are not neighbours');
});

const EXPRS = [
  'a',
  'count by (g) (a)',
  'group(a)',
  'sum by (g) (a)',
  'avg by (g) (a)',
  'sum(a offset 90s)',
  'rate(a[2m])',
  'delta(a[2m])',
  'increase(a[31s])',
  'sum by (g) (rate(a[2m]))',
  'avg by (g) (increase(a[5m]))',
  'sum by (g) (rate(a[2m])) / count by (g) (a)',
  'max_over_time(sum by (g) (rate(a[1m]))[3m:30s])',
];

test('what the kernel computes is what JavaScript does, bit for bit, also where it has no room', async () => {
  const random = seededRandom(11);
  const roomy = new CountingRows(4 << 20);
  const small = new CountingRows(PAGE);
  const unsteady = new CountingRows(4 << 20, () => random() < 0.5);
  for (let round = 0; round < 60; round++) {
    const data = randomData(random);
    const endMs = 60_000 + Math.floor(random() * 900_000);
    // now and then so many steps that each array is a piece of its own
    const range =
      round % 10 === 0
        ? { startMs: 0, endMs: 900_000, stepMs: 100 }
        : { startMs: Math.floor(random() * endMs), endMs, stepMs: 1000 + Math.floor(random() * 60_000) };
    for (const expr of EXPRS) {
      const [want, ...others] = await Promise.all(
        [undefined, roomy, small, unsteady].map(async (rowKernel) => {
          const { value } = await new Engine({ rowKernel }).queryRange(data, { expr, ...range }, unlimited());
          return JSON.stringify(value, exact);
        }),
      );
      for (const got of others) assert.equal(got, want, `round ${round}: ${expr}`);
    }
  }
  for (const [loop, calls] of roomy.calls) assert.ok(calls > 100, `${loop} was called ${calls} times`);
  assert.deepEqual([...roomy.calls.keys()].sort(), Object.keys(roomy.loops).sort());
  assert.equal(roomy.taken, 0, 'all memory was given back');
  assert.equal(small.taken, 0);
  assert.equal(unsteady.taken, 0);
});

test('a counter that was 0 a little more than one interval before its two samples', async () => {
  const times = [100_000, 115_000];
  const data = storageOf([{ labels: labelsOf(0), times, values: [100, 197], timesId: 0 }]);
  const range = { expr: 'rate(a[31500ms])', startMs: 115_500, endMs: 115_501, stepMs: 1 };
  const [want, got] = await Promise.all(
    [undefined, new KernelRows(PAGE)].map((rowKernel) =>
      new Engine({ rowKernel }).queryRange(data, range, unlimited()),
    ),
  );
  assert.deepEqual(got!.value, want!.value);
});

test('a query that runs into its memory limit gives everything back', async () => {
  const rows = new CountingRows(4 << 20);
  const budget = new LimitedBudget({ ...DEFAULT_LIMITS, maxQueryMemoryBytes: 1e6 });
  const one = storageOf(
    Array.from({ length: 100 }, (_, i) => ({ labels: labelsOf(i), times: [0, 15_000], values: [1, 2], timesId: 0 })),
  );
  const counted: Queryable = {
    ...one,
    async select(request, context) {
      const set = await one.select(request, context);
      context.budget.addMemory(100_000);
      return { ...set, close: () => context.budget.addMemory(-100_000) };
    },
  };
  const expr = 'sum(rate(b[5m])) + sum by (i) (rate(a[5m]))';
  const range = { expr, startMs: 0, endMs: 10_000_000, stepMs: 10_000 };
  await assert.rejects(
    new Engine({ rowKernel: rows }).queryRange(counted, range, { ...unlimited(), budget }),
    (error) => AppError.from(error).facts.id === 'query-memory-exceeded',
  );
  assert.ok(rows.takenInAll > 0);
  assert.equal(rows.taken, 0);
  assert.equal(budget.memoryBytes, 0);
});

/** Numbers in full: JSON knows neither −0 nor NaN. */
function exact(_key: string, value: unknown): unknown {
  if (value instanceof Float64Array) return Array.from(value, (each) => exact('', each));
  return typeof value === 'number' && !(Number.isFinite(value) && !Object.is(value, -0))
    ? `${Object.is(value, -0) ? '-0' : value}`
    : value;
}

/** Which arguments of the loops are pointers. */
const POINTERS = {
  rowDrops: [0],
  rowGather: [0, 1, 3],
  rowCount: [0],
  rowAdd: [0, 1, 2],
  rowOverflows: [0, 1],
  rowRate: [0, 1, 2, 3, 9],
} as const;

/** Counts the calls and the pieces of memory that are taken. */
class CountingRows implements RowKernel {
  readonly #rows: KernelRows;
  readonly calls = new Map<string, number>();
  readonly loops: RowKernel['loops'];
  taken = 0;
  takenInAll = 0;

  readonly #refuses: () => boolean;

  /** @param refuses whether to say that there is no room */
  constructor(bytes: number, refuses = () => false) {
    this.#refuses = refuses;
    this.#rows = new KernelRows(bytes);
    const { loops } = this.#rows;
    const start = this.#rows.take(1)!;
    this.#rows.giveBack(start);
    const names = Object.keys(POINTERS) as (keyof typeof POINTERS)[];
    this.loops = Object.fromEntries(
      names.map((name) => [
        name,
        (...args: never[]) => {
          for (const i of POINTERS[name]) {
            assert.ok(args[i]! >= start && args[i]! < start + bytes, `${name}: argument ${i} is outside of the pages`);
          }
          this.calls.set(name, (this.calls.get(name) ?? 0) + 1);
          return (loops[name] as (...args: never[]) => number)(...args);
        },
      ]),
    ) as unknown as RowKernel['loops'];
  }

  get buffer(): ArrayBufferLike {
    return this.#rows.buffer;
  }

  take(bytes: number): number | undefined {
    const at = this.#refuses() ? undefined : this.#rows.take(bytes);
    if (at !== undefined) {
      this.taken++;
      this.takenInAll++;
    }
    return at;
  }

  giveBack(at: number): void {
    this.taken--;
    this.#rows.giveBack(at);
  }
}

/** Series in three groups, some with the same times, with late starts, gaps, resets, and now and then what is no number. */
function randomData(random: Random): Queryable {
  const shared = randomTimes(random);
  const sharedId = nextTimesId();
  const all = Array.from({ length: 1 + Math.floor(random() * 12) }, (_, i) => {
    const own = random() < 0.4;
    const times = own ? randomTimes(random) : shared;
    return { labels: labelsOf(i), times, timesId: own ? 0 : sharedId, values: randomValues(random, times.length) };
  });
  return storageOf(all);
}

function storageOf(
  all: readonly { labels: Labels; times: readonly number[]; values: readonly number[]; timesId: number }[],
): Queryable {
  return {
    labelNames: async () => ({ values: [], warnings: [] }),
    labelValues: async () => ({ values: [], warnings: [] }),
    select: async ({ startMs, endMs }) => ({
      series: all.map(({ labels }) => labels),
      warnings: [],
      read(index, out) {
        const { times, values, timesId } = all[index]!;
        out.clear();
        times.forEach((time, i) => {
          if (time >= startMs && time <= endMs) out.pushFloat(time, values[i]!);
        });
        out.timesId = timesId;
      },
      close() {},
    }),
  };
}

function labelsOf(i: number): Labels {
  return Labels.of({ __name__: 'a', g: `${i % 3}`, i: String(i).padStart(2, '0') });
}

function randomTimes(random: Random): number[] {
  const times: number[] = [];
  const endMs = 900_000 * (0.5 + random() / 2);
  for (let timeMs = random() < 0.5 ? 0 : random() * 600_000; timeMs < endMs; ) {
    times.push(Math.floor(timeMs));
    timeMs += random() < 0.02 ? 400_000 : 15_000 + Math.floor(random() * 3);
  }
  return times;
}

function randomValues(random: Random, count: number): number[] {
  const resets = random() < 0.3;
  const odd = random() < 0.2;
  let value = random() < 0.4 ? 0 : random() * 1e9;
  return Array.from({ length: count }, () => {
    const dice = random();
    if (resets && dice < 0.08) value = random() * 5;
    else if (dice < 0.8) value += random() * 10;
    if (odd && dice > 0.95) return [Number.NaN, Infinity, -Infinity, -0, 1.7e308][Math.floor(random() * 5)]!;
    return value;
  });
}
