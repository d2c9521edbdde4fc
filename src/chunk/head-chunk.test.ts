import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../lib/random.ts';
import { ChunkDecoder, type HeadChunk } from './head-chunk.ts';
import { CHUNK_UNORDERED } from './head-chunk-flags.ts';
import { Kernel } from './kernel.ts';
import { XorWriter } from './xor.ts';

const decoder = new ChunkDecoder(Kernel.create());

function chunkOf(samples: readonly (readonly [number, number])[], flags = 0): HeadChunk {
  const writer = XorWriter.create();
  for (const [time, value] of samples) writer.append(time, value);
  return { bytes: writer.toBytes(), flags };
}

test('a chunk has another one where that is equal or its beginning, and never where one bit of a sample differs', () => {
  const random = seededRandom(11);
  const below = (n: number) => Math.floor(random() * n);
  let beginnings = 0;
  let near = 0;
  for (let run = 0; run < 20_000; run++) {
    let time = 1_790_000_000_000;
    let value = below(3);
    const samples = Array.from({ length: 2 + below(12) }, () => {
      time += random() < 0.8 ? 15_000 : 15_000 + below(3);
      if (random() < 0.4) value = below(3);
      return [time, value] as const;
    });
    const count = 1 + below(samples.length);
    const part = samples.slice(0, count).map((sample) => [...sample] as [number, number]);
    // most differences are in the last bits, where the bytes are filled up with zeros
    const change = below(4);
    if (change === 1) part.at(-1)![1] = below(3);
    if (change === 2) part.at(-1)![0] += below(2);
    const isBeginning = part.every(([ms, v], i) => ms === samples[i]![0] && Object.is(v, samples[i]![1]));
    if (isBeginning) beginnings++;
    else near++;
    const whole = chunkOf(samples);
    assert.equal(decoder.haveAll([whole], [chunkOf(part)]), isBeginning, JSON.stringify([samples, part]));
    assert.equal(decoder.haveAll([whole], [chunkOf(part, CHUNK_UNORDERED)]), false);
    assert.equal(decoder.distinct([chunkOf(part), whole, whole]).length, isBeginning ? 1 : 2);
  }
  assert.ok(beginnings > 5000 && near > 2000, `${beginnings} ${near}`);
});

test('what has more pairs of chunks than are compared is decoded whole', () => {
  const chunks = Array.from({ length: 100 }, (_, i) => chunkOf([[i, 1]]));
  assert.equal(decoder.haveAll(chunks, chunks), false);
  assert.equal(decoder.distinct([...chunks, ...chunks]).length, 200);
});
