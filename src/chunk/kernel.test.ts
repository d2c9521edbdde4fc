import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { seededRandom } from '../lib/random.ts';
import { Kernel } from './kernel.ts';
import { Region } from './region.ts';

// The kernel's chunks beside the recorded ones, and under hostile bytes. KERNEL_FUZZ_RUNS changes how much.

const RUNS = Number(process.env.KERNEL_FUZZ_RUNS ?? 4000);
const kernel = Kernel.create();
const { exports } = kernel;
const input = new Region(kernel, 1 << 20);
const output = new Region(kernel, 1 << 20);
const times = new Region(kernel, 8 * 65536);
const values = new Region(kernel, 8 * 65536);

/** The fields of an appender (kernel/xor.ts). */
const APPENDER = { data: 24, bits: 28, count: 32, lead: 40, bytes: 44 };

function encode(samples: readonly (readonly [time: bigint, bits: bigint])[]): Uint8Array {
  const at = kernel.reserve(APPENDER.bytes);
  const data = output.ensure(64 + samples.length * 24);
  kernel.u8.fill(0, data, data + output.bytes);
  kernel.u8.fill(0, at, at + APPENDER.bytes);
  kernel.view.setUint32(at + APPENDER.data, data, true);
  kernel.view.setUint32(at + APPENDER.bits, 16, true);
  kernel.view.setUint8(at + APPENDER.lead, 255);
  for (const [time, bits] of samples) exports.xorAppend(at, time, BigInt.asIntN(64, bits));
  const length = (kernel.view.getUint32(at + APPENDER.bits, true) + 7) >> 3;
  const chunk = kernel.u8.slice(data, data + length);
  chunk[0] = samples.length >> 8;
  chunk[1] = samples.length & 255;
  return chunk;
}

const VECTORS = new URL('../../../shared/conformance/vectors/chunks-xor.jsonl', import.meta.url);

test('the kernel writes and reads XOR chunks as Prometheus does, byte for byte', {
  skip: fs.existsSync(VECTORS) ? false : 'there is no ../shared/conformance',
}, () => {
  const lines = fs.readFileSync(VECTORS, 'utf8').trim().split('\n');
  assert.equal(lines.length, 51);
  for (const line of lines) {
    const { name, n, samples, hex } = JSON.parse(line) as {
      name: string;
      n: number;
      samples: [time: string, bits: string][];
      hex: string;
    };
    const chunk = encode(samples.map(([time, bits]) => [BigInt(time), BigInt(`0x${bits}`)]));
    assert.equal(Buffer.from(chunk).toString('hex'), hex, name);
    const flags = exports.xorDecode(input.put(chunk), chunk.length, times.at, values.at, 65535);
    assert.ok(flags >= 0, name);
    for (let i = 0; i < n; i++) {
      assert.equal(kernel.view.getFloat64(times.at + 8 * i, true), Number(samples[i]![0]), name);
      assert.equal(kernel.view.getBigUint64(values.at + 8 * i, true), BigInt(`0x${samples[i]![1]}`), name);
    }
  }
});

test('a damaged XOR chunk is told from a whole one, or read within its bounds', () => {
  const random = seededRandom(11);
  for (let run = 0; run < RUNS; run++) {
    const samples: [bigint, bigint][] = [];
    let time = BigInt(Math.floor(random() * 2e12));
    for (let i = 0; i < 1 + random() * 40; i++) {
      time += BigInt(Math.floor(random() * (random() < 0.1 ? 1e9 : 30_000)) + 1);
      samples.push([time, BigInt(Math.floor(random() * 2 ** 50)) << BigInt(Math.floor(random() * 14))]);
    }
    const chunk = encode(samples);
    for (let flips = 1 + random() * 3; flips > 0; flips--)
      chunk[Math.floor(random() * chunk.length)]! ^= 1 << (random() * 8);
    const part = chunk.subarray(0, random() < 0.3 ? Math.floor(random() * chunk.length) : chunk.length);
    const flags = exports.xorDecode(input.put(part), part.length, times.at, values.at, 65535);
    assert.ok(flags >= -1 && flags <= 3);
  }
});
