// A store with a month in it: how long label queries and a query over all of it take, each in a process that has nothing cached
// (the system's cache of files aside), and again.
//   npm run bench:month -- [--days 30] [--series 2000] [--step 15000] [--merge true]
// Goals: names and values of labels 100 ms, series of a metric 200 ms, a metric of 100 series over 30 days at steps of 1 h
// 1 s cold, 300 ms warm.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { DAY_MS, dayOf } from '../src/lib/day.ts';
import { Pallium, tempFolder } from '../test/harness/pallium.ts';
import { fillStore, METRIC } from './month-store.ts';
import { benchOptions } from './options.ts';

const options = benchOptions({ days: '30', series: '2000', step: '15000', merge: 'true' });
const series = Number(options.series);
const startMs = (dayOf(Date.now()) - Number(options.days)) * DAY_MS;
const endMs = startMs + Number(options.days) * DAY_MS;
const dataDir = tempFolder('month');
try {
  const stepMs = Number(options.step);
  await fillStore(join(dataDir, 'store'), { startMs, endMs, series, stepMs, merge: options.merge === 'true' });
  await ask();
} finally {
  rmSync(dataDir, { recursive: true, force: true });
}

async function ask(): Promise<void> {
  const range = { start: startMs / 1000, end: endMs / 1000 };
  const questions: [
    what: string,
    path: string,
    params: Record<string, string | number>,
    coldMs: number,
    warmMs: number,
  ][] = [
    ['label names', '/api/v1/labels', range, 100, 100],
    ['label values', '/api/v1/label/instance/values', range, 100, 100],
    ['metric names', '/api/v1/label/__name__/values', range, 100, 100],
    ['series of a metric', '/api/v1/series', { ...range, 'match[]': METRIC }, 200, 200],
    ['30 days, step 1 h', '/api/v1/query_range', { ...range, query: METRIC, step: 3600, stats: 'all' }, 1000, 300],
    [
      '30 days, average',
      '/api/v1/query_range',
      { ...range, query: `avg_over_time(${METRIC}[1h])`, step: 3600 },
      1000,
      300,
    ],
  ];
  const rows: Record<string, unknown>[] = [];
  for (const [what, path, params, coldGoalMs, warmGoalMs] of questions) {
    // each its own process: no other has warmed anything
    await using server = await Pallium.start({ dataDir });
    await server.api().data('/api/v1/query', { query: '1+1' });
    const times: number[] = [];
    let size = '';
    for (let i = 0; i < 6; i++) {
      const fromMs = performance.now();
      const { status, text } = await server.api().ask(`${path}?${search(params)}`);
      times.push(performance.now() - fromMs);
      if (status !== 200) throw new Error(`${what}: ${status} ${text}`);
      const { data } = JSON.parse(text);
      const store = data.stats?.store;
      if (i === 0)
        size = `${(data.result ?? data).length}${store ? `, ${store.fetchedRows} rows, ${store.fetchedObjects} objects` : ''}`;
    }
    const coldMs = times[0]!;
    const warmMs = times.slice(1).sort((a, b) => a - b)[2]!;
    rows.push({
      what,
      found: size,
      'cold ms': Number(coldMs.toFixed(1)),
      'warm ms': Number(warmMs.toFixed(1)),
      goal: `${coldGoalMs} / ${warmGoalMs}`,
      met: coldMs <= coldGoalMs && warmMs <= warmGoalMs,
    });
    await server.stop();
  }
  console.table(rows);
}

function search(params: Readonly<Record<string, string | number>>): URLSearchParams {
  return new URLSearchParams(Object.entries(params).map(([name, value]): [string, string] => [name, String(value)]));
}
