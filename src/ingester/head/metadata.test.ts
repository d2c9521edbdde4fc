import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MetadataBook } from './metadata.ts';

const T = 1_700_000_000_000;
const LIMITS = { metricsMax: 3, perMetricMax: 2 };
const entry = (metric: string, help = '') => ({ metric, type: 'gauge', help, unit: '' });

function take(book: MetadataBook, entries: ReturnType<typeof entry>[], nowMs = T, isFull = false) {
  return book.take('t', entries, { limits: LIMITS, nowMs, isFull });
}

test('metrics of a tenant and entries of a metric are bounded, and what is refused is counted by reason', () => {
  const book = new MetadataBook();
  const { news, refused } = take(book, [
    entry('a'),
    entry('a'),
    entry('a', '2'),
    entry('a', '3'),
    entry('b'),
    entry('c'),
    entry('d'),
    entry('e'),
  ]);
  assert.deepEqual(news, [entry('a'), entry('a', '2'), entry('b'), entry('c')]);
  assert.deepEqual(refused, { per_metric_metadata_limit: 1, per_user_metadata_limit: 2 });
  assert.deepEqual(take(book, [entry('b'), entry('a', '2')]), { news: [], refused: {} }, 'known entries are no news');
  assert.deepEqual(book.take('u', [entry('d')], { limits: LIMITS, nowMs: T, isFull: false }).news, [entry('d')]);
  assert.deepEqual(take(book, [entry('b', 'new')], T, true).refused, { head_full: 1 });
  assert.deepEqual(
    book.take('t', [entry('x'), entry('y'), entry('a', '4')], {
      limits: { metricsMax: 0, perMetricMax: 0 },
      nowMs: T,
      isFull: false,
    }).news.length,
    3,
    '0 is no limit',
  );
});

test('what nobody tells any more gives way to others at a limit, and only there', () => {
  const book = new MetadataBook();
  take(book, [entry('a'), entry('a', '2'), entry('b'), entry('c')]);
  const later = T + 700_000;
  take(book, [entry('a', '2')], later);
  assert.equal(book.of('t').length, 4);
  assert.deepEqual(take(book, [entry('a', '3'), entry('d')], later).news, [entry('a', '3'), entry('d')]);
  assert.deepEqual(book.of('t'), [entry('a', '2'), entry('a', '3'), entry('d')]);
});

test('size comes back with what goes', () => {
  const book = new MetadataBook();
  const { news } = take(book, [entry('a', 'x'.repeat(1000)), entry('b')]);
  assert.ok(book.bytes > 2000);
  const held = book.bytes;
  book.load('u', [entry('z')], T);
  book.forget('u');
  assert.equal(book.bytes, held);
  book.drop('t', news);
  assert.deepEqual(book.of('t'), []);
  book.forget('t');
  assert.equal(book.bytes, 0);
});
