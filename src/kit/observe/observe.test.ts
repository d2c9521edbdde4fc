import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { processObserver } from '../service/process-observer.ts';
import { createLogger } from './log.ts';
import { counter, exposeMetrics, gauge, metricTable, Registry } from './metrics.ts';

test('a line of the log is logfmt or JSON, with what went wrong', () => {
  const lines: string[] = [];
  const sink = { write: (line: string) => lines.push(line) };
  const log = createLogger({ level: 'info', format: 'logfmt' }, sink);
  log.info({ tenant: 'a b', count: 3, nested: { x: 1 }, none: undefined }, 'push "refused"');
  log.debug({}, 'not shown');
  log.child({ shard: 2 }).error({ err: new TypeError('x = y') }, 'failed');
  createLogger({ level: 'debug', format: 'json' }, sink).debug({ a: 1 }, 'shown');
  assert.match(lines[0]!, /^ts=\d{4}-\S+Z level=info msg="push \\"refused\\"" tenant="a b" count=3 nested\.x=1\n$/);
  assert.match(
    lines[1]!,
    /level=error msg=failed shard=2 err\.type=TypeError err\.message="x = y" err\.stack="TypeError: x = y\\n/,
  );
  assert.deepEqual([JSON.parse(lines[2]!).msg, JSON.parse(lines[2]!).level, lines.length], ['shown', 'debug', 3]);
});

test('metrics of threads are added up under one name', async () => {
  const table = metricTable({
    requests: counter('requests_total', 'Requests.', ['route']),
    held: gauge('held_bytes', 'Bytes held.'),
  });
  const [main, worker] = [new Registry(), new Registry()];
  table(main).requests.inc({ route: '/' });
  const ofWorker = table(worker);
  ofWorker.requests.inc({ route: '/' }, 2);
  ofWorker.held.set(7);
  const text = await exposeMetrics(main, [() => worker.getMetricsAsJSON(), () => Promise.reject(new Error('gone'))]);
  assert.match(text, /^pallium_requests_total\{route="\/"\} 3$/m);
  assert.match(text, /^pallium_held_bytes 7$/m);
});

test('a process shows what it is and how long it was held up', async () => {
  const registry = new Registry();
  const observer = processObserver(registry, '1.2.3', systemClock);
  await observer.start!(new AbortController().signal);
  const text = await registry.metrics();
  await observer.stop!({ signal: new AbortController().signal, progress: () => {} });
  assert.match(text, /pallium_build_info\{version="1\.2\.3",nodeversion="v\d+/);
  assert.match(text, /process_resident_memory_bytes \d+/);
  assert.match(text, /pallium_event_loop_delay_max_seconds 0/);
  // of a gauge promtool wants no such ending
  assert.doesNotMatch(text, /TYPE \S+_total gauge/);
});
