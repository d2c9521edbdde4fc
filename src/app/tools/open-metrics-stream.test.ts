import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExpositionEntry } from '../../wire/exposition/entry.ts';
import { readOpenMetrics } from './open-metrics-stream.ts';

async function read(text: string): Promise<ExpositionEntry[]> {
  const entries: ExpositionEntry[] = [];
  const input = (async function* () {
    yield Buffer.from(text);
  })();
  for await (const entry of readOpenMetrics(input)) entries.push(entry);
  return entries;
}

test('times that can only be milliseconds, and times out of range, are refused with their line', async () => {
  const file = (line: string) => `# TYPE m gauge\nm{a="1"} 1 1609954636\n${line}\n# EOF\n`;
  for (const [line, why] of [
    ['m 1 1609954636000', /line 3: .*1609954636000 can only be milliseconds, and OpenMetrics has seconds: 1609954636/],
    ['m 1 1609954636000.5', /line 3: .*can only be milliseconds/],
    ['m 1 9223372036854775807', /line 3: .*out of range/],
    ['m 1 1e300', /line 3: .*out of range/],
    ['m 1 -1609954636000', /line 3: .*out of range/],
    ['m 1 NaN', /line 3: .*NaN/],
  ] as const) {
    await assert.rejects(read(file(line)), why, line);
  }
  await assert.rejects(
    read('# TYPE c counter\nc_total 1 5 # {id="x"} 1 1609954636000\n# EOF\n'),
    /line 2: .*exemplar timestamp.*milliseconds/,
  );
  const entries = await read(file('m 2 1609954640.25'));
  assert.deepEqual(
    entries.flatMap((entry) => (entry.kind === 'series' ? [entry.timeMs] : [])),
    [1609954636000, 1609954640250],
  );
});

test('exemplars come with their samples', async () => {
  const [, entry] = await read('# TYPE c counter\nc_total 1 5 # {id="x"} 0.5 4\n# EOF\n');
  assert.ok(entry?.kind === 'series');
  assert.deepEqual(entry.exemplar, { pairs: ['id', 'x'], value: 0.5, timeMs: 4000 });
});
