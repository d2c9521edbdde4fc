import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Kernel } from '../chunk/kernel.ts';
import { Region } from '../chunk/region.ts';
import { seededRandom } from '../lib/random.ts';
import { deflateSnappy, inflateSnappy } from './snappy.ts';

// The kernel's snappy beside the plain one. KERNEL_FUZZ_RUNS changes how much.

const RUNS = Number(process.env.KERNEL_FUZZ_RUNS ?? 4000);
const kernel = Kernel.create();
const { exports } = kernel;
const input = new Region(kernel, 1 << 20);
const output = new Region(kernel, 1 << 20);

test('the kernel inflates snappy as the plain decoder does, and refuses what that refuses', () => {
  const random = seededRandom(5);
  for (let run = 0; run < RUNS; run++) {
    const raw = new Uint8Array(Math.floor(random() * (run % 50 === 0 ? 70_000 : 600)));
    const letters = 1 + random() * 8;
    for (let i = 0; i < raw.length; i++) {
      raw[i] = random() < 0.5 && i > 20 ? raw[i - 1 - Math.floor(random() * 20)]! : Math.floor(random() * letters);
    }
    const block = deflateSnappy(raw).slice();
    if (run % 4 !== 0) {
      for (let flips = 1 + random() * 4; flips > 0; flips--)
        block[Math.floor(random() * block.length)]! ^= 1 << (random() * 8);
    }
    const limit = 100_000;
    let want: Uint8Array | undefined;
    try {
      want = inflateSnappy(block, limit, 'test');
    } catch {
      want = undefined;
    }
    const at = input.put(block);
    const declared = exports.snappyLength(at, block.length);
    if (declared < 0 || declared > limit) {
      assert.equal(want, undefined);
      continue;
    }
    const length = exports.snappyDecode(at, block.length, output.ensure(declared + 16), declared + 16);
    assert.equal(length < 0, want === undefined);
    if (want !== undefined) assert.deepEqual(kernel.u8.slice(output.at, output.at + length), want);
  }
});
