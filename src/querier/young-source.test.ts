import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../lib/manual-clock.ts';
import { Labels } from '../model/labels.ts';
import type { SampleSource } from '../storage/source.ts';
import { unlimited } from '../storage/unlimited.ts';
import { YoungSource } from './young-source.ts';

test('recent samples are asked for as far back as they are young', async () => {
  const asked: string[] = [];
  const note = (what: string, { startMs, endMs }: { startMs: number; endMs: number }) => {
    asked.push(`${what} ${startMs}-${endMs}`);
  };
  const inner: SampleSource = {
    async select(_, request) {
      note('select', request);
      return { labels: [Labels.of({ a: 'b' })], warnings: [], read() {}, close() {} };
    },
    async *stream(_, request) {
      note('stream', request);
      yield { labels: [Labels.of({ a: 'b' })], warnings: [], read() {} };
    },
    async whole(_, request) {
      note('whole', request);
      return { labels: [Labels.of({ a: 'b' })], warnings: [], read() {}, close() {} };
    },
    async labelNames(_, request) {
      note('names', request);
      return { values: ['a'], warnings: [] };
    },
    async labelValues(_, name, request) {
      note(name, request);
      return { values: ['b'], warnings: [] };
    },
  };
  const source = new YoungSource(inner, 1000, new ManualClock(10_000));
  const context = unlimited();
  for (const [startMs, endMs] of [
    [0, 8999],
    [0, 9000],
    [9500, 20_000],
  ] as const) {
    const found = await source.select('t', { matchers: [], startMs, endMs }, context);
    const names = await source.labelNames('t', { matchers: [], startMs, endMs }, context);
    const values = await source.labelValues('t', 'a', { matchers: [], startMs, endMs }, context);
    const count = endMs < 9000 ? 0 : 1;
    let blocks = 0;
    for await (const _ of source.stream!('t', { matchers: [], startMs, endMs }, context)) blocks++;
    assert.equal(blocks, count);
    const whole = await source.whole!('t', { matchers: [], startMs, endMs }, context);
    assert.equal(whole!.labels.length, count);
    assert.deepEqual([found.labels.length, names.values.length, values.values.length], [count, count, count]);
  }
  const ranges = ['9000-9000', '9500-20000'].flatMap((range) => [
    `select ${range}`,
    `names ${range}`,
    `a ${range}`,
    `stream ${range}`,
    `whole ${range}`,
  ]);
  assert.deepEqual(asked, ranges);
});
