import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoadedStorage } from '../../../test/conformance/promqltest/loaded-storage.ts';
import { parseScript } from '../../../test/conformance/promqltest/script.ts';
import type { Queryable } from '../../storage/queryable.ts';
import { ROW_ENTRY_WORDS, ROW_FROM, ROW_OTHERWISE, ROW_SUM, ROW_TO, ROW_TOTAL } from '../../storage/row-layout.ts';
import type { ReadRows } from '../../storage/series-rows.ts';
import { unlimited } from '../../storage/unlimited.ts';
import { Engine } from '../engine.ts';
import { Row } from '../row/row.ts';
import type { Execution } from './execution.ts';
import { RowBatches } from './row-batches.ts';

const STEPS = 4;

function programOf(steps: number) {
  return { func: ROW_SUM, steps, firstEndMs: 0, stepMs: 1000, backMs: 1000, rangeSeconds: 1 };
}

/** A source of series whose rows say their index, each with so many samples in its windows; and what it was asked for. */
function batchesOf(samples: number) {
  const asked: number[] = [];
  const held = { bytes: 0 };
  const hold = (_points: number, bytes: number): void => {
    held.bytes += bytes;
  };
  const rows: ReadRows = (_program, _indexes, from, to, { values, entries }) => {
    asked.push(to - from);
    for (let i = 0; i < to - from; i++) {
      values.fill(from + i, i * STEPS, (i + 1) * STEPS);
      entries[i * ROW_ENTRY_WORDS + ROW_FROM] = 0;
      entries[i * ROW_ENTRY_WORDS + ROW_TO] = STEPS;
      entries[i * ROW_ENTRY_WORDS + ROW_TOTAL] = samples;
    }
    return to;
  };
  const source = { read: () => {}, rows, version: 0 };
  const batches = new RowBatches({ hold } as unknown as Execution, programOf(STEPS), source);
  const out = new Row(STEPS);
  const read = (index: number, count: number): void => {
    assert.ok(batches.row(index, count, out));
    assert.deepEqual([...out.values], Array(STEPS).fill(index));
  };
  return { asked, held, source, read };
}

test('rows are read ahead while they are asked for in their order, more and more', () => {
  const { asked, held, read, source } = batchesOf(10);
  for (let i = 0; i < 1000; i++) read(i, 1000);
  assert.deepEqual(asked, [1, 2, 4, 8, 16, 32, 64, 128, 256, 256, 233]);
  assert.equal(held.bytes, 256 * (8 * STEPS + 4 * ROW_ENTRY_WORDS));
  // a stream goes on with the next block, and a small one does not slow it
  for (const [block, series] of [300, 2, 300].entries()) {
    source.version = block + 1;
    for (let i = 0; i < series; i++) read(i, series);
  }
  assert.deepEqual(asked.slice(11), [256, 44, 2, 256, 44]);
});

test('rows in another order are read one by one', () => {
  const { asked, read } = batchesOf(10);
  for (let i = 500; i > 0; i--) read(i, 1000);
  assert.deepEqual(asked, Array(500).fill(1));
});

test('series with many samples in their windows are read few at a time', () => {
  const { asked, read } = batchesOf(300_000);
  for (let i = 0; i < 100; i++) read(i, 100);
  assert.equal(Math.max(...asked), 6);
  const heavy = batchesOf(30_000_000);
  for (let i = 0; i < 100; i++) heavy.read(i, 100);
  assert.equal(Math.max(...heavy.asked), 1);
});

test('no source makes rows of more steps than it has room for, those of a subquery too', async () => {
  const data = new LoadedStorage();
  for (const command of parseScript('load 1m\n  m_total{i="a"} 0+1x60', {})) {
    if (command.kind === 'load') data.load(command);
  }
  const asked: number[] = [];
  const rows: ReadRows = (program, _indexes, from, to, { entries }) => {
    asked.push(program.steps);
    for (let i = 0; i < to - from; i++) entries[i * ROW_ENTRY_WORDS + ROW_FROM] = ROW_OTHERWISE;
    return to;
  };
  const queryable: Queryable = {
    labelNames: () => assert.fail(),
    labelValues: () => assert.fail(),
    async select(request) {
      const set = await data.select(request);
      return {
        series: set.series,
        warnings: set.warnings,
        read: (index, out) => set.read(index, out),
        rows,
        close: () => set.close(),
      };
    },
  };
  for (const inner of ['m_total', 'rate(m_total[5m])']) {
    const steps = async (range: string) => {
      asked.length = 0;
      const expr = `max_over_time(${inner}[${range}:1ms])`;
      await new Engine().query(queryable, { expr, timeMs: 1_800_000 }, unlimited());
      return [...asked];
    };
    assert.deepEqual(await steps('16s384ms'), [16 * 1024], inner);
    assert.deepEqual(await steps('16s385ms'), [], inner);
  }
});
