import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoadedStorage } from '../../../test/conformance/promqltest/loaded-storage.ts';
import { parseScript } from '../../../test/conformance/promqltest/script.ts';
import type { SelectRequest } from '../../storage/queryable.ts';
import { unlimited } from '../../storage/unlimited.ts';
import { Engine } from '../engine.ts';
import { parseExpr } from '../parser/parser.ts';
import { buildPlan } from './build.ts';
import { gridOf } from './grid.ts';
import { childrenOf, type PlanNode } from './node.ts';
import { shareSelects } from './share-selects.ts';
import { shareSubexpressions } from './share-subexpressions.ts';

const LOAD = `load 30s
  a{job="x", i="1"} 0+10x40
  a{job="x", i="2"} 0+7x20 0+3x19
  a{job="y", i="1"} 5 _ _ 9 stale _ 3+1x30
  b{job="x", i="1"} 1+2x40
  b{job="y", i="1"} {{schema:0 sum:1 count:1 buckets:[1]}}+{{schema:0 sum:1 count:1 buckets:[1]}}x40
`;

const EXPRESSIONS = [
  'rate(a[5m]) / rate(a[5m])',
  'sum(rate(a[5m])) / sum(rate(a[5m]))',
  'sum by (job) (a) - sum by (job) (a offset 1m) + sum by (job) (a)',
  'abs(sum(a)) + abs(sum(a)) + sum(a)',
  'a / on (job) group_left sum by (job) (a)',
  'max_over_time(sum(a)[5m:1m]) - min_over_time(sum(a)[5m:1m])',
  'sum(a @ end()) + sum(a @ end()) + sum(a @ 60)',
  'topk(1, a) or bottomk(1, a) or topk(1, a)',
  'sum(b) or sum(b)',
  'sum(rate(b[5m])) > bool sum(rate(b[5m]))',
  'a and a[5m:1m] @ 60 or a',
  'count_values("v", a) + count_values("v", a)',
  'label_replace(sum(a), "x", "1", "", "") + ignoring (x) label_replace(sum(a), "x", "2", "", "")',
];

const context = unlimited();

class CountingStorage extends LoadedStorage {
  selects = 0;

  override select(request: SelectRequest): ReturnType<LoadedStorage['select']> {
    this.selects++;
    return super.select(request);
  }
}

function storage(): CountingStorage {
  const memory = new CountingStorage();
  for (const command of parseScript(LOAD, {})) if (command.kind === 'load') memory.load(command);
  return memory;
}

test('an optimised plan answers and says the same', async () => {
  const data = storage();
  for (const expr of EXPRESSIONS) {
    const answers: unknown[] = [];
    for (const optimize of [false, true]) {
      const engine = new Engine({ optimize });
      const range = { expr, startMs: 0, endMs: 1_200_000, stepMs: 45_000 };
      const answer = await engine.queryRange(data, range, context).then(
        ({ value, warnings, infos }) => ({ value, warnings, infos }),
        (error: Error) => error.message,
      );
      answers.push(answer);
    }
    assert.deepEqual(answers[1], answers[0], expr);
  }
});

function plan(expr: string): PlanNode {
  return buildPlan(parseExpr(expr), gridOf(0, 600_000, 60_000), {
    startMs: 0,
    endMs: 600_000,
    stepMs: 60_000,
    lookbackMs: 300_000,
    defaultSubqueryStepMs: 60_000,
  });
}

function nodes(root: PlanNode): PlanNode[] {
  return [root, ...childrenOf(root).flatMap(nodes)];
}

test('equal aggregations are one part of the plan', () => {
  const shared = nodes(shareSubexpressions(plan('sum(rate(a[5m])) / sum(rate(a[5m]))'))).filter(
    ({ kind }) => kind === 'shared',
  );
  assert.equal(shared.length, 2);
  assert.equal(shared[0], shared[1]);
});

test('what differs in anything that matters is not shared', () => {
  for (const expr of [
    'sum(a) + sum(a offset 1m)',
    'sum(a) + sum by (job) (a)',
    'sum(rate(a[5m])) + sum(rate(a[6m]))',
    'sum(a) + sum(a{job="x"})',
    'sum(a) + max(a)',
    'rate(a[5m]) + rate(a[5m])',
  ]) {
    const found = nodes(shareSubexpressions(plan(expr)));
    assert.deepEqual(
      found.filter(({ kind }) => kind === 'shared'),
      [],
      expr,
    );
  }
});

test('equal selectors over ranges that touch ask the storage once', async () => {
  for (const [expr, selects] of [
    ['a + a offset 1m + sum(rate(a[5m]))', 1],
    ['a + b', 2],
    ['a + a offset 2h', 2],
    ['a{job="x"} + a', 2],
  ] as const) {
    const data = storage();
    await new Engine().queryRange(data, { expr, startMs: 0, endMs: 600_000, stepMs: 60_000 }, context);
    assert.equal(data.selects, selects, expr);
  }
});

test('a shared range holds all that any of them asks for', () => {
  const selects = nodes(shareSelects(plan('a + a offset 1m + sum(rate(a[10m]))'))).flatMap((node) =>
    node.kind === 'selector'
      ? [node.select]
      : node.kind === 'matrix' && node.source.kind === 'select'
        ? [node.source.select]
        : [],
  );
  assert.equal(new Set(selects).size, 1);
  assert.equal(selects[0]!.startMs, -600_000 + 1);
  assert.equal(selects[0]!.endMs, 600_000);
});

test('what does not depend on the step is evaluated once', () => {
  const repeated = (expr: string): string[] =>
    nodes(plan(expr)).flatMap((node) => (node.kind === 'repeat' ? [node.input.kind] : []));
  assert.deepEqual(repeated('sum(rate(a[5m] @ end()))'), ['aggregate']);
  assert.deepEqual(repeated('a + sum(a @ 10)'), ['aggregate']);
  assert.deepEqual(repeated('predict_linear(a[5m] @ 10, 60)'), []);
  assert.deepEqual(repeated('timestamp(a @ 10)'), ['call']);
  assert.deepEqual(repeated('timestamp(abs(a @ 10))'), ['call']);
  assert.deepEqual(repeated('1 + time()'), []);
});
