import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Random, seededRandom } from '../lib/random.ts';
import { AppError } from '../model/errors.ts';
import { deflateSnappy, inflateSnappy } from './snappy.ts';

const runs = Number(process.env.PALLIUM_FUZZ_RUNS ?? 300);
const MEGABYTE = 1 << 20;
const inflate = (block: Uint8Array) => inflateSnappy(block, MEGABYTE, 'test');

/** Random, with repetitions near and far. */
function compressible(random: Random, length: number): Uint8Array {
  const out = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const size = Math.min(length - at, 1 + Math.floor(random() * 100));
    const back = Math.floor(random() * at);
    if (random() < 0.5 && back > 0) for (let i = 0; i < size; i++) out[at + i] = out[at + i - back]!;
    else for (let i = 0; i < size; i++) out[at + i] = Math.floor(random() * 256);
    at += size;
  }
  return out;
}

test('what was deflated is inflated again, and repetitions take little', () => {
  const random = seededRandom(1);
  for (let run = 0; run < runs; run++) {
    const bytes = compressible(random, Math.floor(random() ** 3 * 200_000));
    assert.deepEqual(inflate(deflateSnappy(bytes)), bytes);
  }
  assert.ok(deflateSnappy(new Uint8Array(100_000)).length < 5_000);
  assert.deepEqual(deflateSnappy(new Uint8Array(0)), Uint8Array.of(0));
});

test('a block by hand: literals and the three kinds of copies', () => {
  const block = Uint8Array.of(17, 3 << 2, 97, 98, 99, 100, 1, 4, (3 << 2) | 2, 2, 0, (4 << 2) | 3, 1, 0, 0, 0);
  assert.equal(Buffer.from(inflate(block)).toString(), 'abcdabcdcdcdddddd');
});

test('what is wrong with a block is named', () => {
  const reason = (...block: number[]) => {
    try {
      inflate(Uint8Array.from(block));
    } catch (thrown) {
      assert.ok(thrown instanceof AppError && thrown.facts.id === 'snappy-invalid');
      return thrown.message.slice('the body is not valid snappy: '.length);
    }
    return 'nothing';
  };
  assert.equal(reason(), 'it ends within its length');
  assert.equal(reason(0xff, 0xff, 0xff, 0xff, 0x1f), 'its length is longer than 32 bits');
  assert.equal(reason(5, 4 << 2, 1), 'a literal of 5 bytes with 1 left');
  assert.equal(reason(8, 0, 1, 1, 2), 'a copy from 2 bytes back with 1 behind it');
  assert.equal(reason(8, 0, 1, 1, 0), 'a copy from 0 bytes back with 1 behind it');
  assert.equal(reason(2, 0, 1), '1 bytes where 2 are declared');
  assert.equal(reason(1, 1 << 2, 1, 1), 'more than the 1 bytes that are declared');
});

test('a length that lies takes no memory', () => {
  const lie = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f, 0, 1);
  assert.throws(() => inflateSnappy(lie, MEGABYTE, 'max'), /larger than 1048576 bytes \(max\)/);
  assert.throws(() => inflateSnappy(lie, 2 ** 33, 'max'), /2 bytes cannot hold the 4294967295 that are declared/);
});

test('damaged blocks are an error with a name, or other bytes', () => {
  const random = seededRandom(2);
  for (let run = 0; run < runs * 5; run++) {
    const block = deflateSnappy(compressible(random, Math.floor(random() * 500)));
    const cut = block.slice(0, random() < 0.2 ? Math.floor(random() * block.length) : block.length);
    for (let flips = random() * 5; flips > 0; flips--) {
      cut[Math.floor(random() * cut.length)]! ^= 1 << Math.floor(random() * 8);
    }
    try {
      assert.ok(inflate(cut).length <= MEGABYTE);
    } catch (thrown) {
      assert.ok(thrown instanceof AppError, String(thrown));
    }
  }
});
