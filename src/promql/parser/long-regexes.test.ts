import assert from 'node:assert/strict';
import { test } from 'node:test';
import { threadCpuMs } from '../../lib/test-thread-cpu.ts';
import { listQueryable } from '../../storage/test-list.ts';
import { unlimited } from '../../storage/unlimited.ts';
import { Engine } from '../engine.ts';
import { parseExpr } from './parser.ts';

const HOSTS = Array.from({ length: 150_000 }, (_, i) => `10\\\\.${i >> 16}\\\\.${(i >> 8) & 255}\\\\.${i & 255}`);
const ALL = HOSTS.join('|');

/** CPU time of one turn, twice and more what is needed on a machine that has other work. */
const STRETCH_MS_MAX = 250;

const data = listQueryable(
  ['10.0.3.7', '10.0.3.7:x', 'a10.0.3.7', '10.0.3'].map((n) => [{ __name__: 'many', n }, [1000, 1]] as const),
);

async function ask(expr: string) {
  let turns = 0;
  let longestMs = 0;
  let fromMs = threadCpuMs();
  const note = () => {
    longestMs = Math.max(longestMs, threadCpuMs() - fromMs);
  };
  const turn = async () => {
    note();
    turns++;
    await new Promise((resolve) => setImmediate(resolve));
    fromMs = threadCpuMs();
  };
  const asked = new Engine().query(data, { expr, timeMs: 2000 }, { ...unlimited(), turn });
  const result = await asked.catch((error: Error) => error);
  note();
  return { result, turns, longestMs };
}

for (const [what, pattern, n] of [
  ['texts', ALL, ['10.0.3.7']],
  ['prefixes in a group', `(${ALL}):.*`, ['10.0.3.7:x']],
  ['prefixes in two groups', `((?:${ALL}):.*)`, ['10.0.3.7:x']],
  ['a group behind plain text', `a(${ALL})`, ['a10.0.3.7']],
  ['texts in any case', `(?i:${ALL})`, ['10.0.3.7']],
  ['texts that go on with words', HOSTS.map((host) => `${host}:\\\\w`).join('|'), ['10.0.3.7:x']],
  ['suffixes', HOSTS.map((host) => `.*${host}`).join('|'), ['10.0.3.7', 'a10.0.3.7']],
] as const) {
  test(`3 MB of ${what} are compiled in turns`, async () => {
    const { result, turns, longestMs } = await ask(`many{n=~"${pattern}"}`);
    assert.ok(!(result instanceof Error) && result.value.type === 'vector');
    assert.deepEqual(
      result.value.samples.map(({ labels }) => labels.get('n')),
      n,
    );
    assert.ok(turns >= 5, `${turns} turns`);
    assert.ok(longestMs < STRETCH_MS_MAX, `${longestMs} ms at a time`);
  });
}

test('what is wrong of a long expression is told as of a short one, and with what else is wrong', async () => {
  const long = 'a'.repeat(70_000);
  for (const expr of [
    `many{n=~"${long}("}`,
    `many{n=~"${long}{1,2000}"} + sum(1)`,
    `sum(1) + many{n=~"${long}|b"}`,
    `many{n=~"${long}|b"`,
    `{n=~"${long}|.*"}`,
    `{n=~"${long}|b"} + {n=~"${long}|"}`,
  ]) {
    const { result } = await ask(expr);
    assert.throws(
      () => parseExpr(expr),
      (error: Error) => result instanceof Error && result.message === error.message,
      expr.slice(0, 100),
    );
  }
});

test('short ones that take long are compiled in turns', async () => {
  const matchers = Array.from({ length: 12 }, (_, i) => `x${i}=~"(\\\\p{L}{1,10}){1,${100 - i}}"`);
  const { result, turns, longestMs } = await ask(`absent(up{${matchers.join(', ')}})`);
  assert.ok(!(result instanceof Error));
  assert.ok(turns >= 12, `${turns} turns`);
  assert.ok(longestMs < STRETCH_MS_MAX, `${longestMs} ms at a time`);
});
