import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { GroupDecoder } from '../chunk/group/decode.ts';
import type { GroupSeries } from '../chunk/group/series.ts';
import { canonicalSeries } from '../chunkstore/canonical-series.ts';
import { idOfRange, isMergedRange, kindOf, ROW_GROUP } from '../chunkstore/keys.ts';
import { PLACEMENT_DEFAULT, slotOf } from '../chunkstore/placement.ts';
import { StoredSamples } from '../chunkstore/stored-samples.ts';
import { testContext } from '../chunkstore/test-series.ts';
import { verify } from '../chunkstore/verify.ts';
import type { WriteGroup } from '../chunkstore/writer.ts';
import { systemClock } from '../lib/clock.ts';
import { DAY_MS } from '../lib/day.ts';
import { encodeLabels } from '../model/canonical.ts';
import { floatHistogram } from '../model/histogram.ts';
import { Labels } from '../model/labels.ts';
import { LabelMatcher } from '../model/matcher.ts';
import { FilesystemObjectClient } from '../object/filesystem.ts';
import { MemoryObjectClient } from '../object/memory.ts';
import { SampleColumns } from '../storage/columns.ts';
import { EmbeddedTableStore } from '../table/embedded.ts';
import { MemoryTableStore } from '../table/memory.ts';
import { Compactor } from './compactor.ts';
import {
  CONFIG,
  compactorOn,
  compactorSuite,
  counts,
  FOR_EVER,
  HOUR,
  kernels,
  MINUTES,
  START,
  windows,
} from './test-suite.ts';

const memoryStores = () => ({ tables: new MemoryTableStore(), objects: new MemoryObjectClient(systemClock) });
const memory = () => compactorOn(memoryStores());

compactorSuite('memory', { killStep: 1 }, memoryStores);
compactorSuite('embedded', { killStep: 4 }, async (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'compactor-'));
  const tables = await EmbeddedTableStore.open({ dir: path.join(dir, 'tables') });
  const objects = await FilesystemObjectClient.open({ dir: path.join(dir, 'objects'), clock: systemClock });
  t.after(async () => {
    await tables.client.close();
    fs.rmSync(dir, { recursive: true });
  });
  return { tables, objects };
});

test('what a tenant writes after its deletion stays, on the same day too, and only that is told', async () => {
  const { writer, reader, schema, clock, run, tombstones } = memory();
  for (const tenant of ['a', 'b']) await writer.write(windows(tenant, START));
  clock.set(START + DAY_MS / 2 - 1);
  await tombstones.deleteTenant('a');
  // each time a query of its own
  const told = async (matchers: LabelMatcher[] = []) => [
    await reader.labelNames('a', matchers, START, START + DAY_MS, testContext()),
    await reader.labelValues('a', 'k', matchers, START, START + DAY_MS, testContext()),
  ];
  const whole = [
    ['__name__', 'k', 'tenant'],
    ['0', '1', '2'],
  ];
  assert.deepEqual(await told(), whole);
  // one that is not through moves on: half a day more is gone
  clock.set(START + DAY_MS - 1);
  await tombstones.deleteTenant('a');
  assert.deepEqual(await told(), [[], []]);
  assert.deepEqual(await told([LabelMatcher.of('k', '=', '1')]), [[], []]);
  clock.set(START + (3 * DAY_MS) / 2 - 1);
  await writer.write(windows('a', START + DAY_MS));
  await tombstones.deleteTenant('a');
  clock.set(START + 2 * DAY_MS + 2 * HOUR);
  await run({ sweep: 'force' });
  assert.equal((await tombstones.tenantDeletion('a'))?.state, 'processed');
  assert.deepEqual(await counts(reader, 'a'), Array(3).fill(MINUTES / 2));
  assert.deepEqual(await counts(reader, 'b'), Array(3).fill(MINUTES));
  // not only hidden
  assert.equal((await verify(schema, kernels.read)).samples, 3 * (MINUTES / 2) + 3 * MINUTES);
});

test('the oldest tables are dropped where the store may have a size', async () => {
  const { writer, reader, clock, options } = memory();
  for (let d = 0; d < 4; d++) await writer.write(windows('t', START + d * DAY_MS));
  clock.set(START + 3 * DAY_MS + HOUR);
  const compactor = new Compactor({
    ...options,
    config: { ...CONFIG, retentionSize: 250 },
    sizes: async (_, table) => (table.endsWith('tenants') ? undefined : 100),
  });
  const report = await compactor.run({ retention: FOR_EVER, sweep: 'none', signal: new AbortController().signal });
  assert.equal(report.tablesDropped.length, 2, 'of four');
  assert.deepEqual(await counts(reader, 't'), Array(3).fill(2 * MINUTES));
});

test('a damaged group stays as it is, the rest is merged', async () => {
  const { writer, reader, clock, run, tables, schema } = memory();
  for (const tenant of ['a', 'b']) await writer.write(windows(tenant, START));
  const { table } = schema.tableOf(START / DAY_MS);
  let damaged = false;
  for await (const page of tables.admin.scan(table)) {
    for (const row of page) {
      if (damaged || row.hash[0] !== 1 || row.hash[6] !== 'g'.charCodeAt(0)) continue;
      row.value[row.value.length - 2]! ^= 1;
      await tables.client.write(table, [row]);
      damaged = true;
    }
  }
  clock.set(START + DAY_MS + HOUR);
  const report = await run({ sweep: 'force' });
  assert.equal(report.damaged.length, 2, 'by the merge and by the sweep');
  assert.equal(report.groups, 1);
  assert.deepEqual(await counts(reader, 'b'), [MINUTES, MINUTES, MINUTES]);
});

test('a request is kept as long as logs are accepted, and forgotten after a last look that removes what came meanwhile', async () => {
  const { writer, reader, schema, clock, run, tombstones } = compactorOn(memoryStores(), DAY_MS, {
    walAgeMaxMs: 20 * DAY_MS,
  });
  await writer.write(windows('a', START));
  clock.set(START + DAY_MS + 2 * HOUR);
  const createdMs = clock.nowMs();
  await tombstones.create('a', [LabelMatcher.of('k', '=', '1')], START, START + DAY_MS - 1);
  clock.set(createdMs + DAY_MS);
  assert.equal((await run()).deletes, 1);
  const samples = async () => {
    await run({ sweep: 'force' });
    return (await verify(schema, kernels.read)).samples;
  };
  assert.equal(await samples(), 2 * MINUTES);
  // a holder that had not heard of it writes what it owed
  const owed = (group: WriteGroup & { series: readonly GroupSeries[] }) => ({
    ...group,
    series: group.series.slice(1, 2),
  });
  await writer.write([...windows('a', START)].map(owed));
  assert.equal(await samples(), 3 * MINUTES);
  assert.deepEqual(await counts(reader, 'a'), [MINUTES, MINUTES]);
  clock.set(createdMs + 21 * DAY_MS);
  await run();
  assert.equal((await tombstones.list('a')).length, 1, 'a log of 20 days may come');
  clock.set(createdMs + 21 * DAY_MS + HOUR);
  assert.deepEqual((await run()).failures, []);
  assert.deepEqual(await tombstones.list('a'), []);
  assert.deepEqual(await counts(reader, 'a'), [MINUTES, MINUTES]);
  assert.equal(await samples(), 2 * MINUTES);
});

for (const [what, deleted, asks] of [
  ['whole', LabelMatcher.of('__name__', '=', 'm'), false],
  ['in part', LabelMatcher.of('k', '=', '1'), false],
  ['whole', LabelMatcher.of('__name__', '=', 'm'), true],
  ['in part', LabelMatcher.of('k', '=', '1'), true],
] as const) {
  const by = asks ? 'who looks at the store first' : 'who is alone';
  test(`a window that was deleted ${what} and is sent again by ${by} is there, once its request is forgotten`, async () => {
    const { writer, reader, schema, clock, run, tombstones } = memory();
    await writer.write(windows('a', START));
    clock.set(START + DAY_MS + 2 * HOUR);
    await tombstones.create('a', [deleted], START, START + 2 * HOUR - 1);
    for (const days of [1, 8, 1]) {
      clock.set(clock.nowMs() + days * DAY_MS);
      assert.deepEqual((await run({ sweep: 'force' })).failures, []);
    }
    assert.deepEqual(await tombstones.list('a'), []);
    assert.equal((await counts(reader, 'a'))[1], MINUTES - 120);
    const send = async () => {
      const own = { windowMs: 2 * HOUR, clock };
      const stored = asks ? { stored: new StoredSamples(schema, new GroupDecoder(kernels.read), own) } : {};
      return writer.write([...windows('a', START)].slice(0, 1).map((group) => ({ ...group, ...stored })));
    };
    const whole = [MINUTES, MINUTES, MINUTES];
    await send();
    assert.deepEqual(await counts(reader, 'a'), whole);
    // another holder
    const again = await send();
    if (asks) assert.deepEqual(again, []);
    await run({ sweep: 'force' });
    assert.deepEqual(await counts(reader, 'a'), whole);
    const { problems, rows } = await verify(schema, kernels.read);
    assert.deepEqual([problems, rows.g], [[], 2]);
  });
}

test('a day from which a late series is deleted stays, although its merge is the one of before that came', async () => {
  const { writer, reader, schema, clock, run, tombstones } = memory();
  await writer.write([...windows('a', START)].slice(0, 2));
  clock.set(START + DAY_MS + 2 * HOUR);
  await run();
  const [late] = [...windows('a', START, 4)];
  await writer.write([{ ...late!, series: late!.series.slice(3) }]);
  clock.set(clock.nowMs() + 7 * HOUR);
  assert.equal((await run({ sweep: 'force' })).sources, 2);
  assert.deepEqual(await counts(reader, 'a'), [240, 240, 240, 120]);
  await tombstones.create('a', [LabelMatcher.of('k', '=', '3')], START, START + DAY_MS - 1);
  clock.set(clock.nowMs() + DAY_MS);
  assert.equal((await run()).deletes, 1);
  assert.deepEqual(await counts(reader, 'a'), [240, 240, 240]);
  await run({ sweep: 'force' });
  assert.deepEqual(await counts(reader, 'a'), [240, 240, 240]);
  assert.deepEqual((await verify(schema, kernels.read)).problems, []);
});

test('a tenant that was deleted is looked for once more, too', async () => {
  const { writer, reader, schema, clock, run, tombstones } = memory();
  for (const tenant of ['a', 'b']) await writer.write(windows(tenant, START));
  clock.set(START + DAY_MS + 2 * HOUR);
  await tombstones.deleteTenant('a');
  clock.set(START + 2 * DAY_MS + 2 * HOUR);
  await run();
  assert.equal((await tombstones.tenantDeletion('a'))?.state, 'processed');
  await writer.write([...windows('a', START)].map((group) => ({ ...group, series: group.series.slice(1) })));
  clock.set(START + 9 * DAY_MS);
  assert.deepEqual((await run({ sweep: 'force' })).failures, []);
  assert.equal(await tombstones.tenantDeletion('a'), undefined);
  assert.deepEqual(await counts(reader, 'a'), []);
  assert.equal((await verify(schema, kernels.read)).samples, 3 * MINUTES, 'of the other tenant');
});

test('a request is not forgotten before the ingester of the process knows of it', async () => {
  const { writer, clock, tombstones, options } = memory();
  await writer.write(windows('a', START));
  clock.set(START + DAY_MS + 2 * HOUR);
  const dueMs = clock.nowMs() + DAY_MS;
  await tombstones.create('a', [LabelMatcher.of('k', '=', '1')], START, START + DAY_MS - 1);
  clock.set(START + 30 * DAY_MS);
  const run = (deletionsReadMs?: number) =>
    new Compactor(options).run({
      retention: FOR_EVER,
      sweep: 'none',
      signal: new AbortController().signal,
      ...(deletionsReadMs === undefined ? {} : { deletionsReadMs }),
    });
  for (const deletionsReadMs of [0, dueMs]) {
    await run(deletionsReadMs);
    assert.deepEqual(
      (await tombstones.list('a')).map(({ state }) => state),
      ['processed'],
    );
  }
  await run(dueMs + 1);
  assert.deepEqual(await tombstones.list('a'), []);
});

test('a tenant whose deletion moves on while it is carried out is deleted anew', async () => {
  const { writer, clock, run, tombstones, tables, options } = memory();
  await writer.write(windows('a', START));
  clock.set(START + DAY_MS - 1);
  const first = await tombstones.deleteTenant('a');
  clock.set(START + DAY_MS + 2 * HOUR);
  const { compareAndSet } = tables.client;
  let moved = false;
  tables.client.compareAndSet = async (...args) => {
    if (!moved) {
      moved = true;
      await tombstones.deleteTenant('a');
    }
    return compareAndSet.apply(tables.client, args);
  };
  await new Compactor(options).run({ retention: FOR_EVER, sweep: 'none', signal: new AbortController().signal });
  tables.client.compareAndSet = compareAndSet;
  const known = await tombstones.tenantDeletion('a');
  assert.deepEqual([known?.state, known?.endMs], ['pending', START + DAY_MS + 2 * HOUR]);
  assert.equal(known?.id, first.id);
  clock.set(START + 2 * DAY_MS + 2 * HOUR);
  await run();
  assert.equal((await tombstones.tenantDeletion('a'))?.state, 'processed');
});

test('a day of histograms is merged to the same group however it was written', async () => {
  const histograms = Array.from({ length: 40 }, (_, i) => {
    const buckets = Array.from({ length: 1 + (i >> 3) }, (_, k) => i + k);
    const count = buckets.reduce((sum, each) => sum + each, 0);
    const positiveSpans = [{ offset: 3, length: buckets.length }];
    return floatHistogram({ count, sum: i, positiveSpans, positiveBuckets: buckets });
  });
  const group = (from: number, to: number): WriteGroup => {
    const columns = new SampleColumns();
    for (let i = from; i < to; i++) columns.pushHistogram(START + i * 60_000, histograms[i]!);
    const series = [canonicalSeries(encodeLabels(Labels.of({ __name__: 'm' })), columns)];
    const slot = slotOf(PLACEMENT_DEFAULT, series[0]!.labels);
    return { tenant: 'a', placement: PLACEMENT_DEFAULT, slot, windowStartMs: START, windowMs: 2 * HOUR, series };
  };
  const ids: string[] = [];
  for (const cuts of [
    [0, 10, 40],
    [0, 3, 30, 40],
  ]) {
    const { writer, clock, run, tables, schema } = memory();
    for (let k = 1; k < cuts.length; k++) await writer.write([group(cuts[k - 1]!, cuts[k]!)]);
    clock.set(START + DAY_MS + 2 * HOUR);
    await run();
    for await (const page of tables.admin.scan(schema.tableOf(START / DAY_MS).table)) {
      for (const { hash, range } of page) {
        if (kindOf(hash) === ROW_GROUP && isMergedRange(range)) ids.push(Buffer.from(idOfRange(range)).toString('hex'));
      }
    }
  }
  assert.equal(ids.length, 2);
  assert.equal(ids[0], ids[1]);
});
