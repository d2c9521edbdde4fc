import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { readBody } from './body.ts';

function read(...chunks: string[]): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const from = Object.assign(Readable.from(chunks.map((chunk) => Buffer.from(chunk))), {
    headers: { 'content-length': String(bytes) },
  });
  return readBody(from as unknown as IncomingMessage, { bytesMax: 100, take: () => {} });
}

/** As another thread gets it. */
function moved(body: Uint8Array<ArrayBuffer>): string {
  return Buffer.from(structuredClone(body, { transfer: [body.buffer] })).toString();
}

test('bodies can move away, empty ones too, and those after them come in', async () => {
  assert.equal(moved(await read('ab', 'c')), 'abc');
  for (let i = 0; i < 3; i++) assert.equal(moved(await read()), '');
  assert.equal(moved(await read('ab', 'c')), 'abc');
});
