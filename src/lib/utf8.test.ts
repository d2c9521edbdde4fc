import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeLooseUtf8, decodeUtf8, encodeUtf8 } from './utf8.ts';

const TEXTS = [
  '',
  'a',
  'job="x"\n\0',
  'é',
  '漢字',
  '😀',
  '\uFEFFmark',
  'x'.repeat(128),
  'x'.repeat(129),
  `${'x'.repeat(127)}é`,
];

test('texts come back, whether short, long, or beyond ASCII', () => {
  for (const text of TEXTS) {
    const bytes = encodeUtf8(text);
    assert.deepEqual(bytes, new Uint8Array(Buffer.from(text)));
    const within = Buffer.concat([Buffer.from('<'), bytes, Buffer.from('>')]);
    assert.equal(decodeUtf8(within, 1, 1 + bytes.length), text);
    assert.equal(decodeLooseUtf8(within, 1, 1 + bytes.length), text);
  }
});

test('what is no UTF-8 is said, or stands as U+FFFD', () => {
  const broken = Uint8Array.of(0x61, 0xff, 0x62);
  assert.equal(decodeUtf8(broken, 0, 3), undefined);
  assert.equal(decodeLooseUtf8(broken, 0, 3), 'a\ufffdb');
  assert.deepEqual(encodeUtf8('a\ud800'), Uint8Array.of(0x61, 0xef, 0xbf, 0xbd));
});
