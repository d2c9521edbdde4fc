import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DAY_MS } from '../chunkstore/keys.ts';
import { createLogger } from '../kit/observe/log.ts';
import { Registry } from '../kit/observe/metrics.ts';
import { MemoryObjectClient } from '../object/memory.ts';
import { MemoryTableStore } from '../table/memory.ts';
import { type CompactionRun, type CompactionRunner, runCompactor } from './compaction-run.ts';
import { CompactorService } from './service.ts';
import { CONFIG, compactorOn, counts, FOR_EVER, START, windows } from './test-suite.ts';

// The service with runs in this thread.

/** A service whose time passes when the test says so. */
function serviceOn(runnerOf: (own: CompactionRunner) => CompactionRunner = (own) => own) {
  const bench = compactorOn({ tables: new MemoryTableStore(), objects: new MemoryObjectClient() });
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
    retention: () => FOR_EVER,
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
