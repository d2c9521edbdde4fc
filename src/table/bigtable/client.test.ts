import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../lib/random.ts';
import { CellReader } from './client.ts';

const bytes = (text: string) => Buffer.from(text);
const NONE = Buffer.alloc(0);

function read(...chunks: object[]): string[] {
  const reader = new CellReader();
  for (const chunk of chunks) reader.take({ chunks: [chunk] });
  return reader.cells.map(({ key, value }) => `${Buffer.from(key)}=${Buffer.from(value)}`);
}

test('a row in one chunk, and rows one after the other', () => {
  assert.deepEqual(
    read(
      { rowKey: bytes('a'), value: bytes('1'), commitRow: true },
      { rowKey: bytes('b'), value: bytes('2'), commitRow: true },
    ),
    ['a=1', 'b=2'],
  );
});

test('a value in several chunks', () => {
  assert.deepEqual(
    read(
      { rowKey: bytes('a'), value: bytes('12'), valueSize: 6 },
      { rowKey: NONE, value: bytes('34'), valueSize: 6 },
      { rowKey: NONE, value: bytes('56'), valueSize: 0, commitRow: true },
    ),
    ['a=123456'],
  );
});

test('what is reset is read again', () => {
  assert.deepEqual(
    read(
      { rowKey: bytes('a'), value: bytes('lost'), valueSize: 9 },
      { resetRow: true },
      { rowKey: bytes('a'), value: bytes('kept'), commitRow: true },
    ),
    ['a=kept'],
  );
});

test('a row that was not committed is not a row, and one without a key is an error', () => {
  assert.deepEqual(read({ rowKey: bytes('a'), value: bytes('1') }), []);
  assert.throws(() => read({ value: bytes('1'), commitRow: true }), /without a key/);
});

test('any cutting of values gives the same rows', () => {
  const random = seededRandom(1);
  for (let round = 0; round < 200; round++) {
    const value = 'x'.repeat(Math.floor(random() * 20));
    const chunks: object[] = [];
    for (let at = 0; at < value.length; ) {
      const length = 1 + Math.floor(random() * 5);
      chunks.push({ rowKey: at === 0 ? bytes('k') : NONE, value: bytes(value.slice(at, at + length)) });
      at += length;
    }
    chunks.push({ rowKey: chunks.length === 0 ? bytes('k') : NONE, value: NONE, commitRow: true });
    assert.deepEqual(read(...chunks), [`k=${value}`]);
  }
});
