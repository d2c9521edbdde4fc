import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../lib/manual-clock.ts';
import { seededRandom } from '../lib/random.ts';
import { encodeLabels } from '../model/canonical.ts';
import { storeErrors } from '../model/errors-store.ts';
import { Labels, METRIC_NAME } from '../model/labels.ts';
import { labelsHash } from '../model/labels-hash.ts';
import { LabelMatcher } from '../model/matcher.ts';
import { shardHas } from '../model/series-shard.ts';
import { SampleColumns } from './columns.ts';
import { mergedQueryable } from './merge.ts';
import { MissingParts } from './missing.ts';
import type { SelectRequest } from './queryable.ts';
import { StreamBroken } from './series-stream.ts';
import type { SampleSource, SourceSeries } from './source.ts';
import { unlimited } from './unlimited.ts';

const SERIES = Labels.of({ __name__: 'moving' });
const ALL: SelectRequest = { matchers: [], startMs: 0, endMs: 1000 };

/** A source that answers when it is let, with the samples that it has then. */
class Place implements SampleSource {
  times: number[] = [];
  asked = 0;
  open = 0;
  readonly #waiting: (() => void)[] = [];

  async select(): Promise<SourceSeries> {
    this.asked++;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    const times = [...this.times];
    this.open++;
    return {
      labels: times.length === 0 ? [] : [SERIES],
      warnings: [],
      read(_, out) {
        out.clear();
        for (const time of times) out.pushFloat(time, time);
      },
      close: () => {
        this.open--;
      },
    };
  }

  labelNames = async () => ({ values: [], warnings: [] });
  labelValues = async () => ({ values: [], warnings: [] });

  async answer(): Promise<void> {
    this.#waiting.shift()!();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function setUp() {
  const recent = new Place();
  const stored = new Place();
  const clock = new ManualClock();
  const queryable = mergedQueryable('t', { recent, stored, overlapMs: 100, clock });
  const times = async () => {
    const set = await queryable.select(ALL, unlimited());
    const out = new SampleColumns(1);
    const found = set.series.map((_, i) => {
      set.read(i, out);
      return [...out.times.subarray(0, out.count)];
    });
    set.close();
    return found;
  };
  return { recent, stored, clock, times };
}

test('both places are asked at once, and what both have is there once', async () => {
  const { recent, stored, times } = setUp();
  recent.times = [20, 30];
  stored.times = [10, 20];
  const got = times();
  assert.deepEqual([recent.asked, stored.asked], [1, 1]);
  await stored.answer();
  await recent.answer();
  assert.deepEqual(await got, [[10, 20, 30]]);
  assert.deepEqual([recent.open, stored.open, stored.asked], [0, 0, 1]);
});

for (const passes of ['set', 'setWall'] as const) {
  const how = passes === 'set' ? '' : ', also while the machine slept';
  test(`what left the one before it answered, and had not reached the other when that did, is not missed${how}`, async () => {
    const { recent, stored, clock, times } = setUp();
    recent.times = [20];
    const got = times();
    await stored.answer(); // without it
    stored.times = [20];
    clock[passes](101);
    recent.times = [];
    await recent.answer();
    await stored.answer();
    assert.deepEqual(await got, [[20]]);
    assert.deepEqual([recent.open, stored.open, stored.asked], [0, 0, 2]);
  });
}

test('the store is asked again where the other came to rely on it for more meanwhile', async () => {
  const recent = new Place();
  const stored = new Place();
  const clock = new ManualClock(0);
  clock.set(1000);
  for (const [heardMs, asks] of [
    [999, 1],
    [1000, 2],
    [1001, 2],
  ] as const) {
    stored.asked = 0;
    const queryable = mergedQueryable('t', { recent, stored, overlapMs: 100, storedSinceMs: () => heardMs, clock });
    stored.times = [];
    const got = queryable.select(ALL, unlimited());
    await stored.answer();
    stored.times = [20];
    await recent.answer();
    if (asks === 2) await stored.answer();
    const set = await got;
    assert.deepEqual([set.series.length, stored.asked], [asks - 1, asks], String(heardMs));
    set.close();
  }
  assert.deepEqual([recent.open, stored.open], [0, 0]);
});

test('where one place fails the other is let go', async () => {
  const { recent, stored, times } = setUp();
  stored.select = async () => {
    throw new Error('away');
  };
  recent.times = [20];
  const got = assert.rejects(times(), /away/);
  await recent.answer();
  await got;
  assert.equal(recent.open, 0);
});

test('labels of all sources are in the order of their bytes', async () => {
  const source = (values: readonly string[]): SampleSource => {
    const answer = async () => ({ values, warnings: [] });
    return Object.assign(new Place(), { labelNames: answer, labelValues: answer });
  };
  const sources = {
    recent: source(['a', '😀']),
    stored: source(['\uffee', '😀']),
    overlapMs: 100,
    clock: new ManualClock(),
  };
  const queryable = mergedQueryable('t', sources);
  const request = { matchers: [], startMs: 0, endMs: 1000 };
  assert.deepEqual((await queryable.labelValues('x', request, unlimited())).values, ['a', '\uffee', '😀']);
  assert.deepEqual((await queryable.labelNames({ ...request, limit: 2 }, unlimited())).values, ['a', '\uffee']);
});

test('a stream is of one place where the other has nothing, else all series come merged; what may have been missed breaks it', async () => {
  for (const [storedTimes, tookMs] of [
    [[], 50],
    [[10, 20], 50],
    [[], 101],
  ] as const) {
    const recent = new Place();
    const stored = new Place();
    const clock = new ManualClock();
    recent.times = [20, 30];
    stored.times = [...storedTimes];
    const source: SampleSource = Object.assign(recent, {
      async *stream() {
        yield {
          labels: [SERIES],
          warnings: [],
          read: (_: number, columns: SampleColumns) => {
            columns.clear();
            for (const time of recent.times) columns.pushFloat(time, time);
          },
        };
      },
    });
    const queryable = mergedQueryable('t', { recent: source, stored, overlapMs: 100, clock });
    const context = unlimited();
    let series = 0;
    const budget = { ...context.budget, addSeries: (count: number) => (series += count) };
    const found: number[][] = [];
    const all = (async () => {
      const out = new SampleColumns(1);
      for await (const block of queryable.stream!(ALL, { ...context, budget })) {
        block.read(0, out);
        found.push([...out.times.subarray(0, out.count)]);
        clock.set(tookMs);
      }
    })();
    all.catch(() => {});
    await stored.answer();
    if (storedTimes.length > 0) await recent.answer();
    if (tookMs > 100) {
      await assert.rejects(all, StreamBroken);
      assert.equal(series, 0);
    } else {
      await all;
      assert.deepEqual(found, [storedTimes.length === 0 ? [20, 30] : [10, 20, 30]]);
      assert.equal(series, 1);
    }
    assert.deepEqual([recent.open, stored.open, stored.asked], [0, 0, 1]);
  }
});

/** Series with samples at their times, as a source that streams, or one that says how many it has. */
function listSource(series: readonly { readonly labels: Labels; readonly times: readonly number[] }[]) {
  const asked = { selects: 0, seriesMost: 0, shards: new Set<number>(), open: 0 };
  const found = ({ matchers, shard }: SelectRequest) =>
    series.filter(
      ({ labels }) =>
        matchers.every((matcher) => matcher.matches(labels.get(matcher.name))) &&
        (shard === undefined || shardHas(shard, labelsHash(encodeLabels(labels)))),
    );
  const blockOf = (some: typeof series) => ({
    labels: some.map(({ labels }) => labels),
    warnings: [],
    read(index: number, out: SampleColumns) {
      out.clear();
      for (const time of some[index]!.times) out.pushFloat(time, time);
    },
  });
  const source = {
    async select(_: string, request: SelectRequest) {
      const some = found(request);
      asked.selects++;
      asked.open++;
      asked.seriesMost = Math.max(asked.seriesMost, some.length);
      asked.shards.add(request.shard?.count ?? 1);
      return { ...blockOf(some), close: () => asked.open-- };
    },
    labelNames: async () => ({ values: [], warnings: [] }),
    labelValues: async () => ({ values: [], warnings: [] }),
  };
  const streaming: SampleSource = {
    ...source,
    async *stream(_: string, request: SelectRequest) {
      const some = found(request);
      for (let from = 0; from < some.length; from += 3) yield blockOf(some.slice(from, from + 3));
    },
  };
  const counting: SampleSource = {
    ...source,
    async selectUpTo(tenant: string, request: SelectRequest, seriesMax: number) {
      const byMetric = new Map<string, number>();
      const ofNames = { ...request, matchers: request.matchers.filter(({ name }) => name === METRIC_NAME) };
      for (const { labels } of found(ofNames)) {
        byMetric.set(labels.metricName, (byMetric.get(labels.metricName) ?? 0) + 1);
      }
      const total = [...byMetric.values()].reduce((sum, size) => sum + size, 0);
      return total > seriesMax ? { byMetric } : source.select(tenant, request);
    },
  };
  return { streaming, counting, asked };
}

test('a store that knows at once that it has nothing is asked only where the other took too long', async () => {
  for (const tookMs of [100, 101]) {
    const { recent, stored, clock, times } = setUp();
    Object.assign(stored, { hasNothing: () => true });
    recent.times = tookMs > 100 ? [] : [20];
    stored.times = [10];
    const got = times();
    assert.deepEqual([recent.asked, stored.asked], [1, 0]);
    clock.set(tookMs);
    await recent.answer();
    if (tookMs > 100) await stored.answer();
    assert.deepEqual(await got, tookMs > 100 ? [[10]] : [[20]]);
    assert.deepEqual([recent.open, stored.open], [0, 0]);
  }
});

test('how long the other took counts from before the store said at once that it has nothing', async () => {
  const { recent, stored, clock, times } = setUp();
  Object.assign(stored, {
    hasNothing() {
      clock.set(2);
      return true;
    },
  });
  stored.times = [10];
  const got = times();
  clock.set(101);
  await recent.answer();
  await stored.answer();
  assert.deepEqual(await got, [[10]]);
  const whole = Object.assign(recent, {
    async whole() {
      clock.set(203);
      return { labels: [SERIES], warnings: [], read() {}, close() {} };
    },
  });
  Object.assign(stored, {
    hasNothing() {
      clock.set(103);
      return true;
    },
  });
  const queryable = mergedQueryable('t', { recent: whole, stored, overlapMs: 100, clock });
  assert.equal(await queryable.whole!(ALL, unlimited()), undefined);
});

test('a store that knows at once that it has nothing is not asked beside a stream', async () => {
  for (const tookMs of [50, 101]) {
    const stored = new Place();
    const clock = new ManualClock();
    const { streaming } = listSource([{ labels: SERIES, times: [20, 30] }]);
    const empty: SampleSource = Object.assign(stored, { hasNothing: () => true });
    const queryable = mergedQueryable('t', { recent: streaming, stored: empty, overlapMs: 100, clock });
    const read = async () => {
      const names: string[] = [];
      for await (const { labels } of queryable.stream!(ALL, unlimited())) {
        names.push(...labels.map(String));
        clock.set(tookMs);
      }
      return names;
    };
    if (tookMs > 100) await assert.rejects(read(), StreamBroken, 'what it did not have yet may have left the other');
    else assert.deepEqual(await read(), [String(SERIES)]);
    assert.equal(stored.asked, 0);
  }
});

test('a stream is broken where the one relies on the other for more than when that was asked', async () => {
  for (const sinceMs of [999, 1000]) {
    const clock = new ManualClock();
    clock.set(1000);
    const { streaming } = listSource([{ labels: SERIES, times: [20, 30] }]);
    const empty: SampleSource = Object.assign(new Place(), { hasNothing: () => true });
    const sources = { recent: streaming, stored: empty, overlapMs: 100, storedSinceMs: () => sinceMs, clock };
    const read = async () => {
      for await (const _ of mergedQueryable('t', sources).stream!(ALL, unlimited()));
    };
    if (sinceMs === 1000) await assert.rejects(read(), StreamBroken);
    else await read();
  }
});

test('a block is whole where the store knows at once that it has nothing, and the answer came in time', async () => {
  const open = new Set<object>();
  const clock = new ManualClock();
  const context = unlimited();
  const recentOf = (tookMs: number): SampleSource => ({
    ...listSource([]).streaming,
    async whole() {
      const block = { labels: [SERIES], warnings: [], isWhole: true, read() {}, close: () => open.delete(block) };
      open.add(block);
      clock.set(clock.monotonicMs() + tookMs);
      return block;
    },
  });
  const empty: SampleSource = Object.assign(new Place(), { hasNothing: () => true });
  const full: SampleSource = Object.assign(new Place(), { hasNothing: () => false });
  const ask = (tookMs: number, stored: SampleSource | undefined, own = context) =>
    mergedQueryable('t', { recent: recentOf(tookMs), stored, overlapMs: 100, clock }).whole!(ALL, own);
  for (const stored of [empty, undefined]) {
    const block = await ask(100, stored);
    assert.deepEqual(block!.labels, [SERIES]);
    block!.close();
  }
  assert.equal(await ask(101, empty), undefined, 'what it did not have yet may have left the other');
  assert.equal(await ask(0, full), undefined);
  assert.equal(await ask(0, new Place()), undefined, 'it does not say');
  for (const [sinceMs, isWhole] of [
    [-1, true],
    [0, false],
  ] as const) {
    const storedSinceMs = () => clock.monotonicMs() + sinceMs;
    const sources = { recent: recentOf(0), stored: empty, overlapMs: 100, storedSinceMs, clock };
    const block = await mergedQueryable('t', sources).whole!(ALL, context);
    assert.equal(block !== undefined, isWhole, 'the other relies on it for more meanwhile');
    block?.close();
  }
  assert.equal(await ask(0, empty, { ...context, missing: new MissingParts() }), undefined);
  assert.equal(open.size, 0);
});

test('where the store has many series a stream has some at a time, each once, merged', async () => {
  const random = seededRandom(3);
  const names = ['a', 'b.c*', 'b', 'large', undefined, 'only_recent'];
  const all = Array.from({ length: 900 }, (_, i) => {
    const name = i < 300 ? 'large' : names[i % names.length];
    return Labels.of({ ...(name === undefined ? {} : { __name__: name }), i: `${i}`, g: `${i % 7}` });
  });
  const some = (times: readonly number[], wanted: (labels: Labels) => boolean) =>
    all.filter((labels) => wanted(labels) && random() < 0.7).map((labels) => ({ labels, times }));
  const recent = listSource(some([20, 30], () => true));
  const stored = listSource(some([10, 20], (labels) => labels.metricName !== 'only_recent'));
  const queryable = mergedQueryable('t', {
    recent: recent.streaming,
    stored: stored.counting,
    overlapMs: 100,
    clock: new ManualClock(),
    seriesAtOnce: 50,
  });
  const out = new SampleColumns(1);
  const timesOf = (index: number, from: Pick<SourceSeries, 'read'>) => {
    from.read(index, out);
    return [...out.times.subarray(0, out.count)];
  };
  for (const matchers of [
    [],
    [LabelMatcher.of('g', '=', '3')],
    [LabelMatcher.of(METRIC_NAME, '=', 'large')],
    [LabelMatcher.of(METRIC_NAME, '=', '')],
    [LabelMatcher.of(METRIC_NAME, '!=', 'large'), LabelMatcher.of('g', '=~', '1|2|3')],
  ]) {
    const request = { ...ALL, matchers };
    const counted = { streamed: 0, selected: 0 };
    const contextOf = (key: keyof typeof counted) => {
      const addSeries = (count: number) => (counted[key] += count);
      return { ...unlimited(), budget: { ...unlimited().budget, addSeries } };
    };
    const want = await queryable.select(request, contextOf('selected'));
    stored.asked.seriesMost = 0;
    const streamed = new Map<string, readonly number[]>();
    for await (const block of queryable.stream!(request, contextOf('streamed'))) {
      for (const [index, labels] of block.labels.entries()) {
        assert.ok(!streamed.has(labels.key), labels.toString());
        streamed.set(labels.key, timesOf(index, block));
      }
    }
    const wanted = want.series.map((labels, index): [string, number[]] => [labels.key, timesOf(index, want)]);
    assert.deepEqual(streamed, new Map(wanted));
    assert.equal(counted.streamed, counted.selected);
    if (matchers.length === 0) assert.ok(stored.asked.seriesMost <= 60, `${stored.asked.seriesMost} at once`);
    want.close();
  }
  assert.deepEqual([recent.asked.open, stored.asked.open], [0, 0]);
  assert.ok([...stored.asked.shards].some((count) => count > 1));
});

test('where series of several places are merged, one that has rows only is asked again for samples', async () => {
  const program = { func: 0, steps: 2, firstEndMs: 0, stepMs: 10, backMs: 10, rangeSeconds: 1 };
  let open = 0;
  let givenBack = 0;
  let isAway = false;
  const asked: boolean[] = [];
  const placeOf = (labels: readonly Labels[], timeMs: number): SampleSource => ({
    async select(_tenant, request) {
      const isRowsOnly = request.program !== undefined && timeMs === 0;
      if (timeMs === 0) asked.push(isRowsOnly);
      if (timeMs === 0 && !isRowsOnly && isAway) {
        throw storeErrors.storeUnavailable({ backend: 's3', operation: 'get', reason: 'gone', tries: 1 });
      }
      open++;
      return {
        labels,
        warnings: [],
        read(_, out) {
          assert.ok(!isRowsOnly, 'samples of rows');
          out.clear();
          out.pushFloat(timeMs, 1);
        },
        rows: (_program, _indexes, _from, to) => to,
        giveBack: isRowsOnly ? () => void givenBack++ : undefined,
        close: () => {
          open--;
        },
      };
    },
    labelNames: async () => ({ values: [], warnings: [] }),
    labelValues: async () => ({ values: [], warnings: [] }),
  });
  for (const [labels, isAsked] of [
    [[], [true]],
    [[SERIES], [true, false]],
  ] as const) {
    asked.length = 0;
    const sources = { recent: placeOf(labels, 10), stored: placeOf([SERIES], 0), overlapMs: 100 };
    const queryable = mergedQueryable('t', { ...sources, clock: new ManualClock() });
    const set = await queryable.select({ ...ALL, program }, unlimited());
    assert.deepEqual(asked, isAsked);
    if (labels.length > 0) {
      const out = new SampleColumns();
      set.read(0, out);
      assert.deepEqual([...out.times.subarray(0, out.count)], [0, 10]);
    }
    assert.equal(set.rows === undefined, labels.length > 0);
    assert.equal(givenBack, labels.length);
    set.close();
    assert.equal(open, 0);
  }

  isAway = true;
  const sources = { recent: placeOf([SERIES], 10), stored: placeOf([SERIES], 0), overlapMs: 100 };
  const queryable = mergedQueryable('t', { ...sources, clock: new ManualClock() });
  await assert.rejects(queryable.select({ ...ALL, program }, unlimited()), /s3 get failed/);
  assert.equal(open, 0);
  const missing = new MissingParts();
  const some = await queryable.select({ ...ALL, program }, { ...unlimited(), missing });
  assert.equal(missing.list.length, 1);
  some.close();
  assert.equal(open, 0);
  const budget = { ...unlimited().budget, addSeries: () => assert.fail('too many') };
  isAway = false;
  await assert.rejects(queryable.select({ ...ALL, program }, { ...unlimited(), budget }), /too many/);
  assert.equal(open, 0);
});
