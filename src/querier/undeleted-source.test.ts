import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tombstone } from '../chunkstore/tombstone-row.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { Labels } from '../model/labels.ts';
import { LabelMatcher } from '../model/matcher.ts';
import { Engine } from '../promql/engine.ts';
import { nextTimesId } from '../storage/columns.ts';
import { mergedQueryable } from '../storage/merge.ts';
import type { SampleSource } from '../storage/source.ts';
import { unlimited } from '../storage/unlimited.ts';
import { UndeletedSource } from './undeleted-source.ts';

const SERIES = ['a', 'b', 'c'].map((i) => Labels.of({ __name__: 'm', i }));
const SAMPLES = 40;
const STEP_MS = 15_000;

/** Three series with the same times, which says so, and like a head's decoder does not write times again that stand there. */
function sharedTimes(): SampleSource {
  const id = nextTimesId();
  const nothing = async () => ({ values: [], warnings: [] });
  return {
    labelNames: nothing,
    labelValues: nothing,
    select: async () => ({
      labels: SERIES,
      warnings: [],
      read(index, out) {
        const known = out.timesId === id;
        out.clear();
        for (let i = 0; i < SAMPLES; i++) out.pushFloat(known ? out.times[i]! : i * STEP_MS, (index + 1) * 1000 + i);
        out.timesId = id;
      },
      close() {},
    }),
  };
}

async function ask(expr: string, deleted: string | undefined): Promise<Map<string, [number, number][]>> {
  const tombstones =
    deleted === undefined
      ? []
      : [{ startMs: 0, endMs: 300_000, matchers: [LabelMatcher.of('i', '=', deleted)] } as unknown as Tombstone];
  const recent = new UndeletedSource(sharedTimes(), async () => tombstones);
  const data = mergedQueryable('t', { recent, overlapMs: 1e9, clock: new ManualClock() });
  const range = { expr, startMs: 0, endMs: 600_000, stepMs: 60_000 };
  const { value } = await new Engine().queryRange(data, range, unlimited());
  assert.ok(value.type === 'matrix');
  return new Map(
    value.series.map(({ labels, times, values }) => [
      labels.get('i'),
      Array.from(times, (time, k): [number, number] => [time, values[k]!]),
    ]),
  );
}

for (const expr of ['m', 'rate(m[2m])']) {
  for (const deleted of ['a', 'b', 'c']) {
    test(`${expr}: what is deleted of ${deleted} is not there, and the other series of the target are whole`, async () => {
      const whole = await ask(expr, undefined);
      const got = await ask(expr, deleted);
      for (const i of ['a', 'b', 'c']) {
        if (i !== deleted) assert.deepEqual(got.get(i), whole.get(i), i);
      }
      const left = got.get(deleted)!;
      assert.ok(left.length > 0 && left[0]![0] > 300_000);
      const settledMs = 300_000 + 2 * 60_000 + STEP_MS; // windows that begin after what is deleted
      assert.deepEqual(
        left.filter(([time]) => time > settledMs),
        whole.get(deleted)!.filter(([time]) => time > settledMs),
      );
    });
  }
}

test('a block that is whole is left to the stream where something of it is deleted', async () => {
  const tombstones = [{ startMs: 0, endMs: 100, matchers: [] } as unknown as Tombstone];
  const whole = async () => ({ labels: SERIES, warnings: [], read() {}, close() {} });
  const source = new UndeletedSource({ ...sharedTimes(), whole }, async () => tombstones);
  const asked = (startMs: number) => source.whole!('t', { matchers: [], startMs, endMs: 200 }, unlimited());
  assert.equal(await asked(100), undefined);
  assert.equal((await asked(101))!.labels, SERIES);
  assert.equal(new UndeletedSource(sharedTimes(), async () => []).whole, undefined);
});

test('of a stream, what is deleted is left out too', async () => {
  const source = sharedTimes();
  source.stream = async function* (...request) {
    const { labels, warnings, read } = await source.select(...request);
    for (const index of [2, 0, 1]) yield { labels: [labels[index]!], warnings, read: (_, out) => read(index, out) };
  };
  const matchers = [LabelMatcher.of('i', '=', 'b')];
  const tombstones = [
    { startMs: 0, endMs: 3_600_000, matchers },
    { startMs: 0, endMs: 300_000, matchers: [LabelMatcher.of('i', '=', 'c')] },
  ] as unknown as readonly Tombstone[];
  for (const recent of [source, sharedTimes()].map((inner) => new UndeletedSource(inner, async () => tombstones))) {
    const data = mergedQueryable('t', { recent, overlapMs: 1e9, clock: new ManualClock() });
    const at = async (timeMs: number) => {
      const { value } = await new Engine().query(
        data,
        { expr: 'sum by (i) (m)', timeMs, lookbackMs: 60_000 },
        unlimited(),
      );
      assert.ok(value.type === 'vector');
      return value.samples.map((sample) => [sample.labels.get('i'), sample.value]);
    };
    assert.deepEqual(await at(300_000), [['a', 1020]]);
    assert.deepEqual(await at(360_000), [
      ['a', 1024],
      ['c', 3024],
    ]);
  }
});
