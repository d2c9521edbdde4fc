import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { Kernel } from '../chunk/kernel.ts';
import { systemClock } from '../lib/clock.ts';
import { DAY_MS } from '../lib/day.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { LabelMatcher } from '../model/matcher.ts';
import { FilesystemObjectClient } from '../object/filesystem.ts';
import { SampleColumns } from '../storage/columns.ts';
import { EmbeddedTableStore } from '../table/embedded.ts';
import { gridOf } from './index-reader.ts';
import { PLACEMENT_DEFAULT, slotOf } from './placement.ts';
import { ChunkStoreReader } from './reader.ts';
import { Schema, TABLE_MS_DEFAULT } from './schema.ts';
import { TableManager } from './table-manager.ts';
import { seriesOf, testContext } from './test-series.ts';
import { verify } from './verify.ts';
import { ChunkStoreWriter } from './writer.ts';

const START = Date.UTC(2026, 0, 5);
const MINUTE = 60_000;

test('windows of one minute on the embedded store are there after it was closed and opened', async (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chunkstore-'));
  t.after(() => fs.rmSync(dir, { recursive: true }));
  const kernel = Kernel.create();
  const clock = new ManualClock(START + 40 * DAY_MS);
  const open = async () => {
    const tables = await EmbeddedTableStore.open({ dir: path.join(dir, 'tables') });
    const objects = await FilesystemObjectClient.open({ dir: path.join(dir, 'objects'), clock: systemClock });
    const schema = new Schema([
      { fromMs: Number.NEGATIVE_INFINITY, tables, objects, tablePrefix: 'test_', tableMs: TABLE_MS_DEFAULT },
    ]);
    return { tables, objects, schema };
  };

  const first = await open();
  const writer = new ChunkStoreWriter(first.schema, kernel, { clock: systemClock, inlineBytesMax: 800 });
  for (let minute = 0; minute < 30; minute++) {
    const startMs = START + minute * MINUTE;
    const series = Array.from({ length: minute % 2 === 0 ? 5 : 100 }, (_, k) =>
      seriesOf({ __name__: 'm', k: `${k}` }, [startMs, startMs + 30_000], (_, i) => Math.sin(k + i)),
    );
    const slot = slotOf(PLACEMENT_DEFAULT, series[0]!.labels);
    const where = { tenant: 't', placement: PLACEMENT_DEFAULT, slot, windowStartMs: startMs, windowMs: MINUTE };
    await writer.write([{ ...where, series }]);
  }
  await first.tables.client.close();

  const second = await open();
  const reader = new ChunkStoreReader(second.schema, kernel, clock, { windowMs: MINUTE });
  const matchers = [LabelMatcher.of('k', '=', '3')];
  const range = { startMs: START + 10 * MINUTE, endMs: START + 20 * MINUTE - 1 };
  const set = await reader.select('t', { matchers, ...range }, testContext());
  const out = new SampleColumns(1);
  set.read(0, out);
  assert.deepEqual([set.series.length, out.count], [1, 20]);
  assert.deepEqual([...out.values.subarray(0, 2)], [Math.sin(3), Math.sin(4)]);
  const report = await verify(second.schema, kernel);
  assert.deepEqual(report.problems, []);
  assert.equal(report.objects, 15);
  const { dropped } = await new TableManager(second.schema, clock).run(7 * DAY_MS);
  assert.deepEqual(dropped, ['test_2922']);
  assert.equal((await verify(second.schema, kernel)).samples, 0);
  await second.tables.client.close();
});

test('the grid of windows holds for windows of other lengths too', () => {
  assert.equal(gridOf(7_200_000), 7_200_000);
  assert.equal(gridOf(MINUTE), 7_200_000);
  assert.equal(gridOf(3 * 3_600_000), 6 * 3_600_000);
  assert.equal(gridOf(7 * MINUTE), DAY_MS);
});
