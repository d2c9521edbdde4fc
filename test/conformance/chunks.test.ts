import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { Int64 } from '../../src/chunk/int64.ts';
import { XorReader, XorWriter } from '../../src/chunk/xor.ts';
import { Xor2Reader, Xor2Writer } from '../../src/chunk/xor2.ts';

const VECTORS = new URL('../../../shared/conformance/vectors/', import.meta.url);
const skip = fs.existsSync(VECTORS) ? false : 'there is no ../shared/conformance';

interface FloatVector {
  readonly name: string;
  readonly n: number;
  /** Time, and bits as hex. */
  readonly samples: readonly (readonly [time: string, bits: string])[];
  readonly start_timestamps?: readonly string[];
  readonly hex: string;
}

function vectors<T>(file: string): T[] {
  return fs
    .readFileSync(new URL(file, VECTORS), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}

function words(hex: string): [high: number, low: number] {
  return [Number.parseInt(hex.slice(0, 8), 16) | 0, Number.parseInt(hex.slice(8), 16) | 0];
}

function hexOf(high: number, low: number): string {
  return (high >>> 0).toString(16).padStart(8, '0') + (low >>> 0).toString(16).padStart(8, '0');
}

const int = (text: string) => new Int64().setBigInt(BigInt(text));

test('XOR chunks are those of Prometheus, byte for byte', { skip }, () => {
  const all = vectors<FloatVector>('chunks-xor.jsonl');
  for (const { name, samples, hex } of all) {
    let writer = XorWriter.create();
    const resumeAt = samples.length >> 1;
    for (const [i, [time, bits]] of samples.entries()) {
      if (i === resumeAt && i > 1) writer = XorWriter.resume(writer.toBytes());
      assert.ok(writer.appendBits(int(time), ...words(bits)));
    }
    assert.equal(Buffer.from(writer.toBytes()).toString('hex'), hex, name);
    const reader = new XorReader(Buffer.from(hex, 'hex'));
    const read: [string, string][] = [];
    while (reader.next()) read.push([String(reader.time.toBigInt()), hexOf(reader.bits.high, reader.bits.low)]);
    assert.deepEqual(read, samples, name);
  }
  assert.ok(all.length >= 51);
});

test('XOR2 chunks are those of Prometheus, byte for byte', { skip }, () => {
  const all = vectors<FloatVector>('chunks-xor2.jsonl');
  for (const { name, samples, start_timestamps, hex } of all) {
    let writer = Xor2Writer.create();
    const resumeAt = samples.length >> 1;
    const starts = start_timestamps ?? samples.map(() => '0');
    for (const [i, [time, bits]] of samples.entries()) {
      if (i === resumeAt && i > 1) writer = Xor2Writer.resume(writer.toBytes());
      assert.ok(writer.appendBits(int(time), ...words(bits), int(starts[i]!)));
    }
    assert.equal(Buffer.from(writer.toBytes()).toString('hex'), hex, name);
    const reader = new Xor2Reader(Buffer.from(hex, 'hex'));
    for (const [i, [time, bits]] of samples.entries()) {
      assert.ok(reader.next(), name);
      assert.deepEqual(
        [String(reader.time.toBigInt()), hexOf(reader.bits.high, reader.bits.low), String(reader.start.toBigInt())],
        [time, bits, starts[i]],
        name,
      );
    }
    assert.equal(reader.next(), false);
  }
  assert.ok(all.length >= 86);
});
