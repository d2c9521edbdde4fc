import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '../kit/observe/log.ts';
import { Registry } from '../kit/observe/metrics.ts';
import { systemClock } from '../lib/clock.ts';
import { DAY_MS } from '../lib/day.ts';
import { LabelMatcher } from '../model/matcher.ts';
import { MemoryObjectClient } from '../object/memory.ts';
import { MemoryTableStore } from '../table/memory.ts';
import { type CompactionRun, type CompactionRunner, runCompactor } from './compaction-run.ts';
import type { Retention } from './compactor.ts';
import { CompactorService } from './service.ts';
import { CONFIG, compactorOn, counts, FOR_EVER, START, windows } from './test-suite.ts';

// The service with runs in this thread.

/** A service whose time passes when the test says so. */
function serviceOn(
  runnerOf: (own: CompactionRunner) => CompactionRunner = (own) => own,
  retention: Retention = FOR_EVER,
) {
  const bench = compactorOn({ tables: new MemoryTableStore(), objects: new MemoryObjectClient(systemClock) });
  const runs: CompactionRun[] = [];
  const own: CompactionRunner = {
    run(run, signal) {
      runs.push(run);
      return runCompactor(bench.options, run, signal);
    },
  };
  const lines: string[] = [];
  const log = createLogger({ level: 'info', format: 'logfmt' }, { write: (line) => lines.push(line) });
  /** Ends the sleep that the service is in. */
  let wake = () => {};
  const clock = Object.assign(bench.clock, {
    sleep: (_: number, signal?: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        wake = resolve;
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
      }),
  });
  const service = new CompactorService({
    config: CONFIG,
    runner: runnerOf(own),
    retention: () => retention,
    log,
    registry: new Registry(),
    clock,
  });
  const passed = async () => {
    wake();
    await new Promise((resolve) => setImmediate(resolve));
    await service.run({ force: false }); // waits for the one that began
  };
  return { service, bench, runs, lines, passed };
}

test('a day that is over is merged, and the report says so', async () => {
  const { service, bench, runs, lines } = serviceOn();
  await bench.writer.write(windows('a', START));
  const before = await counts(bench.reader, 'a');
  bench.clock.set(START + DAY_MS + CONFIG.dayDelayMs);
  const report = await service.run({ force: false });
  assert.deepEqual([report.days, report.groups > 0, report.failures], [1, true, []]);
  assert.deepEqual(await counts(bench.reader, 'a'), before);
  assert.equal(runs[0]!.sweep, 'due');
  assert.ok(lines.some((line) => line.includes('msg=compacted')));
  assert.equal((await service.run({ force: false })).days, 0);
  assert.equal(runs[1]!.sweep, 'none', 'it has just been swept');
  bench.clock.set(bench.clock.nowMs() + CONFIG.sweepIntervalMs);
  await service.run({ force: false });
  assert.equal(runs[2]!.sweep, 'due');
  assert.ok(runs[2]!.firstSeen.size > 0, 'what one run saw the next one knows');
  await service.run({ force: true });
  assert.equal(runs[3]!.sweep, 'force');
});

test('it runs by itself while it is on, one run at a time, and ends at once', async () => {
  let running = 0;
  const { service, runs, passed } = serviceOn((own) => ({
    async run(run, signal) {
      assert.equal(++running, 1);
      const answer = await own.run(run, signal);
      running--;
      return answer;
    },
  }));
  await service.start();
  await Promise.all([service.run({ force: false }), service.run({ force: false })]);
  assert.equal(runs.length, 2);
  await passed();
  assert.equal(runs.length, 4, 'its own, and the one that waited for it');
  await service.stop();
  await assert.rejects(service.run({ force: false }), /stopping/);
});

test('a run that fails is told, and tried again', async () => {
  let failing = true;
  const { service, lines, passed } = serviceOn((own) => ({
    run: (run, signal) => (failing ? Promise.reject(new Error('store away')) : own.run(run, signal)),
  }));
  await assert.rejects(service.run({ force: false }), /store away/);
  await service.start();
  await passed().catch(() => {});
  assert.ok(lines.some((line) => line.includes('store away')));
  failing = false;
  await passed();
  await service.stop();
});

const KEEP: Retention = { defaultMs: 6 * DAY_MS, tenants: new Map([['brief', 3 * DAY_MS]]) };

/** A service with a week of two tenants, and `looked` to have its loop run so often. */
async function weekOn(retention: Retention) {
  const on = serviceOn((own) => own, retention);
  const { bench, service } = on;
  for (let day = 0; day < 7; day++) {
    for (const tenant of ['brief', 'other']) await bench.writer.write(windows(tenant, START + day * DAY_MS));
  }
  bench.clock.set(START + 7 * DAY_MS + 2 * CONFIG.dayDelayMs);
  const of = async (tenant: string) => (await counts(bench.reader, tenant, START, START + 400 * DAY_MS))[0] ?? 0;
  await service.start();
  const looked = async (times: number) => {
    for (let i = 0; i < times; i++) {
      bench.clock.advance(CONFIG.intervalMs);
      await on.passed();
    }
  };
  return { ...on, of, looked };
}

test('a clock that is a year ahead for a while drops nothing', async () => {
  const { bench, service, of, looked } = await weekOn({ defaultMs: 60 * DAY_MS, tenants: new Map() });
  const before = [await of('brief'), await of('other')];
  await looked(3);
  const right = bench.clock.nowMs();
  bench.clock.set(right + 365 * DAY_MS);
  await looked(40);
  bench.clock.set(right);
  await looked(10);
  assert.deepEqual([await of('brief'), await of('other')], before);
  await service.stop();
});

test('nor does one with which samples of its time come, for as long as an hour', async () => {
  const { bench, service, lines, of, looked } = await weekOn(KEEP);
  await looked(12);
  const before = [await of('brief'), await of('other')];
  const right = bench.clock.nowMs();
  const ahead = START + 200 * DAY_MS;
  bench.clock.set(ahead + DAY_MS);
  await bench.writer.write([...windows('other', ahead)].slice(0, 1));
  await looked(4);
  const due = lines.findLast((line) => line.includes('will be dropped when further looks agree'));
  assert.match(due ?? '', /level=warn .*tables=test_\d+,test_\d+/);
  bench.clock.set(right);
  await looked(12);
  assert.deepEqual([await of('brief'), (await of('other')) - 120], before);
  await service.stop();
});

test('what is past retention goes when the looks of an hour agree, and little by little', async () => {
  const { bench, service, lines, of, looked } = await weekOn(KEEP);
  const day = (await of('other')) / 7;
  for (let later = 7; later < 12; later++) await bench.writer.write(windows('other', START + later * DAY_MS));
  bench.clock.set(START + 12 * DAY_MS + CONFIG.dayDelayMs);
  assert.deepEqual([await of('other'), await of('brief')], [12 * day, 7 * day]);
  await looked(2);
  assert.deepEqual([await of('other'), await of('brief')], [12 * day, 7 * day]);
  await looked(12);
  assert.deepEqual([await of('other'), await of('brief')], [6 * day, 0]);
  const dropped = lines.filter((line) => line.includes('dropped tables past retention'));
  assert.ok(dropped.length >= 3, 'two at most at once');
  assert.ok(lines.findIndex((line) => line.includes('will be dropped')) < lines.indexOf(dropped[0]!));
  await service.stop();
});

test('a clock that jumps ahead for less than an hour forgets no delete request', async () => {
  const { bench, service, looked } = await weekOn({ defaultMs: 0, tenants: new Map() });
  const { clock, tombstones } = bench;
  await tombstones.create('brief', [LabelMatcher.of('k', '=', '1')], START, START + DAY_MS - 1);
  clock.set(clock.nowMs() + DAY_MS);
  const states = async () => (await tombstones.list('brief')).map(({ state }) => state);
  await looked(6);
  assert.deepEqual(await states(), ['processed']);
  const right = clock.nowMs();
  // the loop looks once as it jumps
  clock.set(right + 9 * DAY_MS);
  await looked(4);
  assert.deepEqual(await states(), ['processed']);
  clock.set(right);
  await looked(6);
  clock.set(right + 9 * DAY_MS);
  await looked(4);
  assert.deepEqual(await states(), ['processed']);
  await looked(1);
  assert.deepEqual(await states(), []);
  await service.stop();
});
