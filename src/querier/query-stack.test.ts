import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { EXPRESSION_LEVELS_MAX, QUERY_STACK_MB } from './query-stack.ts';

/** Evaluates, prints and writes as JSON what it is told, in a thread like a query's. */
const THREAD = `
  import { parentPort, workerData } from 'node:worker_threads';
  const at = (path) => import(new URL(path, workerData.base));
  const { Engine } = await at('../promql/engine.ts');
  const { parseExpr } = await at('../promql/parser/parser.ts');
  const { prettyExpr } = await at('../promql/parser/pretty.ts');
  const { exprToJson } = await at('../promql/parser/json.ts');
  const { unlimited } = await at('../storage/unlimited.ts');
  const none = { series: [], warnings: [], read() {}, close() {} };
  const store = { select: async () => none };
  const parser = { levelsMax: workerData.levelsMax };
  for (const expr of workerData.exprs) {
    try {
      const parsed = parseExpr(expr, parser);
      JSON.stringify(exprToJson(parsed));
      prettyExpr(parsed);
      await new Engine({ parser }).query(store, { expr, timeMs: 0 }, unlimited());
      parentPort.postMessage('ok');
    } catch (error) {
      parentPort.postMessage(error.message.slice(0, 100));
    }
  }
`;

async function answers(exprs: readonly string[]): Promise<string[]> {
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(THREAD)}`), {
    workerData: { exprs, levelsMax: EXPRESSION_LEVELS_MAX, base: import.meta.url },
    resourceLimits: { stackSizeMb: QUERY_STACK_MB },
  });
  const found: string[] = [];
  worker.on('message', (text: string) => found.push(text));
  await new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject));
  return found;
}

test('as deep as an expression may be, it is evaluated, and what is deeper is refused', async () => {
  const levels = EXPRESSION_LEVELS_MAX;
  const around = (before: string, inner: string, after: string, count: number) =>
    before.repeat(count) + inner + after.repeat(count);
  const chain = (count: number) => new Array<string>(count).fill('1').join(' + ');
  const deep = [
    around('(', 'a', ')', levels),
    around('abs(', 'a', ')', levels),
    around('-(', 'a', ')', levels / 2),
    around('sum(', 'a', ')', levels),
    around('max_over_time(', 'a', '[1m:1m])', levels / 4),
    around('1 + (', '1', ')', levels / 2),
    around('1 ^ ', '1', '', levels),
    chain(levels * 2.5),
  ];
  assert.deepEqual(
    await answers(deep),
    deep.map(() => 'ok'),
  );
  const deeper = [around('abs(', 'a', ')', levels + 1), around('(', 'a', ')', 1_000_000), chain(levels * 2.5 + 2)];
  const refused = await answers(deeper);
  assert.match(refused[0]!, /expression nests deeper than 2000 levels$/);
  assert.match(refused[1]!, /expression nests deeper than 2000 levels$/);
  assert.match(refused[2]!, /expression is deeper than 5000 levels$/);
});
