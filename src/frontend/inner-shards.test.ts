import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { QueryResult, RangeRequest } from '../contract/query.ts';
import { queryErrors } from '../model/errors-query.ts';
import { parseExpr } from '../promql/parser/parser.ts';
import { cutOut, rangeOverInner } from './inner-shards.ts';
import { testSteps } from './test-answers.ts';

/** The parts that are asked for by themselves, those in shards with a star; undefined: the whole. */
function cut(text: string): string[] | undefined {
  return cutOut(parseExpr(text), text)?.inner.map(({ expr, isSharded }) => `${isSharded ? '*' : ''}${expr.trim()}`);
}

test('aggregations are cut out of what is around them, and that keeps its places', () => {
  assert.deepEqual(cut('sum(rate(a[5m])) / sum(rate(b[5m]))'), ['*sum(rate(a[5m]))', '*sum(rate(b[5m]))']);
  assert.deepEqual(cut('histogram_quantile(0.9, sum by (le) (rate(x[1m])))'), ['*sum by (le) (rate(x[1m]))']);
  assert.deepEqual(cut('x > bool on () group_left sum(y)'), ['x', '*sum(y)']);
  assert.deepEqual(cut('rate(x[5m]) / on (a) group_left max by (a) (y)'), ['rate(x[5m])', '*max by (a) (y)']);
  assert.deepEqual(cut('count(sum by (a) (x) > 5)'), ['*sum by (a) (x)']);
  assert.deepEqual(cut('-(min(x) + time()) * scalar(count(y))'), ['*min(x)', '*count(y)']);
  // the times of samples are not those of the steps
  assert.deepEqual(cut('timestamp(x{a="0"}) - on () group_left sum(y) * 0'), ['timestamp(x{a="0"})', '*sum(y)']);
  assert.deepEqual(cut('timestamp((x)) * 2 - on () group_left sum(y)'), ['timestamp((x))', '*sum(y)']);
  const text = 'abs(sum by ("ü") ({"ä"})) -\n  sum(b)';
  const { outer, inner } = cutOut(parseExpr(text), text)!;
  const bytes = (each: string) => Buffer.byteLength(each);
  assert.equal(outer.replaceAll(/ +/g, ' '), 'abs(a ) -\n b ');
  assert.deepEqual([bytes(outer), bytes(inner[1]!.expr)], [bytes(text), bytes(text)]);
  assert.equal(bytes(inner[0]!.expr), bytes('abs(sum by ("ü") ({"ä"})'));
  parseExpr(outer);
});

test('what depends on the order of series, or would fetch much for little, is asked for as it is', () => {
  for (const text of [
    'sum(x)', // in shards by itself
    'x + y',
    'avg(sum by (a) (x))',
    'sum(sum by (a) (x))',
    'max(sum by (a) (x))',
    'topk(2, sum by (a) (x))',
    'x > sum(y)',
    'x and on () sum(y) > 1',
    'sort(sum by (a) (x))',
    'absent(sum(x))',
    'max_over_time(sum(x)[5m:1m])',
    'avg(x) / sum(y)',
    // the name of a part would be one with the word before it
    'sum by (a) (x) *on(a)group_right{__name__="y"}',
    'sum by (a) (x) >bool{__name__="y"}',
    // points of a selector that are only counted
    'count(rate(x[2m]) * on () group_left sum(y))',
    'group(abs(x > bool on () group_left sum(y)))',
    Array.from({ length: 9 }, () => 'sum(x)').join(' + '),
  ]) {
    const found = cut(text);
    assert.deepEqual(found, text === 'sum(x)' ? ['*sum(x)'] : undefined, text);
  }
});

/** Asks for parts of which each has used something. */
function askedInner(answer: () => QueryResult, heldMax = 9) {
  const text = 'x > bool on () group_left sum(y) - sum(z)';
  const asked: RangeRequest[] = [];
  let [held, heldParts] = [0, 0];
  const ask = (kind: string) => async (request: RangeRequest) => {
    asked.push({ ...request, expr: `${kind} ${request.expr.trim()}` });
    // the whole is asked for when nothing is held any more
    if (request.expr === text) assert.equal(held, 0);
    return answer();
  };
  const over = () => ({
    range: async () => testSteps(1, 1),
    instant: () => Promise.reject(new Error('bug: nobody asks for this')),
    partial: () => Promise.reject(new Error('bug: nobody asks for this')),
  });
  const memory = {
    addMemory(bytes: number) {
      held += bytes;
      if (++heldParts > heldMax) throw queryErrors.queryMemoryExceeded({ usedBytes: held, limitBytes: 1 });
    },
    close() {
      held = 0;
    },
  };
  const request = { expr: text, startMs: 0, endMs: 9000, stepMs: 1000 };
  const turns = { due: false, pause: async () => {} };
  const runners = { sharded: ask('sharded'), whole: ask('whole'), over, memory, turns };
  const context = { signal: new AbortController().signal };
  return { asked, text, run: () => rangeOverInner('t', request, cutOut(parseExpr(text), text)!, runners, context) };
}

test('parts are asked for one after another, each with what those before it have used', async () => {
  const { asked, run } = askedInner(() =>
    testSteps(1, 2, { fetchedChunks: 2, fetchedChunkBytes: 30, fetchedBytes: 40 }),
  );
  await run();
  assert.deepEqual(
    asked.map(({ expr, used }) => [expr, used]),
    [
      ['whole x', { chunks: 0, chunkBytes: 0, fetchedBytes: 0 }],
      ['sharded sum(y)', { chunks: 2, chunkBytes: 30, fetchedBytes: 40 }],
      ['sharded sum(z)', { chunks: 4, chunkBytes: 60, fetchedBytes: 80 }],
    ],
  );
});

test('the query is asked for as it is where parts have histograms, or more points than may be held', async () => {
  const plain = () => testSteps(1, 2);
  const histograms = (): QueryResult => {
    const { value, ...rest } = plain();
    assert.ok(value.type === 'matrix');
    const series = value.series.map((each) => ({ ...each, histograms: [undefined, undefined] }));
    return { ...rest, value: { ...value, series } };
  };
  // of the first part alone
  const refusing = (refusal: Error) => {
    let tries = 0;
    return () => {
      if (tries++ === 0) throw refusal;
      return plain();
    };
  };
  const tooMuch = refusing(queryErrors.queryMemoryExceeded({ usedBytes: 2, limitBytes: 1 }));
  // a selector that two parts have is read once for the whole
  const readTwice = refusing(queryErrors.queryTooManyChunks({ chunks: 2, limit: 1 }));
  for (const [answer, heldMax, parts] of [
    [histograms, 9, 1],
    [plain, 1, 2],
    [tooMuch, 9, 1],
    [readTwice, 9, 1],
  ] as const) {
    const { asked, text, run } = askedInner(answer, heldMax);
    await run();
    assert.equal(asked.length, parts + 1);
    assert.equal(asked.at(-1)!.expr, `whole ${text}`);
  }
});
